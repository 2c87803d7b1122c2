// Values of every type at the target: what went through the slot, a record and the writer is equal to what the source has.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ARRAYS, CASES, TYPES_SQL } from '../../lambda/format/json/value-cases.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { arrayOf, domainOver, generatedColumn } from '../support/by-version.ts';
import { ReplicatedDatabase } from '../support/replicated-database.ts';

let server: PostgresServer;
let copy: ReplicatedDatabase;

const TYPES = CASES.filter(({ since = 0 }) => TESTED_MAJOR >= since);

/** The same on both sides, but for line breaks in json, for which a row's text has quotes. */
async function assertEqual(table: string, type: string): Promise<void> {
  const { source, target } = await copy.rows(table);
  const plain = (rows: readonly string[]): string[] =>
    type.startsWith('json') ? rows.map((row) => row.replaceAll(/[\r\n"]/g, '')).sort() : [...rows];
  assert.deepEqual(plain(target), plain(source));
  assert.ok(source.length > 0);
}

describe('values at the target', () => {
  before(async () => {
    server = await startPostgres();
    copy = await ReplicatedDatabase.make(server, 'kinds');
    await copy.define(TYPES_SQL);
  });
  after(async () => {
    await copy.close();
    await server.stop();
  });

  it('are equal for every type: alone, in an array, in a domain, in a composite, and NULL', async () => {
    const tables: [name: string, type: string][] = [];
    for (const [i, { type, values }] of TYPES.entries()) {
      const [table, composite] = [`public.plain_${i}`, `public.composite_${i}`];
      // Domains over domains, and composites of everything, are their text.
      const domain = domainOver(TESTED_MAJOR, `public.domain_${i}`, type);
      await copy.define(`${domain.sql};
        CREATE TYPE ${composite} AS (v ${type}, t text);
        CREATE TABLE ${table} (id integer PRIMARY KEY, v ${type}, d ${domain.name}, c ${composite})`);
      for (const [id, value] of [...values, null].entries()) {
        await copy.source.query(
          `INSERT INTO ${table} SELECT ${id}, v, v, ROW(v, 'it''s "x"')::${composite} FROM (SELECT $1::${type} AS v) AS x`,
          [value],
        );
      }
      tables.push([table, type]);
      // Before 11 there are no arrays of domains.
      const arrays = [[type, values], ...(TESTED_MAJOR < 11 ? [] : [[domain.name, values] as const])] as const;
      for (const [j, [element, items]] of arrays.entries()) {
        const list = `public.list_${i}_${j}`;
        await copy.define(`CREATE TABLE ${list} (id integer PRIMARY KEY, v ${element}[])`);
        await copy.source.query(
          `INSERT INTO ${list} VALUES (0, ${arrayOf('$1', type)}::${element}[]), (1, '{}'), (2, NULL)`,
          [[...items, null]],
        );
        tables.push([list, type]);
      }
    }
    await copy.sync();
    for (const [table, type] of tables) await assertEqual(table, type);
  });

  it('are equal for arrays that nest or have bounds', async () => {
    for (const [i, { type, values }] of ARRAYS.entries()) {
      await copy.define(`CREATE TABLE public.array_${i} (id integer PRIMARY KEY, v ${type})`);
      for (const [id, value] of values.entries()) {
        await copy.source.query(`INSERT INTO public.array_${i} VALUES (${id}, $1)`, [value]);
      }
    }
    await copy.sync();
    for (const [i, { type }] of ARRAYS.entries()) await assertEqual(`public.array_${i}`, type);
  });

  it('are equal for every type that can be a key, and such rows are updated and deleted', async () => {
    const keys: [table: string, type: string][] = [];
    for (const [i, { type, values }] of TYPES.entries()) {
      const table = `public.key_${i}`;
      const made = await copy.source
        .query(`CREATE TABLE ${table} (k ${type} PRIMARY KEY, n integer)`)
        .catch((error: unknown) => {
          // No operator class for an index: no key.
          assert.equal((error as { code?: string }).code, '42704', type);
        });
      if (made === undefined) continue;
      await copy.target.query(`CREATE TABLE ${table} (k ${type} PRIMARY KEY, n integer)`);
      const short = values.filter((text) => text.length < 1_000);
      await copy.source.query(
        `INSERT INTO ${table} SELECT ($1::text[])[i]::${type}, i FROM generate_subscripts($1::text[], 1) AS i ON CONFLICT DO NOTHING`,
        [short],
      );
      keys.push([table, type]);
    }
    await copy.sync();
    for (const [table, type] of keys) await assertEqual(table, type);
    for (const [table] of keys) {
      await copy.source.query(`UPDATE ${table} SET n = n + 100`);
      await copy.source.query(`DELETE FROM ${table} WHERE n > 101`);
    }
    await copy.sync();
    for (const [table, type] of keys) await assertEqual(table, type);
  });

  it('are equal in identity columns, and left to the target in generated ones', async () => {
    const generated = generatedColumn(TESTED_MAJOR, 'g integer GENERATED ALWAYS AS (n * 2) STORED');
    await copy.define(`CREATE TABLE public.identities (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        other integer GENERATED ALWAYS AS IDENTITY, n integer, big text${generated});
      ALTER TABLE public.identities ALTER big SET STORAGE EXTERNAL`);
    await copy.source.query(
      `INSERT INTO public.identities (n, big) SELECT i, repeat('x' || i, 3000) FROM generate_series(1, 3) AS i`,
    );
    await copy.sync();
    await assertEqual('public.identities', 'integer');
    // The values that are out of line are not sent: they are those of the old row.
    await copy.source.query('UPDATE public.identities SET n = n + 1 WHERE id > 1');
    await copy.sync();
    await assertEqual('public.identities', 'integer');
  });
});
