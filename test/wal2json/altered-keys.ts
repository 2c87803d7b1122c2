/**
 * Migrations with changes unread, where the server has the plugin wal2json: each row comes under the key that it had when
 * it was written. `npm run test:wal2json`; not among the other tests, for the plugin does not come with npm.
 *
 * PG2KINESIS_WAL2JSON names the folder that holds wal2json.so, made for the major version of PG2KINESIS_TEST_POSTGRES.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type JsonRecord, Pipeline, type PipelineOptions } from '../support/real-pipeline.ts';

const shortly = ({ op, table, key }: JsonRecord): string => `${op} ${table} ${JSON.stringify(key)}`;

interface Case {
  readonly what: string;
  readonly setup: string;
  /** Writes and migrations, as one transaction each. */
  readonly steps: readonly string[];
  readonly options?: PipelineOptions;
  readonly records: readonly string[];
  readonly skipped?: Readonly<Record<string, number>>;
  /** Where a warm container knows more. */
  readonly warm?: Pick<Case, 'records' | 'skipped'>;
}

const T = 'CREATE TABLE t (id int PRIMARY KEY, note text)';
/** A table and a column whose names look like parts of wal2json's lines. */
const LIKE_A_LINE = { table: 'a","columns":[', column: String.raw`k\é","pk":[` };
const [ODD_TABLE, ODD_COLUMN] = Object.values(LIKE_A_LINE).map((name) => `"${name.replaceAll('"', '""')}"`);

