/**
 * A replica while its source fails over to a standby, again and again: with the standby awaited, in the middle of a snapshot, where
 * changes were published that the standby did not have, and where the copy had applied some of them. `PG2KINESIS_FAILOVER=17,setting`:
 * on another version from 17 on, bound by STANDBY_SLOTS instead of synchronized_standby_slots, and with what takes minutes.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import type { Container } from '../chaos/container.ts';
import { type Arrived, eventually } from '../chaos/environment.ts';
import { lsn } from '../chaos/record-assertions.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { randomOf } from './rules/model/random.ts';
import { BANK, Bank, BANK_TABLES, FILL, TOTAL } from './support/bank.ts';
import { keepRunning, keepWriting, type Runs } from './support/keep-going.ts';
import { hashes, ReplicaRig } from './support/replica-rig.ts';
import { SumReader } from './support/sum-reader.ts';

const [VERSION = '18', BOUND = 'list'] = (process.env['PG2KINESIS_FAILOVER'] ?? '18,list').split(',');

let rig: ReplicaRig;
let primary: PostgresServer;
let standby: PostgresServer;
const standbys: PostgresServer[] = [];
/** The cluster's name. */
let name: TcpProxy;
/** Between the primary and its standby. */
let link: TcpProxy;
let banks = 0;

/** What the function is told: it reaches the primary by name. */
const settings = () => ({
  PGPORT: String(name.port),
  SLOT_FAILOVER: 'on',
  LANES: lanes,
  MARKS: 'on',
  ...(isBound && BOUND === 'setting' ? { STANDBY_SLOTS: 'phys' } : {}),
});
/** Whether runs are bound by the standby. */
let isBound = false;
let lanes = '4';
/** A table for a snapshot that takes several runs. */
const ROWS = 'CREATE TABLE public.rows (id integer PRIMARY KEY, n integer NOT NULL, big text)';
/** A writer whose keys nobody else has. */
const newBank = async (): Promise<Bank> => new Bank(await primary.client(), ++banks, banks * 10_000);
const cut = async (): Promise<string | undefined> =>
  (await rig.target.sql<{ cut: string }>('SELECT cut::text FROM pg2kinesis.replica').catch(() => []))[0]?.cut;

async function write(count: number): Promise<void> {
  const bank = await newBank();
  for (let left = count; left > 0; left--) await bank.write();
}

async function withContainer<T>(use: (container: Container) => Promise<T>): Promise<T> {
  const container = await rig.environment.container(settings());
  try {
    return await use(container);
  } finally {
    await container.kill();
  }
}

/** Publishes everything, and applies it. */
async function catchUp(): Promise<void> {
  await withContainer((container) => container.run({ action: 'drain' }));
  const { status, err } = await rig.catchUp();
  assert.equal(status, 0, err);
}

/** A new standby of the primary, with a copy of the slot that a promotion keeps. @param isAwaited - whether runs are bound by it */
async function addStandby(isAwaited: boolean): Promise<void> {
  link = await startTcpProxy(primary.port);
  const sync = { sync_replication_slots: 'on', hot_standby_feedback: 'on', wal_receiver_status_interval: '1' };
  standby = await primary.standby({ slot: 'phys', through: link.port, settings: sync });
  standbys.push(standby);
  isBound = isAwaited;
  if (isBound && BOUND === 'list') {
    await primary.sql(`ALTER SYSTEM SET synchronized_standby_slots = 'phys'`);
    await primary.sql('SELECT pg_reload_conf()');
  }
  await withContainer((container) =>
    eventually(async () => {
      await write(1);
      await container.run({ action: 'run' });
      await primary.sql('SELECT pg_log_standby_snapshot()');
      const ready = await standby.sql(
        `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pg2kinesis' AND synced AND NOT temporary`,
      );
      return ready.length > 0;
    }, 'the copy of the slot is ready'),
  );
}

/** The primary dies, and its standby is the primary. */
async function failOver(): Promise<void> {
  await primary.halt('immediate');
  await link.stop();
  await standby.promote();
  name.leadTo(standby.port);
  name.cut();
  primary = standby;
  // It has no standby yet.
  isBound = false;
}

