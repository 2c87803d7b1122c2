/**
 * From the CDK context to typed settings: everything is checked, and every fault reported in one error with an example.
 * Pure: it is handed the context, and knows neither the app nor AWS. What each setting may be is in `stack-settings-table.ts`.
 */
import { slotKey } from './pipeline-clashes.ts';
import type { GivenSettings, PartialSettings, PipelineSettings } from './pipeline-settings.ts';
import { accountFaults } from './setting-accounts.ts';
import { isNoSetting } from './setting-names.ts';
import { regionFaults } from './setting-regions.ts';
import { publishingFaults } from './setting-rules.ts';
import { STACK_DEFAULTS, STACK_SETTINGS } from './stack-settings-table.ts';
import { SynthesisError } from './synthesis-error.ts';
import { isToken } from './tokens.ts';

/** The context's key that holds the settings: one object, or a list of them. */
export const CONTEXT_KEY = 'pg2kinesis';

/** The CDK's own key for a permissions boundary on every role. */
const BOUNDARY = '@aws-cdk/core:permissionsBoundary';

/** What to put into cdk.json, or after `-c`; the required settings first, then some that are often wanted. */
export const EXAMPLE = `In cdk.json, in "context" (a list of such objects for several databases or slots):

  "${CONTEXT_KEY}": {
    "name": "app-changes",
    "vpcId": "vpc-0a1b2c3d4e5f60718",
    "databaseHost": "app.abcdefghijkl.eu-central-1.rds.amazonaws.com",
    "databaseName": "app",
    "databaseSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg2kinesis-AbCdEf",
    "databaseSecurityGroupId": "sg-0a1b2c3d4e5f60718",
    "format": "json",
    "alarmEmail": "oncall@example.com"
  }

or on the command line, where each -c wins over cdk.json:

  npx cdk deploy -c name=app-changes -c vpcId=vpc-0a1b2c3d4e5f60718 \\
    -c databaseHost=app.abcdefghijkl.eu-central-1.rds.amazonaws.com -c databaseName=app \\
    -c databaseSecretArn=arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg2kinesis-AbCdEf \\
    -c databaseSecurityGroupId=sg-0a1b2c3d4e5f60718 -c format=json -c alarmEmail=oncall@example.com

All settings: ${Object.keys(STACK_SETTINGS).join(', ')}.`;

/** The settings are wrong. The message names every fault and shows an example. */
export class SettingsError extends SynthesisError {
  override readonly name = 'SettingsError';
  /** A sentence each. */
  readonly faults: readonly string[];

  /** @param faults - what is wrong, a sentence each; at least one */
  constructor(faults: readonly string[]) {
    const count = faults.length === 1 ? 'A setting is' : `${faults.length} settings are`;
    super(
      `${count} wrong, nothing was synthesised:\n\n${faults.map((fault) => `- ${fault}`).join('\n')}\n\nAn example. ${EXAMPLE}`,
    );
    this.faults = faults;
  }
}

/** Where a stack is, as far as it is known. */
interface Place {
  readonly account: string | undefined;
  readonly region: string | undefined;
}

type Name = keyof PipelineSettings;
const NAMES = Object.keys(STACK_SETTINGS) as Name[];

/**
 * Reads all pipelines' settings.
 *
 * @param context - all of the app's context: `pg2kinesis` (an object or a list), settings that `-c name=value` put
 *   beside it, which win in every pipeline, and the CDK's own keys, which hold a colon or a slash
 * @param options - `account`, `region`: what is deployed to where a pipeline says nothing, as far as it is known; `foreign`:
 *   names that are the user's own for other apps, and no fault
 * @returns one element a pipeline; none where there are no settings at all
 * @throws {SettingsError} naming every fault of every pipeline
 */
