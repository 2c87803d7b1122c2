/**
 * Snapshots on real servers: keys of every kind of type, tables that are altered meanwhile, transactions that are in the
 * WAL and not visible, an application's own messages, and a consumer that ends with the tables.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Session } from '../../../lambda/ports/session.ts';
import { resolveTables } from '../../../lambda/postgres/snapshot-request.ts';
import type { ChunkRequest } from '../../../lambda/snapshot/chunk.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';
import { eventually, openOn, sessionOn } from '../postgres/fixtures.ts';

const HAS_PGOUTPUT = TESTED_MAJOR >= 14;

/** A record as this file looks at it. */
interface Told {
  readonly id: string;
  readonly op: string;
  readonly table: string;
  readonly key: object | null;
  readonly newKey?: object;
  readonly oldKey?: object;
  readonly row?: Record<string, unknown>;
  readonly unchanged?: readonly string[];
}

/** Applies records in their order, each once. @returns rows by table and key */
function apply(published: readonly string[]): Map<string, Record<string, unknown>> {
  const rows = new Map<string, Record<string, unknown>>();
  const moved = new Map<string, Record<string, unknown> | undefined>();
  const seen = new Set<string>();
  for (const text of published) {
    const told = JSON.parse(text) as Told;
    const of = (key: object | undefined): string => `${told.table} ${JSON.stringify(key)}`;
    if (seen.has(told.id)) continue;
    seen.add(told.id);
    const at = of(told.key ?? undefined);
    if (told.op === 'TRUNCATE') {
      for (const key of rows.keys()) if (key.startsWith(`${told.table} `)) rows.delete(key);
    } else if (told.op === 'DELETE') {
      if (told.newKey !== undefined) moved.set(of(told.newKey), rows.get(at));
      rows.delete(at);
    } else {
      const old = (told.oldKey === undefined ? undefined : moved.get(at)) ?? rows.get(at);
      const unchanged = (told.unchanged ?? []).map((name) => [name, old?.[name] ?? 'missing']);
      rows.set(at, { ...told.row, ...(Object.fromEntries(unchanged) as Record<string, unknown>) });
    }
  }
  return rows;
}

/** A server that is stopped at the end of its block. */
function stopping(server: PostgresServer): AsyncDisposable & { readonly server: PostgresServer } {
  return { server, [Symbol.asyncDispose]: () => server.stop() };
}

/** Runs until nothing is under way. */
async function finish(pipeline: Pipeline): Promise<void> {
  for (let runs = 0; runs < 20; runs++) {
    const { snapshot } = await pipeline.run();
    if (snapshot?.done !== false) return;
  }
  assert.fail('the snapshot does not end');
}

