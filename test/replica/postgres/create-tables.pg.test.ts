// What --create-tables makes at the target, and that it is made with what is still to come, or not at all.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { connectSource, connectTarget, type PostgresConnection } from '../../../replica/postgres/connection.ts';
import { type CreatedTables, createTables } from '../../../replica/postgres/create-tables.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { fakeDump, POST_DATA, PRE_DATA, SOURCE } from '../support/dumped.ts';

const STREAM = { arn: 'arn', createdMs: 1_000 };

let server: PostgresServer;
let dir: string;
let source: PostgresConnection;
let copies = 0;

const addressOf = (over: { readonly database?: string; readonly user?: string } = {}) => ({
  ...server.connection,
  ...over,
  sslMode: 'disable' as const,
  sslRootCert: undefined,
});

/** What pg_dump writes of a definition. */
const dumped = (name: string, kind: string, sql: string): string =>
  `--\n-- Name: ${name}; Type: ${kind}; Schema: public; Owner: -\n--\n\n${sql}\n\n\n`;

/** Makes the tables in a database of its own. @returns where the script is, and what was made */
async function make(
  keep: (client: pg.Client, hasRows: boolean) => Promise<void> = () => Promise.resolve(),
  { program = fakeDump(dir, 99), later = join(dir, `later${copies + 1}.sql`) } = {},
): Promise<{ later: string; target: ReturnType<typeof addressOf>; made: Promise<CreatedTables> }> {
  const target = addressOf({ database: `made${++copies}` });
  await server.sql(`CREATE DATABASE ${target.database}`);
  const made = createTables({ source, target, program, path: process.env['PATH'] ?? '', laterFile: later, keep });
  return { later, target, made };
}

