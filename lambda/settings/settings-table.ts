/**
 * The settings' table: for each variable its default, what is allowed, and how its text becomes a value.
 * Pure; knows neither the environment they come from nor what is done with the values. What two settings say of each
 * other is checked in `config.ts`.
 */
import * as z from 'zod/mini';
import { PLUGIN_NAMES } from '../decode/plugin-names.ts';
import { FORMAT_NAMES } from './format-facts.ts';
import {
  convert,
  like,
  NAME,
  OPERATIONS,
  operations,
  patterns,
  publications,
  slotNames,
  text,
  whole,
} from './setting-schemas.ts';

/** One variable. */
export interface Setting<T, D extends string | undefined = string | undefined> {
  /** Its text where the variable is unset or empty; undefined: there is none. */
  readonly default: D;
  /** What is allowed, completing "allowed: ...". */
  readonly allowed: string;
  /** What it is for, a line. */
  readonly about: string;
  /** Whether its value must never be shown. */
  readonly secret: boolean;
  /** Text to value. An issue's `params.why`, where there is one, says more than `allowed` does; it must not show the value. */
  readonly schema: z.ZodMiniType<T, string>;
}

/** A table's row that has no default. */
const optional = <T>(schema: z.ZodMiniType<T, string>, about: string, allowed: string): Setting<T, undefined> => ({
  schema,
  about,
  allowed,
  default: undefined,
  secret: false,
});

/** A table's row with a default. */
const defaulted = <T>(
  schema: z.ZodMiniType<T, string>,
  about: string,
  allowed: string,
  fallback: string,
): Setting<T, string> => ({
  schema,
  about,
  allowed,
  default: fallback,
  secret: false,
});

/** A table's row that takes one of some words, exactly. */
const choice = <const T extends string>(
  words: readonly T[],
  about: string,
): Omit<Setting<T>, 'default'> & { readonly words: readonly T[] } => ({
  schema: z.pipe(
    text,
    convert((value) => words.find((word) => word === value)),
  ),
  about,
  allowed: words.join(', '),
  words,
  secret: false,
});

