/**
 * Compares a table of two databases: by a hash of each of many parts of it, and, where those differ, row by row. A row's part
 * is chosen by its key's text, so neither order nor collation matters. Shows keys, never values.
 */
import type pg from 'pg';
import { ReplicaError } from '../errors.ts';
import { codeOf } from './connection.ts';
import { quoteName } from './sql-text.ts';

/** A table that both have, and the columns that are compared. */
export interface ComparedTable {
  /** Its name, with its schema, as it is shown. */
  readonly name: string;
  /** The same, as SQL of any version. */
  readonly sql: string;
  /** Whether the copy's has partitions: then its rows are theirs. */
  readonly isPartitioned: boolean;
  /** The key's columns, quoted. */
  readonly key: readonly string[];
  /** All that are compared, as SQL. */
  readonly columns: readonly string[];
  /** About how many rows it has. */
  readonly estimate: number;
}

/** What differs. Keys as PostgreSQL writes a row of them, at most {@link MAX_NAMED} of each kind. */
export interface Difference {
  readonly rows: number;
  /** Rows that the copy lacks. */
  readonly missing: readonly string[];
  /** Rows that only the copy has, or has more than once. */
  readonly extra: readonly string[];
  readonly different: readonly string[];
  /** Whether there are more than are named. */
  readonly isMore: boolean;
}

/** So many keys of a table are named. */
const MAX_NAMED = 20;
/** Rows of a part, about. */
const PART_ROWS = 5_000;
const MAX_PARTS = 65_536;
/** Parts that are read row by row at once. */
const PARTS_AT_ONCE = 4;

/** A column, as the catalogs have it. */
interface ColumnRow {
  readonly schema: string;
  readonly table: string;
  readonly isPartitioned: boolean;
  readonly column: string;
  readonly type: string;
  readonly keyAt: number | null;
  readonly estimate: number;
}

// attgenerated came with 12.
const COLUMNS = `SELECT n.nspname AS schema, c.relname AS table, c.relkind = 'p' AS "isPartitioned", a.attname AS column,
    format_type(a.atttypid, NULL) AS type, array_position(x.indkey::int2[], a.attnum) AS "keyAt", greatest(c.reltuples, 0)::float8 AS estimate
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indisprimary
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND COALESCE(to_jsonb(a) ->> 'attgenerated', '') = ''
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pg2kinesis')
 ORDER BY 1, 2, a.attnum`;

/** What is compared, and what is not. */
export interface Comparison {
  readonly tables: readonly ComparedTable[];
  /** Tables of the source that the target does not have. */
  readonly lacking: readonly string[];
  /** Columns of the source that the target does not have, with their tables. */
  readonly lackingColumns: readonly string[];
  /** Tables of the source without a primary key. */
  readonly keyless: readonly string[];
}

/** @param source - a client @param target - a client @returns the tables with a primary key that both have */
export async function tablesToCompare(source: pg.Client, target: pg.Client): Promise<Comparison> {
  const [ours, theirs] = await Promise.all([columnsOf(source), columnsOf(target)]);
  const tables: ComparedTable[] = [];
  const lacking: string[] = [];
  const lackingColumns: string[] = [];
  const keyless: string[] = [];
  for (const [id, columns] of ours) {
    const [first] = columns;
    if (first === undefined) continue;
    const { schema, table, estimate, isPartitioned } = first;
    // Its rows are in its partitions, which are tables of their own.
    if (isPartitioned) continue;
    const name = [schema, table].map(shown).join('.');
    // The target's needs no primary key.
    if (columns.every(({ keyAt }) => keyAt === null)) {
      keyless.push(name);
      continue;
    }
    const there = theirs.get(id);
    if (there === undefined) {
      lacking.push(name);
      continue;
    }
    const names = new Set(there.map(({ column }) => column));
    const both = columns.filter(({ column }) => names.has(column));
    const others = columns.filter(({ column }) => !names.has(column));
    lackingColumns.push(...others.map(({ column }) => `${name}.${shown(column)}`));
    const key = both.filter(({ keyAt }) => keyAt !== null).sort((a, b) => (a.keyAt ?? 0) - (b.keyAt ?? 0));
    tables.push({
      ...{ name, estimate },
      sql: [schema, table].map(quoteName).join('.'),
      isPartitioned: there.some((column) => column.isPartitioned),
      key: key.map(({ column }) => quoteName(column)),
      columns: both.map(({ column, type }) => textOf(quoteName(column), type)),
    });
  }
  return { tables, lacking, lackingColumns, keyless };
}

