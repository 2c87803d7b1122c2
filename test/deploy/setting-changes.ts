/**
 * What happens when a setting of a deployed stack is changed, one by one: a value to change to, and what that loses or leaves.
 * `changes.ts` asks `cdk diff` and writes docs/deploy.md; a test of `npm test` holds that page to the templates.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { App } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import type { PipelineSettings } from '../../lib/pipeline-settings.ts';
import { readSettings } from '../../lib/settings.ts';
import { IAM, MINIMAL } from '../lib/synth.ts';

/** One change. */
export interface Change {
  /** What the setting is changed to; undefined: taken away. Several where one needs another. */
  readonly to: Readonly<Record<string, unknown>>;
  /** What is deployed before, over the least that is needed. */
  readonly from?: Readonly<Record<string, unknown>>;
  /** What is lost or left behind, or has to be seen to. */
  readonly note: string;
}

type Settings = Readonly<Record<string, unknown>>;
const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000';
const NOTHING = 'Nothing.';
const ANOTHER =
  'Another stack is made, which adopts the slot; the old one stays as it is, and both publish what they find, to two streams. First: `npx cdk destroy` the old one with `onRemoval=retain`.';
const NETWORK = 'Nothing. The function can reach nothing else meanwhile, which the next run makes up for.';
const ORDER = 'The order between rows, once: [how to do it](#upgrades).';
const FILTERED =
  'What is left out now is left out of what the slot already holds, too. It is counted, and not published later.';
const READERS = 'Consumers read another form from the first record after it: let them read both first.';

