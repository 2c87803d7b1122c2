/**
 * What `replicate --verify` needs of the server that `--from` leads to, and what it holds there and at the copy. Without a stream: instead
 * of a replica, the test says that the copy has come as far as it is wanted.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { PositionStore } from '../../replica/postgres/position-store.ts';
import { eventually } from '../chaos/environment.ts';
import { beginCli } from '../support/cli.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../support/postgres.ts';

let source: PostgresServer;
let standby: PostgresServer;
let target: pg.Client;

/** Begins a comparison. @param from - user, password and server */
function verifying({ user = 'postgres', password = source.connection.password, server = source } = {}) {
  const { host, port } = source.connection;
  return beginCli(['replicate', '--verify'], {
    REPLICATE_FROM: `postgres://${user}@${host}:${server.port}/postgres?sslmode=disable`,
    REPLICATE_FROM_PASSWORD: password,
    REPLICATE_TO: `postgres://postgres@${host}:${port}/copy?sslmode=disable`,
    REPLICATE_PASSWORD: source.connection.password,
  });
}

const isAwaited = async (): Promise<boolean> =>
  (await target.query('SELECT FROM pg2kinesis.replica WHERE stop_at > cut')).rowCount === 1;
const comeSoFar = () => target.query('UPDATE pg2kinesis.replica SET cut = stop_at WHERE stop_at > cut');

/** Lets it end. */
async function verify(from: Parameters<typeof verifying>[0] = {}) {
  await target.query(`UPDATE pg2kinesis.replica SET cut = '0/0'`);
  const { ended } = verifying(from);
  let isOver = false;
  void ended.finally(() => (isOver = true));
  await eventually(async () => {
    // A slot of a standby is made once it has heard which transactions are open.
    if (TESTED_MAJOR >= 16) await source.sql('SELECT pg_log_standby_snapshot()');
    await comeSoFar();
    return isOver;
  }, 'it is over');
  return await ended;
}

describe('a comparison with the source', () => {
  before(async () => {
    source = await startPostgres({ settings: { max_replication_slots: '2' } });
    await source.sql('CREATE DATABASE copy');
    target = await source.client({ database: 'copy' });
    for (const client of [await source.client(), target])
      await client.query(`CREATE TABLE public.a (id integer PRIMARY KEY); CREATE TABLE public.b (id integer PRIMARY KEY);
        INSERT INTO public.a VALUES (1), (2); INSERT INTO public.b VALUES (1)`);
    await source.sql(`CREATE ROLE reader LOGIN PASSWORD 'reader'`);
    await new PositionStore(target, 'pg2kinesis').begin(
      { arn: 'arn', createdMs: 1 },
      { takeOver: false, awaitsSnapshot: false },
    );
    standby = await source.standby();
    target = await source.client({ database: 'copy' });
  });
  after(async () => {
    await standby.stop();
    await source.stop();
  });

  it('takes a user with REPLICATION, and SELECT on the tables, as REPLICATE_FROM and REPLICATE_FROM_PASSWORD say', async () => {
    const reader = { user: 'reader', password: 'reader' };
    const wrong = await verify({ user: 'reader', password: 'wrong-one' });
    assert.equal(wrong.status, 1);
    assert.match(
      wrong.err,
      /SOURCE_UNREACHABLE: The source "postgres" at .* as "reader" \(28P01: password authentication failed/,
    );
    assert.doesNotMatch(wrong.err, /wrong-one/);
    const plain = await verify(reader);
    assert.equal(plain.status, 1);
    assert.match(plain.err, /VERIFY_IMPOSSIBLE: No state of the source can be had: .*REPLICATION/);
    await source.sql('ALTER ROLE reader REPLICATION');
    const blind = await verify(reader);
    assert.equal(blind.status, 1);
    assert.match(blind.err, /VERIFY_IMPOSSIBLE: .*permission denied for (table|relation) a.* need SELECT/);
    await source.sql('GRANT SELECT ON public.a, public.b TO reader');
    const { status, err } = await verify(reader);
    assert.equal(status, 0, err);
    assert.match(err, /Equal: 2 tables, 3 rows, at /);
    await source.sql('ALTER TABLE public.b ENABLE ROW LEVEL SECURITY');
    assert.match(
      (await verify(reader)).err,
      /VERIFY_IMPOSSIBLE: The table public\.b .*42501\).*row-level security BYPASSRLS/,
    );
    await source.sql('ALTER TABLE public.b DISABLE ROW LEVEL SECURITY');
  });

  it('needs a free replication slot for a moment', async () => {
    for (const name of ['one', 'two']) await source.createSlot(name);
    const { status, err } = await verify();
    assert.equal(status, 1);
    assert.match(err, /VERIFY_IMPOSSIBLE: No state of the source can be had: all replication slots are in use/);
    for (const name of ['one', 'two']) await source.sql('SELECT pg_drop_replication_slot($1)', [name]);
    assert.equal((await verify()).status, 0);
  });

  it('is one with a standby of the source, too, from 16 on', async () => {
    const { status, err } = await verify({ server: standby });
    if (TESTED_MAJOR < 16) {
      assert.equal(status, 1);
      assert.match(err, /VERIFY_IMPOSSIBLE: No state of the source can be had: /);
      return;
    }
    assert.equal(status, 0, err);
    assert.match(err, /Equal: 2 tables, 3 rows, at /);
  });

  it('makes TRUNCATE and ALTER TABLE wait until it ends, at both ends', async () => {
    await target.query(`UPDATE pg2kinesis.replica SET cut = '0/0'`);
    const { ended } = verifying();
    await eventually(isAwaited, 'it has a state of the source');
    const blocker = await source.client({ database: 'copy' });
    await blocker.query('BEGIN; LOCK TABLE public.b');
    await comeSoFar();
    await eventually(
      async () => (await source.sql(`SELECT FROM pg_locks WHERE relation IS NOT NULL AND NOT granted`)).length > 0,
      'it waits for the second table of the copy',
    );
    const { rowCount } = await target.query('SELECT FROM pg2kinesis.replica WHERE stop_at IS NOT NULL');
    assert.equal(rowCount, 1, 'the replica goes on once all tables of the copy are held');
    for (const database of ['postgres', 'copy']) {
      const other = await source.client({ database });
      await other.query(`SET lock_timeout = '100ms'`);
      for (const statement of ['TRUNCATE public.a', 'ALTER TABLE public.a ADD more integer'])
        await assert.rejects(other.query(statement), { code: '55P03' }, `${statement} in ${database}`);
      await other.query('INSERT INTO public.a VALUES (3)');
    }
    await blocker.end();
    const { status, err } = await ended;
    assert.equal(status, 0, err);
    await source.sql('TRUNCATE public.a');
  });
});