describe('a snapshot', () => {
  let server: PostgresServer;
  let slots = 0;

  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  const ask = async (slot: string, ...tables: string[]): Promise<void> => {
    const content = encodeSnapshotMessage(slot, {
      kind: 'begin',
      id: 'test',
      begunAt: Date.now(),
      tables,
      anew: false,
    });
    await server.sql(`SELECT pg_logical_emit_message(false, 'pg2kinesis', $1::text), txid_current()`, [content]);
  };
  const pipelineOn = async (plugin: 'test_decoding' | 'pgoutput', options: PipelineOptions = {}) => {
    const slot = `s${slots++}`;
    if (plugin === 'pgoutput') await server.sql(`CREATE PUBLICATION ${slot} FOR ALL TABLES`);
    await server.createSlot(slot, plugin);
    const publications = plugin === 'pgoutput' ? { publications: [slot] } : {};
    return { slot, pipeline: new Pipeline(server, slot, { ...publications, ...options }) };
  };
  const reading = async <T>(
    work: (
      read: (
        request: Partial<ChunkRequest> & { table: string },
      ) => ReturnType<NonNullable<Session['snapshots']>['read']>,
    ) => Promise<T>,
  ): Promise<T> => {
    const slot = `s${slots++}`;
    await server.createSlot(slot);
    const session = await sessionOn(server, slot);
    try {
      const source = session.snapshots ?? assert.fail('the session reads no tables');
      return await work((request) =>
        source.read({ key: undefined, cursor: undefined, asked: undefined, barrier: undefined, ...request }, 1, 5_000),
      );
    } finally {
      await session.close();
    }
  };

  it('walks keys of every kind of type, one row at a time, in their own order', async () => {
    await server.sql(`CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext;
      CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN digits AS text CHECK (VALUE ~ '^\\d+$'); CREATE TYPE pair AS (a int, b text)`);
    const kinds: Readonly<Record<string, readonly string[]>> = {
      'ext.citext': ['A', 'b', 'C', 'd'],
      'ext.ltree': ['a', 'a.b', 'a_b', 'b'],
      'char(3)': ['a', 'ab', 'abc', 'b'],
      'bit(3)': ['000', '010', '101', '111'],
      real: ['-1', '0.1', '1e10', 'NaN'],
      mood: ['sad', 'ok', 'happy'],
      digits: ['1', '10', '9'],
      pair: ['(1,"x y")', '(2,)', '(2,z)'],
      boolean: ['f', 't'],
      'varchar(5)': ["it's", 'tab\t', 'wide ü'.slice(0, 5)],
      'integer[]': ['{1}', '{1,2}', '{2}'],
      bytea: ['\\x00', '\\x5c', '\\xff'],
      'timestamp with time zone': ['2026-01-01 00:00:00.5+00', '2026-01-02 00:00:00+00'],
      'numeric(4,1)': ['-1.0', '2.5', '10.0'],
    };
    for (const [i, [type, values]] of Object.entries(kinds).entries()) {
      await server.sql(
        `CREATE TABLE "K ${i}" ("a Key" ${type} PRIMARY KEY, n int); CREATE TABLE "L ${i}" (n int, "a Key" ${type}, PRIMARY KEY (n, "a Key"))`,
      );
      for (const value of values) {
        await server.sql(`INSERT INTO "K ${i}" VALUES ($1, 1)`, [value]);
        await server.sql(`INSERT INTO "L ${i}" VALUES (1, $1), (2, $1)`, [value]);
      }
      await reading(async (read) => {
        for (const [table, rows] of [
          [`public."K ${i}"`, values.length],
          [`public."L ${i}"`, 2 * values.length],
        ] as const) {
          const keys: string[] = [];
          let cursor: readonly string[] | undefined;
          for (let chunks = 0; ; chunks++) {
            const got = await read({ table, cursor });
            assert.ok(got.kind === 'chunk' && chunks <= rows, `${type}: ${JSON.stringify(keys)}`);
            for (const row of got.chunk.rows.values()) keys.push(row.rows.keyOf(row.index).join('|'));
            if (got.chunk.atEnd) break;
            cursor = got.chunk.last;
          }
          const ordered = await server.sql<{ key: string }>(
            `SELECT concat_ws('|', ${table.includes('L') ? 'n, ' : ''}format('%s', "a Key")) AS key FROM ${table} ORDER BY ${table.includes('L') ? 'n, ' : ''}"a Key"`,
          );
          assert.equal(keys.length, rows, type);
          if (!['bytea', 'timestamp with time zone', 'boolean', 'real'].includes(type))
            assert.deepEqual(
              keys,
              ordered.map(({ key }) => key),
              type,
            );
          const again = await read({ table, asked: keys.map((key) => key.split('|')) });
          assert.equal(again.kind === 'chunk' ? again.chunk.rows.size : 0, rows, type);
        }
      });
    }
  });

  it('finds rows by their keys without a look at all others', async () => {
    await server.sql(`CREATE TABLE wide (a int, b text, PRIMARY KEY (a, b)); CREATE TABLE narrow (a int PRIMARY KEY);
      INSERT INTO wide SELECT g % 100, g FROM generate_series(1, 20000) g; INSERT INTO narrow SELECT generate_series(1, 20000); ANALYZE wide; ANALYZE narrow`);
    const numbers = Array.from({ length: 40 }, (_, i) => 19_000 - 101 * i);
    await reading(async (read) => {
      const wide = await read({ table: 'public.wide', asked: numbers.map((n) => [`${n % 100}`, `${n}`]) });
      const narrow = await read({ table: 'public.narrow', asked: numbers.map((n) => [`${n}`]) });
      for (const got of [wide, narrow]) assert.equal(got.kind === 'chunk' ? got.chunk.rows.size : got.kind, 40);
    });
    const fetched = async () => {
      const rows = await server.sql<{ n: number }>(
        `SELECT coalesce(idx_tup_fetch, 0)::int AS n FROM pg_stat_user_tables WHERE relname IN ('wide', 'narrow')`,
      );
      return rows.map(({ n }) => n);
    };
    // What a session did is counted when it has ended.
    await eventually(async () => (await fetched()).every((n) => n > 0), 'the statistics');
    for (const n of await fetched()) assert.ok(n < 1_000, `${n} rows`);
  });

  it('reads the rows of a table that was written again while it waited for its lock', async () => {
    await server.sql('CREATE TABLE altered (id int PRIMARY KEY); INSERT INTO altered VALUES (1), (2)');
    const other = await server.client();
    await reading(async (read) => {
      await other.query('BEGIN; ALTER TABLE altered ALTER id TYPE bigint');
      const got = read({ table: 'public.altered' });
      const waits = 'SELECT FROM pg_locks WHERE NOT granted';
      await eventually(async () => (await server.sql(waits)).length > 0, 'it waits for the lock');
      await other.query('COMMIT');
      const chunk = await got;
      assert.equal(chunk.kind === 'chunk' ? chunk.chunk.rows.size : chunk.kind, 1);
      await other.query('BEGIN; LOCK TABLE altered');
      const locked = await read({ table: 'public.altered' });
      await other.query('ROLLBACK; DROP TABLE altered');
      assert.deepEqual(locked, { kind: 'waiting', what: 'a lock on public.altered' });
      assert.equal((await read({ table: 'public.altered' })).kind, 'refused');
    });
    await other.end();
  });

  for (const plugin of HAS_PGOUTPUT ? (['test_decoding', 'pgoutput'] as const) : (['test_decoding'] as const)) {
    it(`gives a consumer of the stream alone exactly the rows, by ${plugin}, under writers and an application's messages`, async () => {
      await server.sql(`DROP TABLE IF EXISTS a, b; CREATE TABLE a (id int PRIMARY KEY, v int, ok boolean, bits bit(3), big text); CREATE TABLE b (k text, n int, v int, big text, PRIMARY KEY (k, n));
        ALTER TABLE a ALTER big SET STORAGE EXTERNAL; ALTER TABLE b ALTER big SET STORAGE EXTERNAL;
        INSERT INTO a SELECT g, 0, g % 2 = 0, (g % 8)::bit(3), repeat('x', 2500) || g FROM generate_series(1, 1500) g;
        INSERT INTO b SELECT 'k''' || g % 7, g, 0, repeat('y', 2500) || g FROM generate_series(1, 500) g`);
      const { slot, pipeline } = await pipelineOn(plugin);
      await ask(slot, 'public.a', 'public.b');
      const stop = new AbortController();
      const write = async (seed: number): Promise<void> => {
        const client = await server.client();
        for (let i = seed; !stop.signal.aborted; i += 7) {
          const id = 1 + ((i * 131) % 1500);
          // On a slow machine it comes to the same rows again, whose other key is taken by then.
          await client.query(`DELETE FROM a WHERE id = ${-1 - ((id * 11) % 1500)}`);
          await client.query(`UPDATE a SET v = v + 1 WHERE id = ${id}`);
          await client.query(`DELETE FROM a WHERE id = ${1 + ((id * 7) % 1500)}`);
          await client.query(`SELECT pg_logical_emit_message(true, 'app', 'x')`);
          await client.query(
            `BEGIN; UPDATE a SET id = -id WHERE id = ${1 + ((id * 11) % 1500)}; UPDATE b SET k = 'z', v = v + 1 WHERE n = ${1 + (i % 500)}; COMMIT`,
          );
          await client.query(`INSERT INTO a VALUES (${id}, 1, NULL, NULL, 'new') ON CONFLICT DO NOTHING`);
          await wait(20);
        }
        await client.end();
      };
      const writers = [write(1), write(3)];
      await finish(pipeline);
      stop.abort();
      await Promise.all(writers);
      await pipeline.run();
      const rows = apply(pipeline.published);
      const truth = new Map<string, Record<string, unknown>>();
      for (const row of await server.sql<{ id: number }>('SELECT id, v, ok, bits::text, big FROM a'))
        truth.set(`a ${JSON.stringify({ id: row.id })}`, row);
      for (const row of await server.sql<{ k: string; n: number }>('SELECT k, n, v, big FROM b'))
        truth.set(`b ${JSON.stringify({ k: row.k, n: row.n })}`, row);
      assert.deepEqual(new Map([...rows].sort()), new Map([...truth].sort()));
      assert.ok(pipeline.published.some((text) => text.includes('"op":"READ"')));
      assert.ok(!pipeline.published.some((text) => /"op":"READ".*"unchanged"/.test(text)));
    });
  }

  if (HAS_PGOUTPUT)
    it('has the columns that the changes of a publication have, and none that is generated', async () => {
      await server.sql(
        `CREATE TABLE computed (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED, v text); INSERT INTO computed VALUES (1)`,
      );
      const { slot, pipeline } = await pipelineOn('pgoutput');
      await ask(slot, 'public.computed');
      await server.sql('INSERT INTO computed VALUES (2)');
      await finish(pipeline);
      const rows = pipeline.records.filter(({ table }) => table === 'computed').map(({ op, row }) => [op, row]);
      assert.deepEqual(rows, [['INSERT', { id: 2, v: null }], ...[1, 2].map((id) => ['READ', { id, v: null }])]);
      await server.sql('SELECT pg_drop_replication_slot($1)', [slot]);
    });

  it('waits for a transaction that was consumed before it was asked for, and that waits for a synchronous standby', async () => {
    await server.sql(`CREATE TABLE waits (id int PRIMARY KEY, v int); INSERT INTO waits VALUES (1, 10)`);
    const { slot, pipeline } = await pipelineOn('test_decoding');
    await using standby = stopping(await server.standby({ slot: 'phys' }));
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
    await server.sql('SELECT pg_reload_conf()');
    const isSynchronous = `SELECT FROM pg_stat_replication WHERE sync_state = 'sync'`;
    await eventually(async () => (await server.sql(isSynchronous)).length > 0, 'the setting is read');
    // The process that has commits wait reads it last, but before a checkpoint.
    await server.sql('CHECKPOINT');
    await standby.server.halt('immediate');
    const writer = await server.client();
    const update = writer.query('UPDATE waits SET v = 11 WHERE id = 1');
    const waits = `SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
    while ((await server.sql(waits)).length === 0) await wait(50);
    const other = await server.client();
    await other.query('SET synchronous_commit = local');
    // As a run of an older version did, and as it is where the slot is made a moment later.
    await other.query(`SELECT count(*) FROM pg_logical_slot_get_changes('${slot}', NULL, NULL)`);
    const content = encodeSnapshotMessage(slot, {
      kind: 'begin',
      id: 'w',
      begunAt: 1,
      tables: ['public.waits'],
      anew: false,
    });
    await other.query(`SELECT pg_logical_emit_message(false, 'pg2kinesis', $1::text), txid_current()`, [content]);
    const { snapshot } = await pipeline.run();
    assert.match(snapshot?.waitsFor ?? '', /^transaction \d+/);
    assert.equal(snapshot?.rowsPublished, 0);
    await standby.server.start();
    await update;
    await finish(pipeline);
    const read = pipeline.published.map((text) => JSON.parse(text) as Told).find(({ op }) => op === 'READ');
    assert.deepEqual(read?.row, { id: 1, v: 11 });
    await other.query(`ALTER SYSTEM RESET synchronous_standby_names`);
    await other.query('SELECT pg_reload_conf()');
    await writer.end();
    await other.end();
  });

  it('says which tables cannot be read, and why', async () => {
    await server.sql(`CREATE TABLE no_key (id int); CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE); CREATE TABLE nothing (id int PRIMARY KEY);
      ALTER TABLE nothing REPLICA IDENTITY NOTHING; CREATE VIEW a_view AS SELECT 1 AS id`);
    if (TESTED_MAJOR >= 11)
      await server.sql(
        `CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE "Part 1" PARTITION OF parted FOR VALUES FROM (0) TO (9);
        CREATE TABLE includes (id int PRIMARY KEY, a int NOT NULL); CREATE UNIQUE INDEX includes_a ON includes (a) INCLUDE (id);
        ALTER TABLE includes REPLICA IDENTITY USING INDEX includes_a`,
      );
    const connection = await openOn(server);
    try {
      const { tables, missing, faults } = await resolveTables(connection, [
        'public.no_key',
        'public.deferred',
        'public.nothing',
        'public.a_view',
        'public.none',
        'none',
        ...(TESTED_MAJOR >= 11 ? ['public.parted', 'public.includes'] : []),
      ]);
      assert.deepEqual(
        tables.map(({ printed }) => printed),
        TESTED_MAJOR >= 11 ? ['public."Part 1"'] : [],
      );
      const said = [...missing, ...faults].join('\n');
      for (const why of [
        /no_key: it has no primary key/,
        /deferred: its primary key is deferrable/,
        /nothing: its replica identity/,
        ...(TESTED_MAJOR >= 11 ? [/includes: its replica identity/] : []),
        /a_view: it is no table/,
        /no table "public.none"/,
        /no table "none", as it has no schema/,
      ])
        assert.match(said, why);
    } finally {
      await connection.client.end();
    }
  });
});