/** Each setting's change. A new setting does not compile without one. */
export const CHANGES: Readonly<Record<keyof PipelineSettings, Change>> = {
  name: { to: { name: 'renamed' }, note: ANOTHER },
  account: {
    to: { account: '210987654321' },
    from: { account: '123456789012', region: 'eu-central-1' },
    note: ANOTHER,
  },
  region: {
    to: { region: 'eu-central-1' },
    note: 'Nothing where it is the region that the stack is in. With another one: as with `name`.',
  },
  vpcId: { to: { vpcId: 'vpc-0a1b2c3e' }, note: NETWORK },
  subnetIds: { to: { subnetIds: ['subnet-0a1b2c4d', 'subnet-0a1b2c4e'] }, note: NETWORK },
  availabilityZones: { to: { availabilityZones: ['eu-central-1b', 'eu-central-1c'] }, note: NOTHING },
  endpoints: { to: { endpoints: 'kinesis,secretsmanager' }, note: NETWORK },
  existingEndpoints: { to: { existingEndpoints: 'kinesis,secretsmanager' }, note: NOTHING },
  securityGroupIds: { to: { securityGroupIds: 'sg-0a1b2c3e' }, note: NETWORK },
  databaseHost: {
    to: { databaseHost: 'alias.example.com' },
    note: 'Nothing where it is another name of the same server, which its identifier shows. Another server needs to have the slot already, else the deployment fails and changes nothing; the slot on the old server stays, and you drop it.',
  },
  databasePort: { to: { databasePort: 5433 }, note: 'As with `databaseHost`.' },
  databaseName: {
    to: { databaseName: 'other' },
    note: 'Nothing silently: the deployment fails unless the slot exists in the other database. The slot in the old one stays, and you drop it.',
  },
  databaseSecurityGroupId: { to: { databaseSecurityGroupId: 'sg-0a1b2c3e' }, note: NETWORK },
  databaseIngress: {
    to: { databaseIngress: false },
    note: 'The rule that admits the function: whoever keeps the rules has to make it first.',
  },
  databaseCidr: {
    to: { databaseCidr: '10.1.0.0/16', databaseSecurityGroupId: undefined },
    note: 'The rule that admits the function at the security group, where there was one.',
  },
  databaseAuth: {
    to: {
      databaseAuth: 'iam',
      databaseUser: 'cdc',
      databaseResourceId: 'db-ABCDEFGHIJKL01234',
      databaseSecretArn: undefined,
    },
    note: NOTHING,
  },
  databaseSecretArn: {
    to: { databaseSecretArn: `${String(MINIMAL['databaseSecretArn']).slice(0, -1)}G` },
    note: 'Nothing. Another user needs the same rights.',
  },
  databaseSecretKeyArn: { to: { databaseSecretKeyArn: KEY }, note: NOTHING },
  databaseUser: { to: { databaseUser: 'other' }, note: 'Nothing. Another user needs the same rights.' },
  databaseResourceId: { to: { databaseResourceId: 'db-ABCDEFGHIJKL01235' }, from: IAM, note: NOTHING },
  databaseSslMode: { to: { databaseSslMode: 'require' }, note: NOTHING },
  databaseSslRootCert: { to: { databaseSslRootCert: 'ca.pem' }, note: NOTHING },
  existingStream: {
    to: { existingStream: 'mine' },
    note: 'Nothing. The stream that was made stays, with its records, and is yours to delete. Taken away again, a new and empty one is made. Consumers have to read the old stream to its end, then the new one.',
  },
  streamRetentionHours: {
    to: { streamRetentionHours: 168 },
    note: 'Nothing when it grows. When it shrinks, Kinesis drops at once what is older, read or not.',
  },
  streamKeyArn: { to: { streamKeyArn: KEY }, note: 'Nothing. Consumers need `kms:Decrypt` on the key.' },
  slotName: {
    to: { slotName: 'other' },
    note: 'Nothing: the new slot goes on where the old one is (PostgreSQL 12 or later), and the old one is dropped after that.',
  },
  plugin: {
    to: { plugin: 'pgoutput', publications: 'changes' },
    note: 'A slot keeps its plugin: runs fail with WRONG_PLUGIN until the slot is another one. Change `slotName` with it, and see [plugins](plugins.md).',
  },
  publications: {
    to: { publications: 'other' },
    from: { plugin: 'pgoutput', publications: 'changes' },
    note: 'What the publication does not hold is not published.',
  },
  standbySlots: {
    to: { standbySlots: 'standby' },
    note: 'Nothing. Runs publish nothing that the standby lacks from the next one on; while it is away they say so and wait.',
  },
  slotFailover: {
    to: { slotFailover: 'on' },
    note: 'The slot is made a failover slot in place, without a gap. Back to `off` changes nothing of the slot.',
  },

  marks: {
    to: { marks: 'on', format: 'json' },
    from: { format: 'json' },
    note: 'The next run puts records with `op` MARK into every lane. Consumers have to pass over them.',
  },
  linger: { to: { linger: 'on' }, note: 'Runs stay from the next one on. Each minute of the function is billed.' },
  lingerDuty: { to: { linger: 'on', lingerDuty: 20 }, from: { linger: 'on' }, note: 'Nothing.' },
  snapshot: {
    to: { snapshot: 'initial' },
    note: 'Nothing, as the slot is there already. Ask for a snapshot by hand.',
  },
  snapshotShare: { to: { snapshotShare: 20 }, note: 'Nothing.' },

  sourceName: {
    to: { sourceName: 'orders' },
    note: 'Consumers that remember ids of a source take repeats for new changes, once.',
  },
  format: { to: { format: 'json' }, note: READERS },
  formatter: {
    to: { format: 'module', formatter: 'examples/order-events.ts' },
    note: 'Consumers get what the formatter makes, from the next run on.',
  },
  debeziumTime: { to: { debeziumTime: 'isostring' }, from: { format: 'debezium' }, note: READERS },
  debeziumTransaction: { to: { debeziumTransaction: 'on' }, from: { format: 'debezium' }, note: READERS },
  dmsNulls: { to: { dmsNulls: 'include' }, from: { format: 'dms' }, note: READERS },
  dmsTransaction: { to: { dmsTransaction: 'on' }, from: { format: 'dms' }, note: READERS },
  dmsBeforeImage: { to: { dmsBeforeImage: 'on' }, from: { format: 'dms' }, note: READERS },
  partitionBy: { to: { partitionBy: 'table' }, note: ORDER },
  aggregation: { to: { aggregation: 'none' }, note: ORDER },
  compression: { to: { compression: 'gzip', aggregation: 'lines' }, from: { aggregation: 'lines' }, note: READERS },
  lanes: { to: { lanes: 128 }, note: ORDER },
  tableIncludeList: { to: { tableIncludeList: 'public\\.a' }, note: FILTERED },
  tableExcludeList: { to: { tableExcludeList: 'public\\.a' }, note: FILTERED },
  columnExcludeList: {
    to: { columnExcludeList: 'public\\.a\\.b', format: 'json' },
    from: { format: 'json' },
    note: FILTERED,
  },
  operations: { to: { operations: 'INSERT' }, note: FILTERED },
  messages: {
    to: { messages: 'orders/.*', format: 'json' },
    from: { format: 'json' },
    note: 'Messages become records from what the slot already holds on, and those that are left out now are not published later. Rows keep their ids.',
  },
  batchChanges: { to: { batchChanges: 1000 }, note: NOTHING },
  readAhead: { to: { readAhead: 'off' }, note: NOTHING },
  primaryKeyTtlSeconds: { to: { primaryKeyTtlSeconds: 60 }, note: NOTHING },
  oversize: { to: { oversize: 'fail' }, note: NOTHING },
  onUnknownKey: { to: { onUnknownKey: 'fail' }, note: NOTHING },
  maxRecordKib: {
    to: { maxRecordKib: 2048 },
    note: 'Nothing when it grows. When it shrinks, what is larger is treated as `oversize` says.',
  },
  logLevel: { to: { logLevel: 'DEBUG' }, note: NOTHING },
  schedule: {
    to: { schedule: false },
    note: 'Nothing is published, and the slot keeps WAL until the schedule is on again or you `drain`. The alarm NotRunning goes. Synthesis says so.',
  },
  memoryMib: { to: { memoryMib: 2048 }, note: NOTHING },
  reservedConcurrency: { to: { reservedConcurrency: 3 }, note: NOTHING },
  tracing: { to: { tracing: true }, note: NOTHING },
  logRetentionDays: {
    to: { logRetentionDays: 365 },
    note: 'Nothing when it grows. When it shrinks, older log lines go.',
  },
  logKeyArn: { to: { logKeyArn: KEY }, note: 'Nothing. Who reads the log needs `kms:Decrypt` on the key.' },
  environmentKeyArn: { to: { environmentKeyArn: KEY }, note: NOTHING },
  functionName: {
    to: { functionName: 'mine' },
    note: 'The function of the old name: who invokes it by that, or was granted to, needs the new one. Slot and stream stay.',
  },
  roleArn: {
    to: { roleArn: 'arn:aws:iam::123456789012:role/mine' },
    from: { account: '123456789012', region: 'eu-central-1' },
    note: 'The role that was made: policies of other accounts that name it need the new one first.',
  },
  separateAdmin: {
    to: { separateAdmin: true },
    note: 'Who drops slots and skips transactions has to invoke the alias `admin`.',
  },
  architecture: { to: { architecture: 'x86_64' }, note: NOTHING },
  terminationProtection: { to: { terminationProtection: true }, note: NOTHING },
  slotLifecycle: {
    to: { slotLifecycle: false },
    note: 'The slot stays where it is and is published on. The stack no longer drops it: drop it yourself when you remove the stack. Synthesis says so. Switched on again, the slot is adopted, and stays for good.',
  },
  onRemoval: {
    to: { onRemoval: 'retain' },
    note: 'Nothing now. When the stack is removed, the slot stays and keeps WAL until you drop it. Synthesis says so.',
  },
  slotLifecycleInVpc: { to: { slotLifecycleInVpc: true }, note: NOTHING },
  alarms: {
    to: { alarms: false, alarmEmail: undefined },
    note: 'All alarms: nobody is told of a slot that fills the disk. Synthesis says so.',
  },
  alarmEmail: {
    to: { alarmEmail: 'other@example.com' },
    note: 'The former subscription. The new one has to be confirmed; until then nobody is told.',
  },
  alarmTopicArn: {
    to: { alarmTopicArn: 'arn:aws:sns:eu-central-1:123456789012:oncall', alarmEmail: undefined },
    note: 'The topic that was made, and its subscription.',
  },
  lagAlarmSeconds: { to: { lagAlarmSeconds: 600 }, note: NOTHING },
  retainedWalAlarmGib: { to: { retainedWalAlarmGib: 20 }, note: NOTHING },
  skippedAlarm: { to: { skippedAlarm: true }, note: NOTHING },
  dashboard: { to: { dashboard: false }, note: 'The dashboard, with what you added to it by hand.' },
  runbookUrl: { to: { runbookUrl: 'https://wiki.example.com/pg2kinesis' }, note: NOTHING },
};

