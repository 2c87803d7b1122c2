/**
 * A standby as the source (PostgreSQL 16 and later): its own slot is made on purpose, its replay is paused, it is
 * restarted, its slot is lost for each reason that only a standby knows, and it is promoted in mid-run.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { InProcessFunction } from '../support/in-process.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../support/postgres.ts';
import { eventually } from './environment.ts';

/** Standbys have logical slots from 16 on. */
const MIN_MAJOR = 16;

describe('a standby as the source', () => {
  const version = Math.max(TESTED_MAJOR, MIN_MAJOR);
  let primary: PostgresServer;
  let standby: PostgresServer;
  let source: InProcessFunction;
  let nextId = 1;
  /** Committed while there was no slot: the way out of a lost one says to reload these. */
  const uncaptured = new Set<number>();

  before(async () => {
    primary = await startPostgres({ version: String(version) });
    await primary.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'secret'; CREATE TABLE t (id int PRIMARY KEY)`);
    const settings = {
      hot_standby_feedback: 'on',
      wal_receiver_status_interval: '1',
      wal_retrieve_retry_interval: '100ms',
    };
    standby = await primary.standby({ slot: 'phys', settings });
    source = new InProcessFunction({
      PGHOST: '127.0.0.1',
      PGPORT: String(standby.port),
      PGDATABASE: 'postgres',
      PGUSER: 'cdc',
      PGPASSWORD: 'secret',
    });
  });
  after(() => Promise.all([primary.stop(), standby.stop()]));

  const insert = async (count = 10, on = primary) => {
    await on.sql(`INSERT INTO t SELECT generate_series(${nextId}, ${nextId + count - 1})`);
    nextId += count;
  };
  const replayed = async () => {
    const id = nextId - 1;
    await eventually(
      async () => (await standby.sql('SELECT 1 FROM t WHERE id = $1', [id])).length > 0,
      'it is replayed',
    );
  };
  const restart = async (server: PostgresServer, settings: Readonly<Record<string, string>>) => {
    await server.halt('fast');
    await server.start(settings);
  };
  const run = () => source.invoke({ action: 'run' });
  const arrived = () => source.records.map(({ key }) => key.id);
  const sorted = (ids: Iterable<number>) => [...ids].toSorted((a, b) => a - b);
  /** Makes the slot; the primary is idle, and writes what the standby waits for when it is asked to. */
  const make = async () => {
    let isDone = false;
    const made = source.invoke({ action: 'create-slot', onStandby: true }).finally(() => (isDone = true));
    await Promise.all([
      made,
      (async () => {
        while (!isDone) {
          await primary.sql('SELECT pg_log_standby_snapshot()');
          await wait(50);
        }
      })(),
    ]);
    return await made;
  };
  /** What is lost, the advice, and the advice followed to its end. */
  const mend = async (reason: RegExp, advice: RegExp, follow: () => Promise<void>) => {
    const said = await source.refusal({ action: 'run' });
    assert.match(said, /^SLOT_LOST: /);
    assert.match(said, reason);
    assert.match(said, advice);
    assert.match(said, /drop it with drop-slot, create it with create-slot, and reload what consumers missed/);
    const status = await source.invoke({ action: 'status' });
    assert.equal(status['slotState'], 'lost');
    assert.match(JSON.stringify((await source.invoke({ action: 'check' }))['findings']), advice);
    await follow();
    assert.equal((await source.invoke({ action: 'drop-slot' }))['dropped'], true);
    await make();
    await insert();
    await replayed();
    assert.deepEqual(await run().then(({ stopped, published }) => [stopped, published]), ['caught-up', 10]);
  };

  it('is refused until its slot is made on purpose; then runs publish what it has replayed', async () => {
    assert.match(await source.refusal({ action: 'run' }), /^SERVER_IS_STANDBY: .*no slot "pg2kinesis".*onStandby/);
    assert.match(await source.refusal({ action: 'create-slot' }), /^SERVER_IS_STANDBY: .*onStandby/);
    const made = await make();
    assert.deepEqual([made['created'], (made['server'] as { role: string }).role], [true, 'standby']);
    await insert();
    await replayed();
    const { stopped, published } = await run();
    assert.deepEqual([stopped, published], ['caught-up', 10]);
    const { findings } = await source.invoke({ action: 'check' });
    assert.match(JSON.stringify(findings), /"server role","state":"ok","found":"a standby, and the slot is its own/);
    assert.equal((await source.invoke({ action: 'drain' }))['stopped'], 'caught-up');
    assert.equal((await source.invoke({ action: 'refresh-keys' }))['tables'], 1);
  });

  it('with its replay paused is behind, and says so', async () => {
    await standby.sql('SELECT pg_wal_replay_pause()');
    await insert();
    const received = `SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() AS it`;
    await eventually(async () => (await standby.sql<{ it: boolean }>(received))[0]?.it === true, 'it is received');
    const answer = await run();
    assert.deepEqual([answer['stopped'], answer['caughtUp'], answer['published']], ['waiting-for-replay', false, 0]);
    assert.ok(Number(answer['lagBytes']) > 0);
    assert.ok(Number((await source.invoke({ action: 'status' }))['lagBytes']) > 0);
    await standby.sql('SELECT pg_wal_replay_resume()');
    await replayed();
    const { stopped, published } = await run();
    assert.deepEqual([stopped, published], ['caught-up', 10]);
  });

  it('restarted in good order repeats records, and loses none', async () => {
    await standby.restart('fast');
    await insert();
    await replayed();
    assert.equal((await run())['stopped'], 'caught-up');
    assert.deepEqual(sorted(new Set(arrived())), sorted(Array.from({ length: nextId - 1 }, (_, i) => i + 1)));
  });

  it('loses its slot when the primary removes rows of catalogs, and gets it back', async () => {
    await restart(standby, { hot_standby_feedback: 'off' });
    const held = `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'phys' AND coalesce(xmin, catalog_xmin) IS NOT NULL`;
    await eventually(async () => (await primary.sql(held)).length === 0, 'the standby holds nothing back');
    // In two transactions: what one has made and dropped itself matters to nobody.
    await primary.sql('CREATE TABLE gone ()');
    await primary.sql('DROP TABLE gone');
    await primary.sql('VACUUM pg_class');
    await primary.sql('VACUUM pg_attribute');
    await primary.sql('VACUUM pg_type');
    const lost = `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pg2kinesis' AND conflicting`;
    await eventually(async () => (await standby.sql(lost)).length > 0, 'it is lost');
    await mend(
      version === 16 ? /invalidated: conflict/ : /invalidated: rows_removed/,
      /hot_standby_feedback = on/,
      () => restart(standby, { hot_standby_feedback: 'on' }),
    );
  });

  it('loses its slot when wal_level is lowered on the primary, and gets it back', async () => {
    await restart(primary, { wal_level: 'replica' });
    const lost = `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pg2kinesis' AND conflicting`;
    await eventually(async () => (await standby.sql(lost)).length > 0, 'it is lost');
    const reason = version === 16 ? /invalidated: conflict/ : /invalidated: wal_level_insufficient/;
    await mend(reason, /set it to logical there|wal_level is logical on the primary/, async () => {
      await restart(primary, { wal_level: 'logical' });
      // Until the standby has replayed that, it makes no slot.
      uncaptured.add(nextId);
      await insert(1);
      await replayed();
    });
  });

  // The last one: the primary does not survive it.
  it('I2: promoted in mid-run goes on: nothing is lost, and nothing published that is not there', async () => {
    await insert(20_000);
    await replayed();
    const before = arrived().length;
    const running = run();
    await eventually(() => Promise.resolve(arrived().length > before), 'the run publishes');
    await standby.promote();
    assert.ok(['caught-up', 'waiting-for-replay'].includes(String((await running)['stopped'])));
    await primary.halt('immediate');
    await insert(10, standby);
    const answer = await run();
    assert.equal(answer['stopped'], 'caught-up');
    assert.equal((answer['server'] as { role: string }).role, 'primary');
    const there = (await standby.sql<{ id: number }>('SELECT id FROM t')).map(({ id }) => id);
    const missed = new Set(there);
    for (const id of arrived()) missed.delete(id);
    assert.deepEqual(missed, uncaptured);
    const known = new Set(there);
    assert.deepEqual(
      arrived().filter((id) => !known.has(id)),
      [],
    );
  });
});