export function readSettings(
  context: Readonly<Record<string, unknown>>,
  { account, region, foreign = [] }: Partial<Place> & { readonly foreign?: readonly string[] } = {},
): readonly PipelineSettings[] {
  const faults: string[] = [];
  const overrides: Record<string, unknown> = {};
  if (typeof context[BOUNDARY] === 'string')
    faults.push(
      `${BOUNDARY} cannot be ${shown(context[BOUNDARY])}: the CDK takes no notice of a text, and -c makes one. It must be an object in the context of cdk.json, such as { "name": "boundary" }.`,
    );
  for (const [name, value] of Object.entries(context)) {
    const isForeign = foreign.includes(name) && !Object.hasOwn(STACK_SETTINGS, name);
    if (name !== CONTEXT_KEY && !/[:/@]/.test(name) && !isForeign) overrides[name] = value;
  }
  const objects = toObjects(context[CONTEXT_KEY], Object.keys(overrides).length > 0, faults);
  const several = objects.length > 1;
  for (const name of Object.keys(overrides))
    if (!Object.hasOwn(STACK_SETTINGS, name)) faults.push(`${shown(name)} ${isNoSetting(name)}`);
  const pipelines = objects.map((object, index) => {
    for (const name of Object.keys(object))
      if (!Object.hasOwn(STACK_SETTINGS, name))
        faults.push(`${several ? `${CONTEXT_KEY}[${index}]: ` : ''}${shown(name)} ${isNoSetting(name)}`);
    const own: string[] = [];
    const settings = readOne({ ...object, ...overrides }, own);
    own.push(...placeFaults(settings, { account, region }));
    faults.push(...own.map((fault) => (several ? `${CONTEXT_KEY}[${index}]: ${fault}` : fault)));
    return settings;
  });
  faults.push(...clashes(pipelines));
  if (faults.length > 0) throw new SettingsError(faults);
  // No fault: what is required is there.
  return pipelines as unknown as PipelineSettings[];
}

/**
 * Reads the settings that a program gives, with the same rules; tokens are not checked.
 *
 * @param given - the settings
 * @param defaults - `name`, `account` and `region` of the stack, where they are known
 * @returns the settings with their defaults, and what is wrong with them, a sentence each
 */
export function completeSettings(
  given: GivenSettings,
  { name, account, region }: Place & { readonly name: string },
): { readonly settings: PipelineSettings; readonly faults: readonly string[] } {
  const faults = Object.keys(given)
    .filter((setting) => !Object.hasOwn(STACK_SETTINGS, setting))
    .map((setting) => `${shown(setting)} is no setting.`);
  const settings = readOne({ name, ...given }, faults);
  for (const [place, its] of [
    ['account', account],
    ['region', region],
  ] as const)
    if (settings[place] !== undefined && its !== undefined && !isToken(settings[place]) && settings[place] !== its)
      faults.push(
        `${place} cannot be ${shown(settings[place])}, as the stack's env has ${its}: leave one of them out.`,
      );
  faults.push(...placeFaults(settings, { account, region }));
  return { settings: settings as PipelineSettings, faults };
}

/** What is named elsewhere than where the stack is. */
function placeFaults(settings: PartialSettings, { account, region }: Place): string[] {
  return [
    ...regionFaults(settings, settings.region ?? region),
    ...accountFaults(settings, settings.account ?? account),
  ];
}

/** The context's objects; one empty object where there is nothing but overrides. */
function toObjects(value: unknown, overridden: boolean, faults: string[]): Readonly<Record<string, unknown>>[] {
  const values: readonly unknown[] = value === undefined ? [] : Array.isArray(value) ? value : [value];
  const objects: Record<string, unknown>[] = [];
  for (const each of values) {
    if (typeof each === 'object' && each !== null && !Array.isArray(each)) objects.push({ ...each });
    else
      faults.push(
        `${CONTEXT_KEY} cannot be ${shown(each)}: it must be an object of settings, or a list of such objects; single settings are given as -c name=value.`,
      );
  }
  const [first] = objects;
  if (objects.length === 1 && first !== undefined && Object.keys(first).length === 0 && !overridden) return [];
  return objects.length === 0 && overridden ? [{}] : objects;
}

/** Reads one pipeline. What is bad is left out. */
function readOne(given: Readonly<Record<string, unknown>>, faults: string[]): PartialSettings {
  const settings: Record<string, unknown> = { ...STACK_DEFAULTS };
  for (const name of NAMES) {
    if (given[name] === undefined) continue;
    const value = isToken(given[name]) ? given[name] : STACK_SETTINGS[name].read(given[name]);
    if (value === undefined)
      faults.push(`${name} cannot be ${shown(given[name])}: it must be ${STACK_SETTINGS[name].expects}.`);
    else settings[name] = value;
  }
  const has = (name: Name): boolean => given[name] !== undefined;
  if (!has('name'))
    faults.push(
      `name is missing: it must be ${STACK_SETTINGS.name.expects}. It names the stack and its metrics, so no other pipeline of the account and region may have it: for example "${suggestedName(settings)}". (A stack that was deployed before it had to be given is "pg2kinesis".)`,
    );
  for (const name of ['vpcId', 'databaseHost', 'databaseName'] as const) {
    if (!has(name)) faults.push(`${name} is missing: it must be ${STACK_SETTINGS[name].expects}.`);
  }
  faults.push(...contradictions(settings, has));
  return settings;
}

/** A name that says whose changes they are. */
function suggestedName({ databaseName = 'app' }: PartialSettings): string {
  const name = `${databaseName.replace(/[^A-Za-z0-9]+/g, '-')}-changes`;
  return STACK_SETTINGS.name.read(name) ?? 'app-changes';
}

