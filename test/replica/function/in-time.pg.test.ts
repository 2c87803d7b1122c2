/** A `StreamReplica`'s function and its time: it says why that was too little, and leaves nothing behind at the target. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Login } from '../../../lambda/postgres/credentials.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { eventOf, eventOfData, insertOf, makeFunction, Said } from '../support/function-rig.ts';

/** What an invocation has here. Most of it passes. */
const SHORT_MS = 3_000;
/** Where it is told from what happens a twentieth of it later. */
const LONGER_MS = 10_000;

let target: PostgresServer;
let proxy: TcpProxy;
let said: Said;
/** Where containers connect to. */
let port: number;

function container(over: Readonly<Record<string, string>> = {}) {
  const { user, password, host, database } = target.connection;
  const login = (): Promise<Login> => Promise.resolve({ host, port, database, user, password });
  return makeFunction(target, said, over, { get: login, after: () => Promise.resolve(undefined) });
}

async function ids(table = 'places'): Promise<number[]> {
  return (await target.sql<{ id: number }>(`SELECT id FROM public.${table} ORDER BY id`)).map(({ id }) => id);
}

/** Sessions of functions that are in the middle of something. */
async function busy(): Promise<number> {
  const rows = await target.sql(
    `SELECT FROM pg_stat_activity WHERE application_name = 'pg2kinesis replicate' AND state <> 'idle'`,
  );
  return rows.length;
}

describe('the time of an invocation', () => {
  before(async () => {
    target = await startPostgres();
    proxy = await startTcpProxy(target.port);
    await target.sql(
      `CREATE TABLE public.places (id int PRIMARY KEY, body text, big text); CREATE TABLE public.held (LIKE public.places INCLUDING ALL);
       CREATE TABLE public.slow (LIKE public.places INCLUDING ALL);
       CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END';
       CREATE TRIGGER waits BEFORE INSERT ON public.slow FOR EACH ROW EXECUTE PROCEDURE public.wait();
       ALTER TABLE public.slow ENABLE ALWAYS TRIGGER waits`,
    );
    // The tables of the copy.
    await makeFunction(target, new Said()).invoke(eventOf(insertOf('s', 1)));
  });
  beforeEach(async () => {
    said = new Said();
    port = target.port;
    await target.sql('DELETE FROM pg2kinesis.replica; TRUNCATE public.places');
  });
  after(async () => {
    await proxy.stop();
    await target.stop();
  });

  it('ends with a reason where somebody holds a table, with what was before applied, and no session left that waits', async () => {
    const [copy, client] = [container(), await target.client()];
    await copy.invoke(eventOf(insertOf('s', 1)));
    await client.query('BEGIN; LOCK TABLE public.held');
    const event = eventOf(insertOf('s', 2), { ...insertOf('s', 3), table: 'held' }, insertOf('s', 4));
    assert.deepEqual(await copy.invoke(event, LONGER_MS), { batchItemFailures: [{ itemIdentifier: '2' }] });
    assert.match(said.logged.at(-1) ?? '', /^TARGET_UNREACHABLE: .*\(55P03\).* Somebody else works on the same rows/);
    assert.deepEqual([await ids(), await busy()], [[1, 2], 0]);
    await client.query('ROLLBACK');
    assert.deepEqual(await copy.invoke(event), { batchItemFailures: [] });
    assert.deepEqual([await ids(), await ids('held')], [[1, 2, 4], [3]]);
    await Promise.all([client.end(), copy.close()]);
  });

  it('ends with a reason, too, where somebody holds what a container begins with', async () => {
    const [copy, client] = [container(), await target.client()];
    await client.query('BEGIN; LOCK TABLE pg2kinesis.replica');
    const event = eventOf(insertOf('s', 1));
    await assert.rejects(copy.invoke(event, LONGER_MS), /TARGET_UNREACHABLE: .*\(55P03\)/);
    await client.query('ROLLBACK');
    assert.deepEqual(await copy.invoke(event), { batchItemFailures: [] });
    await Promise.all([client.end(), copy.close()]);
  });

  it('is enough for a part of a batch, where the target is slow: the rest is given again', async () => {
    const copy = container({ TRIGGERS: 'on' });
    await copy.invoke(eventOf(insertOf('s', 1)));
    const records = Array.from({ length: 20 }, (_, i) => ({ ...insertOf('s', i + 2), table: 'slow' }));
    const { batchItemFailures } = await copy.invoke(eventOf(...records), SHORT_MS);
    const done = Number(batchItemFailures[0]?.itemIdentifier) - 1;
    assert.ok(done > 0 && done < 20, `${done} done`);
    assert.deepEqual([(await ids('slow')).length, said.logged], [done, []]);
    await copy.close();
  });

  it('says that a statement took too long', async () => {
    const copy = container({ TRIGGERS: 'on' });
    await copy.invoke(eventOf(insertOf('s', 1)));
    const line = (id: number) => JSON.stringify({ ...insertOf('s', id), table: 'slow' });
    const all = Array.from({ length: 60 }, (_, i) => line(100 + i)).join('\n');
    const event = eventOfData([JSON.stringify(insertOf('s', 2)), all].map((each) => Buffer.from(each)));
    assert.deepEqual(await copy.invoke(event, LONGER_MS), { batchItemFailures: [{ itemIdentifier: '2' }] });
    assert.match(said.logged.at(-1) ?? '', /^TARGET_UNREACHABLE: .*\(57014\).* find out what the target is busy with/);
    assert.deepEqual(await ids(), [1, 2]);
    await copy.close();
  });

  it('is not lost to a connection that says nothing any more, as after a failover while the container was frozen', async () => {
    port = proxy.port;
    const copy = container();
    await copy.invoke(eventOf(insertOf('s', 1)));
    proxy.hold();
    port = target.port;
    assert.deepEqual(await copy.invoke(eventOf(insertOf('s', 2))), { batchItemFailures: [] });
    assert.deepEqual(await ids(), [1, 2]);
    proxy.release();
    await copy.close();
  });

  it('ends with a reason where the target falls silent in the middle of a batch', async () => {
    port = proxy.port;
    const [copy, client] = [container(), await target.client()];
    await copy.invoke(eventOf(insertOf('s', 1)));
    await client.query('BEGIN; LOCK TABLE public.places');
    const invoked = copy.invoke(eventOf(insertOf('s', 2)), LONGER_MS);
    for (let waits = 0; waits === 0;)
      waits = (await client.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount ?? 0;
    proxy.hold();
    await assert.rejects(invoked, /^TARGET_UNREACHABLE: .*\(Connection terminated unexpectedly\)/);
    proxy.release();
    await client.end();
  });
});
