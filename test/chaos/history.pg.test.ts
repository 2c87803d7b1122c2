/**
 * What a warm container says after the server's history has changed under it: a restore to a point in time, and an older
 * state of the disk put back. What it names is what the stream holds and the server does not.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parseLsn } from '../../lambda/decode/lsn.ts';
import { InProcessFunction } from '../support/in-process.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { eventually } from './environment.ts';
import { assertInProcessMarksHold } from './mark-assertions.ts';

describe('a changed history', () => {
  let server: PostgresServer;
  let name: TcpProxy;
  const restored: PostgresServer[] = [];
  let nextId = 1;

  before(async () => {
    server = await startPostgres({ version: '18' });
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'secret'; CREATE TABLE t (id int PRIMARY KEY)`);
    name = await startTcpProxy(server.port);
  });
  after(async () => {
    await name.stop();
    await Promise.all([server, ...restored].map((each) => each.stop()));
  });

  const warm = () =>
    new InProcessFunction({
      PGHOST: '127.0.0.1',
      PGPORT: String(name.port),
      PGDATABASE: 'postgres',
      PGUSER: 'cdc',
      PGPASSWORD: 'secret',
      MARKS: 'on',
    });
  const insert = async (on: PostgresServer, count: number) => {
    for (let i = 0; i < count; i++) await on.sql('INSERT INTO t VALUES ($1)', [nextId++]);
  };
  const leadTo = (to: PostgresServer) => {
    name.leadTo(to.port);
    name.cut();
  };
  const idsOf = async (on: PostgresServer) =>
    new Set((await on.sql<{ id: number }>('SELECT id FROM t')).map(({ id }) => id));
  const lsnIn = (text: string, pattern: RegExp) => parseLsn(pattern.exec(text)?.[1] ?? '') ?? 0n;

  it('after a restore to a point in time names exactly what never existed there', async () => {
    const it = warm();
    const made = await it.invoke({ action: 'create-slot' });
    assert.match(it.warnings.join(), /What is committed from LSN [0-9A-F/]+ on is captured/);
    assert.deepEqual(Object.keys(made['server'] as object), ['systemIdentifier', 'timeline', 'role']);
    const base = await server.copy(false);
    await insert(server, 10);
    const [{ lsn } = { lsn: '' }] = await server.sql<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    await insert(server, 10);
    await it.invoke({ action: 'run' });
    const copy = await base.start({ untilLsn: lsn });
    restored.push(copy);
    await eventually(
      async () => (await copy.sql<{ r: boolean }>('SELECT pg_is_in_recovery() AS r'))[0]?.r === false,
      'it is restored',
    );
    leadTo(copy);
    const said = await it.refusal({ action: 'run' });
    assert.match(
      said,
      /^SLOT_MISSING: .*timeline 2\. Before, it was system \d+, timeline 1\. The last commit published .*docs\/failover\.md/,
    );
    const fork = lsnIn(said, /Timeline 1 ended at LSN ([0-9A-F/]+)\. Records with a commit LSN above it/);
    const there = await idsOf(copy);
    const named = it.records.filter(({ commitLsn }) => (parseLsn(commitLsn) ?? 0n) > fork).map(({ key }) => key.id);
    assert.equal(named.length, 10);
    assert.deepEqual(
      named,
      it.records.map(({ key }) => key.id).filter((id) => !there.has(id)),
    );
    assertInProcessMarksHold(it.arrived);
    leadTo(server);
  });

  it('after an older state of the disk was put back names the range in which records may never have existed', async () => {
    const it = warm();
    await it.invoke({ action: 'run' });
    await insert(server, 5);
    const snapshot = await server.copy(true);
    await insert(server, 10);
    await it.invoke({ action: 'run' });
    const before = it.records.length;
    // The crash for the copy has been in the log already.
    it.lines.length = 0;
    const copy = await snapshot.start();
    restored.push(copy);
    leadTo(copy);
    const answer = await it.invoke({ action: 'run' });
    assert.equal(answer['stopped'], 'caught-up');
    const [told = '', ...more] = it.warnings.filter((line) => line.includes('The slot is at'));
    assert.deepEqual(more, []);
    const from = lsnIn(told, /The slot is at ([0-9A-F/]+)\./);
    const upTo = lsnIn(told, /published up to ([0-9A-F/]+)\./);
    const again = new Set(it.records.slice(before).map(({ id }) => id));
    const there = await idsOf(copy);
    const named = it.records.slice(0, before).filter(({ id, commitLsn }) => {
      const lsn = parseLsn(commitLsn) ?? 0n;
      return lsn > from && lsn <= upTo && !again.has(id);
    });
    assert.deepEqual(
      named.map(({ key }) => key.id),
      it.records.map(({ key }) => key.id).filter((id) => !there.has(id)),
    );
    assert.equal(named.length, 10);
    // It says so once.
    await it.invoke({ action: 'run' });
    assert.equal(it.warnings.filter((line) => line.includes('The slot is at')).length, 1);
    // The timeline is the same, so no mark takes back what others said: docs/replica.md says to make a copy anew.
    assert.throws(() => assertInProcessMarksHold(it.arrived), /I12: .* after a mark that says all up to/);
  });
});
