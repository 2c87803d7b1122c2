/**
 * The procedures of docs/operations.md, "Events", for what you change in the pipeline: each is followed to its end by the
 * page's own commands. Their titles are the page's headings.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { UpdateShardCountCommand } from '@aws-sdk/client-kinesis';
import { InvocationError, startFunction } from '../../bin/demo/function.ts';
import { lockKey } from '../../lambda/postgres/slot-lock.ts';
import type { EmbeddedKinesis } from '../support/kinesis.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { startScripted } from '../support/scripted-endpoint.ts';
import { kinesisOf, type Pipeline, pipelineOf, range, serverOf } from './ground.ts';

let kinesis: EmbeddedKinesis;
let server: PostgresServer;
before(async () => void ([kinesis, server] = await Promise.all([kinesisOf(), serverOf('18')])));
after(() => Promise.all([kinesis.stop(), server.stop()]));

/** A pipeline with slot and stream of that name; the table `t` is empty, and everything of before is another's. */
async function pipelineFor(name: string, shards = 2): Promise<Pipeline> {
  await kinesis.createStream(name, shards);
  await server.sql('DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, name text)');
  const pipeline = pipelineOf(server, kinesis, name, { SLOT_NAME: name });
  await pipeline.cli(0, 'create-slot');
  return pipeline;
}
const sorted = (ids: number[]): number[] => ids.toSorted((a, b) => a - b);

describe('Password rotation', () => {
  it('a run between the two steps fails, the next one reads the secret again, also in a warm function', async () => {
    const pipeline = await pipelineFor('rotation');
    let password = 'secret';
    const secrets = await startScripted(() => ({
      body: JSON.stringify({ SecretString: JSON.stringify({ username: 'cdc', password }) }),
    }));
    const { PGUSER, PGPASSWORD, ...env } = pipeline.env;
    assert.ok(PGUSER !== undefined && PGPASSWORD !== undefined);
    const fn = startFunction(
      {
        ...env,
        DATABASE_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:pg2kinesis-AbCdEf',
        AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
      },
      () => undefined,
    );
    const run = async (id: number) => {
      await server.sql('INSERT INTO t VALUES ($1)', [id]);
      return fn.invoke({ action: 'run', maxSeconds: 30 });
    };
    await run(1);
    await server.sql(`ALTER ROLE cdc PASSWORD 'rotated'`);
    await assert.rejects(run(2), (error) => error instanceof InvocationError && error.name === 'DATABASE_AUTH_FAILED');
    password = 'rotated';
    await run(3);
    assert.deepEqual(sorted(await pipeline.ids()), [1, 2, 3]);
    await fn.stop();
    await secrets.stop();
  });

  it('PGPASSWORD: the command takes the new one', async () => {
    const pipeline = pipelineOf(server, kinesis, 'rotation', { SLOT_NAME: 'rotation' });
    assert.match(await pipeline.cli(1, 'run'), /DATABASE_AUTH_FAILED: .*PGPASSWORD/);
    await pipeline.with({ PGPASSWORD: 'rotated' }).cli(0, 'run');
    await server.sql(`ALTER ROLE cdc PASSWORD 'secret'`);
  });
});