/** Where the present timeline of the primary began. */
async function forkOf(): Promise<bigint> {
  const { marks } = await rig.environment.marked();
  const forks = marks.map(({ text }) => (JSON.parse(text) as { forks?: [number, string][] }).forks ?? []);
  const [, commitLsn = ''] = forks.flat().toSorted(([a], [b]) => b - a)[0] ?? [];
  return lsn({ commitLsn } as Arrived);
}

describe(`a replica whose source fails over, on ${VERSION}, bound by ${BOUND}`, () => {
  before(async () => {
    rig = await ReplicaRig.start({ version: VERSION, target: VERSION });
    primary = rig.source;
    name = await startTcpProxy(primary.port);
    await Promise.all([primary, rig.target].map((server) => server.sql(`${BANK}; ${ROWS}`)));
    await withContainer((container) => container.run({ action: 'create-slot' }));
    await primary.sql(FILL);
  });
  after(async () => {
    await name.stop();
    await link.stop();
    await Promise.all(standbys.map((each) => each.stop()));
    await rig.stop();
  });

  it('goes on over the opening marks of the new timeline, where runs were bound by the standby', async () => {
    await addStandby(true);
    await catchUp();
    const over = new AbortController();
    const going = { signal: over.signal, random: randomOf(1) };
    const reader = new SumReader(rig.target);
    const replica = rig.begin();
    const ended = once(replica, 'close');
    let err = '';
    replica.stderr?.on('data', (text: Buffer) => (err += text.toString()));
    replica.stdout?.resume();
    const applies = async (what: string): Promise<void> => {
      const before = await cut();
      await eventually(async () => replica.exitCode !== null || (await cut()) !== before, what);
      assert.equal(replica.exitCode, null, err);
    };
    const writers = new Map<unknown, Bank>();
    const runs: Runs = { answers: 0, kills: 0, errors: {} };
    const others = Promise.all([
      keepWriting(
        () => primary,
        async (client) => {
          const bank = writers.get(client) ?? new Bank(client, ++banks, banks * 10_000);
          writers.set(client, bank);
          await bank.write();
        },
        going,
        20,
      ),
      keepRunning(rig, going, settings, runs),
    ]);
    for (let i = 0; i < 3; i++) await applies('the replica applies what comes');
    // What is committed from here on is lost with the primary, and is not published.
    link.hold();
    const [behind] = await standby.sql<{ lsn: string }>('SELECT pg_last_wal_receive_lsn()::text AS lsn');
    await eventually(
      async () =>
        (await primary.sql('SELECT 1 WHERE pg_current_wal_lsn() > $1::pg_lsn + 100000', [behind?.lsn])).length > 0,
      'something is lost',
    );
    await failOver();
    for (let i = 0; i < 3; i++) await applies('the replica applies what comes from the new primary');
    await eventually(() => reader.looks > 50 && runs.answers > 0, 'somebody looks, and a run ends by itself');
    over.abort();
    await others;
    await eventually(
      async () => (await primary.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory'`)).length === 0,
      'the lock is free',
    );
    replica.kill('SIGINT');
    assert.deepEqual(await ended, [0, null], err);
    await catchUp();
    await reader.stop();
    assert.deepEqual([...reader.sums], [String(TOTAL)]);
    assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(primary, BANK_TABLES));
    const [row] = await rig.target.sql<{ timelines: number[] }>(
      'SELECT lane_timelines AS timelines FROM pg2kinesis.replica',
    );
    assert.deepEqual(row?.timelines, [2, 2, 2, 2]);
  });

  // Too long for a test of every day.
  if (process.env['PG2KINESIS_FAILOVER'] !== undefined)
    it('has the rows of a snapshot in the middle of which LANES was changed, and a standby promoted', async () => {
      await addStandby(true);
      await primary.sql(
        `INSERT INTO public.rows SELECT i, 0, repeat(md5(i::text), 50) FROM generate_series(1, 12000) AS i;
       GRANT USAGE ON SCHEMA public TO cdc; GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc`,
      );
      await catchUp();
      await rig.target.sql('CREATE DATABASE snapped');
      const snapped = await rig.target.client({ database: 'snapped' });
      // As if it began after the stream had given up what was published until now.
      await snapped.query(`${BANK}; ${ROWS}`);
      const [{ at } = { at: '' }] = await primary.sql<{ at: string }>('SELECT pg_current_wal_flush_lsn()::text AS at');
      const replicate = (...flags: string[]) => rig.catchUp(flags, 'snapped');
      const begun = await replicate('--start-after', at);
      assert.equal(begun.status, 0, begun.err);
      // Its rows come by a snapshot all the same, which is not to be asked for together with that option.
      await snapped.query(`UPDATE pg2kinesis.replica SET copying = '"awaited"'`);
      const partOf = async (action: object): Promise<boolean> =>
        await withContainer(async (container) => (await container.run(action)).snapshot?.done === true);
      rig.environment.proxy.always(() => ({ kind: 'delay', ms: 700 }));
      const tables = [...BANK_TABLES, 'public.rows'];
      assert.equal(await partOf({ action: 'snapshot', tables, maxSeconds: 8 }), false, 'it is over too soon');
      await write(20);
      await primary.sql(
        'UPDATE public.rows SET n = n + 1 WHERE id % 7 = 0; UPDATE public.rows SET id = -id WHERE id % 100 = 0',
      );
      // Not read by the replica before: each run ends with marks in all lanes.
      lanes = '8';
      await partOf({ action: 'run', maxSeconds: 8 });
      const before = await replicate();
      assert.equal(before.status, 0, before.err);
      const copying = async () =>
        (await snapped.query<{ copying: unknown }>('SELECT copying FROM pg2kinesis.replica')).rows[0]?.copying;
      assert.notEqual(await copying(), null);
      await eventually(
        async () =>
          (await primary.sql(`SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()`)).length > 0,
        'the standby has all',
      );
      await failOver();
      await write(20);
      await primary.sql('UPDATE public.rows SET n = n + 1 WHERE id % 5 = 0; DELETE FROM public.rows WHERE id % 11 = 0');
      rig.environment.proxy.always(() => ({ kind: 'pass' }));
      await eventually(async () => {
        await partOf({ action: 'run', maxSeconds: 20 });
        await catchUp();
        const { status, err } = await replicate();
        assert.equal(status, 0, err);
        return (await copying()) === null;
      }, 'the snapshot is over, and applied');
      await snapped.end();
      assert.deepEqual(await hashes(rig.target, tables, 'snapped'), await hashes(primary, tables));
      assert.deepEqual(await hashes(rig.target, tables), await hashes(primary, tables));
    });

  it('drops what the source has lost, where that was published and not applied', async () => {
    await addStandby(false);
    await catchUp();
    link.hold();
    await withContainer(async (container) => {
      await container.run({ action: 'run' });
      await write(20);
      // One lane gets nothing, so no state of the source after this is known to be whole.
      rig.environment.proxy.always(() => ({ kind: 'refuse', entries: (index) => index === 0 }));
      await container.invoke({ action: 'run', maxSeconds: 5 });
    });
    const published = await rig.environment.arrived();
    const replica = rig.catchUp();
    await failOver();
    rig.environment.proxy.always(() => ({ kind: 'pass' }));
    assert.equal((await replica).status, 0);
    await write(10);
    await catchUp();
    const fork = await forkOf();
    const lost = published.filter((record) => lsn(record) > fork);
    assert.ok(lost.length > 0, 'nothing was published that the standby did not have');
    assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(primary, BANK_TABLES));
  });

  it('ends with 3 where it has applied what the source has lost, and leaves the copy as it is', async () => {
    await addStandby(false);
    await catchUp();
    link.hold();
    await write(20);
    await catchUp();
    const [copied, applied] = [await hashes(rig.target, BANK_TABLES), await cut()];
    await failOver();
    await write(10);
    const replica = rig.begin();
    let err = '';
    replica.stderr?.on('data', (text: Buffer) => (err += text.toString()));
    replica.stdout?.resume();
    const ended = once(replica, 'close');
    await withContainer((container) => container.run({ action: 'drain' }));
    assert.deepEqual(await ended, [3, null], err);
    assert.match(
      err,
      new RegExp(`HISTORY_CHANGED: The source went on from [0-9A-F/]+ on timeline ${standbys.length + 1}`),
    );
    const [, said = ''] = /went on from ([0-9A-F/]+) /.exec(err) ?? [];
    assert.equal(lsn({ commitLsn: said } as Arrived), await forkOf());
    assert.ok(err.includes(`up to ${applied ?? 'none'}.`), err);
    const again = await rig.catchUp();
    assert.equal(again.status, 3, again.err);
    assert.deepEqual([await hashes(rig.target, BANK_TABLES), await cut()], [copied, applied]);
  });
});