/** A name as it is shown. Which words have to be quoted in SQL is another thing in each version. */
function shown(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteName(name);
}

/** As bytes: before 12 other digits are printed. There is more than one NaN. */
const bytesOf =
  (send: string) =>
  (value: string): string =>
    `CASE WHEN ${value} <> 'NaN' THEN ${send}(${value})::text ELSE ${value}::text END`;

/**
 * Types whose texts are not compared. That of json differs by line breaks between tokens, which a record leaves out; inside a string there
 * are none. As jsonb it cannot be compared: that refuses some values that json takes.
 */
const TEXTS: Readonly<Record<string, (value: string) => string>> = {
  json: (value) => `translate(${value}::text, E'\\r\\n', '')`,
  real: bytesOf('float4send'),
  'double precision': bytesOf('float8send'),
};

/** @param column - quoted @param type - as the server names it @returns what of it is compared */
function textOf(column: string, type: string): string {
  const alone = TEXTS[type];
  if (alone !== undefined) return alone(column);
  const inArray = type.endsWith('[]') ? TEXTS[type.slice(0, -2)] : undefined;
  if (inArray === undefined) return column;
  return `cardinality(${column}), array_dims(${column}), (SELECT array_agg(${inArray('e')}) FROM unnest(${column}) AS e)`;
}

async function columnsOf(client: pg.Client): Promise<Map<string, ColumnRow[]>> {
  const { rows } = await client.query<ColumnRow>(COLUMNS);
  const tables = new Map<string, ColumnRow[]>();
  for (const row of rows) {
    const id = JSON.stringify([row.schema, row.table]);
    const known = tables.get(id);
    if (known === undefined) tables.set(id, [row]);
    else known.push(row);
  }
  return tables;
}

/**
 * Keeps tables from being truncated or rewritten while they are compared: an older MVCC snapshot would see them empty.
 *
 * @param client - in a transaction that sees one state
 * @returns false: it is too late, a table was truncated or rewritten before it was locked
 * @throws {ReplicaError} VERIFY_IMPOSSIBLE where a lock is not to be had
 */
export async function lockTables(client: pg.Client, tables: readonly ComparedTable[]): Promise<boolean> {
  try {
    await client.query(`SET LOCAL lock_timeout = '30s'`);
    for (const { sql, isPartitioned } of tables) {
      await client.query(`LOCK TABLE ${isPartitioned ? '' : 'ONLY '}${sql} IN ACCESS SHARE MODE`);
      // The row of pg_class is as the MVCC snapshot sees it. The function returns the table's file as it is now.
      const { rowCount } = await client.query(
        'SELECT FROM pg_class WHERE oid = $1::regclass AND pg_relation_filenode(oid) <> relfilenode',
        [sql],
      );
      if (rowCount !== 0) return false;
    }
    return true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ReplicaError('VERIFY_IMPOSSIBLE', `A table cannot be held: ${why}. Nothing was compared.`, {
      remedy: remedyOf(error),
      cause: error,
    });
  }
}

/**
 * @param source - in a transaction that sees one state
 * @param target - in one that has to see the same
 * @throws {ReplicaError} VERIFY_IMPOSSIBLE
 */
