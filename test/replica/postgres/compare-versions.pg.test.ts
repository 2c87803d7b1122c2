/** What --verify and --finish make of a source and a copy of other versions, which print numbers and quote names in other ways. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { compareTable, type Difference, tablesToCompare } from '../../../replica/postgres/compare.ts';
import { connectSource, type PostgresConnection as Connection } from '../../../replica/postgres/connection.ts';
import { planSequences, readSequences } from '../../../replica/postgres/sequences.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';

/** The last version that prints floating-point numbers in the old way, and has fewer words that are quoted. */
const OLD = '11';
/** Words that only later versions quote, and that mean something else there where they are not: as a column, system_user is a function. */
const WORDS = ['json', 'system_user', 'normalize'];

const servers: PostgresServer[] = [];
let pairs: readonly (readonly [source: Connection, target: Connection])[];

async function connect(server: PostgresServer): Promise<Connection> {
  return await connectSource({ ...server.connection, sslMode: 'disable', sslRootCert: undefined });
}

/** Makes a table in both, and compares. */
async function compared(source: pg.Client, target: pg.Client, sql: string): Promise<readonly Difference[]> {
  for (const client of [source, target])
    await client.query(
      `DROP SCHEMA IF EXISTS copied CASCADE; CREATE SCHEMA copied; SET search_path = copied; ${sql}; SET search_path = pg_catalog`,
    );
  const { tables, ...others } = await tablesToCompare(source, target);
  assert.deepEqual(others, { lacking: [], lackingColumns: [], keyless: [] });
  const found: Difference[] = [];
  for (const table of tables) found.push(await compareTable(source, target, table));
  return found;
}

const equal = (rows: number): Difference => ({ rows, missing: [], extra: [], different: [], isMore: false });

describe('a source and a copy of other versions', () => {
  before(async () => {
    servers.push(...(await Promise.all([startPostgres({ version: OLD }), startPostgres({ version: '18' })])));
    const [old, late] = await Promise.all(servers.map(connect));
    assert.ok(old !== undefined && late !== undefined);
    pairs = [
      [old, late],
      [late, old],
    ];
  });
  after(async () => {
    await Promise.all((pairs[0] ?? []).map(({ client }) => client.end()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  it('are equal where floating-point numbers are, and arrays of them: before 12 their text is another', async () => {
    const [old, late] = pairs[0] ?? [];
    const text = async (at: Connection | undefined) =>
      (await at?.client.query<{ t: string }>('SELECT 0.1::float8::text AS t'))?.rows[0]?.t;
    assert.notEqual(await text(old), await text(late));
    const sql = `CREATE TABLE t (id integer PRIMARY KEY, d float8, r real, ds float8[], rs real[]);
      INSERT INTO t VALUES (1, 0.1, 0.1, '{0.1,0.3}', '{{0.1},{0.3}}'), (2, 'NaN', '-0', '{NaN,NULL}', '{}'), (3, NULL, 1e-40, NULL, '[2:2]={1.1}')`;
    for (const [source, target] of pairs)
      assert.deepEqual(await compared(source.client, target.client, sql), [equal(3)]);
  });

  it('may be called different where what is made of such numbers is not: a point, a range, a composite, a domain', async () => {
    const [[source, target] = []] = pairs;
    assert.ok(source !== undefined && target !== undefined);
    const sql = `CREATE DOMAIN d AS float8; CREATE TYPE pair AS (x float8); CREATE TYPE span AS RANGE (subtype = float8);
      CREATE TABLE t (id integer PRIMARY KEY, p point, s span, c pair, d d);
      INSERT INTO t (id, p) VALUES (1, '(0.1,1)'); INSERT INTO t (id, s) VALUES (2, '[0.1,1)'); INSERT INTO t (id, c) VALUES (3, '(0.1)'); INSERT INTO t (id, d) VALUES (4, 0.1);
      INSERT INTO t VALUES (5, '(0.5,1)', '[0.5,1)', '(0.5)', 0.5)`;
    const [found] = await compared(source.client, target.client, sql);
    assert.deepEqual([found?.rows, found?.different], [5, ['(1)', '(2)', '(3)', '(4)']]);
  });

  it('have the same tables, columns and sequences where only one of them quotes the names', async () => {
    const sql = WORDS.map(
      (
        word,
      ) => `CREATE TABLE "${word}" ("${word}" integer PRIMARY KEY, "v ""${word}" text); INSERT INTO "${word}" VALUES (1, 'a'), (2, 'b');
        CREATE SEQUENCE "${word}_"; CREATE SCHEMA "${word}"; CREATE SEQUENCE "${word}"."${word}"`,
    ).join('; ');
    const dropped = WORDS.map((word) => `DROP SCHEMA IF EXISTS "${word}" CASCADE`).join('; ');
    for (const [source, target] of pairs) {
      for (const { client } of [source, target]) await client.query(dropped);
      assert.deepEqual(
        await compared(source.client, target.client, sql),
        WORDS.map(() => equal(2)),
      );
      const { statements, missing } = await planSequences(target.client, await readSequences(source));
      assert.deepEqual([statements.length, missing], [2 * WORDS.length, []]);
      for (const statement of statements) await target.client.query(statement);
    }
  });
});
