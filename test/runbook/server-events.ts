/**
 * The procedures of docs/operations.md, "Events", for what happens to the server: each is followed to its end by the page's
 * own commands, on a real server. Their titles are the page's headings.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EmbeddedKinesis } from '../support/kinesis.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { kinesisOf, type Pipeline, pipelineOf, range, serverOf, walOnDisk } from './ground.ts';

let kinesis: EmbeddedKinesis;
const servers: PostgresServer[] = [];
before(async () => void (kinesis = await kinesisOf()));
after(() => Promise.all([kinesis.stop(), ...servers.map((server) => server.stop())]));

/** A server, its pipeline and a stream of its own, for one procedure. */
async function scene(
  name: string,
  { version = '18', settings = {} }: { version?: string; settings?: Readonly<Record<string, string>> } = {},
): Promise<{ server: PostgresServer; pipeline: Pipeline }> {
  const [server] = await Promise.all([serverOf(version, settings), kinesis.createStream(name, 2)]);
  servers.push(server);
  const pipeline = pipelineOf(server, kinesis, name);
  await pipeline.cli(0, 'create-slot');
  return { server, pipeline };
}

const SMALL_WAL = { max_wal_size: '32MB', min_wal_size: '32MB', wal_keep_size: '0' };
/** Six segments of WAL: where nothing was written, a switch does nothing. */
const fill = async (server: PostgresServer): Promise<void> => {
  await server.sql('CREATE TABLE IF NOT EXISTS filler (line text)');
  for (let i = 0; i < 6; i++) await server.sql(`INSERT INTO filler VALUES ('x'); SELECT pg_switch_wal()`);
};

describe('The disk fills', () => {
  let server: PostgresServer;
  let pipeline: Pipeline;
  before(async () => void ({ server, pipeline } = await scene('disk', { settings: SMALL_WAL })));
  after(() => server.stop());
  /** What is left on the disk once the server has had a moment to remove it. */
  const freed = async (): Promise<number> => {
    await server.sql('SELECT pg_switch_wal()');
    await server.sql('CHECKPOINT');
    return await walOnDisk(server);
  };

  it('unread changes: drain lets the WAL go', async () => {
    await server.sql('INSERT INTO t SELECT generate_series(1, 100)');
    await fill(server);
    const kept = await freed();
    assert.match(
      await pipeline.cli(0, 'status'),
      /by unread changes: WAL that no run has consumed yet; runs, or drain, do/,
    );
    await pipeline.cli(0, 'drain');
    await pipeline.cli(0, 'run');
    assert.ok((await freed()) < kept, 'less is on the disk');
    assert.deepEqual(
      (await pipeline.ids()).toSorted((a, b) => a - b),
      range(1, 100),
    );
  });

  it('an open transaction: the SQL that status names ends it, and the next runs let the WAL go', async () => {
    const open = await server.client();
    await open.query('BEGIN; INSERT INTO t VALUES (1000)');
    await fill(server);
    await pipeline.cli(0, 'drain');
    const kept = await freed();
    const [, sql = ''] =
      /by open transaction: .*?(SELECT pg_terminate_backend\(\d+\)) ends it/.exec(await pipeline.cli(0, 'status')) ??
      [];
    await server.sql(sql);
    await fill(server);
    await pipeline.cli(0, 'run');
    await pipeline.cli(0, 'run');
    assert.ok((await freed()) < kept, 'less is on the disk');
  });

  it('another slot: status names it, and how much it keeps', async () => {
    await server.createSlot('somebody_elses');
    await fill(server);
    await pipeline.cli(0, 'drain');
    const status = await pipeline.cli(0, 'status');
    assert.match(status, /by other slot: The slot "somebody_elses" keeps more than this one/);
    await server.sql(`SELECT pg_drop_replication_slot('somebody_elses')`);
  });

  it('nothing helps: drop-slot --yes frees the WAL at the next checkpoint, and SLOT_LOST says how to go on', async () => {
    await server.sql('INSERT INTO t SELECT generate_series(2001, 2010)');
    await fill(server);
    const kept = await freed();
    assert.match(await pipeline.cli(1, 'drop-slot'), /^SLOT_UNREAD: /);
    await pipeline.cli(0, 'drop-slot', '--yes');
    assert.ok((await freed()) < kept, 'less is on the disk');
    assert.match(await pipeline.cli(1, 'run'), /^SLOT_MISSING: /m);
    await pipeline.cli(0, 'create-slot');
    await server.sql('INSERT INTO t VALUES (2011)');
    await pipeline.cli(0, 'run');
    const ids = await pipeline.ids();
    assert.ok(ids.includes(2011) && !ids.includes(2001), 'what was discarded is to be reloaded');
  });
});

describe('A transaction that cannot be published', () => {
  it('is named by the error, is left out alone by skip-transaction, and the rest is published', async () => {
    const { server, pipeline } = await scene('poison');
    await server.sql('INSERT INTO t VALUES (1)');
    await server.sql(`INSERT INTO t VALUES (2, repeat('x', 2000000))`);
    await server.sql('INSERT INTO t VALUES (3)');
    const failing = pipeline.with({ OVERSIZE: 'fail' });
    const said = await failing.cli(1, 'run');
    const [, lsn = ''] = /RECORD_TOO_LARGE: [^]*?\b([0-9A-F]+\/[0-9A-F]+)/.exec(said) ?? [];
    assert.match(await failing.cli(2, 'skip-transaction', '0/1'), new RegExp(lsn));
    await failing.cli(0, 'skip-transaction', lsn);
    await failing.cli(0, 'run');
    assert.deepEqual(await failing.ids().then((ids) => ids.toSorted((a, b) => a - b)), [1, 3]);
    await server.stop();
  });
});

