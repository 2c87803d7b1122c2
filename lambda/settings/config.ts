/**
 * From the environment's text to typed settings: everything is checked, and every fault reported at once.
 * Pure: it is handed the variables, opens no file and asks no service. What each variable may be is in `settings-table.ts`.
 */
import { PipelineError } from '../errors.ts';
import { type EffectiveSetting, effectiveSettings } from './effective-settings.ts';
import { environmentFaults } from './environment-faults.ts';
import { environmentWarnings } from './environment-warnings.ts';
import type { Filters } from './filters.ts';
import { FORMAT_FACTS, formatsWith } from './format-facts.ts';
import { misspeltSettings } from './misspelt.ts';
import { type SettingName, SETTINGS, type SettingValues } from './settings-table.ts';

/** Where the database is and how to enter it. What is undefined may come from the secret. */
export interface DatabaseConfig {
  /** Where the password comes from. */
  readonly auth: NonNullable<SettingValues['DATABASE_AUTH']>;
  readonly secretArn: string | undefined;
  readonly host: string | undefined;
  /** 5432 where the secret does not know better either. */
  readonly port: number | undefined;
  readonly database: string | undefined;
  readonly user: string | undefined;
  /** Never to be logged (I10). */
  readonly password: string | undefined;
  readonly sslMode: SettingValues['PGSSLMODE'];
  /** The path of a file of authorities, trusted besides Amazon's and the public ones. */
  readonly sslRootCert: string | undefined;
}

/** Which stream. */
export interface StreamConfig {
  /** The name, also where an ARN was given. */
  readonly name: string;
  /** The ARN, which is then what is sent. */
  readonly arn: string | undefined;
  /** The ARN's region; undefined: the environment's. */
  readonly region: string | undefined;
}

/** Every setting, checked and typed. */
export interface Config {
  readonly database: DatabaseConfig;
  /** The replication slot's name. */
  readonly slot: string;
  /** The slot's output plugin. */
  readonly plugin: SettingValues['PLUGIN'];
  /** PUBLICATIONS, which pgoutput reads; 1 or more. */
  readonly publications: readonly string[];
  /** The physical slots of the standbys that have to have a change before it is published. */
  readonly standbySlots: readonly string[];
  /** Whether the slot is to be a failover slot (17+). */
  readonly slotFailover: boolean;
  /** SOURCE_NAME; undefined: `<database>/<slot>`, once the database is known. */
  readonly source: string | undefined;
  readonly stream: StreamConfig;
  readonly format: SettingValues['FORMAT'];
  /** FORMATTER: the file of the user's own formatter, with FORMAT module. */
  readonly formatter: string | undefined;
  readonly partitionBy: SettingValues['PARTITION_BY'];
  /** Partition keys are made as Debezium's sink makes them: FORMAT is debezium, and PARTITION_BY was not given. */
  readonly debeziumKeys: boolean;
  /** The settings of Debezium that the format debezium follows. */
  readonly debezium: { readonly transaction: boolean; readonly time: SettingValues['DEBEZIUM_TIME'] };
  /** The settings of AWS DMS that the format dms follows. */
  readonly dms: { readonly nulls: boolean; readonly transaction: boolean; readonly beforeImage: boolean };
  readonly aggregation: SettingValues['AGGREGATION'];
  readonly compression: SettingValues['COMPRESSION'];
  /** A power of two, 1 to 256. */
  readonly lanes: number;
  readonly filters: Filters;
  readonly operations: SettingValues['OPERATIONS'];
  /** The prefixes of the logical messages that are published; empty: none are. */
  readonly messages: readonly RegExp[];
  /** The most rows that one peek asks for. */
  readonly batchChanges: number;
  /** READ_AHEAD. */
  readonly readAhead: boolean;
  readonly primaryKeyTtlSeconds: number;
  readonly oversize: SettingValues['OVERSIZE'];
  /** ON_UNKNOWN_KEY. */
  readonly unknownKey: SettingValues['ON_UNKNOWN_KEY'];
  /** The stream's largest record, in bytes, its partition key included. */
  readonly maxRecordBytes: number;
  /** MARKS: marks are published. */
  readonly marks: boolean;
  /** LINGER_DUTY, in percent; undefined: LINGER is off. */
  readonly lingerDutyPercent: number | undefined;
  readonly snapshot: SettingValues['SNAPSHOT'];
  /** SNAPSHOT_SHARE. */
  readonly snapshotSharePercent: number;
  readonly logLevel: SettingValues['LOG_LEVEL'];
  /** What is allowed but hardly meant, a sentence each. */
  readonly warnings: readonly string[];
  /** Each setting that has a value, and where that came from, for `check`. */
  readonly inForce: readonly EffectiveSetting[];
}

