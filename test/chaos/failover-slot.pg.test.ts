/**
 * A failover slot and its standby (PostgreSQL 18), in the order of a server's life: the slot is made and converted, a
 * standby is away, the standby is met by mistake, and it is promoted. Then a standby of the new primary is the source.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { InProcessFunction } from '../support/in-process.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { eventually } from './environment.ts';
import { assertInProcessMarksHold, assertMarkedToTheEnd } from './mark-assertions.ts';

describe('a failover slot', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  /** Between the two. */
  let link: TcpProxy;
  /** The cluster's name. */
  let name: TcpProxy;
  /** The warm container. */
  let warm: InProcessFunction;
  let nextId = 1;

  const at = (port: number, over: Record<string, string> = {}) =>
    new InProcessFunction({
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGDATABASE: 'postgres',
      PGUSER: 'cdc',
      PGPASSWORD: 'secret',
      ...over,
    });
  const insert = async (server = primary, count = 10) => {
    await server.sql(`INSERT INTO t SELECT generate_series(${nextId}, ${nextId + count - 1})`);
    nextId += count;
  };
  const setting = async (server: PostgresServer, what: string) => {
    await server.sql(`ALTER SYSTEM SET ${what}`);
    await server.sql('SELECT pg_reload_conf()');
  };
  const replicated = (on = standby) =>
    eventually(async () => (await on.sql('SELECT 1 FROM t WHERE id = $1', [nextId - 1])).length > 0, 'it is there');
  const slotOf = async (server: PostgresServer, slot = 'pg2kinesis') =>
    (await server.sql<Record<string, unknown>>('SELECT * FROM pg_replication_slots WHERE slot_name = $1', [slot]))[0];
  const ids = ({ records }: InProcessFunction) => records.filter(({ table }) => table === 't').map(({ key }) => key.id);
  const serverOf = (answer: Record<string, unknown>) => answer['server'] as { timeline?: number; role: string };
  const run = (on = warm) => on.invoke({ action: 'run' });

  before(async () => {
    primary = await startPostgres({ version: '18' });
    await primary.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'secret'; CREATE TABLE t (id int PRIMARY KEY)`);
    link = await startTcpProxy(primary.port);
    name = await startTcpProxy(primary.port);
    standby = await primary.standby({
      slot: 'phys',
      through: link.port,
      settings: { sync_replication_slots: 'on', hot_standby_feedback: 'on', wal_receiver_status_interval: '1' },
    });
    warm = at(name.port, { SLOT_FAILOVER: 'on', MARKS: 'on' });
  });
  after(async () => {
    await Promise.all([link.stop(), name.stop()]);
    await Promise.all([primary.stop(), standby.stop()]);
  });

  it('is converted in place, by the role of the pipeline, without a gap', async () => {
    await at(primary.port).invoke({ action: 'create-slot' });
    const findings = async () => JSON.stringify((await warm.invoke({ action: 'check' }))['findings']);
    assert.match(await findings(), /SLOT_FAILOVER is on, and the slot is no failover slot/);
    await insert();
    const before = await slotOf(primary);
    const answer = await warm.invoke({ action: 'create-slot' });
    assert.deepEqual([answer['created'], answer['failover'], answer['converted']], [false, true, true]);
    const now = await slotOf(primary);
    assert.deepEqual([now?.['failover'], now?.['confirmed_flush_lsn']], [true, before?.['confirmed_flush_lsn']]);
    assert.equal((await warm.invoke({ action: 'create-slot' }))['converted'], false);
    assert.match(await findings(), /runs wait for no standby: after a failover the stream can hold changes/);
    assert.equal((await run())['published'], 10);
  });

  it('is made as one, and keeps the property when it is renamed', async () => {
    const made = at(primary.port, { SLOT_FAILOVER: 'on', SLOT_NAME: 'made' });
    assert.equal((await made.invoke({ action: 'create-slot' }))['created'], true);
    assert.equal((await slotOf(primary, 'made'))?.['failover'], true);
    const properties = {
      slotName: 'made',
      databaseHost: '127.0.0.1',
      databasePort: String(primary.port),
      databaseName: 'postgres',
    };
    const event = { RequestType: 'Update', LogicalResourceId: 'Slot', ResourceType: 'Custom::Pg2KinesisSlot' };
    const created = await at(primary.port, { SLOT_NAME: 'made' }).invoke({
      ...event,
      RequestType: 'Create',
      RequestId: '1',
      ResourceProperties: properties,
    });
    await at(primary.port, { SLOT_NAME: 'renamed' }).invoke({
      ...event,
      RequestId: '2',
      PhysicalResourceId: created['PhysicalResourceId'],
      ResourceProperties: { ...properties, slotName: 'renamed' },
      OldResourceProperties: properties,
    });
    assert.equal((await slotOf(primary, 'renamed'))?.['failover'], true);
    // By hand, where the old one is a failover slot and where the setting asks for one.
    for (const [from, to, over] of [
      ['renamed', 'copied', {}],
      ['plain', 'asked_for', { SLOT_FAILOVER: 'on' }],
      ['plain', 'plain_copy', {}],
    ] as const) {
      if (from === 'plain' && to === 'asked_for') await primary.createSlot('plain');
      const answer = await at(primary.port, { SLOT_NAME: to, ...over }).invoke({ action: 'copy-slot', from });
      const isFailover = to !== 'plain_copy';
      assert.deepEqual(
        [answer['failover'] === true, (await slotOf(primary, to))?.['failover']],
        [isFailover, isFailover],
      );
    }
    await primary.sql(
      `SELECT pg_drop_replication_slot(n) FROM unnest('{made,renamed,copied,plain,asked_for,plain_copy}'::text[]) n`,
    );
  });

  it('I2: is not read past what the standbys of synchronized_standby_slots have, and the run ends in seconds', async () => {
    await setting(primary, `synchronized_standby_slots = 'phys'`);
    await replicated();
    link.hold();
    await insert();
    const answer = await run();
    assert.deepEqual(
      [answer['stopped'], answer['published'], answer['waitsFor']],
      ['waiting-for-standby', 0, ['phys']],
    );
    assert.ok(Number(answer['durationMs']) < 20_000, 'not the function time-out');
    assert.ok(warm.values.some(([metric]) => metric === 'WaitingForStandby'));
    const status = await warm.invoke({ action: 'status' });
    assert.match(JSON.stringify(status['standbys']), /"slot":"phys","connected":true,"behindBytes":[1-9]/);
    const { findings } = await warm.invoke({ action: 'check' });
    assert.match(JSON.stringify(findings), /phys: connected, [1-9]\d* bytes behind/);
    // Off the list, it goes on by itself.
    await setting(primary, `synchronized_standby_slots = ''`);
    assert.deepEqual((await run())['published'], 10);
    link.release();
    await setting(primary, `synchronized_standby_slots = 'phys'`);
  });

  it('tells a standby with a copy of it from a primary, in each action', async () => {
    await eventually(async () => {
      await insert();
      await run();
      await primary.sql('SELECT pg_log_standby_snapshot()');
      const copy = await slotOf(standby);
      return copy?.['synced'] === true && copy['temporary'] === false;
    }, 'the copy is ready');
    const misled = at(standby.port, { SLOT_FAILOVER: 'on' });
    for (const action of ['run', 'drain', 'create-slot', 'drop-slot']) {
      const said = await misled.refusal({ action });
      assert.match(
        said,
        /^SERVER_IS_STANDBY: .* is a standby\. Its slot "pg2kinesis" is a copy .*During a failover the next run succeeds by itself/,
        action,
      );
    }
    assert.match(await misled.refusal({ action: 'skip-transaction', commitLsn: '0/1' }), /^SERVER_IS_STANDBY/);
    const resource = {
      RequestType: 'Create',
      RequestId: '3',
      LogicalResourceId: 'Slot',
      ResourceType: 'Custom::Pg2KinesisSlot',
      ResourceProperties: {},
    };
    assert.match(await misled.refusal(resource), /^SERVER_IS_STANDBY/);
    const status = await misled.invoke({ action: 'status' });
    assert.equal(status['slotState'], 'standby-copy');
    assert.match(String(status['slotDetail']), /ready for a failover/);
    const { ok, findings } = await misled.invoke({ action: 'check' });
    assert.equal(ok, false);
    assert.match(JSON.stringify(findings), /"server role","state":"fault","found":"a standby.*writer endpoint/);
  });

  it('I2, I12: goes on after the promotion in the warm container, with nothing lost and nothing that never was', async () => {
    await replicated();
    await eventually(async () => (await run())['stopped'] === 'caught-up', 'all is published');
    link.hold();
    await insert();
    await run();
    await primary.halt('immediate');
    link.cut();
    await standby.promote();
    name.leadTo(standby.port);
    name.cut();
    await insert(standby);
    const answer = await run();
    assert.equal(answer['stopped'], 'caught-up');
    assert.deepEqual([serverOf(answer).timeline, serverOf(answer).role], [2, 'primary']);
    const [told = '', ...more] = warm.warnings.filter((line) => line.includes('timeline'));
    assert.deepEqual(more, []);
    assert.match(
      told,
      /on another timeline than before.*Timeline 1 ended at LSN .*Nothing that this function has published is after it/,
    );
    const there = (await standby.sql<{ id: number }>('SELECT id FROM t ORDER BY id')).map(({ id }) => id);
    assert.deepEqual(
      [...new Set(ids(warm))].toSorted((a, b) => a - b),
      there,
    );
    const { records, reaches, marks } = assertInProcessMarksHold(warm.arrived);
    assertMarkedToTheEnd(records, reaches, 2);
    const timelines = marks.map(({ text }) => (JSON.parse(text) as { timeline: number }).timeline);
    assert.deepEqual([...new Set(timelines)], [1, 2]);
  });
});
