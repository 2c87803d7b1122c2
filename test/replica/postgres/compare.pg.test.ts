// What --verify finds in two databases: only what differs, by key.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { compareTable, lockTables, tablesToCompare } from '../../../replica/postgres/compare.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { generatedColumn } from '../support/by-version.ts';

let server: PostgresServer;
let source: pg.Client;
let target: pg.Client;

/** Makes a table at both ends, and fills each. @returns what differs */
async function compare(definition: string, ...fill: readonly [source: string, target: string]) {
  for (const [i, client] of [source, target].entries()) {
    await client.query(`DROP TABLE IF EXISTS public.t; CREATE TABLE public.t (${definition})`);
    await client.query(fill[i] ?? '');
  }
  const { tables } = await tablesToCompare(source, target);
  const [table] = tables;
  assert.ok(table !== undefined && tables.length === 1);
  return await compareTable(source, target, table);
}

const equal = (rows: number) => ({ rows, missing: [], extra: [], different: [], isMore: false });

describe('a comparison', () => {
  before(async () => {
    server = await startPostgres();
    await server.sql('CREATE DATABASE copy');
    source = await server.client();
    target = await server.client({ database: 'copy' });
  });
  after(() => server.stop());

  it('takes json, and arrays of it, as equal where only line breaks between tokens differ', async () => {
    const definition = 'id integer PRIMARY KEY, one json, list json[]';
    const lines = `INSERT INTO t VALUES (1, E'{"a":1,\\n"b":[]}', ARRAY[E'{"a":1,\\n"b":2}', '[1]', NULL]::json[])`;
    const line = `INSERT INTO t VALUES (1, '{"a":1,"b":[]}', ARRAY['{"a":1,"b":2}', '[1]', NULL]::json[])`;
    assert.deepEqual(await compare(definition, lines, line), equal(1));
    // Values that jsonb refuses.
    const odd = `INSERT INTO t VALUES (1, '["\\u0000", "\\ud800"]', ARRAY['"\\u0000"', 'null', NULL]::json[])`;
    assert.deepEqual(await compare(definition, odd, odd), equal(1));
    assert.deepEqual((await compare(definition, odd, odd.replace("'null', NULL", "NULL, 'null'"))).different, ['(1)']);
    const other = line.replace('"b":2', '"b":3');
    assert.deepEqual((await compare(definition, lines, other)).different, ['(1)']);
    const [none, empty] = [`INSERT INTO t VALUES (1, NULL, NULL)`, `INSERT INTO t VALUES (1, NULL, '{}')`];
    assert.deepEqual((await compare(definition, none, empty)).different, ['(1)']);
    assert.deepEqual(await compare(definition, empty, empty), equal(1));
  });

  it('takes floating-point numbers as equal only where they are, each NaN as one', async () => {
    const fill = (value: string, list: string) =>
      `INSERT INTO t VALUES (1, ${value}, ${value}, ARRAY[${list}]::float8[], ARRAY[${list}]::real[])`;
    const definition = 'id integer PRIMARY KEY, d float8, r real, ds float8[], rs real[]';
    const two = fill(`'NaN'`, `1, NULL, 'NaN'`);
    // The processor's NaN has another sign than the one that is read.
    const same = two.replaceAll(`'NaN'`, `'Infinity'::float8 - 'Infinity'::float8`);
    assert.deepEqual(await compare(definition, two, same), equal(1));
    for (const [one, other] of [
      ['0.1', '0.1::float8 + 1e-17'],
      ['0', `'-0'::float8`],
      ['NULL', '0'],
    ] as const) {
      assert.deepEqual((await compare(definition, fill(one, '1'), fill(other, '1'))).different, ['(1)'], one);
      assert.deepEqual((await compare(definition, fill('1', one), fill('1', other))).different, ['(1)'], one);
    }
  });

  it('takes texts as equal that are, whatever the databases have them encoded in', async () => {
    await server.sql(`CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
    const latin = await server.client({ database: 'latin' });
    await target.query('DROP TABLE IF EXISTS t');
    for (const client of [latin, target]) {
      await client.query(`CREATE TABLE public.t (k text PRIMARY KEY, v text);
        INSERT INTO public.t SELECT i || 'ü', 'é' FROM generate_series(1, 20) AS i`);
    }
    const { tables } = await tablesToCompare(latin, target);
    // In several parts.
    const [table] = tables.map((each) => ({ ...each, estimate: 20_000 }));
    assert.ok(table !== undefined);
    assert.deepEqual(await compareTable(latin, target, table), equal(20));
    await target.query(`UPDATE public.t SET v = 'e' WHERE k = '7ü'`);
    assert.deepEqual((await compareTable(latin, target, table)).different, ['(7ü)']);
    await latin.end();
  });

  it('compares a table whose copy has partitions', { skip: TESTED_MAJOR < 11 }, async () => {
    const [plain, parts] = ['CREATE TABLE public.t (id integer PRIMARY KEY, v text)', ' PARTITION BY RANGE (id)'];
    await source.query(
      `DROP TABLE IF EXISTS t; ${plain}; INSERT INTO t SELECT i, 'v' FROM generate_series(1, 15) AS i`,
    );
    await target.query(`DROP TABLE IF EXISTS t; ${plain}${parts}; CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);
      CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 15) AS i`);
    const { tables, ...others } = await tablesToCompare(source, target);
    assert.deepEqual(others, { lacking: [], lackingColumns: [], keyless: [] });
    const [table] = tables;
    assert.ok(table !== undefined && tables.length === 1);
    assert.deepEqual(await compareTable(source, target, table), equal(15));
    await target.query('DELETE FROM t WHERE id = 12');
    assert.deepEqual((await compareTable(source, target, table)).missing, ['(12)']);
    // At the source the partitions are the tables.
    const of = await tablesToCompare(target, target);
    assert.deepEqual(
      of.tables.map(({ name }) => name),
      ['public.high', 'public.low'],
    );
    await target.query('BEGIN');
    assert.equal(await lockTables(target, tables), true);
    const other = await server.client({ database: 'copy' });
    await other.query(`SET lock_timeout = '100ms'`);
    await assert.rejects(other.query('TRUNCATE high'), { code: '55P03' });
    await other.end();
    await target.query('ROLLBACK; DROP TABLE t; CREATE TABLE t (id integer)');
    await source.query('DROP TABLE t; CREATE TABLE t (id integer)');
  });

  it('finds rows that are missing, different and there twice, and names twenty of a kind', async () => {
    const found = await compare(
      'id integer, v text, PRIMARY KEY (id) DEFERRABLE',
      `INSERT INTO t SELECT i, 'v' FROM generate_series(1, 60) AS i`,
      // A replica's session checks no deferrable constraint.
      `SET session_replication_role = replica; INSERT INTO t SELECT i, 'v' FROM generate_series(1, 30) AS i; INSERT INTO t VALUES (7, 'v');
       UPDATE t SET v = 'w' WHERE id = 3; RESET session_replication_role`,
    );
    assert.deepEqual([found.rows, found.extra, found.different, found.isMore], [60, ['(7)'], ['(3)'], true]);
    assert.equal(found.missing.length, 20);
  });

  it('leaves generated columns out, tells what the copy lacks, and holds its tables against TRUNCATE', async () => {
    await source.query(`DROP TABLE t; CREATE TABLE "odd one" (k text PRIMARY KEY, n integer${generatedColumn(TESTED_MAJOR, 'g integer GENERATED ALWAYS AS (n * 2) STORED')}, more text);
      CREATE TABLE lacking (id integer PRIMARY KEY); CREATE TABLE keyless (id integer)`);
    await target.query('DROP TABLE t; CREATE TABLE "odd one" (k text PRIMARY KEY, n integer, g integer)');
    await source.query(`INSERT INTO "odd one" VALUES ('a b', 1)`);
    await target.query(`INSERT INTO "odd one" VALUES ('a b', 1, 77)`);
    const { tables, ...others } = await tablesToCompare(source, target);
    assert.deepEqual(others, {
      lacking: ['public.lacking'],
      lackingColumns: ['public."odd one".more'],
      keyless: ['public.keyless'],
    });
    const [table] = tables;
    assert.ok(table !== undefined);
    assert.deepEqual(await compareTable(source, target, table), equal(1));
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    assert.equal(await lockTables(source, tables), true);
    const other = await server.client();
    await other.query(`SET lock_timeout = '100ms'`);
    await assert.rejects(other.query('TRUNCATE "odd one"'), { code: '55P03' });
    await assert.rejects(other.query('ALTER TABLE "odd one" ADD later text'), { code: '55P03' });
    // Who only writes does not notice.
    await other.query(`UPDATE "odd one" SET n = 2`);
    await source.query('ROLLBACK');
    // It is too late where the table was rewritten after the state was held.
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM "odd one"; SELECT 1');
    await source.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    await source.query('SELECT count(*) FROM pg_class');
    await other.query('TRUNCATE "odd one"');
    assert.equal(await lockTables(source, tables), false);
    await source.query('ROLLBACK');
  });
});
