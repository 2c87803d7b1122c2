/** Which tables `--fast` refuses, by the catalogs of a real server, and that the statements which it gives do away with the reason. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { refuseUnfit } from '../../../replica/postgres/fast/fast-table-check.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';

/** Tables that can bear it, by their definitions. */
const FIT: Readonly<Record<string, string>> = {
  'integers, texts and a date': '(a int, b bigint, c text, d varchar(5), e date, PRIMARY KEY (a, b, c, d, e))',
  'a uuid': '(a uuid PRIMARY KEY)',
  'an enum': '(a public.colour PRIMARY KEY)',
  'a domain over an integer': '(a public.small PRIMARY KEY)',
  'char of a length': '(a char(3) PRIMARY KEY)',
  'times, bytes, addresses': '(a timestamptz, b time, c bytea, d inet, e macaddr, PRIMARY KEY (a, b, c, d, e))',
  'no unique index but the key, and others': '(a int PRIMARY KEY, b int)',
};

/** Tables that cannot, and why. */
const UNFIT: Readonly<Record<string, readonly [definition: string, reason: RegExp]>> = {
  'a unique constraint': [
    '(a int PRIMARY KEY, b int CONSTRAINT b_once UNIQUE)',
    /constraints besides its key \(b_once\)/,
  ],
  'a deferrable one': ['(a int PRIMARY KEY, b int CONSTRAINT b_late UNIQUE DEFERRABLE)', /\(b_late\)/],
  'an exclusion constraint': [
    '(a int PRIMARY KEY, b int4range, CONSTRAINT no_overlap EXCLUDE USING gist (b WITH &&))',
    /\(no_overlap\)/,
  ],
  'a numeric key': ['(a numeric PRIMARY KEY)', /its key column "a" \(numeric\) can be equal and have different texts/],
  'a key of a domain over numeric': ['(a public.amount PRIMARY KEY)', /key column "a" \(public\.amount\)/],
  'a key of double precision': ['(a float8, b int, PRIMARY KEY (b, a))', /key column "a" \(double precision\)/],
  'an interval': ['("A b" interval PRIMARY KEY)', /key column "A b" \(interval\)/],
  'a key of jsonb': ['(a jsonb PRIMARY KEY)', /key column "a" \(jsonb\)/],
  'a key of real': ['(a real PRIMARY KEY)', /key column "a" \(real\)/],
  'a key of citext': ['(a public.citext PRIMARY KEY)', /key column "a" \(public\.citext\)/],
  'a range': ['(a numrange PRIMARY KEY)', /key column "a" \(numrange\)/],
  'a composite': ['(a public.pair PRIMARY KEY)', /key column "a" \(public\.pair\)/],
  'an array': ['(a int[] PRIMARY KEY)', /key column "a" \(integer\[\]\)/],
  'char without a length': ['(a bpchar PRIMARY KEY)', /key column "a" \(bpchar\)|key column "a" \(character\)/],
  both: ['(a numeric PRIMARY KEY, b int UNIQUE)', /besides its key.*; values of its key column "a"/],
};

describe('a table of a target of --fast', () => {
  let server: PostgresServer;
  let client: pg.Client;
  let number = 0;
  before(async () => {
    server = await startPostgres();
    client = await server.client();
    await client.query(
      `CREATE TYPE public.colour AS ENUM ('red', 'blue'); CREATE DOMAIN public.small AS int CHECK (VALUE < 100); CREATE DOMAIN public.amount AS numeric;
       CREATE EXTENSION citext SCHEMA public; CREATE TYPE public.pair AS (n numeric, t text);
       SET search_path = pg_catalog`,
    );
  });
  after(() => server.stop());

  const make = async (definition: string, more = ''): Promise<{ oid: string; sql: string }> => {
    const sql = `public.t${++number}`;
    await client.query(`CREATE TABLE ${sql} ${definition}; ${more.replaceAll('$', sql)}`);
    const { rows } = await client.query<{ oid: string }>('SELECT $1::regclass::oid::text AS oid', [sql]);
    return { oid: rows[0]?.oid ?? '', sql };
  };
  const refusal = async (table: { oid: string; sql: string }): Promise<string> =>
    refuseUnfit(client, table).then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
  /** Runs what the message says. */
  const mend = async (message: string): Promise<void> => {
    const [, statements = ''] = /if the copy can do without: (.*)$/s.exec(message) ?? [];
    assert.notEqual(statements, '', message);
    await client.query(statements);
  };

  for (const [what, definition] of Object.entries(FIT)) {
    it(`is taken with a key of ${what}`, async () => {
      const table = await make(definition, definition.includes('b int)') ? 'CREATE INDEX ON $ (b)' : '');
      assert.equal(await refusal(table), '');
    });
  }

  for (const [what, [definition, reason]] of Object.entries(UNFIT)) {
    it(`is refused with ${what}, until what the message says was run`, async () => {
      const table = await make(definition);
      const message = await refusal(table);
      assert.match(message, /^FAST_REFUSED: The table public\.t\d+ of the target cannot be kept by --fast: /);
      assert.match(message, reason);
      await mend(message);
      assert.equal(await refusal(table), '');
    });
  }

  it('is refused with a unique index of a part of the rows, and with one of an expression', async () => {
    const table = await make(
      '(a int PRIMARY KEY, b int, c text)',
      'CREATE UNIQUE INDEX part ON $ (b) WHERE b > 0; CREATE UNIQUE INDEX low ON $ (lower(c))',
    );
    const message = await refusal(table);
    assert.match(message, /\(low, part\).*DROP INDEX public\.low; DROP INDEX public\.part;/);
    await mend(message);
    assert.equal(await refusal(table), '');
  });

  it('is refused with a collation by which different texts are equal, from 12 on', async () => {
    const [version] = await server.sql<{ num: string }>(`SELECT current_setting('server_version_num') AS num`);
    if (Number(version?.num) < 120_000) return;
    await client.query(
      `CREATE COLLATION public.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    const table = await make('(a text COLLATE public.any_case PRIMARY KEY)');
    const message = await refusal(table);
    assert.match(message, /key column "a" \(text\)/);
    await mend(message);
    assert.equal(await refusal(table), '');
  });

  it('is refused as a partition whose table has a unique constraint, which is the one to drop', async () => {
    const [version] = await server.sql<{ num: string }>(`SELECT current_setting('server_version_num') AS num`);
    if (Number(version?.num) < 110_000) return;
    const parent = await make(
      '(a int, b int, PRIMARY KEY (a), CONSTRAINT twice UNIQUE (a, b)) PARTITION BY RANGE (a)',
      'CREATE TABLE public.leaf PARTITION OF $ DEFAULT',
    );
    const { rows } = await client.query<{ oid: string }>(`SELECT 'public.leaf'::regclass::oid::text AS oid`);
    const leaf = { oid: rows[0]?.oid ?? '', sql: 'public.leaf' };
    const message = await refusal(leaf);
    assert.match(message, new RegExp(`\\(twice\\).*ALTER TABLE ${parent.sql} DROP CONSTRAINT twice;`));
    await mend(message);
    assert.equal(await refusal(leaf), '');
  });
});
