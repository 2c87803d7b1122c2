/**
 * What is wrong with a construct's props, and the error that says so. Values that only CloudFormation will know (tokens) are
 * not checked. Knows no construct's props by name.
 */
import { type Duration, Stack, Token } from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { given } from './optional-fields.ts';
import { accountFaults } from './setting-accounts.ts';
import type { SettingKind } from './setting-kinds.ts';
import { regionFaults } from './setting-regions.ts';
import { SynthesisError } from './synthesis-error.ts';
import { isToken } from './tokens.ts';

/** Props are wrong. The message names the construct, and every prop with its value and what is allowed. */
export class PropsError extends SynthesisError {
  override readonly name = 'PropsError';
  /** A sentence each. */
  readonly faults: readonly string[];

  /**
   * @param construct - whose props they are
   * @param faults - what is wrong, a sentence each; at least one
   * @param what - what is wrong, in one word
   */
  constructor(construct: Construct, faults: readonly string[], what = 'prop') {
    super(
      `${construct.constructor.name} "${construct.node.path}": ${faults.length === 1 ? `a ${what} is` : `${faults.length} ${what}s are`} wrong, ` +
        `nothing was synthesised:\n\n${faults.map((fault) => `- ${fault}`).join('\n')}\n`,
    );
    this.faults = faults;
  }
}

/**
 * @param construct - whose props they are
 * @param faults - what is wrong with them, a sentence each
 * @throws {PropsError} where anything is
 */
export function refuse(construct: Construct, ...faults: readonly (readonly string[])[]): void {
  if (faults.flat().length > 0) throw new PropsError(construct, faults.flat());
}

/**
 * @param construct - whose prop it is
 * @param setting - the setting that it is in the stack
 * @param prop - the prop's name
 * @param arn - the ARN of what was given; undefined: nothing was
 * @returns a sentence where its region or partition is known not to be the stack's
 */
export function arnFaults(
  construct: Construct,
  setting: 'alarmTopicArn' | 'logKeyArn' | 'environmentKeyArn' | 'databaseSecretArn' | 'streamKeyArn',
  prop: string,
  arn: string | undefined,
): string[] {
  const { region } = Stack.of(construct);
  if (arn === undefined || Token.isUnresolved(arn) || Token.isUnresolved(region)) return [];
  return regionFaults({ [setting]: arn }, region).map((fault) => fault.replace(setting, prop));
}

/**
 * @param construct - whose props they are
 * @param role - the function's, where one was given
 * @param secret - the database's
 * @returns a sentence for each that is known to be of another account than the stack, and cannot be
 */
export function strangerFaults(
  construct: Construct,
  role: iam.IRole | undefined,
  secret: secretsmanager.ISecret | undefined,
): string[] {
  const known = (text: string | undefined): string | undefined => (Token.isUnresolved(text) ? undefined : text);
  const roleArn = known(role?.roleArn);
  const databaseSecretArn = known(secret?.secretArn);
  const databaseSecretKeyArn = secret?.encryptionKey?.keyArn;
  const faults = accountFaults(
    {
      ...given('roleArn', roleArn),
      ...given('databaseSecretArn', databaseSecretArn),
      ...given('databaseSecretKeyArn', databaseSecretKeyArn),
    },
    known(Stack.of(construct).account),
  );
  return faults.map((fault) =>
    fault.replace('roleArn', 'role').replace('databaseSecretKeyArn is missing', 'databaseSecret has no encryptionKey'),
  );
}

/**
 * @param name - the prop's name
 * @param value - its value; undefined: it was not given
 * @param kind - what values it takes
 * @returns a sentence, or none where the value is allowed or not known yet
 */
export function faultOf(name: string, value: unknown, kind: SettingKind<unknown>): string[] {
  if (value === undefined || isToken(value) || kind.read(value) !== undefined) return [];
  return [`${name} cannot be ${JSON.stringify(value)}: it must be ${kind.expects}.`];
}

/**
 * @param name - the prop's name
 * @param value - its value; undefined: it was not given
 * @param min - in seconds
 * @param max - in seconds
 * @returns a sentence, or none where the duration is allowed or not known yet
 */
export function durationFaults(name: string, value: Duration | undefined, min: number, max: number): string[] {
  if (value === undefined || value.isUnresolved()) return [];
  const seconds = value.toSeconds({ integral: false });
  if (Number.isInteger(seconds) && seconds >= min && seconds <= max) return [];
  return [`${name} cannot be ${seconds} seconds: it must be a whole number of seconds from ${min} to ${max}.`];
}