describe('The slot is lost or missing', () => {
  it('lost: raise the limit, drop-slot, create-slot', async () => {
    const { server, pipeline } = await scene('lost', { settings: { ...SMALL_WAL, max_slot_wal_keep_size: '1MB' } });
    await server.sql('INSERT INTO t VALUES (1)');
    for (let lost = false; !lost;) {
      await fill(server);
      await server.sql('CHECKPOINT');
      const [slot] = await server.sql<{ s: string }>('SELECT wal_status AS s FROM pg_replication_slots');
      lost = slot?.s === 'lost';
    }
    assert.match(await pipeline.cli(1, 'run'), /SLOT_LOST: .*raise max_slot_wal_keep_size/);
    assert.match(await pipeline.cli(1, 'status'), /^To do: |To do: /m);
    await server.sql(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`);
    await server.sql('SELECT pg_reload_conf()');
    await pipeline.cli(0, 'drop-slot');
    await pipeline.cli(0, 'create-slot');
    await server.sql('INSERT INTO t VALUES (2)');
    await pipeline.cli(0, 'run');
    assert.deepEqual(await pipeline.ids(), [2]);
    await pipeline.cli(0, 'check');
    await server.stop();
  });

  it('missing: it is never made silently, create-slot makes it', async () => {
    const { server, pipeline } = await scene('missing');
    await server.sql(`SELECT pg_drop_replication_slot('pg2kinesis')`);
    await server.sql('INSERT INTO t VALUES (1)');
    assert.match(await pipeline.cli(1, 'run'), /SLOT_MISSING: /);
    assert.match(await pipeline.cli(1, 'status'), /does not exist\n +To do: Create it with create-slot/);
    await pipeline.cli(0, 'create-slot');
    await server.sql('INSERT INTO t VALUES (2)');
    await pipeline.cli(0, 'run');
    assert.deepEqual(await pipeline.ids(), [2]);
    await server.stop();
  });
});

describe('Failover', () => {
  it('to the same storage: runs fail while the server is away, then go on by themselves', async () => {
    const { server, pipeline } = await scene('failover');
    await server.sql('INSERT INTO t SELECT generate_series(1, 50)');
    await pipeline.cli(0, 'run');
    await server.sql('INSERT INTO t SELECT generate_series(51, 60)');
    await server.halt('immediate');
    assert.match(await pipeline.cli(1, 'run'), /DATABASE_UNREACHABLE: /);
    await server.start();
    await server.sql('INSERT INTO t VALUES (61)');
    await pipeline.cli(0, 'run');
    assert.deepEqual(
      (await pipeline.ids()).toSorted((a, b) => a - b),
      range(1, 61),
    );
    await server.stop();
  });
});

describe('Restore from a snapshot or to a point in time', () => {
  it('the new server has no slot: point the pipeline there, create-slot, and what is written goes on', async () => {
    const { server, pipeline } = await scene('restore');
    await server.sql('INSERT INTO t VALUES (1)');
    await pipeline.cli(0, 'run');
    const restored = await (await server.copy(false)).start();
    servers.push(restored);
    await server.stop();
    const moved = pipeline.with({ PGPORT: String(restored.port) });
    assert.match(await moved.cli(1, 'run'), /SLOT_MISSING: /);
    assert.match(
      await moved.cli(0, 'create-slot'),
      /was made at [0-9A-F]+\/[0-9A-F]+\. What is committed from now on is captured/,
    );
    await restored.sql('INSERT INTO t VALUES (2)');
    await moved.cli(0, 'run');
    assert.deepEqual(
      (await moved.ids()).toSorted((a, b) => a - b),
      [1, 2],
    );
    await restored.stop();
  });
});

describe('Major upgrade, and blue/green deployment', () => {
  it('loses nothing from 13 to 18, where the green side is kept by logical replication as RDS does', async () => {
    const { server: blue, pipeline } = await scene('upgrade', { version: '13' });
    await blue.sql('INSERT INTO t SELECT generate_series(1, 50)');
    await blue.sql('CREATE PUBLICATION green FOR ALL TABLES');
    const green = await serverOf('18');
    servers.push(green);
    await green.sql(
      `CREATE SUBSCRIPTION green CONNECTION 'host=127.0.0.1 port=${blue.port} user=postgres password=password dbname=postgres' PUBLICATION green`,
    );
    // Written until the writers are stopped.
    await blue.sql('INSERT INTO t SELECT generate_series(51, 100)');
    assert.match(await pipeline.cli(1, 'drop-slot'), /^SLOT_UNREAD: /, 'refused while anything is unread');
    await pipeline.cli(0, 'drain');
    await pipeline.cli(0, 'drop-slot');
    for (let there = 0; there < 100;) {
      const [row] = await green.sql<{ n: number }>('SELECT count(*)::int AS n FROM t');
      there = row?.n ?? 0;
    }
    await green.sql('DROP SUBSCRIPTION green');
    await blue.stop();
    const switched = pipeline.with({ PGPORT: String(green.port) });
    assert.match(await switched.cli(1, 'run'), /SLOT_MISSING: /);
    await switched.cli(0, 'create-slot');
    await green.sql('INSERT INTO t SELECT generate_series(101, 120)');
    await switched.cli(0, 'run');
    assert.deepEqual(
      (await switched.ids()).toSorted((a, b) => a - b),
      range(1, 120),
    );
    await switched.cli(0, 'check');
    await green.stop();
  });
});
