/** The environment that is deployed, read by the function's own config reader. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../lambda/settings/config.ts';
import { SETTINGS as VARIABLES } from '../../lambda/settings/settings-table.ts';
import { IAM, MINIMAL, synthesise } from './synth.ts';

/** The synthesised environment as Lambda would have it: what CloudFormation resolves, resolved. */
function environmentOf(settings: Readonly<Record<string, unknown>>, base = MINIMAL): Record<string, string> {
  const { Variables } = synthesise(settings, base).function.properties.Environment;
  return Object.fromEntries(
    Object.entries(Variables).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : 'resolved-by-cloudformation',
    ]),
  );
}

/** Every setting that reaches the function, none at its default. */
const EVERY = {
  databasePort: '6543',
  databaseUser: 'cdc',
  databaseSslMode: 'verify-ca',
  slotName: 'orders_slot',
  plugin: 'pgoutput',
  publications: 'orders,Audit log',
  standbySlots: ['phys_1', 'phys_2'],
  slotFailover: 'on',
  sourceName: 'shop/orders',
  existingStream: 'arn:aws:kinesis:us-west-2:210987654321:stream/orders-stream',
  format: 'module',
  formatter: 'examples/order-events.ts',
  debeziumTime: 'isostring',
  debeziumTransaction: 'on',
  dmsNulls: 'include',
  dmsTransaction: 'on',
  dmsBeforeImage: 'on',
  partitionBy: 'table',
  aggregation: 'lines',
  compression: 'zstd',
  lanes: '128',
  tableIncludeList: 'public\\..*,audit\\.t_\\d{1,3}',
  tableExcludeList: ['public\\.secret'],
  columnExcludeList: 'public\\.users\\.password',
  operations: 'insert,DELETE',
  messages: 'orders/.*,audit',
  batchChanges: 5000,
  readAhead: 'off',
  primaryKeyTtlSeconds: '0',
  oversize: 'fail',
  onUnknownKey: 'fail',
  maxRecordKib: '10240',
  marks: 'off',
  linger: 'on',
  lingerDuty: '25',
  snapshot: 'initial',
  snapshotShare: '30',
  logLevel: 'DEBUG',
};

describe("the function's environment", () => {
  it("is accepted by the function's own reader, with nothing but what is required", () => {
    const config = readConfig(environmentOf({}));
    assert.equal(config.database.auth, 'secret');
    assert.equal(config.database.secretArn, MINIMAL['databaseSecretArn']);
    assert.equal(config.database.host, 'db.example.com');
    assert.equal(config.database.port, 5432);
    assert.equal(config.database.database, 'app');
    assert.equal(config.database.password, undefined);
    assert.equal(config.stream.name, 'resolved-by-cloudformation');
    assert.deepEqual(config.warnings, []);
  });

  it('carries every setting to the function, as it was meant', () => {
    const config = readConfig(environmentOf(EVERY));
    assert.deepEqual(
      {
        port: config.database.port,
        user: config.database.user,
        sslMode: config.database.sslMode,
        slot: config.slot,
        plugin: config.plugin,
        publications: config.publications,
        standbySlots: config.standbySlots,
        slotFailover: config.slotFailover,
        source: config.source,
        stream: config.stream,
        format: config.format,
        formatter: config.formatter,
        debezium: config.debezium,
        dms: config.dms,
        partitionBy: config.partitionBy,
        aggregation: config.aggregation,
        compression: config.compression,
        lanes: config.lanes,
        include: config.filters.tableInclude.map(({ source }) => source),
        exclude: config.filters.tableExclude.map(({ source }) => source),
        columns: config.filters.columnExclude.map(({ source }) => source),
        operations: [...config.operations],
        batchChanges: config.batchChanges,
        readAhead: config.readAhead,
        ttl: config.primaryKeyTtlSeconds,
        oversize: config.oversize,
        unknownKey: config.unknownKey,
        maxRecordBytes: config.maxRecordBytes,
        marks: config.marks,
        lingerDuty: config.lingerDutyPercent,
        snapshot: config.snapshot,
        snapshotShare: config.snapshotSharePercent,
        logLevel: config.logLevel,
      },
      {
        port: 6543,
        user: 'cdc',
        sslMode: 'verify-ca',
        slot: 'orders_slot',
        plugin: 'pgoutput',
        publications: ['orders', 'Audit log'],
        standbySlots: ['phys_1', 'phys_2'],
        slotFailover: true,
        source: 'shop/orders',
        stream: {
          name: 'orders-stream',
          arn: 'arn:aws:kinesis:us-west-2:210987654321:stream/orders-stream',
          region: 'us-west-2',
        },
        format: 'module',
        formatter: 'formatter.mjs',
        debezium: { transaction: true, time: 'isostring' },
        dms: { nulls: true, transaction: true, beforeImage: true },
        partitionBy: 'table',
        aggregation: 'lines',
        compression: 'zstd',
        lanes: 128,
        include: ['^(?:public\\..*)$', '^(?:audit\\.t_\\d{1,3})$'],
        exclude: ['^(?:public\\.secret)$'],
        columns: ['^(?:public\\.users\\.password)$'],
        operations: ['INSERT', 'DELETE'],
        batchChanges: 5000,
        readAhead: false,
        ttl: 0,
        oversize: 'fail',
        unknownKey: 'fail',
        maxRecordBytes: 10240 * 1024,
        marks: false,
        lingerDuty: 25,
        snapshot: 'initial',
        snapshotShare: 30,
        logLevel: 'DEBUG',
      },
    );
  });

  it('signs in with an IAM token, and then names no secret', () => {
    const environment = environmentOf({}, IAM);
    const { database } = readConfig(environment);
    assert.equal(database.auth, 'iam');
    assert.equal(database.user, 'cdc');
    assert.equal(environment['DATABASE_SECRET_ARN'], undefined);
  });

  it('names a stream given by its ARN by that, with its region', () => {
    const arn = 'arn:aws:kinesis:us-west-2:210987654321:stream/orders';
    assert.deepEqual(readConfig(environmentOf({ existingStream: arn })).stream, {
      name: 'orders',
      arn,
      region: 'us-west-2',
    });
  });

  it('holds variables of the function and of its libraries only, and no password', () => {
    const libraries = [
      'AWS_ENDPOINT_URL_KINESIS',
      'AWS_ENDPOINT_URL_SECRETS_MANAGER',
      'NODE_OPTIONS',
      'POWERTOOLS_SERVICE_NAME',
      'SLOT_RESOURCE',
      'ADMIN_ONLY',
    ];
    const names = Object.keys(environmentOf({ ...EVERY, endpoints: 'kinesis,secretsmanager' }));
    const allowed = [...Object.keys(VARIABLES), ...libraries].filter((name) => name !== 'PGPASSWORD');
    assert.deepEqual(
      names.filter((name) => !allowed.includes(name)),
      [],
    );
    // All of them can be set, but for the password, and for a file that only a layer brings.
    const settable = allowed.filter((name) => name !== 'PGSSLROOTCERT');
    assert.deepEqual(
      settable.filter((name) => !names.includes(name)),
      [],
    );
  });

  it("gives metrics and log lines the pipeline's name", () => {
    assert.equal(environmentOf({ name: 'orders' })['POWERTOOLS_SERVICE_NAME'], 'orders');
  });
});