/**
 * Reads the settings. An empty variable counts as unset; variables it does not know are not looked at.
 *
 * @param env - the environment's variables
 * @throws {PipelineError} CONFIG_INVALID, one message that names every setting that is missing or not valid, and what is allowed, and shows no value
 *
 * @example readConfig({ PGHOST: 'db', PGDATABASE: 'app', PGUSER: 'cdc', PGPASSWORD: '...' }).slot // 'pg2kinesis'
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const values = readValues(env, faults);
  faults.push(...contradictions(values, env), ...environmentFaults(env));
  if (faults.length > 0) {
    const count =
      faults.length === 1 ? 'A setting is missing or not valid' : `${faults.length} settings are missing or not valid`;
    throw new PipelineError('CONFIG_INVALID', `${count}, nothing was done. ${faults.join(' ')}`);
  }
  // No fault: what has a default has a value.
  const config = toConfig(values as SettingValues, (env['PARTITION_BY'] ?? '') !== '');
  return {
    ...config,
    warnings: [...config.warnings, ...misspeltSettings(env), ...environmentWarnings(env)],
    inForce: effectiveSettings(env),
  };
}

/** Reads each variable by itself. What is bad is left out. */
function readValues(env: Readonly<Record<string, string | undefined>>, faults: string[]): Partial<SettingValues> {
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const setting = SETTINGS[name];
    const given = env[name];
    const text = given === undefined || given === '' ? setting.default : given;
    if (text === undefined) continue;
    const result = setting.schema.safeParse(text);
    if (result.success) {
      values[name] = result.data;
    } else {
      const [issue] = result.error.issues;
      const why: unknown = issue?.code === 'custom' ? issue.params?.['why'] : undefined;
      // Whoever sets a URL, a secret's JSON or a password in the wrong place must not find it in a log (I10).
      const reason = typeof why === 'string' ? `: ${why}` : '';
      const length = `${text.length} character${text.length === 1 ? '' : 's'}`;
      faults.push(`${name} has a value that is not allowed, of ${length}${reason} (allowed: ${setting.allowed}).`);
    }
  }
  return values as Partial<SettingValues>;
}

/** What settings, each right by itself, have against each other. */
function contradictions(values: Partial<SettingValues>, env: Readonly<Record<string, string | undefined>>): string[] {
  const faults: string[] = [];
  const given = (name: SettingName): boolean => (env[name] ?? '') !== '';
  const secret = given('DATABASE_SECRET_ARN');
  if (!secret) {
    for (const name of ['PGHOST', 'PGDATABASE', 'PGUSER'] as const) {
      if (!given(name))
        faults.push(
          `${name} is not set (allowed: ${SETTINGS[name].allowed}; needed where DATABASE_SECRET_ARN is not set).`,
        );
    }
  }
  if (values.DATABASE_AUTH === 'secret' && !secret) {
    faults.push('DATABASE_AUTH cannot be "secret" where DATABASE_SECRET_ARN is not set (allowed then: password, iam).');
  }
  if (values.DATABASE_AUTH === 'iam' && values.PGSSLMODE === 'disable') {
    faults.push(
      'PGSSLMODE cannot be "disable" with DATABASE_AUTH "iam", which RDS admits over TLS only (allowed then: verify-full, verify-ca, require).',
    );
  }
  if (values.PLUGIN !== 'pgoutput' && values.PUBLICATIONS !== undefined) {
    faults.push(
      `PUBLICATIONS cannot be set with PLUGIN "${values.PLUGIN}", which reads none: take it out, or set PLUGIN to "pgoutput".`,
    );
  }
  if (values.AGGREGATION === 'lines' && values.FORMAT === 'csv') {
    faults.push(
      'AGGREGATION cannot be "lines" with FORMAT "csv", whose fields may hold line breaks (allowed then: kpl, none).',
    );
  }
  if (values.FORMAT === 'module' && values.FORMATTER === undefined && !given('FORMATTER')) {
    faults.push(`FORMATTER is not set (allowed: ${SETTINGS.FORMATTER.allowed}; needed with FORMAT "module").`);
  }
  if (values.FORMAT !== undefined && values.FORMAT !== 'module' && values.FORMATTER !== undefined) {
    faults.push(
      `FORMATTER cannot be set with FORMAT "${values.FORMAT}" (allowed then: nothing). Set FORMAT to module.`,
    );
  }
  const format = values.FORMAT;
  if (given('MESSAGES') && format !== undefined && !FORMAT_FACTS[format].hasMessages) {
    faults.push(
      `MESSAGES cannot be set with FORMAT "${format}", which has no record for a logical message (allowed then: nothing). Set FORMAT to ${formatsWith('hasMessages')}.`,
    );
  }
  if (given('MESSAGES') && values.PLUGIN === 'wal2json') {
    faults.push(
      'MESSAGES cannot be set with PLUGIN "wal2json", whose messages are not read (allowed then: nothing). Set PLUGIN to test_decoding or pgoutput.',
    );
  }
  if (values.COMPRESSION !== undefined && values.COMPRESSION !== 'none' && values.AGGREGATION !== 'lines') {
    faults.push(
      `COMPRESSION cannot be "${values.COMPRESSION}" with AGGREGATION "${values.AGGREGATION}", which has a form of its own (allowed then: none). Set AGGREGATION to lines.`,
    );
  }
  if (values.MARKS === 'on' && format !== undefined && format !== 'json') {
    faults.push(
      `MARKS cannot be "on" with FORMAT "${format}", which has no record for a mark (allowed then: off). Set FORMAT to json.`,
    );
  }
  if (values.MARKS === 'on' && values.AGGREGATION === 'none') {
    faults.push(
      'MARKS cannot be "on" with AGGREGATION "none", which has no lanes (allowed then: off). Set AGGREGATION to kpl or lines.',
    );
  }
  return faults;
}