describe('Resharding the stream', () => {
  it('needs nothing here: no change is missing, and each row stays in order, parents read first', async () => {
    const pipeline = await pipelineFor('resharding', 1);
    await server.sql('INSERT INTO t SELECT generate_series(1, 40)');
    await pipeline.cli(0, 'run');
    await kinesis.client.send(
      new UpdateShardCountCommand({ StreamName: 'resharding', TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' }),
    );
    for (let open = 0; open < 2;)
      open = (await kinesis.shards('resharding')).filter(
        ({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber === undefined,
      ).length;
    await server.sql(`UPDATE t SET name = 'after'; INSERT INTO t SELECT generate_series(41, 60)`);
    await pipeline.cli(0, 'run');
    assert.deepEqual(sorted(await pipeline.ids()), range(1, 60));
    const changes = await pipeline.changes();
    for (const id of range(1, 40)) {
      // The emulator lists a shard's parents before it.
      const ops = changes.filter(({ key }) => key?.['id'] === id).map(({ op }) => op);
      assert.deepEqual(ops, ['INSERT', 'UPDATE'], String(id));
    }
  });
});

describe('Adding a table, altering one, changing a primary key', () => {
  it('captures a new table and a new column from the first row on', async () => {
    const pipeline = await pipelineFor('tables');
    await pipeline.cli(0, 'run');
    await server.sql('CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)');
    await server.sql(`ALTER TABLE t ADD COLUMN mail text; INSERT INTO t VALUES (1, 'Ada', 'ada@example.com')`);
    await pipeline.cli(0, 'run');
    const changes = await pipeline.changes();
    assert.ok(changes.some(({ table }) => table === 'fresh'));
    assert.equal(changes.find(({ table }) => table === 't')?.row?.['mail'], 'ada@example.com');
  });

  it('publishes by the new key what is written after a drain, and tables says of each what it is', async () => {
    const pipeline = pipelineOf(server, kinesis, 'tables', { SLOT_NAME: 'tables' });
    await server.sql('CREATE TABLE keyless (line text)');
    await pipeline.cli(0, 'drain');
    await server.sql('ALTER TABLE fresh ADD COLUMN code int; UPDATE fresh SET code = id');
    await pipeline.cli(0, 'drain');
    await server.sql('ALTER TABLE fresh DROP CONSTRAINT fresh_pkey; ALTER TABLE fresh ADD PRIMARY KEY (code)');
    await server.sql('INSERT INTO fresh VALUES (2, 20)');
    await pipeline.cli(0, 'refresh-keys');
    await pipeline.cli(0, 'run');
    assert.deepEqual(
      (await pipeline.changes())
        .filter(({ table }) => table === 'fresh')
        .map(({ key }) => JSON.stringify(key))
        .toSorted(),
      ['{"code":20}', '{"id":1}', '{"id":1}'],
    );
    const tables = await pipeline.cli(0, 'tables');
    assert.match(tables, /^public\.fresh +code +DEFAULT +published$/m);
    assert.match(tables, /^public\.keyless +- +DEFAULT +not published +it has no primary key$/m);
    await server.sql('DROP TABLE fresh, keyless');
    await pipeline.cli(0, 'run');
  });
});

describe('Moving to another stream', () => {
  it('loses nothing: drain, then the new name', async () => {
    const pipeline = await pipelineFor('old');
    await kinesis.createStream('new', 2);
    await server.sql('INSERT INTO t SELECT generate_series(1, 20)');
    await pipeline.cli(0, 'drain');
    const moved = pipeline.with({ STREAM_NAME: 'new' });
    await server.sql('INSERT INTO t SELECT generate_series(21, 30)');
    await moved.cli(0, 'run');
    assert.deepEqual(sorted(await pipeline.ids()), range(1, 20));
    assert.deepEqual(sorted(await moved.ids()), range(21, 30));
  });
});

describe('Changing LANES, PARTITION_BY, AGGREGATION or COMPRESSION', () => {
  it('goes on after a drain with each of them, and loses nothing', async () => {
    const pipeline = await pipelineFor('lanes');
    const settings: Readonly<Record<string, string>>[] = [
      { LANES: '8' },
      { LANES: '8', PARTITION_BY: 'table' },
      { LANES: '8', PARTITION_BY: 'table', AGGREGATION: 'lines' },
      { LANES: '8', PARTITION_BY: 'table', AGGREGATION: 'lines', COMPRESSION: 'gzip' },
    ];
    for (const [index, over] of [{}, ...settings].entries()) {
      await server.sql(`INSERT INTO t SELECT generate_series(${index * 10 + 1}, ${index * 10 + 10})`);
      await pipeline.with(over).cli(0, 'drain');
    }
    assert.deepEqual(sorted(await pipeline.ids()), range(1, 50));
  });
});

describe('Two pipelines on one database', () => {
  it('each publish everything, to their own streams, by their own slots', async () => {
    const one = await pipelineFor('one');
    await kinesis.createStream('two', 2);
    const two = pipelineOf(server, kinesis, 'two', { SLOT_NAME: 'two' });
    await two.cli(0, 'create-slot');
    await server.sql('INSERT INTO t SELECT generate_series(1, 20)');
    // One after the other: both are of this process, whose environment the SDK reads.
    await one.cli(0, 'run');
    await two.cli(0, 'run');
    assert.deepEqual([sorted(await one.ids()), sorted(await two.ids())], [range(1, 20), range(1, 20)]);
    // A checkpoint says where decoding may begin: the slot of the one that runs comes past the other's.
    let status = '';
    for (let id = 21; id < 31 && !status.includes('by other slot'); id++) {
      await server.sql(`INSERT INTO t VALUES (${id})`);
      await server.sql('CHECKPOINT');
      await one.cli(0, 'run');
      status = await one.cli(0, 'status');
    }
    assert.match(status, /by other slot: The slot "\w+" keeps more than this one/);
  });

  it('of one slot: the second is locked, and status names who holds it', async () => {
    const one = pipelineOf(server, kinesis, 'one', { SLOT_NAME: 'one' });
    const other = await server.client();
    await other.query('SELECT pg_advisory_lock($1)', [String(lockKey('one'))]);
    assert.match(await one.cli(0, 'run'), /Nothing was done: another run holds the slot/);
    assert.match(await one.cli(0, 'status'), /^lock +held by backend \d+/m);
    await other.end();
  });
});

describe('A server that does not allow a plugin', () => {
  it('refuses create-slot with what to do, and PLUGIN=pgoutput goes on', async () => {
    await kinesis.createStream('plugin', 2);
    await server.sql('DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, name text)');
    const pipeline = pipelineOf(server, kinesis, 'plugin', { SLOT_NAME: 'plugin', PLUGIN: 'wal2json' });
    // The embedded servers do not have wal2json, which is refused in the same place.
    assert.match(await pipeline.cli(2, 'create-slot'), /CONFIG_INVALID: .*PLUGIN/s);
    await server.sql('CREATE PUBLICATION plugin FOR ALL TABLES');
    const other = pipeline.with({ PLUGIN: 'pgoutput' });
    await other.cli(0, 'create-slot');
    await server.sql('INSERT INTO t VALUES (1)');
    await other.cli(0, 'run');
    assert.deepEqual(await other.ids(), [1]);
  });
});
