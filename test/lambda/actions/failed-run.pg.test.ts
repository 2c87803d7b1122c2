/**
 * What CloudWatch hears of a run that fails, through the real handler: the WAL that the slot keeps fills the disk whether
 * runs succeed or not, so the alarms on it must see it then, too.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../../lambda/clock.ts';
import { acquireSlotLock } from '../../../lambda/postgres/slot-lock.ts';
import { createTerminalLog } from '../../../lambda/telemetry/telemetry.ts';
import { type EmbeddedKinesis, startKinesis } from '../../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { type HandlerProcess, startHandler } from '../handler-process.ts';

const log = createTerminalLog(() => undefined, { level: 'ERROR', json: false, now: () => 0 });

describe('a run that does not end well', () => {
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;

  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startKinesis()]);
    await kinesis.createStream('pg2kinesis', 1);
    await server.createSlot('pg2kinesis');
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 's3cret-pass'`);
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, value text)');
    await server.sql(`INSERT INTO t VALUES (1, repeat('x', 1500000))`);
  });
  after(() => Promise.all([server.stop(), kinesis.stop()]));

  /** Runs once in a container of its own; gives the error's code, or how it stopped, and the metrics. */
  const run = async (
    over: Record<string, string> = {},
    maxSeconds = 25,
  ): Promise<[how: unknown, metrics: Record<string, number>]> => {
    const { host, port, database } = server.connection;
    const container: HandlerProcess = await startHandler({
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: database,
      PGUSER: 'cdc',
      PGPASSWORD: 's3cret-pass',
      PGSSLMODE: 'disable',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
      AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
      FORMAT: 'json',
      OVERSIZE: 'fail',
      ...over,
    });
    try {
      const { answer, error } = await container.invoke({ action: 'run', maxSeconds });
      const metrics: Record<string, number> = {};
      for (const line of container.lines().filter((each) => '_aws' in each))
        for (const [name, value] of Object.entries(line)) if (typeof value === 'number') metrics[name] = value;
      return [error?.name ?? (answer as { stopped: string }).stopped, metrics];
    } finally {
      await container.stop();
    }
  };

  for (const [code, over, knowsAge] of [
    ['RECORD_TOO_LARGE', {}, true],
    ['STREAM_MISSING', { STREAM_NAME: 'elsewhere', OVERSIZE: 'key-only' }, true],
    ['NO_PROGRESS', { AWS_ENDPOINT_URL_KINESIS: 'http://127.0.0.1:9', OVERSIZE: 'key-only' }, true],
    ['CONFIG_INVALID', { AWS_REGION: '' }, false],
  ] as const) {
    it(`fails with ${code}, and tells lag, retained WAL and standstill`, async () => {
      // Without progress it takes all of its time.
      const [how, metrics] = await run(over, code === 'NO_PROGRESS' ? 6 : undefined);
      assert.equal(how, code);
      assert.ok((metrics['LagBytes'] ?? 0) > 0, 'LagBytes');
      assert.ok((metrics['RetainedWalBytes'] ?? 0) >= (metrics['LagBytes'] ?? 0), 'RetainedWalBytes');
      assert.equal(metrics['Stalled'], 1);
      assert.equal('LagSeconds' in metrics, knowsAge);
      assert.equal(metrics['RunHealthy'], undefined);
    });
  }

  it('that finds the slot locked tells lag and retained WAL, and leaves standstill to whoever holds it', async () => {
    const holder = await server.client();
    try {
      await acquireSlotLock(holder, { slotName: 'pg2kinesis', clock: systemClock, log });
      const [how, metrics] = await run();
      assert.equal(how, 'locked');
      assert.ok((metrics['LagBytes'] ?? 0) > 0);
      assert.ok((metrics['RetainedWalBytes'] ?? 0) > 0);
      assert.equal(metrics['Stalled'], undefined);
    } finally {
      await holder.end();
    }
  });

  it('fails where nobody answers, and tells none of it', async () => {
    const [how, metrics] = await run({ PGPORT: '9' });
    assert.equal(how, 'DATABASE_UNREACHABLE');
    for (const name of ['LagBytes', 'RetainedWalBytes', 'Stalled', 'LagSeconds', 'RunHealthy'])
      assert.equal(metrics[name], undefined, name);
  });

  it('succeeds afterwards, and tells that it moved', async () => {
    const [how, metrics] = await run({ OVERSIZE: 'key-only' });
    assert.equal(how, 'caught-up');
    assert.deepEqual([metrics['Stalled'], metrics['LagBytes'], metrics['RunHealthy']], [0, 0, 1]);
  });
});