const ARN = /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+$/;
const STREAM = /^([a-zA-Z0-9_.-]{1,128}|arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream\/[a-zA-Z0-9_.-]{1,128})$/;
const REGEXES = 'regular expressions, separated by commas, each matching a whole unquoted';
// What passes is shown in messages. Whoever pastes a connection string here may paste a password with it.
/** A host name, an address, or a socket's directory. */
const HOST = /^([\p{L}\p{N}._-]+|[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*(%\w+)?|\/[^\s@,?#:]*)$/iu;

/** Every setting, in the order of docs/settings.md, whose table is generated from this one. */
export const SETTINGS = {
  DATABASE_SECRET_ARN: optional(
    like(ARN),
    'the Secrets Manager secret with the database user',
    'the full ARN of a Secrets Manager secret',
  ),
  PGHOST: optional(like(HOST), "the database's host", 'one host name or address, its port in PGPORT'),
  PGPORT: optional(whole(1, 65_535), "the database's port", 'a whole number, 1 to 65535'),
  PGDATABASE: optional(like(NAME), 'the database, which the slot belongs to', "a database's name, 1 to 63 characters"),
  PGUSER: optional(like(NAME), 'the role to connect as', "a role's name, 1 to 63 characters"),
  PGPASSWORD: { ...optional(text, 'its password', 'a password'), secret: true },
  PGSSLMODE: {
    ...choice(['verify-full', 'verify-ca', 'require', 'disable'], 'what TLS has to prove'),
    default: 'verify-full',
  },
  PGSSLROOTCERT: optional(text, 'a file of further authorities to trust', "a file's path"),
  DATABASE_AUTH: { ...choice(['secret', 'password', 'iam'], 'where the password comes from'), default: undefined },
  SLOT_NAME: defaulted(
    like(/^[a-z0-9_]{1,63}$/),
    'the replication slot',
    '1 to 63 lower-case letters, digits and underscores',
    'pg2kinesis',
  ),
  PLUGIN: {
    ...choice(PLUGIN_NAMES, "the slot's output plugin"),
    default: 'test_decoding',
  },
  PUBLICATIONS: optional(
    publications,
    'the publications that pgoutput reads; by default one named as the slot',
    "publications' names, separated by commas, upper case and lower case as they were made",
  ),
  STANDBY_SLOTS: defaulted(
    slotNames,
    'the physical slots of the standbys that have to have a change before it is published',
    'names of physical replication slots, separated by commas',
    '',
  ),
  SLOT_FAILOVER: {
    ...choice(['off', 'on'], 'the slot is made, or converted, as a failover slot, which standbys keep (PostgreSQL 17)'),
    default: 'off',
  },
  SOURCE_NAME: optional(
    like(/^(?!.*:\/\/[^/]*@)[^\p{Cc}]{1,256}$/u),
    'names the source in every json record',
    '1 to 256 characters, none of them a control character',
  ),
  STREAM_NAME: defaulted(
    like(STREAM),
    'the Kinesis data stream',
    "a stream's name (1 to 128 letters, digits, _, . and -) or its ARN",
    'pg2kinesis',
  ),
  FORMAT: {
    ...choice(FORMAT_NAMES, 'how a change is written'),
    default: 'csv-payload',
  },
  FORMATTER: optional(
    like(/^(?!.*:\/\/)[^\p{Cc}]{1,1024}$/u),
    'your own formatter, with FORMAT module',
    'the path of a module whose default export has a function format',
  ),
  DEBEZIUM_TIME: {
    ...choice(['microseconds', 'isostring'], 'dates and times of the format debezium (its time.precision.mode)'),
    default: 'microseconds',
  },
  DEBEZIUM_TRANSACTION: {
    ...choice(['off', 'on'], 'the format debezium names the transaction (its provide.transaction.metadata)'),
    default: 'off',
  },
  DMS_NULLS: {
    ...choice(['omit', 'include'], 'the NULLs of the format dms (its IncludeNullAndEmpty)'),
    default: 'omit',
  },
  DMS_TRANSACTION: {
    ...choice(['off', 'on'], 'the format dms names the transaction (its IncludeTransactionDetails)'),
    default: 'off',
  },
  DMS_BEFORE_IMAGE: {
    ...choice(['off', 'on'], 'the format dms shows the old row of an UPDATE (its BeforeImageSettings)'),
    default: 'off',
  },
  PARTITION_BY: {
    ...choice(['primary-key', 'table', 'transaction', 'stream'], 'what decides the partition key'),
    default: 'primary-key',
  },
  AGGREGATION: { ...choice(['kpl', 'lines', 'none'], 'how changes share a Kinesis record'), default: 'kpl' },
  COMPRESSION: {
    ...choice(
      ['none', 'gzip', 'zstd'],
      'how records of lines are compressed (with AGGREGATION lines). Records of one or two changes gain little',
    ),
    default: 'none',
  },
  LANES: defaulted(
    whole(1, 256, (n) => (n & (n - 1)) === 0),
    'slices of the hash-key space',
    'a power of two, 1 to 256',
    '64',
  ),
  TABLE_INCLUDE_LIST: defaulted(patterns, 'only these tables', `${REGEXES} schema.table`, ''),
  TABLE_EXCLUDE_LIST: defaulted(patterns, 'not these tables', `${REGEXES} schema.table`, ''),
  COLUMN_EXCLUDE_LIST: defaulted(
    patterns,
    'not these columns (json, debezium, dms, module)',
    `${REGEXES} schema.table.column`,
    '',
  ),
  OPERATIONS: defaulted(
    operations,
    'only these operations',
    `${OPERATIONS.join(', ')}, separated by commas, in any case`,
    OPERATIONS.join(','),
  ),
  MESSAGES: defaulted(
    patterns,
    'the logical messages that become records (json, debezium, module)',
    'regular expressions, separated by commas, each matching a whole prefix',
    '',
  ),
  BATCH_CHANGES: defaulted(
    whole(1, 1_000_000_000),
    'the most rows that one peek asks for',
    'a whole number, 1 to 1000000000',
    '1000000',
  ),
  READ_AHEAD: {
    ...choice(
      ['on', 'off'],
      'while one peek of a backlog is published, the next is read from a temporary copy of the slot; it takes two more connections and two of three free slots',
    ),
    default: 'on',
  },
  PRIMARY_KEY_TTL_SECONDS: defaulted(
    whole(0, 604_800),
    'how long primary keys are remembered',
    'a whole number of seconds, 0 to 604800',
    '3600',
  ),
  OVERSIZE: {
    ...choice(['key-only', 'fail'], 'what to do with a change too large for a record'),
    default: 'key-only',
  },
  ON_UNKNOWN_KEY: {
    ...choice(
      ['skip', 'fail'],
      "what to do with a row that does not show its table's current primary key, and whose key at write time is not known",
    ),
    default: 'skip',
  },
  MAX_RECORD_KIB: defaulted(
    whole(1_024, 10_240),
    "the stream's largest record, in KiB",
    'a whole number, 1024 to 10240',
    '1024',
  ),
  MARKS: {
    ...choice(
      ['off', 'on'],
      'records in every lane that tell up to where it is complete, for a replica (with FORMAT json and lanes)',
    ),
    default: 'off',
  },
  LINGER: {
    ...choice(
      ['off', 'on'],
      'a run that has caught up stays, and publishes what comes within a second; on arm64 about $17.5 a month with 512 MiB, $35 with 1024',
    ),
    default: 'off',
  },
  LINGER_DUTY: defaulted(
    whole(1, 100),
    "how much of one of the server's cores a lingering run may take, in percent",
    'a whole number, 1 to 100',
    '10',
  ),
  SNAPSHOT: {
    ...choice(
      ['none', 'initial'],
      'initial: whoever makes the slot asks for a snapshot of all tables that are published',
    ),
    default: 'none',
  },
  SNAPSHOT_SHARE: defaulted(
    whole(1, 100),
    'how much of its time a run may read tables for a snapshot, in percent',
    'a whole number, 1 to 100',
    '50',
  ),
  LOG_LEVEL: defaulted(
    z.pipe(
      text,
      convert((value) => (['DEBUG', 'INFO', 'WARN', 'ERROR'] as const).find((level) => level === value.toUpperCase())),
    ),
    'how much is logged',
    'DEBUG, INFO, WARN, ERROR, in any case',
    'INFO',
  ),
} as const;

/** A variable's name. */
export type SettingName = keyof typeof SETTINGS;
/** Each variable's value; undefined where it is unset and has no default. */
export type SettingValues = {
  readonly [N in SettingName]: (typeof SETTINGS)[N] extends Setting<infer T, infer D>
    ? D extends string
      ? T
      : T | undefined
    : never;
};
