// What --create-tables makes at the target, and that it is made with what is still to come, or not at all.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { connectSource, connectTarget, type PostgresConnection } from '../../../replica/postgres/connection.ts';
import { type CreatedTables, createTables } from '../../../replica/postgres/create-tables.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { fakeDump, SOURCE } from '../support/dumped.ts';

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

/** Makes the tables in a database of its own. @returns where the script is, and what was made */
async function make(
  keep: (client: pg.Client, hasRows: boolean) => Promise<void> = () => Promise.resolve(),
): Promise<{ later: string; target: ReturnType<typeof addressOf>; made: Promise<CreatedTables> }> {
  const target = addressOf({ database: `made${++copies}` });
  await server.sql(`CREATE DATABASE ${target.database}`);
  const later = join(dir, `later${copies}.sql`);
  const program = fakeDump(dir, 99);
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
