/** A replica's props against the table of the app's settings, and against what its publisher writes. */
import { Stack, Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { databaseLocation, engineFaults } from './database-location.ts';
import { DEFAULT_FORMAT } from './format-facts.ts';
import { arnFaults, durationFaults, faultOf, refuse, strangerFaults } from './prop-faults.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';
import type { StreamReplicaProps } from './stream-replica-props.ts';

/** Props that are settings of the stack under the same names. */
const SETTING_PROPS = [
  'endpoints',
  'existingEndpoints',
  'databaseHost',
  'databasePort',
  'databaseName',
  'databaseCidr',
  'databaseSslMode',
  'databaseSslRootCert',
  'databaseAuth',
  'databaseUser',
  'databaseResourceId',
  'sourceName',
  'memoryMib',
  'reservedConcurrency',
  'functionName',
  'tracing',
] as const;

/** A larger record would not fit into an event, in base64. */
const MAX_RECORD_KIB = 4096;

/** @param construct - the replica @param props - what it was given @throws {PropsError} naming every prop whose value is not allowed */
export function checkReplica(construct: Construct, props: StreamReplicaProps): void {
  const given = new Map<string, unknown>(Object.entries(props));
  const location = databaseLocation(props);
  const secret = props.databaseAuth === 'iam' ? undefined : props.databaseSecret;
  refuse(
    construct,
    SETTING_PROPS.flatMap((name) => faultOf(name, given.get(name), STACK_SETTINGS[name])),
    location.host === undefined ? ['databaseHost is missing (or give database).'] : [],
    props.databaseAuth === 'iam' && location.resourceId === undefined
      ? ['databaseResourceId is missing: databaseAuth iam needs it (or give a database that has it).']
      : [],
    engineFaults(props.database),
    location.securityGroup !== undefined && props.databaseCidr !== undefined
      ? ['databaseCidr has no effect with databaseSecurityGroup: leave one of them out.']
      : [],
    matching('replicaName', props.replicaName, /^[^\p{Cc}]{1,63}$/u, '1 to 63 characters'),
    matching('pipelineName', props.pipelineName, /^[^\p{Cc}]{1,128}$/u, '1 to 128 characters'),
    matching('startAfter', props.startAfter, /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/, 'an LSN, like 0/16B3748'),
    props.startAfter !== undefined && props.awaitSnapshot === true
      ? ['startAfter and awaitSnapshot cannot both be given: the target holds its rows, or they are still to come.']
      : [],
    whole('batchSize', props.batchSize, 1, 10_000),
    whole('retryAttempts', props.retryAttempts, 0, 10_000),
    durationFaults('maxRecordAge', props.maxRecordAge, 60, 604_800),
    durationFaults('iteratorAge', props.iteratorAge, 60, 86_400),
    props.email !== undefined && props.topic !== undefined
      ? ['email and topic cannot both be given: subscribe the address to the topic.']
      : [],
    faultOf('email', props.email, STACK_SETTINGS.alarmEmail),
    faultOf('runbookUrl', props.runbookUrl, STACK_SETTINGS.runbookUrl),
    arnFaults(construct, 'alarmTopicArn', 'topic', props.topic?.topicArn),
    arnFaults(construct, 'databaseSecretArn', 'databaseSecret', secret?.secretArn),
    arnFaults(construct, 'logKeyArn', 'logKey', props.logKey?.keyArn),
    arnFaults(construct, 'environmentKeyArn', 'environmentKey', props.environmentKey?.keyArn),
    strangerFaults(construct, props.role, secret),
    publisherFaults(props),
    placeFaults(construct, props),
  );
}

/** Lambda gives a function the records of its own region's streams. */
function placeFaults(construct: Construct, { publisher, stream }: StreamReplicaProps): string[] {
  const own = Stack.of(construct).region;
  const { region } = (publisher?.stream ?? stream)?.env ?? { region: own };
  if (region === own || Token.isUnresolved(region) || Token.isUnresolved(own)) return [];
  const what = publisher === undefined ? 'stream cannot be of' : 'publisher cannot have a stream of';
  return [`${what} ${region}: Lambda reads streams of its own region only, and that of the stack is ${own}.`];
}

/** What the publisher writes has to be what a replica can read. */
function publisherFaults({ publisher }: StreamReplicaProps): string[] {
  if (publisher === undefined) return [];
  const { format = DEFAULT_FORMAT, aggregation = 'kpl', marks = 'off', partitionBy = 'primary-key' } = publisher.props;
  const { maxRecordKib = 1024 } = publisher.props;
  return [
    ...(format === 'json' ? [] : [`publisher cannot have format ${format}: a replica reads json.`]),
    ...(aggregation === 'none'
      ? ['publisher cannot have aggregation none, which has no lanes: it must be kpl or lines.']
      : []),
    ...(marks === 'on'
      ? []
      : ["publisher must have marks 'on': they tell a replica of a server that lost what was committed."]),
    ...(!Token.isUnresolved(maxRecordKib) && maxRecordKib > MAX_RECORD_KIB
      ? [
          `publisher cannot have maxRecordKib above ${MAX_RECORD_KIB}: Lambda gives a function at most 6 MB, and a record takes a third more there.`,
        ]
      : []),
    ...(partitionBy === 'transaction'
      ? ['publisher cannot have partitionBy transaction, which puts the changes of one row into many lanes.']
      : []),
  ];
}

function matching(name: string, value: string | undefined, pattern: RegExp, expects: string): string[] {
  if (value === undefined || Token.isUnresolved(value) || pattern.test(value)) return [];
  return [`${name} cannot be ${JSON.stringify(value)}: it must be ${expects}.`];
}

function whole(name: string, value: number | undefined, min: number, max: number): string[] {
  if (value === undefined || Token.isUnresolved(value)) return [];
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  return [`${name} cannot be ${value}: it must be a whole number from ${min} to ${max}.`];
}