/** Values in the shape that other modules take. */
function toConfig(values: SettingValues, partitionByGiven: boolean): Omit<Config, 'inForce'> {
  return {
    database: {
      auth: values.DATABASE_AUTH ?? (values.DATABASE_SECRET_ARN === undefined ? 'password' : 'secret'),
      secretArn: values.DATABASE_SECRET_ARN,
      host: values.PGHOST,
      port: values.PGPORT,
      database: values.PGDATABASE,
      user: values.PGUSER,
      password: values.PGPASSWORD,
      sslMode: values.PGSSLMODE,
      sslRootCert: values.PGSSLROOTCERT,
    },
    slot: values.SLOT_NAME,
    plugin: values.PLUGIN,
    publications: values.PUBLICATIONS ?? [values.SLOT_NAME],
    standbySlots: values.STANDBY_SLOTS,
    slotFailover: values.SLOT_FAILOVER === 'on',
    source: values.SOURCE_NAME,
    stream: toStream(values.STREAM_NAME),
    format: values.FORMAT,
    formatter: values.FORMATTER,
    partitionBy: values.PARTITION_BY,
    debeziumKeys: values.FORMAT === 'debezium' && !partitionByGiven,
    debezium: { transaction: values.DEBEZIUM_TRANSACTION === 'on', time: values.DEBEZIUM_TIME },
    dms: {
      nulls: values.DMS_NULLS === 'include',
      transaction: values.DMS_TRANSACTION === 'on',
      beforeImage: values.DMS_BEFORE_IMAGE === 'on',
    },
    aggregation: values.AGGREGATION,
    compression: values.COMPRESSION,
    lanes: values.LANES,
    filters: {
      tableInclude: values.TABLE_INCLUDE_LIST,
      tableExclude: values.TABLE_EXCLUDE_LIST,
      columnExclude: values.COLUMN_EXCLUDE_LIST,
    },
    operations: values.OPERATIONS,
    messages: values.MESSAGES,
    batchChanges: values.BATCH_CHANGES,
    readAhead: values.READ_AHEAD === 'on',
    primaryKeyTtlSeconds: values.PRIMARY_KEY_TTL_SECONDS,
    oversize: values.OVERSIZE,
    unknownKey: values.ON_UNKNOWN_KEY,
    maxRecordBytes: values.MAX_RECORD_KIB * 1024,
    marks: values.MARKS === 'on',
    lingerDutyPercent: values.LINGER === 'on' ? values.LINGER_DUTY : undefined,
    snapshot: values.SNAPSHOT,
    snapshotSharePercent: values.SNAPSHOT_SHARE,
    logLevel: values.LOG_LEVEL,
    warnings: warningsOf(values),
  };
}

/** `arn:aws:kinesis:<region>:<account>:stream/<name>`, or a name. */
function toStream(text: string): StreamConfig {
  if (!text.startsWith('arn:')) return { name: text, arn: undefined, region: undefined };
  return { name: text.slice(text.indexOf('/') + 1), arn: text, region: text.split(':')[3] };
}

/** What is allowed but hardly meant. */
function warningsOf(values: SettingValues): string[] {
  const warnings: string[] = [];
  if (values.AGGREGATION === 'none' && values.PARTITION_BY !== 'primary-key') {
    warnings.push(
      `AGGREGATION "none" with PARTITION_BY "${values.PARTITION_BY}" is slow: a request carries one record of a partition key. Aggregate, or partition by primary-key.`,
    );
  }
  if (values.COLUMN_EXCLUDE_LIST.length > 0 && !FORMAT_FACTS[values.FORMAT].hasColumns) {
    warnings.push(
      `COLUMN_EXCLUDE_LIST has no effect with FORMAT "${values.FORMAT}", which publishes no columns but the key.`,
    );
  }
  return warnings;
}
