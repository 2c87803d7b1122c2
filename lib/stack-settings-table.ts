/**
 * The settings' table: for each name of `PipelineSettings` the kind of value it takes, its default where synthesis needs
 * one, and an example. Pure; what two settings say of each other is checked in `setting-rules.ts`.
 */
import { isIP } from 'node:net';
import { FORMAT_NAMES } from './format-facts.ts';
import type { PipelineSettings } from './pipeline-settings.ts';
import { anyCase, choice, flag, integer, list, numberOf, patterns, type SettingKind, text } from './setting-kinds.ts';

// The function's table (lambda/settings/settings-table.ts) has the same forms. A test compares the two on samples.
/** A host name, or an IPv4 or IPv6 address. */
const HOST = /^([\p{L}\p{N}._-]+|[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*(%\w+)?)$/iu;
/** A name of PostgreSQL's. A URL is refused: it may hold a password, and names are shown. */
const NAME = /^(?!.*:\/\/)[^\p{Cc}]{1,63}$/u;

const NAMES = 'unquoted names, for example public\\.orders,audit\\..*';

/** What is known of each setting. */
export const STACK_SETTINGS: {
  readonly [N in keyof PipelineSettings]-?: SettingKind<NonNullable<PipelineSettings[N]>>;
} = {
  name: text('a letter, then letters, digits and hyphens, at most 128 in all', /^[A-Za-z][A-Za-z0-9-]{0,127}$/),
  account: text('an account of 12 digits', /^\d{12}$/),
  region: text('a region such as eu-central-1', /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/),

  vpcId: text('a VPC such as vpc-0a1b2c3d', /^vpc-[0-9a-f]{8,17}$/),
  subnetIds: list(text('a subnet such as subnet-0a1b2c3d', /^subnet-[0-9a-f]{8,17}$/)),
  availabilityZones: {
    expects: 'a list of availability zones such as eu-central-1a, one for each of subnetIds',
    // Two subnets may share a zone, so repeats are right here.
    read: (value) => {
      const zones: readonly unknown[] =
        typeof value === 'string' ? value.split(',').map((zone) => zone.trim()) : Array.isArray(value) ? value : [];
      const read = zones.filter(
        (zone): zone is string => typeof zone === 'string' && /^[a-z]{2,4}(-[a-z0-9]+)+[a-z]$/.test(zone),
      );
      return read.length === zones.length && read.length > 0 ? read : undefined;
    },
  },
  endpoints: list(choice('kinesis', 'secretsmanager')),
  existingEndpoints: list(choice('kinesis', 'secretsmanager')),
  securityGroupIds: list(text('a security group such as sg-0a1b2c3d', /^sg-[0-9a-f]{8,17}$/)),

  databaseHost: text('one host name or address', HOST),
  databasePort: integer(1, 65_535),
  databaseName: text("a database's name, 1 to 63 characters", NAME),
  databaseSecurityGroupId: text(
    'a security group of this account such as sg-0a1b2c3d (for a database elsewhere, leave it out and give databaseCidr)',
    /^sg-[0-9a-f]{8,17}$/,
  ),
  databaseIngress: flag(),
  databaseCidr: cidr(),
  databaseAuth: choice('secret', 'iam'),
  databaseSecretArn: text(
    'the full ARN of a secret, with the six random characters at its end: arn:aws:secretsmanager:<region>:<account>:secret:<name>-AbCdEf',
    /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^\s*?]+-[A-Za-z0-9]{6}$/,
  ),
  databaseSecretKeyArn: keyArn(),
  // IAM reads * and ? as wildcards.
  databaseUser: text("a role's name, 1 to 63 characters, without * and ?", /^(?!.*:\/\/)[^\p{Cc}*?]{1,63}$/u),
  databaseResourceId: text(
    'a resource ID such as db-ABCDEFGHIJKL01234 or cluster-ABCDEFGHIJKL01234',
    /^(db|cluster|prx)-[A-Za-z0-9]+$/,
  ),
  databaseSslMode: choice('verify-full', 'verify-ca', 'require', 'disable'),
  databaseSslRootCert: text("a PEM file's path", /^[^\p{Cc}]{1,1024}$/u),

  existingStream: text(
    "a stream's name (1 to 128 letters, digits, _, . and -) or its ARN",
    /^([a-zA-Z0-9_.-]{1,128}|arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream\/[a-zA-Z0-9_.-]{1,128})$/,
  ),
  streamRetentionHours: integer(24, 8_760),
  streamKeyArn: keyArn(),

  slotName: text('1 to 63 lower-case letters, digits and underscores', /^[a-z0-9_]{1,63}$/),
  plugin: choice('test_decoding', 'pgoutput', 'wal2json'),
  publications: list(text("a publication's name, 1 to 63 characters, no comma", /^(?!.*:\/\/)[^\p{Cc},]{1,63}$/u)),
  standbySlots: list(
    text('a physical replication slot: 1 to 63 lower-case letters, digits and underscores', /^[a-z0-9_]{1,63}$/),
  ),
  slotFailover: choice('off', 'on'),
  sourceName: text('1 to 256 characters, none of them a control character', /^(?!.*:\/\/[^/]*@)[^\p{Cc}]{1,256}$/u),
  format: choice(...FORMAT_NAMES),
  formatter: text("a file's path", /^[^\p{Cc}]{1,1024}$/u),
  debeziumTime: choice('microseconds', 'isostring'),
  debeziumTransaction: choice('off', 'on'),
  dmsNulls: choice('omit', 'include'),
  dmsTransaction: choice('off', 'on'),
  dmsBeforeImage: choice('off', 'on'),
  partitionBy: choice('primary-key', 'table', 'transaction', 'stream'),
  aggregation: choice('kpl', 'lines', 'none'),
  compression: choice('none', 'gzip', 'zstd'),
  lanes: numberOf(1, 2, 4, 8, 16, 32, 64, 128, 256),
  tableIncludeList: patterns(NAMES),
  tableExcludeList: patterns(NAMES),
  columnExcludeList: patterns(NAMES),
  operations: list(anyCase('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')),
  messages: patterns('prefixes, for example orders/.*,audit'),
  batchChanges: integer(1, 1_000_000_000),
  readAhead: choice('on', 'off'),
  primaryKeyTtlSeconds: integer(0, 604_800),
  oversize: choice('key-only', 'fail'),
  onUnknownKey: choice('skip', 'fail'),
  maxRecordKib: integer(1_024, 10_240),
  marks: choice('off', 'on'),
  linger: choice('off', 'on'),
  lingerDuty: integer(1, 100),
  snapshot: choice('none', 'initial'),
  snapshotShare: integer(1, 100),
  logLevel: anyCase('DEBUG', 'INFO', 'WARN', 'ERROR'),

  schedule: flag(),
  memoryMib: integer(256, 10_240),
  reservedConcurrency: integer(3, 1_000),
  tracing: flag(),
  // The periods that CloudWatch Logs has: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
  logRetentionDays: numberOf(
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
  ),
  logKeyArn: keyArn(),
  environmentKeyArn: keyArn(),
  functionName: text("a function's name: 1 to 64 letters, digits, _ and -", /^[a-zA-Z0-9_-]{1,64}$/),
  roleArn: text(
    'the ARN of an IAM role: arn:aws:iam::<account>:role/<name>',
    /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/,
  ),
  separateAdmin: flag(),
  architecture: choice('arm64', 'x86_64'),
  terminationProtection: flag(),

  slotLifecycle: flag(),
  onRemoval: choice('drop', 'retain'),
  slotLifecycleInVpc: flag(),

  alarms: flag(),
  alarmEmail: text('one e-mail address', /^[^\s@,;<>]+@[^\s@,;<>]+$/),
  alarmTopicArn: text('the ARN of an SNS topic', /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/),
  lagAlarmSeconds: integer(60, 86_400),
  retainedWalAlarmGib: integer(1, 65_536),
  skippedAlarm: flag(),
  dashboard: flag(),
  runbookUrl: text('an address such as https://wiki.example.com/pg2kinesis', /^https?:\/\/\S{1,400}$/),
};

/** What holds where nothing is said, of the settings that synthesis itself needs; the constructs and the function have the others. */
export const STACK_DEFAULTS = {
  databasePort: 5432,
  databaseAuth: 'secret',
  schedule: true,
  slotLifecycle: true,
  alarms: true,
  dashboard: true,
} as const;

/** Addresses, as IPv4 or IPv6 writes a range. */
function cidr(): SettingKind<string> {
  return {
    expects: 'a range of addresses such as 10.0.0.0/16, or fd00::/8',
    read(value) {
      const [, address = '', bits = ''] =
        (typeof value === 'string' && /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(value)) || [];
      const version = isIP(address);
      return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128) ? `${address}/${bits}` : undefined;
    },
  };
}

/** A key's own ARN: grants on an alias name nothing. */
function keyArn(): SettingKind<string> {
  return text(
    'the ARN of a KMS key (not of an alias): arn:aws:kms:<region>:<account>:key/<id>',
    /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/,
  );
}