const CASES: readonly Case[] = [
  {
    what: 'names and values look like parts of a line',
    setup: `CREATE TABLE ${ODD_TABLE} (note text, ${ODD_COLUMN} int PRIMARY KEY)`,
    steps: [
      `INSERT INTO ${ODD_TABLE} VALUES (',"pk":[{"name":"note"}]}', 1), ('","identity":[', 2)`,
      `DELETE FROM ${ODD_TABLE}`,
      `ALTER TABLE ${ODD_TABLE} RENAME COLUMN ${ODD_COLUMN} TO id`,
    ],
    records: ['INSERT', 'DELETE'].flatMap((op) =>
      [1, 2].map((id) => `${op} ${LIKE_A_LINE.table} ${JSON.stringify({ [LIKE_A_LINE.column]: id })}`),
    ),
  },
  {
    what: 'a key column is renamed',
    setup: T,
    steps: [
      `INSERT INTO t VALUES (1, 'a')`,
      'ALTER TABLE t RENAME COLUMN id TO t_id',
      `INSERT INTO t VALUES (2, 'b'); UPDATE t SET note = 'c' WHERE t_id = 1; DELETE FROM t WHERE t_id = 1`,
      'ALTER TABLE t RENAME COLUMN t_id TO "T id"',
    ],
    records: ['INSERT t {"id":1}', 'INSERT t {"t_id":2}', 'UPDATE t {"t_id":1}', 'DELETE t {"t_id":1}'],
  },
  {
    what: 'a key is replaced, with only UPDATEs and DELETEs unread',
    setup: `${T}; INSERT INTO t VALUES (1, 'a'), (2, 'b')`,
    steps: [
      `UPDATE t SET id = 3 WHERE id = 1; DELETE FROM t WHERE id = 2`,
      'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD COLUMN uid serial PRIMARY KEY',
      'DELETE FROM t',
    ],
    records: ['DELETE t {"id":1}', 'INSERT t {"id":3}', 'DELETE t {"id":2}', 'DELETE t {"uid":1}'],
  },
  {
    what: 'a key is widened and narrowed',
    setup: 'CREATE TABLE t (b int NOT NULL, a int, PRIMARY KEY (a))',
    steps: [
      'INSERT INTO t VALUES (2, 1); DELETE FROM t',
      'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (a, b)',
      'INSERT INTO t VALUES (2, 1); DELETE FROM t',
    ],
    records: ['INSERT t {"a":1}', 'DELETE t {"a":1}', 'INSERT t {"a":1,"b":2}', 'DELETE t {"a":1,"b":2}'],
  },
  {
    what: 'a key is added to a table without one',
    setup: 'CREATE TABLE t (note text)',
    steps: [
      `INSERT INTO t VALUES ('a')`,
      'ALTER TABLE t ADD COLUMN id serial PRIMARY KEY',
      `INSERT INTO t VALUES ('b')`,
    ],
    records: ['INSERT t {"id":2}'],
    skipped: { noPrimaryKey: 1 },
  },
  {
    what: 'a key is dropped',
    setup: T,
    steps: [
      `INSERT INTO t VALUES (1, 'a'); DELETE FROM t`,
      'ALTER TABLE t DROP CONSTRAINT t_pkey',
      `INSERT INTO t VALUES (2, 'b')`,
    ],
    records: ['INSERT t {"id":1}', 'DELETE t {"id":1}'],
    skipped: { noPrimaryKey: 1 },
  },
  {
    what: 'a table is made again with another key',
    setup: T,
    steps: [
      `INSERT INTO t VALUES (1, 'a')`,
      'DROP TABLE t; CREATE TABLE t (code text PRIMARY KEY, id int)',
      `INSERT INTO t VALUES ('x', 5)`,
    ],
    records: ['INSERT t {"id":1}', 'INSERT t {"code":"x"}'],
  },
  {
    what: 'a table is swapped by renames',
    setup: `${T}; CREATE TABLE t_new (t_id bigint PRIMARY KEY, id int)`,
    steps: [
      `INSERT INTO t VALUES (1, 'a'); INSERT INTO t_new VALUES (2, 5)`,
      'ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t',
      'INSERT INTO t VALUES (3, 6); INSERT INTO t_old VALUES (4)',
    ],
    records: ['INSERT t {"id":1}', 'INSERT t_new {"t_id":2}', 'INSERT t {"t_id":3}', 'INSERT t_old {"id":4}'],
  },
  {
    what: 'tables are dropped, renamed and moved to another schema',
    setup: `CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE moved (id int PRIMARY KEY); CREATE TABLE "re named" (id int PRIMARY KEY); CREATE TABLE keyless (id int)`,
    steps: [
      'INSERT INTO gone VALUES (1); INSERT INTO moved VALUES (2); INSERT INTO "re named" VALUES (3); DELETE FROM gone; INSERT INTO keyless VALUES (4)',
      'DROP TABLE gone; DROP TABLE keyless; ALTER TABLE moved SET SCHEMA elsewhere; ALTER TABLE "re named" RENAME TO named',
    ],
    records: ['INSERT gone {"id":1}', 'INSERT moved {"id":2}', 'INSERT re named {"id":3}', 'DELETE gone {"id":1}'],
    skipped: { noPrimaryKey: 1 },
  },
  {
    what: 'a table is filled and swapped in within one transaction, as dbt does',
    setup: T,
    steps: [
      `CREATE TABLE t__tmp (id int PRIMARY KEY, note text); INSERT INTO t__tmp VALUES (1, 'new'); ALTER TABLE t RENAME TO t__old; ALTER TABLE t__tmp RENAME TO t; DROP TABLE t__old; INSERT INTO t VALUES (2, 'more')`,
    ],
    records: ['INSERT t__tmp {"id":1}', 'INSERT t {"id":2}'],
  },
  {
    what: 'a table that an exclude list may mean is dropped',
    setup: 'CREATE TABLE gone (id int PRIMARY KEY)',
    steps: ['INSERT INTO gone VALUES (1)', 'DROP TABLE gone'],
    options: { exclude: 'public\\.secret' },
    records: [],
    skipped: { droppedTable: 1 },
    // A warm container has seen it, and not what became of it since.
    warm: { records: [], skipped: { filtered: 1 } },
  },
  {
    what: 'an include list names a table that is dropped',
    setup: 'CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)',
    steps: ['INSERT INTO gone VALUES (1); INSERT INTO other VALUES (2)', 'DROP TABLE gone; DROP TABLE other'],
    options: { include: 'public\\.gone' },
    records: ['INSERT gone {"id":1}'],
    skipped: { filtered: 1 },
  },
  {
    what: 'an identity by another index is taken back',
    setup: `CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_u_key; INSERT INTO t VALUES (1, 10), (2, 20)`,
    steps: [
      'DELETE FROM t WHERE id = 1; UPDATE t SET u = 21 WHERE id = 2',
      'ALTER TABLE t REPLICA IDENTITY DEFAULT',
      'DELETE FROM t WHERE id = 2',
    ],
    records: ['DELETE t null', 'UPDATE t {"id":2}', 'DELETE t {"id":2}'],
  },
  {
    what: 'a key is renamed under REPLICA IDENTITY FULL',
    setup: `${T}; ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 'a')`,
    steps: [`UPDATE t SET id = 2; DELETE FROM t`, 'ALTER TABLE t RENAME COLUMN id TO t_id'],
    records: ['DELETE t {"id":1}', 'INSERT t {"id":2}', 'DELETE t {"id":2}'],
  },
  {
    what: 'names that need care: schema, table and columns',
    setup: `CREATE SCHEMA "Ä ""s"", .*"; CREATE TABLE "Ä ""s"", .*"."t'x\\y" ("k ""1""" int, "ключ\\" int, v text, PRIMARY KEY ("ключ\\", "k ""1"""))`,
    steps: [
      `INSERT INTO "Ä ""s"", .*"."t'x\\y" VALUES (1, 2, '","pk":[]}')`,
      `ALTER TABLE "Ä ""s"", .*"."t'x\\y" RENAME COLUMN "ключ\\" TO k2`,
      `DROP SCHEMA "Ä ""s"", .*" CASCADE`,
    ],
    records: [`INSERT t'x\\y {"k \\"1\\"":1,"ключ\\\\":2}`],
    // The order of a composite key is the catalogs', where they have known it.
    warm: { records: [`INSERT t'x\\y {"ключ\\\\":2,"k \\"1\\"":1}`] },
  },
];

