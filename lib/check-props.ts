/**
 * The constructs' props against the table of the app's settings: both refuse the same values at synthesis.
 * Values that only CloudFormation will know (tokens) are not checked. Makes no construct.
 */
import { Stack, Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { databaseLocation, engineFaults } from './database-location.ts';
import type { PartialSettings } from './pipeline-settings.ts';
import { arnFaults, durationFaults, faultOf, PropsError, strangerFaults } from './prop-faults.ts';
import { regionFaults } from './setting-regions.ts';
import { publishingFaults } from './setting-rules.ts';
import type { SlotPublisherProps } from './slot-publisher-props.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';
import { isToken } from './tokens.ts';

/** The props of a `SlotPublisher` that are settings of the stack, which hands them on as they are. */
export const SHARED_PROPS = [
  'endpoints',
  'existingEndpoints',
  'databaseHost',
  'databasePort',
  'databaseName',
  'databaseCidr',
  'databaseSslMode',
  'slotName',
  'plugin',
  'publications',
  'standbySlots',
  'slotFailover',
  'sourceName',
  'format',
  'formatter',
  'debeziumTime',
  'debeziumTransaction',
  'dmsNulls',
  'dmsTransaction',
  'dmsBeforeImage',
  'onUnknownKey',
  'partitionBy',
  'aggregation',
  'compression',
  'lanes',
  'tableIncludeList',
  'tableExcludeList',
  'columnExcludeList',
  'operations',
  'messages',
  'batchChanges',
  'readAhead',
  'primaryKeyTtlSeconds',
  'oversize',
  'maxRecordKib',
  'marks',
  'linger',
  'lingerDuty',
  'snapshot',
  'snapshotShare',
  'logLevel',
  'schedule',
  'memoryMib',
  'reservedConcurrency',
  'tracing',
  'functionName',
  'separateAdmin',
] as const satisfies readonly (keyof PartialSettings & keyof SlotPublisherProps)[];

/** All props of a `SlotPublisher` that are settings under the same names: those of the sign-in and a file in a layer, too. */
export const PUBLISHER_PROPS = [
  ...SHARED_PROPS,
  'databaseAuth',
  'databaseUser',
  'databaseResourceId',
  'databaseSslRootCert',
] as const satisfies readonly (keyof PartialSettings)[];

/**
 * @param construct - the publisher
 * @param props - what it was given
 * @throws {PropsError} naming every prop whose value is not allowed
 */
export function checkPublisher(construct: Construct, props: SlotPublisherProps): void {
  const given = new Map(Object.entries(props));
  const settings = Object.fromEntries(PUBLISHER_PROPS.map((name) => [name, given.get(name)]));
  const faults = PUBLISHER_PROPS.flatMap((name) => faultOf(name, settings[name], STACK_SETTINGS[name]));
  const location = databaseLocation(props);
  if (location.host === undefined)
    faults.push(`databaseHost is missing: it must be ${STACK_SETTINGS.databaseHost.expects} (or give database).`);
  if (props.databaseAuth === 'iam' && location.resourceId === undefined)
    faults.push(
      `databaseResourceId is missing: databaseAuth iam needs it; it must be ${STACK_SETTINGS.databaseResourceId.expects} (or give a database that has it).`,
    );
  faults.push(...engineFaults(props.database));
  if (location.securityGroup !== undefined && props.databaseCidr !== undefined)
    faults.push(
      'databaseCidr has no effect with databaseSecurityGroup, which says where the database is: leave one of them out.',
    );
  const name = props.pipelineName;
  if (name !== undefined && !Token.isUnresolved(name) && !/^[^\p{Cc}]{1,128}$/u.test(name))
    faults.push(`pipelineName cannot be ${JSON.stringify(name)}: it must be 1 to 128 characters.`);
  faults.push(...durationFaults('runTime', props.runTime, 1, 840));
  if (props.runTime !== undefined && props.linger === 'on')
    faults.push('runTime has no effect with linger on, where a run stays until the function ends: leave it out.');
  if (faults.length === 0) {
    // What holds a token is not compared with anything.
    const known = Object.fromEntries(
      Object.entries(settings).filter(([, value]) => !isToken(value)),
    ) as PartialSettings;
    const secret = props.databaseAuth === 'iam' ? undefined : props.databaseSecret;
    faults.push(
      ...publishingFaults(known),
      ...placeFaults(construct, props, known),
      ...arnFaults(construct, 'databaseSecretArn', 'databaseSecret', secret?.secretArn),
      ...arnFaults(construct, 'logKeyArn', 'logKey', props.logKey?.keyArn),
      ...arnFaults(construct, 'environmentKeyArn', 'environmentKey', props.environmentKey?.keyArn),
      ...strangerFaults(construct, props.role, secret),
    );
  }
  if (faults.length > 0) throw new PropsError(construct, faults);
}

/** The stream's endpoint and key, where regions are known. */
function placeFaults(construct: Construct, props: SlotPublisherProps, known: PartialSettings): string[] {
  const { region } = Stack.of(construct);
  const { streamArn, encryptionKey } = props.stream;
  return regionFaults(
    {
      ...(known.endpoints === undefined ? {} : { endpoints: known.endpoints }),
      ...(Token.isUnresolved(streamArn) ? {} : { existingStream: streamArn }),
      ...(encryptionKey === undefined || Token.isUnresolved(encryptionKey.keyArn)
        ? {}
        : { streamKeyArn: encryptionKey.keyArn }),
    },
    Token.isUnresolved(region) ? undefined : region,
  );
}
