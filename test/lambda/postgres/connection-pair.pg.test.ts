/**
 * Two connections, one server: what is refused before anything is read or set. A proxy spreads connections over two
 * servers; another pools them by transaction. The real pgbouncer is tried by `npm run test:pooler`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import pg from 'pg';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import type { PipelineError } from '../../../lambda/errors.ts';
import { toPipelineError } from '../../../lambda/postgres/connection.ts';
import { open, openPair, requireLockSeen } from '../../../lambda/postgres/connection-pair.ts';
import { isSameServer, readServerIdentity } from '../../../lambda/postgres/server-identity.ts';
import { openSession } from '../../../lambda/postgres/session.ts';
import { acquireSlotLock } from '../../../lambda/postgres/slot-lock.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { type PoolOptions, startSpreadingProxy, startTransactionPool } from '../../support/protocol-proxy.ts';
import { clock, databaseOf, memoryLog, openOn, sessionOptions, soon } from './fixtures.ts';

const until = () => ({ deadline: soon(), leaseExpiresAt: soon() });

describe('two connections', () => {
  let one: PostgresServer;
  let other: PostgresServer;
  const hba = ['host all trusted all trust', 'host all all all scram-sha-256'];
  before(async () => {
    [one, other] = await Promise.all([startPostgres({ hba }), startPostgres()]);
    for (const server of [one, other]) {
      await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
      await server.createSlot('s');
      await server.sql('INSERT INTO t SELECT generate_series(1, 1000)');
    }
    await one.sql('CREATE ROLE trusted LOGIN SUPERUSER');
  });
  after(() => Promise.all([one.stop(), other.stop()]));

  const position = async (server: PostgresServer) =>
    (await server.sql<{ lsn: string }>('SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots'))[0]?.lsn;

  it('I1: fails with SERVERS_DIFFER where a name leads to two servers, before anything is read', async (t) => {
    for (const ports of [
      [one.port, other.port],
      [other.port, one.port],
    ]) {
      const proxy = await startSpreadingProxy(ports);
      t.after(() => proxy.stop());
      const before = await Promise.all([position(one), position(other)]);
      const through = databaseOf(one, { port: proxy.port });
      const options = sessionOptions(one, 's', { database: through });
      await assert.rejects(openSession(options), (error: PipelineError) => {
        assert.equal(error.code, 'SERVERS_DIFFER');
        assert.match(error.message, /reached two servers: one is system \d+, started 20.*; the other is system \d+/);
        return true;
      });
      await assert.rejects(openPair(through, until(), until()), { code: 'SERVERS_DIFFER' });
      await assert.rejects(open(through, until()), { code: 'SERVERS_DIFFER' });
      assert.deepEqual(await Promise.all([position(one), position(other)]), before);
    }
    for (const server of [one, other]) {
      assert.deepEqual(await server.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory'`), []);
    }
  });

  it('I1: fails with SERVERS_DIFFER where one does not see the lock of the other', async () => {
    const pair = await Promise.all([openOn(one), openOn(other)]);
    await acquireSlotLock(pair[0], { slotName: 's', clock, log: memoryLog() });
    await requireLockSeen(pair[0], pair[0], 's');
    await assert.rejects(requireLockSeen(pair[0], pair[1], 's'), { code: 'SERVERS_DIFFER' });
    await Promise.all(pair.map(({ client }) => client.end()));
  });

  it('does not take a backend that was ended with its lock for another server', async () => {
    const [main, control] = await openPair(databaseOf(one), until(), until());
    await acquireSlotLock(main, { slotName: 's', clock, log: memoryLog() });
    await one.sql('SELECT pg_terminate_backend($1)', [main.pid]);
    for (let isThere = true; isThere;)
      isThere = (await one.sql('SELECT FROM pg_stat_activity WHERE pid = $1', [main.pid])).length > 0;
    await assert.rejects(requireLockSeen(main, control, 's'), (error) => {
      assert.equal((toPipelineError(error, main.context) as PipelineError).code, 'DATABASE_UNREACHABLE');
      return true;
    });
    await control.client.end();
  });

  it('tells a server from its restart and from another, by what a plain role may ask', async () => {
    const [here, there] = await Promise.all([openOn(one), openOn(other)]);
    assert.match(here.identity.systemIdentifier ?? '', /^\d{15,}$/);
    assert.equal(here.identity.timeline, 1);
    assert.equal(here.identity.inRecovery, false);
    assert.equal(isSameServer(here.identity, await readServerIdentity(here)), true);
    assert.equal(isSameServer(here.identity, there.identity), false);
    const { systemIdentifier } = here.identity;
    assert.equal(isSameServer(here.identity, { ...there.identity, systemIdentifier }), false, 'its standby, say');
    assert.equal(isSameServer(here.identity, { ...here.identity, systemIdentifier: '1' }), false);
    await Promise.all([here.client.end(), there.client.end()]);
  });

  it('tells it without the system identifier where the role may not ask for that', async () => {
    await other.sql(`CREATE ROLE plain LOGIN PASSWORD 'p'; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`);
    const connection = await open(databaseOf(other, { user: 'plain', password: 'p' }), until());
    assert.equal(connection.identity.systemIdentifier, undefined);
    assert.equal(connection.identity.timeline, 1);
    assert.match(connection.identity.startedAt, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await connection.client.end();
    await other.sql('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC');
  });

  /** A pool in front of `one`, and a database by way of it. */
  async function pooled(t: TestContext, over: Partial<PoolOptions> = {}) {
    const pool = await startTransactionPool({ port: one.port, user: 'trusted', database: 'postgres', ...over });
    t.after(() => pool.stop());
    return databaseOf(one, { port: pool.port, user: 'trusted', password: 'none' });
  }

  const pools: readonly [what: string, over: Partial<PoolOptions>][] = [
    ['of one backend', {}],
    ['of one backend, which takes options', { refuseOptions: false }],
    ['of five, the last used first', { size: 5 }],
    ['of five in turn', { size: 5, roundRobin: true }],
    ['of five in turn, which takes options', { size: 5, roundRobin: true, refuseOptions: false }],
  ];
  for (const [what, over] of pools) {
    it(`I6: fails with POOLER_REFUSED behind a transaction pool ${what}, with nothing set`, async (t) => {
      const database = await pooled(t, over);
      for (let i = 0; i < 5; i++) {
        const options = sessionOptions(one, 's', { database });
        await assert.rejects(openSession(options), {
          code: 'POOLER_REFUSED',
          message: /Nothing was set.*session mode/s,
        });
        await assert.rejects(open(database, until()), { code: 'POOLER_REFUSED' });
      }
      assert.deepEqual(await leftBehind(database.settings.port), ['"$user", public', '0', 'postgres']);
    });
  }

  it('I6: fails with POOLER_REFUSED behind a busy one, too', async (t) => {
    const database = await pooled(t, { size: 4 });
    const load = { on: true };
    const application = Array.from({ length: 8 }, async () => {
      const client = new pg.Client({ ...one.connection, port: database.settings.port, user: 'trusted' });
      await client.connect();
      while (load.on) await client.query('SELECT count(*) FROM t');
      await client.end();
    });
    for (let i = 0; i < 20; i++) await assert.rejects(open(database, until()), { code: 'POOLER_REFUSED' });
    load.on = false;
    await Promise.all(application);
    assert.deepEqual(await leftBehind(database.settings.port), ['"$user", public', '0', 'postgres']);
  });

  /** What a client of the pool finds. */
  async function leftBehind(port: number | undefined): Promise<unknown[]> {
    const client = new pg.Client({ ...one.connection, port, user: 'trusted' });
    await client.connect();
    const { rows } = await client.query({
      text: `SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('IntervalStyle')`,
      rowMode: 'array',
    });
    await client.end();
    return rows[0] as unknown[];
  }

  it('reads what is proven', async () => {
    const session = await openSession(sessionOptions(one, 's'));
    assert.ok('slot' in session);
    assert.match(formatLsn(await session.slot.flushLsn()), /\//);
    await session.close();
  });
});
