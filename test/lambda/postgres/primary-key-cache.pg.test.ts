/** The primary-key cache against real catalogs. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TableName } from '../../../lambda/decode/messages.ts';
import type { PrimaryKeys } from '../../../lambda/ports/catalogs.ts';
import { ConnectedKeys } from '../../../lambda/postgres/connected-keys.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import { PrimaryKeyCache } from '../../../lambda/postgres/primary-key-cache.ts';
import { WalKeyHistory } from '../../../lambda/postgres/wal-key-history.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { clock, databaseOf, memoryLog, openOn, soon } from './fixtures.ts';

const named = (printed: string): TableName => ({ printed, schema: '', name: '' });

describe('the primary keys', () => {
  let server: PostgresServer;
  let connection: Connection;
  let now = 0;
  before(async () => {
    server = await startPostgres();
    connection = await openOn(server);
    await server.sql(`
      CREATE TABLE one (id int PRIMARY KEY, note text);
      CREATE SCHEMA "My schema";
      CREATE TABLE "My schema"."Order ""items""" (b text, a int, "the Key" int, PRIMARY KEY ("the Key", a));
      CREATE TABLE keyless (id int UNIQUE NOT NULL);
      CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
      CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE);
      CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
      CREATE TABLE full_row (id int PRIMARY KEY DEFERRABLE); ALTER TABLE full_row REPLICA IDENTITY FULL;
      CREATE TABLE other_index (id int PRIMARY KEY, u int NOT NULL); CREATE UNIQUE INDEX other_u ON other_index (u); ALTER TABLE other_index REPLICA IDENTITY USING INDEX other_u;
      CREATE TABLE wider (id int PRIMARY KEY, u int NOT NULL); CREATE UNIQUE INDEX wider_u ON wider (u, id); ALTER TABLE wider REPLICA IDENTITY USING INDEX wider_u;
      CREATE TABLE top (d int, id int) PARTITION BY RANGE (d);
      CREATE TABLE mid PARTITION OF top FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
      CREATE TABLE leaf PARTITION OF mid FOR VALUES FROM (0) TO (10);
      CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)`);
    if (server.version >= 11)
      await server.sql(`ALTER TABLE top ADD PRIMARY KEY (d, id);
        CREATE TABLE included (id int PRIMARY KEY, u int NOT NULL); CREATE UNIQUE INDEX included_u ON included (u) INCLUDE (id);
        ALTER TABLE included REPLICA IDENTITY USING INDEX included_u`);
    else await server.sql('ALTER TABLE leaf ADD PRIMARY KEY (d, id)');
  });
  after(async () => {
    await connection.client.end();
    await server.stop();
  });

  const cached = (ttlMs = 1e9): PrimaryKeys =>
    new ConnectedKeys(
      new PrimaryKeyCache({ ttlMs, clock: { ...clock, now: () => now }, log: memoryLog() }),
      connection,
    );

  it('cannot be read from the WAL without wal2json: the log says so once, and not for tables without a key', async () => {
    await server.createSlot('asked');
    const log = memoryLog();
    const state = { refused: undefined, isRefusalLogged: false };
    const history = new WalKeyHistory({
      database: databaseOf(server),
      control: connection,
      slotName: 'asked',
      state,
      clock,
      log,
    });
    const question = { upto: 0n, tables: [{ schema: 'public', name: 'keyless' }], except: [], deadline: soon() };
    for (let i = 0; i < 2; i++) assert.equal(await history.read({ ...question, insertsOnly: true }), undefined);
    assert.deepEqual(log.lines, []);
    for (let i = 0; i < 2; i++) assert.equal(await history.read({ ...question, insertsOnly: false }), undefined);
    if (server.version < 12) assert.deepEqual(log.lines, [], 'it is never asked');
    else assert.match(log.lines.join('\n'), /^A table or its primary key was changed[^\n]*"lasting":true}$/);
    await server.sql("SELECT pg_drop_replication_slot('asked')");
  });

  it('are read in key order, by the names the plugin prints', async () => {
    const keys = cached();
    assert.equal(keys.current(named('public.one')), undefined);
    assert.ok((await keys.reload()) >= 9);
    const { oid, keySince, ancestorsSince, alteredBy, seenFrom, ...one } = keys.current(named('public.one')) ?? {};
    assert.ok(keySince !== undefined && seenFrom !== undefined && keySince < seenFrom);
    assert.equal(ancestorsSince, keySince, 'when it was made, with its key');
    assert.deepEqual(alteredBy, [], 'asked for only where lists hide something');
    assert.deepEqual(one, {
      printed: 'public.one',
      schema: 'public',
      name: 'public.one',
      isTable: true,
      key: ['id'],
      ancestors: [],
      virtualColumns: [],
      identityHoldsKey: true,
    });
    assert.equal(keys.byOid(oid ?? 0)?.name, 'public.one');
    assert.deepEqual(keys.current(named('"My schema"."Order ""items"""'))?.key, ['"the Key"', 'a']);
    assert.deepEqual(keys.current(named('public.keyless'))?.key, []);
    assert.deepEqual(keys.current(named('public.unlogged'))?.key, ['id'], 'it may have been a logged one');
    for (const unseen of ['pg_catalog.pg_class', 'public.nowhere'])
      assert.equal(keys.current(named(unseen)), undefined);
  });

  it('come with the ancestors of a partition, nearest first, and none of an inheriting table', async () => {
    const keys = cached();
    await keys.reload();
    const leaf = keys.current(named('public.leaf'));
    assert.deepEqual(
      [leaf?.key, leaf?.ancestors],
      [
        ['d', 'id'],
        ['public.mid', 'public.top'],
      ],
    );
    assert.deepEqual(keys.current(named('public.child'))?.ancestors, []);
  });

  it('come with whether a DELETE shows them', async () => {
    const keys = cached();
    await keys.reload();
    const holds = (name: string) => keys.current(named(`public.${name}`))?.identityHoldsKey;
    // Its keys may change places inside a transaction, and the old ones are sent: no DELETE by them would be right.
    assert.deepEqual(keys.current(named('public.full_row'))?.key, []);
    assert.deepEqual(keys.current(named('public.deferred'))?.key, ['id']);
    assert.deepEqual(['one', 'keyless', 'deferred', 'nothing', 'full_row', 'other_index', 'wider'].map(holds), [
      true,
      false,
      false,
      false,
      true,
      false,
      true,
    ]);
    // Columns that an index only includes are not sent.
    if (TESTED_MAJOR >= 11) assert.equal(holds('included'), false);
  });

  if (TESTED_MAJOR >= 11)
    it('are read where md5 cannot be had, which a server that is held to FIPS 140 refuses', async () => {
      await server.sql(`CREATE ROLE plain LOGIN PASSWORD 'plain'; REVOKE EXECUTE ON FUNCTION md5(text) FROM PUBLIC`);
      const login = { user: 'plain', password: 'plain' };
      const { client, ...plain } = await open(databaseOf(server, login), { deadline: soon() });
      await assert.rejects(plain.query(`SELECT md5('')`), { code: '42501' });
      const cache = new PrimaryKeyCache({ ttlMs: 1e9, clock, log: memoryLog() });
      const keys = new ConnectedKeys(cache, { client, ...plain });
      await keys.refreshIfStale(0n);
      await keys.refreshIfStale(0n);
      assert.deepEqual([keys.version, keys.current(named('public.one'))?.key], [1, ['id']]);
      await client.end();
      await server.sql('GRANT EXECUTE ON FUNCTION md5(text) TO PUBLIC');
    });

  if (TESTED_MAJOR >= 18)
    it('come with virtual generated columns', async () => {
      const keys = cached();
      await keys.reload();
      await server.sql(
        'CREATE TABLE gen (id int PRIMARY KEY, "V" int GENERATED ALWAYS AS (id * 2) VIRTUAL, s int GENERATED ALWAYS AS (id) STORED)',
      );
      await keys.refreshIfStale(0n);
      assert.deepEqual(keys.current(named('public.gen'))?.virtualColumns, ['"V"']);
      await keys.refreshIfStale(0n);
      const { version } = keys;
      await keys.refreshIfStale(0n);
      assert.equal(keys.version, version);
      await server.sql('ALTER TABLE gen RENAME COLUMN "V" TO w');
      await keys.refreshIfStale(0n);
      assert.deepEqual(keys.current(named('public.gen'))?.virtualColumns, ['w']);
    });

  it('are read again when the time to live is over, and not before', async () => {
    let reads = 0;
    const log = {
      ...memoryLog(),
      debug: () => {
        reads++;
      },
    };
    const keys = new ConnectedKeys(
      new PrimaryKeyCache({ ttlMs: 1000, clock: { ...clock, now: () => now }, log }),
      connection,
    );
    now = 5000;
    await keys.refreshIfStale(0n);
    await keys.refreshIfStale(0n);
    now = 5999;
    await keys.refreshIfStale(0n);
    assert.equal(reads, 1);
    now = 6000;
    await keys.refreshIfStale(0n);
    assert.equal(reads, 2);
    assert.equal(keys.version, 1, 'nothing had changed');
  });

  const key = (name: string) => (keys: PrimaryKeys) => keys.current(named(`public.${name}`))?.key;
  for (const [what, sql, look, seen] of [
    ['a table is made', 'CREATE TABLE fresh (k int PRIMARY KEY)', key('fresh'), ['k']],
    ['a key is dropped', 'ALTER TABLE fresh DROP CONSTRAINT fresh_pkey', key('fresh'), []],
    ['a key is added', 'ALTER TABLE fresh ADD COLUMN j int, ADD PRIMARY KEY (k)', key('fresh'), ['k']],
    [
      'two columns swap their names',
      'BEGIN; ALTER TABLE fresh RENAME k TO x; ALTER TABLE fresh RENAME j TO k; ALTER TABLE fresh RENAME x TO j; COMMIT',
      key('fresh'),
      ['j'],
    ],
    ['a table is renamed', 'ALTER TABLE fresh RENAME TO "Stale"', key('"Stale"'), ['j']],
    [
      'a table moves to another schema',
      'ALTER TABLE "Stale" SET SCHEMA "My schema"',
      (keys: PrimaryKeys) => keys.current(named('"My schema"."Stale"'))?.key,
      ['j'],
    ],
    [
      'a schema is renamed',
      'ALTER SCHEMA "My schema" RENAME TO mine',
      (keys: PrimaryKeys) => keys.current(named('mine."Stale"'))?.key,
      ['j'],
    ],
    [
      'a partition is detached',
      'ALTER TABLE mid DETACH PARTITION leaf',
      (keys: PrimaryKeys) => keys.current(named('public.leaf'))?.ancestors,
      [],
    ],
    [
      'a replica identity changes',
      'ALTER TABLE one REPLICA IDENTITY NOTHING',
      (keys: PrimaryKeys) => [String(keys.current(named('public.one'))?.identityHoldsKey)],
      ['false'],
    ],
    [
      'another index becomes the replica identity',
      'CREATE UNIQUE INDEX other_wide ON other_index (u, id); ALTER TABLE other_index REPLICA IDENTITY USING INDEX other_wide',
      (keys: PrimaryKeys) => [String(keys.current(named('public.other_index'))?.identityHoldsKey)],
      ['true'],
    ],
    [
      'a table is dropped',
      'DROP TABLE mine."Stale"',
      (keys: PrimaryKeys) => keys.current(named('mine."Stale"'))?.key,
      undefined,
    ],
  ] as const) {
    it(`are read again when ${what}`, async () => {
      const keys = cached();
      await keys.refreshIfStale(0n);
      const { version } = keys;
      await keys.refreshIfStale(0n);
      assert.equal(keys.version, version);
      await server.sql(sql);
      await keys.refreshIfStale(0n);
      assert.deepEqual(look(keys), seen);
      assert.equal(keys.version, version + 1);
    });
  }

  it('tell that a key was made anew, though it is the same: it may have been another for a while', async () => {
    await server.sql('CREATE TABLE anew (a int, b int, PRIMARY KEY (a))');
    const keys = cached();
    await keys.refreshIfStale(0n);
    const { version } = keys;
    const before = keys.current(named('public.anew'));
    await server.sql('ALTER TABLE anew DROP CONSTRAINT anew_pkey, ADD PRIMARY KEY (b)');
    await server.sql('ALTER TABLE anew DROP CONSTRAINT anew_pkey, ADD PRIMARY KEY (a)');
    await keys.refreshIfStale(0n);
    const now = keys.current(named('public.anew'));
    assert.deepEqual(now?.key, before?.key);
    assert.notEqual(now?.keySince, before?.keySince);
    assert.equal(keys.version, version + 1);
    await server.sql('DROP TABLE anew');
  });

  it('tell what was before, of tables changed and dropped', async () => {
    const keys = cached();
    await server.sql('CREATE TABLE moving (a int, b int, PRIMARY KEY (a))');
    await keys.reload();
    assert.deepEqual(keys.earlier(named('public.moving')), []);
    await server.sql('ALTER TABLE moving DROP CONSTRAINT moving_pkey, ADD PRIMARY KEY (b)');
    await keys.reload();
    assert.deepEqual(keys.current(named('public.moving'))?.key, ['b']);
    assert.deepEqual(keys.earlier(named('public.moving'))[0]?.key, ['a']);
    await server.sql('DROP TABLE moving');
    await keys.reload();
    assert.equal(keys.current(named('public.moving')), undefined);
    assert.deepEqual(keys.earlier(named('public.moving'))[0]?.key, ['b']);
  });

  it('forget what was before, once the slot has passed it, and keep 16 earlier keys at most', async () => {
    const keys = cached();
    const moving = named('public.moving');
    const position = async (): Promise<bigint> => {
      const [row] = await server.sql<{ at: string }>(
        `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS at`,
      );
      return BigInt(row?.at ?? '');
    };
    await server.sql('CREATE TABLE moving (a int PRIMARY KEY)');
    await keys.reload();
    const before = await position();
    await server.sql('ALTER TABLE moving RENAME a TO b');
    await keys.refreshIfStale(before);
    assert.deepEqual(
      keys.earlier(moving).map((entry) => entry.key),
      [['a']],
    );
    const { version } = keys;
    await keys.refreshIfStale(before);
    assert.equal(keys.version, version, 'the slot has not moved: it is kept');
    await keys.refreshIfStale(await position());
    assert.deepEqual(keys.earlier(moving), []);
    assert.equal(keys.version, version + 1, 'policies by the earlier key are made again');
    for (let i = 0; i < 20; i++) {
      await server.sql(`ALTER TABLE moving RENAME ${i === 0 ? 'b' : `c${i - 1}`} TO c${i}`);
      await keys.refreshIfStale(before);
    }
    const kept = keys.earlier(moving).map((entry) => entry.key[0]);
    assert.deepEqual(kept, [...Array.from({ length: 16 }, (_, i) => `c${18 - i}`)], 'the newest of them');
    await server.sql('DROP TABLE moving');
  });
});
