/**
 * Tables in which every type of docs/records.md is a column, an array, a domain, an array of it, a composite, and where it can
 * be one a key; and a writer that changes them. Types that have equal values of different text are keys with both. Knows no pipeline.
 */
import type pg from 'pg';
import { ARRAYS, CASES, TYPES_SQL } from '../../lambda/format/json/value-cases.ts';
import type { PostgresServer } from '../../support/postgres.ts';
import { type Random, randomOf } from '../rules/model/random.ts';
import { arrayOf, domainOver, emptying, generatedColumn } from './by-version.ts';

/** A type, and its values as text. */
interface Typed {
  readonly type: string;
  readonly values: readonly string[];
}

/** A table of several types: with each, columns `v`, `l`, `d`, `e` and `c` and the type's number. */
interface WideTable {
  readonly name: string;
  readonly types: readonly {
    readonly n: number;
    readonly type: string;
    readonly domain: string;
    readonly values: readonly string[];
  }[];
}

/** A table whose key is of a type. */
interface KeyTable {
  readonly name: string;
  readonly type: string;
  readonly values: readonly string[];
}

/** What was made. */
export interface TypedTables {
  /** Printed names. */
  readonly names: readonly string[];
  readonly wide: readonly WideTable[];
  readonly keys: readonly KeyTable[];
  /** Makes the tables and types. */
  readonly sql: string;
  /** Whether there are arrays of domains: from 11 on. */
  readonly hasDomainArrays: boolean;
}

/** More values of a type that can be a key: their text differs, and they are equal. */
const EQUALS: Readonly<Record<string, readonly string[]>> = {
  numeric: ['1.0', '1.00', '1.000', '0.00'],
  'public.citext': ["IT'S", 'a', 'A'],
  real: ['0', '-0'],
  'double precision': ['0', '-0'],
  interval: ['24:00:00', '1 day', '30 days', '1 mon'],
  jsonb: ['1', '1.0', '1.00'],
  numrange: ['[1,2)', '[1.0,2.00)'],
};
/** A row of everything has to fit into a record. */
const LONG = 1_000;
const TYPES_A_TABLE = 8;

/**
 * @param server - where the types can be tried; nothing stays there
 * @param choice - of every `share` types one is taken, from the `first` on
 */
