/** What a real run emits, against what the synthesised alarms look at: an alarm on any other dimensions would never be raised. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SLOT_METRICS } from '../../lib/slot-metrics.ts';
import { type HandlerProcess, startHandler } from '../lambda/handler-process.ts';
import { type EmbeddedKinesis, startKinesis } from '../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { resourcesOf, synthesise } from './synth.ts';

/** A metric as its reader finds it: `namespace name dimension=value`, the dimensions in order. */
const named = (namespace: unknown, name: unknown, dimensions: readonly (readonly [string, unknown])[]): string =>
  `${String(namespace)} ${String(name)} ${dimensions
    .map(([dimension, value]) => `${dimension}=${String(value)}`)
    .sort()
    .join(',')}`;

/** What one line of embedded metric format makes CloudWatch store. */
function stored(line: Readonly<Record<string, unknown>>): string[] {
  const { CloudWatchMetrics } = line['_aws'] as {
    CloudWatchMetrics: { Namespace: string; Dimensions: string[][]; Metrics: { Name: string }[] }[];
  };
  return CloudWatchMetrics.flatMap(({ Namespace, Dimensions, Metrics }) =>
    Metrics.flatMap(({ Name }) =>
      Dimensions.map((set) =>
        named(
          Namespace,
          Name,
          set.map((dimension) => [dimension, line[dimension]]),
        ),
      ),
    ),
  );
}

/** Every metric of the function's own that an alarm looks at. */
function watched(settings: Readonly<Record<string, unknown>>): Set<string> {
  interface Watched {
    readonly Namespace: string;
    readonly MetricName: string;
    readonly Dimensions: readonly { readonly Name: string; readonly Value: unknown }[];
  }
  const metrics = Object.values(resourcesOf(synthesise(settings).template, 'AWS::CloudWatch::Alarm')).flatMap(
    ({ Properties }) => {
      const parts = Properties['Metrics'] as { MetricStat?: { Metric: Watched } }[] | undefined;
      return parts === undefined
        ? [Properties as unknown as Watched]
        : parts.flatMap(({ MetricStat }) => (MetricStat === undefined ? [] : [MetricStat.Metric]));
    },
  );
  return new Set(
    metrics
      .filter(({ Namespace }) => Namespace === 'pg2kinesis')
      .map(({ Namespace, MetricName, Dimensions }) =>
        named(
          Namespace,
          MetricName,
          Dimensions.map(({ Name, Value }) => [Name, Value]),
        ),
      ),
  );
}

describe('the metrics of a real run', () => {
  const settings = { name: 'orders', skippedAlarm: true, databaseUser: 'postgres', databaseSslMode: 'disable' };
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;
  let container: HandlerProcess;

  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startKinesis()]);
    await kinesis.createStream('orders', 1);
    await server.createSlot('pg2kinesis');
    await server.sql('CREATE TABLE users (id int PRIMARY KEY)');
    await server.sql('CREATE TABLE notes (note text)');
    const { Variables } = synthesise(settings).function.properties.Environment;
    const { DATABASE_SECRET_ARN, DATABASE_AUTH, NODE_OPTIONS, ...synthesised } = Object.fromEntries(
      Object.entries(Variables).map(([name, value]) => [name, typeof value === 'string' ? value : 'orders']),
    );
    assert.ok(DATABASE_SECRET_ARN !== undefined && DATABASE_AUTH !== undefined && NODE_OPTIONS !== undefined);
    container = await startHandler({
      ...synthesised,
      // Where this machine's servers are; everything else is as it would be deployed.
      PGHOST: server.connection.host,
      PGPORT: String(server.port),
      PGDATABASE: server.connection.database,
      PGUSER: server.connection.user,
      PGPASSWORD: server.connection.password,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'emulator',
      AWS_SECRET_ACCESS_KEY: 'emulator',
      AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
    });
  });
  after(async () => {
    await Promise.all([container.stop(), kinesis.stop(), server.stop()]);
  });

  it('are stored under exactly the names and dimensions that the alarms look at', async () => {
    await server.sql("INSERT INTO users VALUES (1), (2); INSERT INTO notes VALUES ('left out')");
    const { answer, error } = await container.invoke({ action: 'run', maxSeconds: 20 });
    assert.equal(error, undefined, error?.message);
    assert.equal((answer as { published: number }).published, 2);
    // A run whose function has no time left ends late by definition.
    await container.invoke({ action: 'status' }, 1);

    const emitted = new Set(
      container
        .lines()
        .filter((line) => '_aws' in line)
        .flatMap(stored),
    );
    assert.ok(emitted.size > 0);
    assert.deepEqual(
      [...watched(settings)].filter((metric) => !emitted.has(metric)),
      [],
      `emitted: ${[...emitted].join('; ')}`,
    );
    // And none is emitted that the constructs do not know, or twice under other dimensions.
    const known = new Set(SLOT_METRICS.map((name) => named('pg2kinesis', name, [['service', 'orders']])));
    assert.deepEqual(
      [...emitted].filter((metric) => !known.has(metric)),
      [],
    );
  });
});