describe('tables that are made', () => {
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-test-'));
    server = await startPostgres();
    await server.sql(SOURCE);
    await server.sql(`INSERT INTO public.fixed VALUES (1, 'a'); ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;
      CREATE ROLE reader LOGIN PASSWORD 'password'; GRANT SELECT ON public.fixed, public.orders, public.left_accounts TO reader`);
    source = await connectSource({ ...addressOf({ user: 'reader' }), password: 'password' });
  });
  after(async () => {
    await source.client.end();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('await the rows of tables that nobody may look into: row-level security hides them, or a right is missing', async () => {
    const { later, made } = await make();
    const { withRows } = await made;
    assert.deepEqual(withRows, ['public.fixed', 'public.orders', 'public.right_accounts']);
    assert.match(readFileSync(later, 'utf8'), /FOREIGN KEY/);
  });

  it('come with views and functions that need a key, and a script that fills the materialized views, whichever reads another', async () => {
    const { later, target, made } = await make();
    const { leftOut } = await made;
    assert.deepEqual([...leftOut], [['TRIGGER', 1]]);
    const client = await server.client({ database: target.database });
    await client.query(`INSERT INTO public.fixed VALUES (1, 'a'), (2, 'b')`);
    const one = async (sql: string): Promise<unknown> => (await client.query<{ is: string }>(sql)).rows[0]?.is;
    assert.equal(await one(`SELECT string_agg(id || v || n, ',' ORDER BY id) AS is FROM public.by_key`), '1a1,2b1');
    assert.equal(await one('SELECT public.needs_key(2) AS is'), 'b');
    await assert.rejects(client.query('SELECT FROM public.stored'), { code: '55000' });
    await client.query(readFileSync(later, 'utf8'));
    assert.equal(await one(`SELECT string_agg(id || v, ',' ORDER BY id) AS is FROM public.first_filled`), '1a,2b');
    await client.end();
  });

  // Before 11 a partitioned table has no keys and no indexes.
  it(
    'come without rules, policies and triggers, which are counted; extended statistics and what is not validated are for later',
    { skip: TESTED_MAJOR < 11 },
    async () => {
      const preData = `${PRE_DATA}CREATE TABLE public.whole (id integer NOT NULL, n integer) PARTITION BY RANGE (id);
      CREATE TABLE public.part (id integer NOT NULL, n integer);
      ALTER TABLE ONLY public.whole ATTACH PARTITION public.part DEFAULT;\n`;
      const postData = [
        POST_DATA,
        dumped(
          'fixed late',
          'CHECK CONSTRAINT',
          `ALTER TABLE public.fixed ADD CONSTRAINT late CHECK (v <> '') NOT VALID;`,
        ),
        dumped(
          'whole whole_pkey',
          'CONSTRAINT',
          'ALTER TABLE ONLY public.whole ADD CONSTRAINT whole_pkey PRIMARY KEY (id);',
        ),
        dumped(
          'part part_pkey',
          'CONSTRAINT',
          'ALTER TABLE ONLY public.part ADD CONSTRAINT part_pkey PRIMARY KEY (id);',
        ),
        dumped('whole_n', 'INDEX', 'CREATE INDEX whole_n ON ONLY public.whole USING btree (n);'),
        dumped('part_n', 'INDEX', 'CREATE INDEX part_n ON public.part USING btree (n);'),
        dumped('part_n', 'INDEX ATTACH', 'ALTER INDEX public.whole_n ATTACH PARTITION public.part_n;'),
        dumped('part_pkey', 'INDEX ATTACH', 'ALTER INDEX public.whole_pkey ATTACH PARTITION public.part_pkey;'),
        dumped('together', 'STATISTICS', 'CREATE STATISTICS public.together ON n, id FROM public.part;'),
        dumped('fixed quiet', 'RULE', 'CREATE RULE quiet AS ON DELETE TO public.fixed DO INSTEAD NOTHING;'),
        dumped('fixed own', 'POLICY', 'CREATE POLICY own ON public.fixed USING (true);'),
      ].join('');
      const { later, target, made } = await make(undefined, { program: fakeDump(dir, 98, { preData, postData }) });
      const { leftOut } = await made;
      assert.deepEqual(Object.fromEntries(leftOut), { TRIGGER: 1, RULE: 1, POLICY: 1 });
      const client = await server.client({ database: target.database });
      const there = async (): Promise<unknown> => {
        const { rows } = await client.query(`SELECT
        (SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conname IN ('late', 'part_pkey', 'whole_pkey', 'right_accounts_rank_key')) AS constraints,
        (SELECT count(*)::int FROM pg_statistic_ext) AS statistics, (SELECT count(*)::int FROM pg_policy) AS policies,
        (SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) FROM pg_inherits WHERE inhrelid <> 'public.part'::regclass) AS attached,
        (SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'public.whole'::regclass) AS valid`);
        return rows[0];
      };
      const keys = 'part_pkey right_accounts_rank_key whole_pkey';
      const rest = { policies: 0, valid: true };
      assert.deepEqual(await there(), { constraints: keys, statistics: 0, attached: 'part_pkey', ...rest });
      await client.query(readFileSync(later, 'utf8'));
      await client.query('RESET search_path');
      assert.deepEqual(await there(), {
        constraints: `late ${keys}`,
        statistics: 1,
        attached: 'part_n part_pkey',
        ...rest,
      });
      await client.end();
    },
  );

  it('are not made where the file is there, which stays as it is, or where pg_dump fails, whose words are shown', async () => {
    const later = join(dir, 'of before.sql');
    writeFileSync(later, 'kept');
    const program = join(dir, 'pg_dump_that_fails');
    writeFileSync(
      program,
      `#!/bin/sh\ncase "$*" in *--version*) echo 'pg_dump (PostgreSQL) 99.1';; *) echo 'no right to LOCK TABLE' >&2; exit 1;; esac\n`,
      { mode: 0o700 },
    );
    for (const [how, said] of [
      [
        { later },
        /REPLICA_USAGE: The file ".*of before\.sql" of --create-tables is there already\. Nothing was made\./,
      ],
      [{ program }, /DEFINITIONS_REFUSED: pg_dump failed: no right to LOCK TABLE\. Nothing was made\./],
    ] as const) {
      const { target, made } = await make(undefined, how);
      await assert.rejects(made, said);
      const client = await server.client({ database: target.database });
      assert.deepEqual((await client.query(`SELECT to_regclass('public.fixed') AS made`)).rows, [{ made: null }]);
      await client.end();
    }
    assert.equal(readFileSync(later, 'utf8'), 'kept');
  });

  it('are there with what is still to come: whoever begins the copy later awaits the snapshot', async () => {
    const stores = { stream: STREAM, name: 'late' };
    const { target, made } = await make(async (client, hasRows) => {
      const own = await connectTarget(target);
      // It makes the tables of positions, as the command does.
      assert.equal(await new PositionStore(own.client, stores.name).hasBegun(), false);
      await own.client.end();
      await new PositionStore(client, stores.name).announce(client, STREAM, { awaitsSnapshot: hasRows });
    });
    await made;
    const { client } = await connectTarget(target);
    const positions = new PositionStore(client, stores.name);
    assert.equal(await positions.hasBegun(), true);
    const { cut, copying } = await positions.begin(STREAM, { takeOver: false, awaitsSnapshot: false });
    assert.deepEqual([cut, copying], [0n, 'awaited']);
    await client.end();
  });

  it('are not there, and neither is the file, where what is still to come cannot be kept', async () => {
    const { later, target, made } = await make((client) => client.query('SELECT 1 / 0').then(() => undefined));
    await assert.rejects(made, /DEFINITIONS_REFUSED: .*SQLSTATE 22012\)\. Nothing was made\./);
    assert.equal(existsSync(later), false);
    const { client } = await connectTarget(target);
    assert.deepEqual((await client.query(`SELECT to_regclass('public.fixed') AS made`)).rows, [{ made: null }]);
    await client.end();
  });

  it('may be there where the connection ended in the COMMIT: then the file is kept', async () => {
    const { later, made } = await make(async (client) => {
      const query = client.query.bind(client) as (text: string) => Promise<unknown>;
      client.query = ((text: string) =>
        text === 'COMMIT' ? client.end().then(() => Promise.reject(new Error('gone'))) : query(text)) as never;
      await Promise.resolve();
    });
    await assert.rejects(
      made,
      /TARGET_UNREACHABLE: .* They are all there, or none is\. Start again with the same options/,
    );
    assert.equal(existsSync(later), true);
  });
});
