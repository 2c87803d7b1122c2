/**
 * The bound of STANDBY_SLOTS on real servers: a primary and a standby, with a link between that can be held.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { InProcessFunction } from '../../support/in-process.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { startCuttingProxy } from '../../support/protocol-proxy.ts';
import { Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { eventually } from '../postgres/fixtures.ts';

describe('STANDBY_SLOTS', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  /** Between the two. */
  let link: TcpProxy;
  /** The cluster's name. */
  let name: TcpProxy;
  let slots = 0;

  before(async () => {
    primary = await startPostgres();
    await primary.sql('CREATE TABLE t (id int PRIMARY KEY)');
    link = await startTcpProxy(primary.port);
    name = await startTcpProxy(primary.port);
    standby = await primary.standby({ slot: 'phys', through: link.port });
  });
  after(async () => {
    await Promise.all([link.stop(), name.stop()]);
    await Promise.all([primary.stop(), standby.stop()]);
  });

  const laggard = async (over: PipelineOptions = {}): Promise<Pipeline> => {
    const slot = `s${++slots}`;
    await primary.createSlot(slot);
    return new Pipeline(primary, slot, { standbySlots: ['phys'], ...over });
  };
  const insert = (first: number, last: number) =>
    primary.sql(`INSERT INTO t SELECT generate_series(${first}, ${last})`);
  /** The primary knows that the standby has all of it: it may be seen there before. */
  const confirmed = async () => {
    const [now] = await primary.sql<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    const slot = `SELECT FROM pg_replication_slots WHERE slot_name = 'phys' AND restart_lsn >= '${now?.lsn}'::pg_lsn`;
    await eventually(async () => (await primary.sql(slot)).length > 0, 'the standby has confirmed it');
  };
  const ids = ({ records }: Pipeline) => records.map(({ key }) => Number(key?.['id']));

  it('costs a run no statement', async () => {
    const proxy = await startCuttingProxy(primary.port);
    try {
      const counts: number[] = [];
      let id = 0;
      for (const standbySlots of [[], ['phys']]) {
        const pipeline = await laggard({ standbySlots, port: proxy.port });
        await pipeline.run();
        // What the server writes by itself just then is waited for: not in each of three runs.
        let least = Infinity;
        for (let i = 0; i < 3; i++) {
          await insert(++id, id);
          await confirmed();
          proxy.arm(0);
          assert.equal((await pipeline.run()).stopped, 'caught-up');
          least = Math.min(least, proxy.statements);
        }
        counts.push(least);
      }
      assert.equal(counts[1], counts[0]);
    } finally {
      await proxy.stop();
    }
  });

  it('fails where no standby can be waited for, with the names', async () => {
    await primary.sql(`SELECT pg_create_physical_replication_slot('never_used')`);
    const refused = async (standbySlots: string[], said: RegExp) => {
      const pipeline = await laggard({ standbySlots });
      await assert.rejects(pipeline.run(), (error: Error) => {
        assert.match(error.message, said);
        assert.match(
          error.message,
          /^CONFIG_INVALID: STANDBY_SLOTS .*not advanced over what was not acknowledged\. Let the standby use that slot/,
        );
        assert.doesNotMatch(error.message, /"phys"/);
        return true;
      });
    };
    await refused(['never_used', 'nobody'], /"never_used" was never used.*no slot "nobody"/);
    await refused(['phys', 's1'], /"s1" is a logical slot/);
  });

  it('waits for those that are there, and says which are not', async () => {
    // In a cluster each member has a slot on the primary, and the primary has none for itself.
    const pipeline = await laggard({ standbySlots: ['phys', 'never_used', 'nobody'] });
    assert.equal((await pipeline.run()).stopped, 'caught-up');
    assert.equal(pipeline.warnings.filter((line) => line.includes('no standby uses on this server')).length, 1);
  });

  it('is met by mistake, by each action', async () => {
    const { port, connection } = standby;
    const { user: PGUSER, password: PGPASSWORD } = connection;
    const misled = new InProcessFunction({
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGDATABASE: 'postgres',
      PGUSER,
      PGPASSWORD,
      SLOT_NAME: 's1',
    });
    for (const event of [
      { action: 'run' },
      { action: 'drain' },
      { action: 'create-slot' },
      { action: 'drop-slot' },
      { action: 'skip-transaction', commitLsn: '0/1' },
      { action: 'copy-slot', from: 'other' },
    ])
      assert.match(await misled.refusal(event), /^SERVER_IS_STANDBY: .* is a standby, and /, event.action);
    const { ok, findings } = await misled.invoke({ action: 'check' });
    assert.equal(ok, false);
    assert.match(JSON.stringify(findings), /"server role","state":"fault","found":"a standby/);
    const { server } = await misled.invoke({ action: 'status' });
    assert.equal((server as { role: string }).role, 'standby');
  });

  it('is met by mistake: no version calls its slot gone', async () => {
    await assert.rejects(new Pipeline(standby, 's1').run(), (error: Error) => {
      assert.match(error.message, /^SERVER_IS_STANDBY: .* is a standby, and .*not advanced\. Connect to the primary/);
      assert.doesNotMatch(error.message, /reload|report/);
      return true;
    });
  });

  it('I2: publishes only what the standby has, says whom it waits for, and goes on by itself', async () => {
    const pipeline = await laggard();
    await insert(101, 110);
    await confirmed();
    link.hold();
    await insert(111, 120);
    const held = await pipeline.run();
    assert.deepEqual([held.stopped, held.caughtUp, held.waitsFor], ['waiting-for-standby', false, ['phys']]);
    assert.ok((held.lagBytes ?? 0) > 0 && held.durationMs < 20_000);
    const again = await pipeline.run();
    assert.deepEqual([again.stopped, again.published], ['waiting-for-standby', 0]);
    assert.ok(pipeline.warnings.some((line) => line.includes('"phys" (connected, ')));
    assert.deepEqual(
      ids(pipeline),
      Array.from({ length: 10 }, (_, i) => 101 + i),
    );
    link.release();
    await confirmed();
    const released = await pipeline.run();
    assert.deepEqual([released.stopped, released.published], ['caught-up', 10]);
  });

  it('I2: waits for each of two standbys, whichever is behind', async () => {
    // A slot keeps WAL from the last checkpoint on: that far its standby counts as having confirmed.
    const confirmBySecond = async () => {
      await primary.sql(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'second'`,
      );
      await primary.sql('CHECKPOINT');
      await primary.sql(`SELECT pg_create_physical_replication_slot('second', true)`);
    };
    await confirmBySecond();
    const pipeline = await laggard({ standbySlots: ['phys', 'second'] });
    await insert(131, 140);
    await confirmed();
    const one = await pipeline.run();
    assert.deepEqual([one.stopped, one.published], ['waiting-for-standby', 0]);
    assert.ok(one.waitsFor?.includes('second'));
    link.hold();
    await insert(141, 150);
    await confirmBySecond();
    const other = await pipeline.run();
    assert.deepEqual([other.stopped, other.published], ['waiting-for-standby', 10]);
    assert.ok(other.waitsFor?.includes('phys'));
    link.release();
    await confirmBySecond();
    await confirmed();
    assert.equal((await pipeline.run()).published, 10);
    assert.deepEqual(
      ids(pipeline),
      Array.from({ length: 20 }, (_, i) => 131 + i),
    );
  });

  // The last one: the primary does not survive it.
  it('I2: publishes nothing that is not there after a failover; without it the stream is ahead', async () => {
    const bounded = await laggard({ port: name.port });
    const unbounded = await laggard({ standbySlots: [], port: name.port });
    await insert(201, 210);
    await confirmed();
    link.hold();
    await insert(211, 220);
    await bounded.run();
    await unbounded.run();
    await primary.halt('immediate');
    link.cut();
    await standby.promote();
    const there = new Set((await standby.sql<{ id: number }>('SELECT id FROM t')).map(({ id }) => id));
    const phantoms = (pipeline: Pipeline) => ids(pipeline).filter((id) => !there.has(id));
    assert.deepEqual(phantoms(bounded), []);
    assert.equal(phantoms(unbounded).length, 10, 'else this test shows nothing');
  });
});