describe('a migration with changes unread, where wal2json is there', () => {
  const folder = process.env['PG2KINESIS_WAL2JSON'];
  let server: PostgresServer;
  let slots = 0;
  before(async () => {
    assert.ok(folder !== undefined, 'set PG2KINESIS_WAL2JSON to the folder of wal2json.so');
    server = await startPostgres({ settings: { dynamic_library_path: `$libdir:${folder}` } });
  });
  after(() => server.stop());

  for (const each of CASES)
    for (const warm of [false, true])
      it(`${each.what}: ${warm ? 'warm' : 'cold'}`, async () => {
        const { setup, steps, options = {} } = each;
        const { records, skipped = {} } = (warm ? each.warm : undefined) ?? each;
        const slot = `s${++slots}`;
        await server.sql(
          'DROP SCHEMA IF EXISTS elsewhere CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE SCHEMA elsewhere',
        );
        await server.sql(setup);
        await server.createSlot(slot);
        const pipeline = new Pipeline(server, slot, options);
        await server.sql('CREATE TABLE beat (id int PRIMARY KEY); INSERT INTO beat VALUES (1)');
        if (warm) await pipeline.run();
        for (const step of steps) await server.sql(`BEGIN; ${step}; COMMIT`);
        const answer = await pipeline.run();
        assert.equal(answer.stopped, 'caught-up');
        const left = Object.values<number>({ ...answer.skipped }).reduce((sum, count) => sum + count, 0);
        assert.equal(answer.changes, answer.published + left, 'I9: every change is published or counted');
        const told = pipeline.records.filter(({ op, table }) => op !== 'TRUNCATE' && table !== 'beat').map(shortly);
        const counted = Object.fromEntries(Object.entries<number>({ ...answer.skipped }).filter(([, n]) => n > 0));
        if (options.include !== undefined && !warm) counted['filtered'] = (counted['filtered'] ?? 0) - 1;
        assert.deepEqual([told, counted], [records, skipped]);
        const copies = await server.sql(`SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE '%keys%'`);
        assert.deepEqual(copies, [], 'the copy is gone');
        await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
      });
});