/** Settings by which another stack is meant: there is nothing to compare. */
export const OTHER_STACK: readonly string[] = ['name', 'account'];

/** A template, as far as it is looked at. */
export interface Template {
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly [part: string]: unknown }>>;
}

/**
 * Synthesises the stack before or after a change.
 *
 * @param settings - over the least that is needed
 * @param outdir - where the assembly goes @default a folder that is removed
 */
export function templateOf(settings: Settings, outdir?: string): Template {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-changes-'));
  try {
    writeFileSync(join(folder, 'ca.pem'), rootCertificates[0] ?? '');
    const all: Settings = { ...MINIMAL, alarmEmail: 'oncall@example.com', ...settings };
    const given = Object.fromEntries(
      Object.entries(all)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => [name, value === 'ca.pem' ? join(folder, 'ca.pem') : value]),
    );
    const [read] = readSettings({ pg2kinesis: given });
    if (read === undefined) throw new Error('There are no settings.');
    const app = new App({ outdir: outdir ?? join(folder, 'out'), builtinCloudFormationValidation: false });
    const { account, region } = read;
    new Pg2KinesisStack(app, 'pg2kinesis', {
      settings: read,
      code: lambda.Code.fromInline('exports.handler = async () => {};'),
      env: { ...(account === undefined ? {} : { account }), ...(region === undefined ? {} : { region }) },
    });
    return app.synth().getStackByName('pg2kinesis').template as Template;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The settings before and after a change. */
export function sidesOf({ from = {}, to }: Change): readonly [before: Settings, after: Settings] {
  const before = from === IAM ? { ...IAM, databaseSecretArn: undefined } : from;
  return [before, { ...before, ...to }];
}

/** What becomes of resources: `[-]` with where it goes. */
export type Effect = '+' | '~' | '±' | '-' | 'left';

/** @returns whether a resource stays where it leaves the template */
export function isKept(template: Template, id: string): boolean {
  return String(template.Resources[id]?.['DeletionPolicy']).startsWith('Retain');
}

/** Resources by what becomes of them; each a type without its service, sorted. */
export function describeEffects(effects: readonly (readonly [effect: Effect, type: string])[]): string {
  const words = { '+': 'new', '~': 'updated', '±': 'replaced', '-': 'removed', left: 'left behind' } as const;
  const parts = (Object.keys(words) as Effect[]).flatMap((effect) => {
    const counts = new Map<string, number>();
    for (const [each, type] of effects)
      if (each === effect) counts.set(shortType(type), (counts.get(shortType(type)) ?? 0) + 1);
    const names = [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, n]) => (n === 1 ? name : `${n} ${name}`));
    return names.length === 0 ? [] : [`${words[effect]}: ${names.join(', ')}`];
  });
  return parts.length === 0 ? 'nothing' : parts.join('; ');
}

function shortType(type: string): string {
  return (
    type.replace('Custom::Pg2KinesisSlot', 'the slot').replace('the slotClaim', 'its claim').split('::').slice(-1)[0] ??
    type
  );
}