/** What settings, each right by itself, have against each other. */
function contradictions(settings: PartialSettings, has: (name: Name) => boolean): string[] {
  const faults: string[] = [];
  const iam = settings.databaseAuth === 'iam';
  for (const name of ['databaseUser', 'databaseResourceId'] as const) {
    if (iam && !has(name))
      faults.push(`${name} is missing: databaseAuth iam needs it; it must be ${STACK_SETTINGS[name].expects}.`);
  }
  if (!iam && !has('databaseSecretArn')) {
    faults.push(
      `databaseSecretArn is missing: it must be ${STACK_SETTINGS.databaseSecretArn.expects} (or databaseAuth iam with databaseUser and databaseResourceId).`,
    );
  }
  for (const name of ['databaseSecretArn', 'databaseSecretKeyArn'] as const) {
    if (iam && has(name))
      faults.push(`${name} has no effect with databaseAuth iam, which reads no secret: leave one of them out.`);
  }
  if (!iam && has('databaseResourceId'))
    faults.push('databaseResourceId has no effect without databaseAuth iam: add that, or leave it out.');
  faults.push(...publishingFaults(settings));
  if (has('databaseSecurityGroupId') && has('databaseCidr'))
    faults.push(
      'databaseCidr has no effect with databaseSecurityGroupId, which says where the database is: leave one of them out.',
    );
  if (has('databaseIngress') && !has('databaseSecurityGroupId'))
    faults.push('databaseIngress has no effect without databaseSecurityGroupId, whose rule it is about: leave it out.');
  if (has('availabilityZones') && !has('subnetIds'))
    faults.push('availabilityZones has no effect without subnetIds: it gives the zone of each.');
  if (
    settings.subnetIds !== undefined &&
    settings.availabilityZones !== undefined &&
    settings.subnetIds.length !== settings.availabilityZones.length
  ) {
    faults.push(
      `availabilityZones cannot be ${shown(settings.availabilityZones)}: it must give the zone of each of the ${settings.subnetIds.length} subnetIds, in their order.`,
    );
  }
  if (has('existingStream') && has('streamRetentionHours'))
    faults.push(
      "streamRetentionHours has no effect with existingStream, whose retention is its owner's: leave one of them out.",
    );
  if (has('alarmEmail') && has('alarmTopicArn'))
    faults.push(
      'alarmEmail and alarmTopicArn cannot both be given: subscribe the address to that topic, or leave one of them out.',
    );
  for (const name of [
    'alarmEmail',
    'alarmTopicArn',
    'lagAlarmSeconds',
    'retainedWalAlarmGib',
    'skippedAlarm',
  ] as const) {
    if (settings.alarms === false && has(name))
      faults.push(`${name} has no effect with alarms false: leave one of them out.`);
  }
  if (settings.alarms === false && settings.dashboard === false && has('runbookUrl'))
    faults.push(
      'runbookUrl has no effect with alarms false and dashboard false, which would link to it: leave it out.',
    );
  if (settings.slotLifecycle === false && has('onRemoval'))
    faults.push(
      'onRemoval has no effect with slotLifecycle false, which leaves the slot to you: leave one of them out.',
    );
  if (settings.slotLifecycle === false && has('slotLifecycleInVpc'))
    faults.push('slotLifecycleInVpc has no effect with slotLifecycle false: leave one of them out.');
  return faults;
}

/** What pipelines have against each other. */
function clashes(pipelines: readonly PartialSettings[]): string[] {
  const faults: string[] = [];
  const seen = (label: string, values: readonly (string | undefined)[], remedy: string): void => {
    const repeated = values.filter((value, index) => value !== undefined && values.indexOf(value) !== index);
    for (const value of new Set(repeated)) faults.push(`${label} ${shown(value)} is there more than once: ${remedy}.`);
  };
  seen(
    'name',
    pipelines.map((pipeline) => pipeline.name?.toLowerCase()),
    'each pipeline needs a name of its own, which its stack and metrics carry',
  );
  seen(
    'the slot',
    pipelines.map(
      ({ databaseHost: host, databasePort: port = 5432, slotName: slot = 'pg2kinesis', account, region }) =>
        host === undefined ? undefined : slotKey({ host, port, slot, account, region }),
    ),
    "a server's slots share their names, whatever their database; give each pipeline a slotName of its own",
  );
  return faults;
}

/** A value as it was given, cut where it is long. */
function shown(value: unknown): string {
  const json = JSON.stringify(value);
  return json.length > 200 ? `${json.slice(0, 200)}...` : json;
}