export async function typedTables(
  server: PostgresServer,
  { share, first }: { readonly share: number; readonly first: number },
): Promise<TypedTables> {
  const types = CASES.filter(({ since = 0 }, i) => server.version >= since && i % share === first);
  const wide = wideTables(types, server.version);
  const statements = [TYPES_SQL, ...wide.map(({ sql }) => sql)];
  const keys: KeyTable[] = [];
  const canBeKey = await keyTypes(server, types);
  for (const { type, values } of canBeKey) {
    const name = `public.key_${keys.length}`;
    const short = values.filter(({ length }) => length < LONG);
    keys.push({ name, type, values: [...short, ...(EQUALS[type] ?? [])] });
    statements.push(keyTable(name, type));
  }
  // Of a collation that finds both equal, and of what has no text of its own in a key: a domain, an array, a composite.
  if (server.version >= 12) {
    statements.push(
      `CREATE COLLATION public.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
      keyTable('public.key_caseless', 'text', 'COLLATE public.caseless'),
    );
    keys.push({ name: 'public.key_caseless', type: 'text', values: ['a', 'A', "It's", "IT'S", 'é', 'É', ''] });
  }
  statements.push(
    keyTable('public.key_domain', 'public.positive'),
    keyTable('public.key_array', 'numeric[]'),
    keyTable('public.key_composite', 'public.pair'),
  );
  keys.push(
    { name: 'public.key_domain', type: 'public.positive', values: ['1', '2', '3', '2147483647'] },
    { name: 'public.key_array', type: 'numeric[]', values: ['{1.0}', '{1.00}', '{}', '{NULL,2}', '[0:1]={1,2}'] },
    { name: 'public.key_composite', type: 'public.pair', values: ['(1,a)', '(1,"a b")', '(,)', '(2,)'] },
  );
  const names = [...wide, ...keys].map(({ name }) => name);
  return { names, wide, keys, sql: statements.join(';\n'), hasDomainArrays: server.version >= 11 };
}

function wideTables(types: readonly Typed[], major: number): (WideTable & { readonly sql: string })[] {
  const all = [...types, ...ARRAYS.map(({ type, values }) => ({ type, values, isArray: true }))].map((each, n) => ({
    ...each,
    n,
    domain: domainOver(major, `public.domain_${n}`, each.type).name,
  }));
  // The text of json differs by line breaks: it is in tables of its own, where a hash leaves them out.
  const groups = [all.filter(({ type }) => isJson(type))];
  for (const each of all.filter(({ type }) => !isJson(type))) {
    const last = groups.at(-1) ?? [];
    if (groups.length > 1 && last.length < TYPES_A_TABLE) last.push(each);
    else groups.push([each]);
  }
  return groups
    .filter((group) => group.length > 0)
    .map((group, i) => {
      const name = `public.${i === 0 && group.some(({ type }) => isJson(type)) ? 'json' : 'wide'}_${i}`;
      const made: string[] = [];
      const columns: string[] = [];
      for (const { n, type, domain, ...more } of group) {
        made.push(domainOver(major, domain, type).sql, `CREATE TYPE public.composite_${n} AS (v ${type}, t text)`);
        columns.push(`v_${n} ${type}, d_${n} ${domain}, c_${n} public.composite_${n}`);
        if (major >= 11) columns.push(`e_${n} ${domain}[]`);
        if (!('isArray' in more)) columns.push(`l_${n} ${type}[]`);
      }
      const generated = generatedColumn(major, 'g integer GENERATED ALWAYS AS (n * 2) STORED');
      const table = `CREATE TABLE ${name} (id integer PRIMARY KEY, u integer UNIQUE,
        other integer GENERATED ALWAYS AS IDENTITY, n integer, big text${generated}, ${columns.join(', ')});
        ALTER TABLE ${name} ALTER big SET STORAGE EXTERNAL`;
      return { name, types: group, sql: [...made, table].join(';\n') };
    });
}

/**
 * A row as text, for a hash. The text of json has no line breaks between tokens in a record, so a row with it may also be printed
 * without quotes.
 *
 * @param table - its name
 */
export function rowText(table: string): string {
  return table.startsWith('public.json_') ? `regexp_replace(t::text, '[\\r\\n"]', '', 'g')` : 't::text';
}

const isJson = (type: string): boolean => type.startsWith('json');

function keyTable(name: string, type: string, collation = ''): string {
  return `CREATE TABLE ${name} (k ${type} ${collation} PRIMARY KEY, n integer, big text);
    ALTER TABLE ${name} ALTER big SET STORAGE EXTERNAL`;
}

/** Types of which a B-tree can be made. */
async function keyTypes(server: PostgresServer, types: readonly Typed[]): Promise<Typed[]> {
  const found: Typed[] = [];
  await server.sql('CREATE DATABASE tried');
  const client = await server.client({ database: 'tried' });
  await client.query(TYPES_SQL);
  for (const each of types) {
    const made = await client.query(`CREATE TABLE public.tried_${found.length} (k ${each.type} PRIMARY KEY)`).then(
      () => true,
      (error: unknown) => {
        if ((error as { code?: string }).code !== '42704') throw error;
        return false;
      },
    );
    if (made) found.push(each);
  }
  await client.end();
  await server.sql('DROP DATABASE tried');
  return found;
}

/** Writes transactions. */
export class TypedWriter {
  readonly #tables: TypedTables;
  readonly #random: Random;
  #serial = 0;

  constructor(tables: TypedTables, seed: number) {
    this.#tables = tables;
    this.#random = randomOf(seed);
  }

  /** Gives each table rows: in each of a type's columns every value once, and NULL. */
  async fill(client: pg.Client): Promise<void> {
    for (const table of this.#tables.wide) {
      const most = Math.max(...table.types.map(({ values }) => values.length));
      for (let i = 0; i <= most; i++) await this.#insert(client, table, i);
    }
    for (const { name, type, values } of this.#tables.keys)
      for (const value of values) await insertKey(client, name, type, value, ++this.#serial);
  }

  /** One transaction, on a connection that may break at any statement. */
  async write(client: pg.Client): Promise<void> {
    const { int, next, pick } = this.#random;
    await client.query('BEGIN');
    for (let left = 1 + int(4); left > 0; left--) {
      if (next() < 0.5) await this.#changeWide(client, pick(this.#tables.wide));
      else await this.#changeKey(client, pick(this.#tables.keys));
    }
    await client.query(next() < 0.05 ? 'ROLLBACK' : 'COMMIT');
  }

  async #insert(client: pg.Client, { name, types }: WideTable, turn = 1_000 + this.#random.int(1_000)): Promise<void> {
    const id = ++this.#serial;
    const columns = ['id', 'u', 'n', 'big'];
    const values: unknown[] = [];
    const sql = [`${id}`, `${id}`, `${id % 100}`, `repeat('b${id} ', 400)`];
    for (const { n, type, domain, values: all } of types) {
      const value = turn % (all.length + 1) === all.length ? null : (all[turn % (all.length + 1)] ?? null);
      const short = value !== null && value.length > LONG ? (all[0] ?? null) : value;
      const isArray = type.endsWith('[]');
      const [plain, other] = [values.push(value), values.push(short)].map((at) => `$${at}`);
      columns.push(`v_${n}`, `d_${n}`, `c_${n}`);
      sql.push(
        `${plain}::${type}`,
        `${other}::${type}::${domain}`,
        `ROW(${other}::${type}, 'it''s "x"')::public.composite_${n}`,
      );
      const list = isArray ? '' : arrayOf(`$${values.push(all.filter(({ length }) => length < LONG))}`, type);
      if (!isArray) {
        columns.push(`l_${n}`);
        sql.push(list);
      }
      if (this.#tables.hasDomainArrays) {
        columns.push(`e_${n}`);
        sql.push(isArray ? `ARRAY[${other}::${type}::${domain}]` : `${list}::${domain}[]`);
      }
    }
    await client.query(`INSERT INTO ${name} (${columns.join()}) VALUES (${sql.join()})`, values);
  }

  async #changeWide(client: pg.Client, table: WideTable): Promise<void> {
    const { int, next, pick } = this.#random;
    const { name } = table;
    const one = `(SELECT id FROM ${name} ORDER BY random() LIMIT 1)`;
    const dice = next();
    if (dice < 0.25) return await this.#insert(client, table);
    if (dice < 0.35) {
      // It moves, with values that are not sent.
      await client.query(`UPDATE ${name} SET id = ${++this.#serial} WHERE id = ${one}`);
    } else if (dice < 0.45) {
      await client.query(`DELETE FROM ${name} WHERE id = ${one} AND (SELECT count(*) FROM ${name}) > 5`);
    } else if (dice < 0.6) {
      // Two rows swap a unique value.
      const free = -++this.#serial;
      await client.query(`DO $$ DECLARE a integer; b integer; BEGIN
        SELECT u INTO a FROM ${name} ORDER BY random() LIMIT 1; SELECT u INTO b FROM ${name} WHERE u <> a ORDER BY random() LIMIT 1;
        IF b IS NULL THEN RETURN; END IF;
        UPDATE ${name} SET u = ${free} WHERE u = a; UPDATE ${name} SET u = a WHERE u = b; UPDATE ${name} SET u = b WHERE u = ${free}; END $$`);
    } else if (dice < 0.61) {
      await client.query(emptying(name));
      for (let i = 0; i < 3; i++) await this.#insert(client, table);
    } else {
      const { n, type, domain, values } = pick(table.types);
      const value = int(values.length + 1) === 0 ? null : pick(values);
      const short = value !== null && value.length > LONG ? null : value;
      const set = pick([
        `n = n + 1`,
        `v_${n} = $1::${type}`,
        `d_${n} = $1::${type}::${domain}`,
        `c_${n} = ROW($1::${type}, NULL)::public.composite_${n}`,
        ...(this.#tables.hasDomainArrays ? [`e_${n} = ARRAY[$1::${type}::${domain}, NULL::${domain}]`] : []),
      ]);
      await client.query(`UPDATE ${name} SET ${set} WHERE id = ${one}`, set.includes('$1') ? [short] : []);
    }
  }

  async #changeKey(client: pg.Client, { name, type, values }: KeyTable): Promise<void> {
    const { next, pick } = this.#random;
    const [from, to] = [pick(values), pick(values)];
    const dice = next();
    if (dice < 0.25) {
      await insertKey(client, name, type, from, ++this.#serial);
    } else if (dice < 0.65) {
      // To another key, or to another text of the same.
      await client.query(
        `UPDATE ${name} AS t SET k = $2::${type} WHERE k = $1::${type}
         AND NOT EXISTS (SELECT 1 FROM ${name} AS o WHERE o.k = $2::${type} AND o.ctid <> t.ctid)`,
        [from, to],
      );
    } else if (dice < 0.8) {
      await client.query(`UPDATE ${name} SET n = n + 1 WHERE k = $1::${type}`, [from]);
    } else if (dice < 0.98) {
      await client.query(`DELETE FROM ${name} WHERE k = $1::${type}`, [from]);
    } else {
      await client.query(emptying(name));
    }
  }
}

async function insertKey(client: pg.Client, name: string, type: string, value: string, n: number): Promise<void> {
  await client.query(
    `INSERT INTO ${name} VALUES ($1::${type}, ${n}, CASE WHEN ${n} % 2 = 0 THEN repeat('k${n} ', 400) END) ON CONFLICT DO NOTHING`,
    [value],
  );
}