export async function compareTable(source: pg.Client, target: pg.Client, table: ComparedTable): Promise<Difference> {
  try {
    return await compare(source, target, table);
  } catch (error) {
    // The server's own text may quote a value.
    const code = codeOf(error);
    throw new ReplicaError(
      'VERIFY_IMPOSSIBLE',
      `The table ${table.name} could not be read to its end at the source or at the copy (${code === '' ? String(error) : `SQLSTATE ${code}`}). The comparison was not finished.`,
      { remedy: remedyOf(error), cause: error },
    );
  }
}

/** What to do where a table cannot be held, or not be read. */
function remedyOf(error: unknown): string {
  return codeOf(error) === '42501'
    ? 'The users of --from and --to need SELECT on it, and where it has row-level security BYPASSRLS. Then start again.'
    : 'Start it again.';
}

async function compare(source: pg.Client, target: pg.Client, table: ComparedTable): Promise<Difference> {
  const parts = Math.min(MAX_PARTS, Math.max(1, Math.ceil(table.estimate / PART_ROWS)));
  const of = { ours: `ONLY ${table.sql}`, theirs: table.isPartitioned ? table.sql : `ONLY ${table.sql}` };
  const [ours, theirs] = await Promise.all([
    partsOf(source, of.ours, table, parts),
    partsOf(target, of.theirs, table, parts),
  ]);
  let rows = 0;
  for (const { count } of ours.values()) rows += count;
  const differing = [...new Set([...ours.keys(), ...theirs.keys()])].filter(
    (part) => ours.get(part)?.hash !== theirs.get(part)?.hash,
  );
  const found = { missing: [] as string[], extra: [] as string[], different: [] as string[] };
  let isMore = false;
  for (let i = 0; i < differing.length && !isMore; i += PARTS_AT_ONCE) {
    const some = differing.slice(i, i + PARTS_AT_ONCE);
    const [left, right] = await Promise.all([
      rowsOf(source, of.ours, table, parts, some),
      rowsOf(target, of.theirs, table, parts, some),
    ]);
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      const [ourRows = [], theirRows = []] = [left.get(key), right.get(key)];
      if (ourRows.join() === theirRows.join()) continue;
      const kind =
        theirRows.length < ourRows.length ? 'missing' : theirRows.length > ourRows.length ? 'extra' : 'different';
      if (found[kind].length < MAX_NAMED) found[kind].push(key);
      else isMore = true;
    }
  }
  return { rows, ...found, isMore };
}

/** The two databases may have texts in other encodings. */
const md5Of = (columns: readonly string[]): string => `md5(convert_to(ROW(${columns.join(', ')})::text, 'UTF8'))`;
const partOf = ({ key }: ComparedTable, parts: number): string =>
  `('x' || substr(${md5Of(key)}, 1, 4))::bit(16)::int % ${parts}`;
const hashOf = ({ columns }: ComparedTable): string => md5Of(columns);

async function partsOf(
  client: pg.Client,
  from: string,
  table: ComparedTable,
  parts: number,
): Promise<Map<number, { readonly count: number; readonly hash: string }>> {
  const { rows } = await client.query<{ part: number; count: string; sum: string }>(
    `SELECT ${partOf(table, parts)} AS part, count(*) AS count, sum(('x' || substr(${hashOf(table)}, 1, 16))::bit(64)::bigint)::text AS sum
       FROM ${from} GROUP BY 1`,
  );
  return new Map(rows.map(({ part, count, sum }) => [part, { count: Number(count), hash: `${count} ${sum}` }]));
}

/** The hashes of rows by their key's text: several where a key is there several times. */
async function rowsOf(
  client: pg.Client,
  from: string,
  table: ComparedTable,
  parts: number,
  some: readonly number[],
): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ key: string; hashes: string[] }>(
    `SELECT ROW(${table.key.join(', ')})::text AS key, array_agg(${hashOf(table)} ORDER BY ${hashOf(table)}) AS hashes
       FROM ${from} WHERE ${partOf(table, parts)} = ANY($1) GROUP BY 1`,
    [some],
  );
  return new Map(rows.map(({ key, hashes }) => [key, hashes]));
}
