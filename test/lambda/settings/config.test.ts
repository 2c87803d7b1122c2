/** The settings' table, line by line: defaults, what is allowed, what is refused and how it is said. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { type Config, readConfig } from '../../../lambda/settings/config.ts';
import { type SettingName, SETTINGS } from '../../../lambda/settings/settings-table.ts';

const LOGIN = { PGHOST: 'db.example.com', PGDATABASE: 'app', PGUSER: 'cdc', PGPASSWORD: 's3cret-pass' };
const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf';
const STREAM = 'arn:aws:kinesis:eu-central-1:123456789012:stream/changes';

function refusal(env: Record<string, string | undefined>): string {
  try {
    readConfig(env);
  } catch (error) {
    assert.ok(error instanceof PipelineError);
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.equal(error.name, 'CONFIG_INVALID');
    return error.message;
  }
  assert.fail('nothing was refused');
}

describe('readConfig', () => {
  it('has the defaults of the table', () => {
    const config = readConfig(LOGIN);
    const { database, filters, operations, inForce, ...rest } = config;
    assert.deepEqual(
      inForce.find(({ name }) => name === 'LANES'),
      { name: 'LANES', value: '64', from: 'default' },
    );
    assert.deepEqual(rest, {
      slot: 'pg2kinesis',
      plugin: 'test_decoding',
      publications: ['pg2kinesis'],
      standbySlots: [],
      slotFailover: false,
      source: undefined,
      stream: { name: 'pg2kinesis', arn: undefined, region: undefined },
      format: 'csv-payload',
      partitionBy: 'primary-key',
      debeziumKeys: false,
      debezium: { transaction: false, time: 'microseconds' },
      dms: { nulls: false, transaction: false, beforeImage: false },
      aggregation: 'kpl',
      compression: 'none',
      messages: [],
      formatter: undefined,
      lanes: 64,
      batchChanges: 1_000_000,
      readAhead: true,
      primaryKeyTtlSeconds: 3_600,
      oversize: 'key-only',
      unknownKey: 'skip',
      maxRecordBytes: 1_048_576,
      marks: false,
      lingerDutyPercent: undefined,
      snapshot: 'none',
      snapshotSharePercent: 50,
      logLevel: 'INFO',
      warnings: [],
    });
    assert.deepEqual(filters, { tableInclude: [], tableExclude: [], columnExclude: [] });
    assert.deepEqual([...operations], ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']);
    assert.deepEqual(database, {
      auth: 'password',
      secretArn: undefined,
      host: 'db.example.com',
      port: undefined,
      database: 'app',
      user: 'cdc',
      password: 's3cret-pass',
      sslMode: 'verify-full',
      sslRootCert: undefined,
    });
  });

  const accepted: [name: SettingName, value: string, read: (config: Config) => unknown, expected: unknown][] = [
    ['PGPORT', '65535', (c) => c.database.port, 65535],
    ['PGSSLMODE', 'verify-ca', (c) => c.database.sslMode, 'verify-ca'],
    ['PGSSLMODE', 'require', (c) => c.database.sslMode, 'require'],
    ['PGSSLMODE', 'disable', (c) => c.database.sslMode, 'disable'],
    ['PGSSLROOTCERT', '/etc/ca.pem', (c) => c.database.sslRootCert, '/etc/ca.pem'],
    ['DATABASE_AUTH', 'iam', (c) => c.database.auth, 'iam'],
    ['SLOT_NAME', 'a_1', (c) => c.slot, 'a_1'],
    ['STANDBY_SLOTS', ' a_1, b,a_1', (c) => c.standbySlots, ['a_1', 'b']],
    ['SOURCE_NAME', 'Orders, live', (c) => c.source, 'Orders, live'],
    ['STREAM_NAME', 'a.b-c_D', (c) => c.stream, { name: 'a.b-c_D', arn: undefined, region: undefined }],
    ['STREAM_NAME', STREAM, (c) => c.stream, { name: 'changes', arn: STREAM, region: 'eu-central-1' }],
    ['FORMAT', 'json', (c) => c.format, 'json'],
    ['PARTITION_BY', 'stream', (c) => c.partitionBy, 'stream'],
    ['AGGREGATION', 'lines', (c) => c.aggregation, 'lines'],
    ['LANES', '1', (c) => c.lanes, 1],
    ['LANES', '256', (c) => c.lanes, 256],
    ['OPERATIONS', 'insert, Delete', (c) => [...c.operations], ['INSERT', 'DELETE']],
    ['BATCH_CHANGES', '1', (c) => c.batchChanges, 1],
    ['READ_AHEAD', 'off', (c) => c.readAhead, false],
    ['PRIMARY_KEY_TTL_SECONDS', '0', (c) => c.primaryKeyTtlSeconds, 0],
    ['OVERSIZE', 'fail', (c) => c.oversize, 'fail'],
    ['MAX_RECORD_KIB', '10240', (c) => c.maxRecordBytes, 10_485_760],
    ['LINGER', 'on', (c) => c.lingerDutyPercent, 10],
    ['LINGER_DUTY', '25', (c) => c.lingerDutyPercent, undefined],
    ['SNAPSHOT', 'initial', (c) => c.snapshot, 'initial'],
    ['SNAPSHOT_SHARE', '25', (c) => c.snapshotSharePercent, 25],
    ['LOG_LEVEL', 'debug', (c) => c.logLevel, 'DEBUG'],
  ];
  for (const [name, value, read, expected] of accepted) {
    it(`accepts ${name}=${value}`, () => assert.deepEqual(read(readConfig({ ...LOGIN, [name]: value })), expected));
  }

  const refused: [name: SettingName, value: string][] = [
    ['DATABASE_SECRET_ARN', 'my-secret'],
    ['PGHOST', 'a b'],
    ['PGHOST', 'db1,db2'],
    ['PGPORT', '0'],
    ['PGPORT', '65536'],
    ['PGPORT', '54e2'],
    ['PGDATABASE', 'x'.repeat(64)],
    ['PGSSLMODE', 'prefer'],
    ['DATABASE_AUTH', 'IAM'],
    ['SLOT_NAME', 'Upper'],
    ['STANDBY_SLOTS', 'a,,b'],
    ['SLOT_FAILOVER', 'true'],
    ['STANDBY_SLOTS', 'Upper'],
    ['SLOT_NAME', 'with-dash'],
    ['SLOT_NAME', 's'.repeat(64)],
    ['SOURCE_NAME', 'a\nb'],
    ['STREAM_NAME', 'a b'],
    ['STREAM_NAME', 'arn:aws:s3:::bucket'],
    ['FORMAT', 'JSON'],
    ['PARTITION_BY', 'pk'],
    ['AGGREGATION', 'true'],
    ['LANES', '0'],
    ['LANES', '63'],
    ['LANES', '512'],
    ['LANES', '1.5'],
    ['TABLE_INCLUDE_LIST', 'public\\.(a'],
    ['TABLE_EXCLUDE_LIST', 'public.a)(b'],
    ['COLUMN_EXCLUDE_LIST', '['],
    ['OPERATIONS', 'INSERT,UPSERT'],
    ['OPERATIONS', ','],
    ['MESSAGES', 'orders/('],
    ['BATCH_CHANGES', '0'],
    ['READ_AHEAD', 'true'],
    ['BATCH_CHANGES', '-1'],
    ['PRIMARY_KEY_TTL_SECONDS', '1h'],
    ['OVERSIZE', 'drop'],
    ['MAX_RECORD_KIB', '1023'],
    ['MAX_RECORD_KIB', '10241'],
    ['MARKS', 'true'],
    ['LINGER', 'yes'],
    ['LINGER_DUTY', '0'],
    ['SNAPSHOT', 'always'],
    ['SNAPSHOT_SHARE', '0'],
    ['LINGER_DUTY', '101'],
    ['LOG_LEVEL', 'TRACE'],
  ];
  for (const [name, value] of refused) {
    it(`fails for ${name}=${JSON.stringify(value)}, without showing it, and says what is allowed`, () => {
      const message = refusal({ ...LOGIN, [name]: value });
      assert.ok(
        message.includes(`${name} has a value that is not allowed, of ${value.length} character`) &&
          !message.includes('Invalid input'),
        message,
      );
      assert.ok(message.includes(`allowed: ${SETTINGS[name].allowed}`), message);
    });
  }

  it('fails once for all that is wrong', () => {
    const message = refusal({
      PGHOST: 'x',
      LANES: '3',
      FORMAT: 'csv',
      AGGREGATION: 'lines',
      LOG_LEVEL: 'loud',
      TABLE_INCLUDE_LIST: 'ok,(,also[',
    });
    for (const part of [
      '6 settings are missing or not valid',
      'PGDATABASE is not set',
      'PGUSER is not set',
      'LANES',
      '"lines" with FORMAT "csv"',
      'LOG_LEVEL',
      'TABLE_INCLUDE_LIST',
    ]) {
      assert.ok(message.includes(part), `${part}: ${message}`);
    }
  });

  it('says which expression of a list is no regular expression', () => {
    assert.match(
      refusal({ ...LOGIN, TABLE_INCLUDE_LIST: 'public\\.ok,public\\.+*' }),
      /TABLE_INCLUDE_LIST .*: expression 2 of 2 is no regular expression \(Nothing to repeat\)/,
    );
  });

  const contradictory: [why: string, env: Record<string, string>, said: RegExp][] = [
    ['lines with csv', { FORMAT: 'csv', AGGREGATION: 'lines' }, /allowed then: kpl, none/],
    [
      'messages with csv',
      { FORMAT: 'csv', MESSAGES: 'a' },
      /MESSAGES cannot be set with FORMAT "csv".*Set FORMAT to json/,
    ],
    ['messages with the default format', { MESSAGES: 'a' }, /MESSAGES cannot be set with FORMAT "csv-payload"/],
    [
      'messages with wal2json',
      { FORMAT: 'json', PLUGIN: 'wal2json', MESSAGES: 'a' },
      /MESSAGES cannot be set with PLUGIN "wal2json"/,
    ],
    ['messages with dms', { FORMAT: 'dms', MESSAGES: 'a' }, /MESSAGES cannot be set with FORMAT "dms"/],
    ['secret without an ARN', { DATABASE_AUTH: 'secret' }, /DATABASE_SECRET_ARN is not set/],
    ['an IAM token in the clear', { DATABASE_AUTH: 'iam', PGSSLMODE: 'disable' }, /over TLS only/],
  ];
  for (const [why, env, said] of contradictory) {
    it(`fails for ${why}`, () => assert.match(refusal({ ...LOGIN, ...env }), said));
  }

  it('fails without a database name, and guesses none', () => {
    assert.match(refusal({ PGHOST: 'h', PGUSER: 'u' }), /PGDATABASE is not set/);
  });

  it('takes everything from a secret, and lets the variables win', () => {
    const { database } = readConfig({ DATABASE_SECRET_ARN: SECRET, PGDATABASE: 'app' });
    assert.deepEqual(
      [database.auth, database.secretArn, database.host, database.database],
      ['secret', SECRET, undefined, 'app'],
    );
    assert.equal(readConfig({ DATABASE_SECRET_ARN: SECRET, DATABASE_AUTH: 'iam' }).database.auth, 'iam');
  });

  it('counts an empty variable as unset', () => {
    const empty = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, '']));
    assert.deepEqual(readConfig({ ...empty, ...LOGIN }), readConfig(LOGIN));
  });

  it('does not look at variables it does not know', () => {
    assert.deepEqual(readConfig({ ...LOGIN, AWS_REGION: 'eu-west-1', SOMETHING: '7' }), readConfig(LOGIN));
  });

  it('fails once for bad settings and for what the SDK would stumble over', () => {
    assert.throws(
      () => readConfig({ ...LOGIN, LANES: '7', PGHOST: 'db:5433', AWS_REGION: 'x', AWS_ENDPOINT_URL: 'localhost:1' }),
      /CONFIG_INVALID: 4 settings are missing or not valid, nothing was done\. PGHOST .*its port in PGPORT\)\. LANES .* AWS_REGION .* AWS_ENDPOINT_URL has a value/,
    );
  });

  it('warns of one record a change by anything but the key, and of columns excluded from nothing', () => {
    for (const by of ['table', 'transaction', 'stream']) {
      assert.match(readConfig({ ...LOGIN, AGGREGATION: 'none', PARTITION_BY: by }).warnings.join(), /slow/);
    }
    assert.match(readConfig({ ...LOGIN, COLUMN_EXCLUDE_LIST: 'a\\.b\\.c' }).warnings.join(), /no effect/);
    assert.deepEqual(readConfig({ ...LOGIN, AGGREGATION: 'none' }).warnings, []);
  });

  const leaks: [where: string, env: Record<string, string>][] = [
    ['a URL as host', { ...LOGIN, PGHOST: 'postgres://cdc:s3cret-pass@db/app' }],
    ['the password as port', { ...LOGIN, PGPORT: 's3cret-pass' }],
    ['a connection string as slot', { ...LOGIN, PGPASSWORD: '', SLOT_NAME: 'host=x password=s3cret-pass' }],
    [
      'a URL without a password variable',
      { ...LOGIN, PGPASSWORD: '', STREAM_NAME: 'postgres://cdc:s3cret-pass@db/app' },
    ],
    ['an expression with it', { ...LOGIN, TABLE_INCLUDE_LIST: '(s3cret-pass' }],
    ["the secret's JSON as its ARN", { ...LOGIN, DATABASE_SECRET_ARN: '{"username":"cdc","password":"s3cret-pass"}' }],
    ['user and password before the host', { ...LOGIN, PGHOST: 'cdc:s3cret-pass@db' }],
    ['user and password as the host', { ...LOGIN, PGHOST: 'cdc:s3cret-pass' }],
    ['a URL whose password has an @', { ...LOGIN, PGHOST: 'postgres://cdc:x@s3cret-pass@db/app' }],
    ['a URL as database', { ...LOGIN, PGDATABASE: 'postgres://cdc:s3cret-pass@db/app' }],
    ['a URL as user', { ...LOGIN, PGUSER: 'postgres://cdc:s3cret-pass@db/app' }],
    ['a URL as source', { ...LOGIN, SOURCE_NAME: 'postgres://cdc:s3cret-pass@db/app' }],
    ['a short word for password', { ...LOGIN, SLOT_NAME: 'passwd=s3cret-pass' }],
    ['the port with a password', { ...LOGIN, PGPORT: '5432:s3cret-pass' }],
    ['a quoted connection string', { ...LOGIN, STREAM_NAME: "host=x password='a s3cret-pass'" }],
  ];
  for (const [where, env] of leaks) {
    it(`I10: ${where} does not show the password`, () => assert.ok(!refusal(env).includes('s3cret-pass')));
  }

  it('I10: no setting shows a value that it refuses', () => {
    for (const name of Object.keys(SETTINGS) as SettingName[]) {
      if (SETTINGS[name].secret || name === 'PGSSLROOTCERT') continue;
      const message = refusal({ ...LOGIN, [name]: '\n(s3cret-pass://x@y' });
      assert.ok(message.includes(name) && !message.includes('s3cret'), message);
    }
  });

  it('takes host names, addresses and sockets as they are', () => {
    for (const host of [
      'db',
      'db.example.com.',
      '10.0.0.1',
      '::1',
      'fe80::1%eth0',
      '/var/run/postgresql',
      'bücher.example',
    ])
      assert.equal(readConfig({ ...LOGIN, PGHOST: host }).database.host, host);
  });
});
