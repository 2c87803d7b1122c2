/**
 * Tables made again from the records of `json` alone, as a consumer keeps them, and compared with what the server has. The
 * server reads each value back, so that what is compared is its own text of both.
 */
import type pg from 'pg';
import { sqlText } from '../lambda/format/json/sql-text.ts';
import { fieldsOf } from './fields.ts';
import type { Recorded } from './recorder.ts';

/** A column's value as it stands in a record, and which transaction wrote it. */
interface Cell {
  readonly source: string;
  readonly isJsonNull: boolean;
  readonly xid: number;
}
type Row = Map<string, Cell>;

interface Told {
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';
  readonly schema: string;
  readonly table: string;
  readonly xid: number;
  readonly newKey?: unknown;
  readonly unchanged?: readonly string[];
  readonly jsonNull?: { readonly row?: readonly string[] };
}

/** A record as it was read, and its own text of key and row. */
interface Event extends Told {
  readonly key: string;
  readonly keyColumns: readonly string[];
  readonly row: string | undefined;
  readonly oldKey: string | undefined;
}

/** A table as the server has it now. */
interface Table {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly quoted: string;
  readonly made: number;
  readonly named: number;
  readonly keyed: number;
  readonly key: readonly string[];
  readonly columns: readonly { name: string; quoted: string; type: string; since: number; delimiter: string }[];
}

/** What was compared, and what differs. */
export interface Comparison {
  tables: number;
  rows: number;
  values: number;
  /** Tables of which the records cannot tell all, by why. */
  readonly left: Record<string, number>;
  readonly differences: string[];
}

const TABLES = `
  SELECT c.oid::int8::float8 AS oid, n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted,
         age_of(m.xmin) AS made, age_of(t.xmin) AS named, age_of(k.xmin) AS keyed,
         (SELECT array_agg(a.attname::text ORDER BY o) FROM unnest(k.conkey) WITH ORDINALITY u(n, o) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.n) AS key,
         (SELECT json_agg(json_build_object('name', a.attname, 'quoted', quote_ident(a.attname), 'type', format_type(a.atttypid, -1),
                                            'since', age_of(a.xmin), 'delimiter', COALESCE(e.typdelim, ',')) ORDER BY a.attnum)
            FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = y.typelem
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND VIRTUAL) AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = c.reltype
    JOIN pg_attribute m ON m.attrelid = c.oid AND m.attnum = -1
    JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' AND NOT k.condeferrable
   WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relreplident IN ('d', 'f') AND n.nspname !~ '^(pg_|information_schema)'
   ORDER BY 2, 3`;

/** Rows in one question. */
const ROWS = 500;

/** Compares all tables of a database that have a key with what their records say. */
export async function compareTables(client: pg.Client, records: readonly Recorded[]): Promise<Comparison> {
  const comparison: Comparison = { tables: 0, rows: 0, values: 0, left: {}, differences: [] };
  const events = new Map<string, Event[]>();
  for (const { text } of records) {
    const event = eventOf(text);
    const name = JSON.stringify([event.schema, event.table]);
    const list = events.get(name);
    if (list === undefined) events.set(name, [event]);
    else list.push(event);
  }
  const shown = await client.query<{ server_version_num: string }>('SHOW server_version_num');
  const virtual = Number(shown.rows[0]?.server_version_num) >= 180000;
  const sql = TABLES.replaceAll(/age_of\(([a-z]\.xmin)\)/g, '$1::text::int8::float8').replace(
    'VIRTUAL',
    virtual ? `a.attgenerated <> 'v'` : 'true',
  );
  const { rows } = await client.query<Table>(sql);
  for (const table of rows) {
    const told = events.get(JSON.stringify([table.schema, table.name])) ?? [];
    const why = unknowable(table, told);
    if (why !== undefined) {
      comparison.left[why] = (comparison.left[why] ?? 0) + 1;
      continue;
    }
    // A table that was dropped and made again begins with what its own transaction wrote; a savepoint's number is later.
    const own = told.filter(({ xid }) => xid >= table.made);
    const first = await compare(client, table, own);
    const found = first.differences.length > 0 && own.length < told.length ? await compare(client, table, told) : first;
    comparison.tables++;
    comparison.rows += found.rows;
    comparison.values += found.values;
    comparison.differences.push(...found.differences.slice(0, 3));
  }
  return comparison;
}

/** Why the records of a table cannot say all that it holds: the slot does not tell of migrations. */
function unknowable({ made, named, keyed, key }: Table, told: readonly Event[]): string | undefined {
  if (named > made) return 'renamed';
  if (keyed > made && told.some(({ xid }) => xid < keyed)) return 'key changed';
  if (keyed > made && told.length === 0) return 'key added';
  if (told.some(({ op, key: sent }) => op !== 'TRUNCATE' && sent === 'null')) return 'key not sent';
  const now = [...key].sort().join();
  const other = told.some(({ op, keyColumns }) => op !== 'TRUNCATE' && [...keyColumns].sort().join() !== now);
  return other ? 'key changed' : undefined;
}

async function compare(
  client: pg.Client,
  table: Table,
  told: readonly Event[],
): Promise<{ rows: number; values: number; differences: string[] }> {
  const differences: string[] = [];
  const { columns, quoted, key } = table;
  const canonical = (value: string, type: string) => {
    const text = `(${value})::${type}::text`;
    return /^json(\[\])?$/.test(type) ? `regexp_replace(${text}, E'[\\r\\n]', '', 'g')` : text;
  };
  const actual = await client.query<{ row: (string | null)[] }>(
    `SELECT ARRAY[${columns.map(({ quoted: column, type }) => canonical(column, type)).join(', ')}] AS row FROM ONLY ${quoted}`,
  );
  const keyAt = key.map((name) => columns.findIndex((column) => column.name === name));
  const keyOf = (row: readonly (string | null)[]) => JSON.stringify(keyAt.map((i) => row[i]));
  const left = new Map(actual.rows.map(({ row }) => [keyOf(row), row]));
  const rebuilt = [...replay(told).values()];
  let values = 0;
  for (let at = 0; at < rebuilt.length; at += ROWS) {
    const part = rebuilt.slice(at, at + ROWS);
    const texts = part.map((row) =>
      columns.map(({ name, type, delimiter }) => {
        const cell = row.get(name);
        return cell === undefined ? null : sqlText(cell.source, type, cell.isJsonNull, delimiter);
      }),
    );
    const back = await client.query<{ row: (string | null)[] }>(
      `SELECT ARRAY[${columns.map(({ type }, i) => canonical(`r ->> ${i}`, type)).join(', ')}] AS row FROM json_array_elements($1::json) r`,
      [JSON.stringify(texts)],
    );
    for (const [i, { row }] of back.rows.entries()) {
      const has = left.get(keyOf(row));
      left.delete(keyOf(row));
      if (has === undefined) {
        differences.push(`${quoted}: ${keyOf(row)} is not in the table`);
        continue;
      }
      for (const [column, { name, since }] of columns.entries()) {
        const cell = part[i]?.get(name);
        // A column that was added or altered since has values that no record tells.
        if (cell === undefined || (since > table.made && cell.xid < since)) continue;
        values++;
        if (row[column] !== has[column])
          differences.push(`${quoted}.${name} of ${keyOf(row)}: ${String(row[column])} is ${String(has[column])}`);
      }
    }
  }
  for (const missing of left.keys()) differences.push(`${quoted}: ${missing} never came`);
  return { rows: rebuilt.length, values, differences };
}

/** What a consumer makes of the records. */
function replay(told: readonly Event[]): Map<string, Row> {
  const rows = new Map<string, Row>();
  let moved: Row | undefined;
  for (const event of told) {
    switch (event.op) {
      case 'TRUNCATE':
        rows.clear();
        break;
      case 'DELETE':
        // A key change: its other half keeps what was not sent.
        if (event.newKey !== undefined) moved = rows.get(event.key);
        rows.delete(event.key);
        break;
      case 'INSERT':
      case 'UPDATE': {
        const before = event.oldKey === undefined ? rows.get(event.key) : moved;
        rows.set(event.key, rowOf(event, before));
      }
    }
  }
  return rows;
}

function rowOf({ row, unchanged = [], jsonNull, xid }: Event, before: Row | undefined): Row {
  const cells: Row = new Map();
  for (const [name, source] of fieldsOf(row ?? '{}'))
    cells.set(name, { source, isJsonNull: jsonNull?.row?.includes(name) === true, xid });
  for (const name of unchanged) {
    const cell = before?.get(name);
    if (cell !== undefined) cells.set(name, cell);
  }
  return cells;
}

function eventOf(text: string): Event {
  const told = JSON.parse(text) as Told & { readonly key: Record<string, unknown> | null };
  const fields = fieldsOf(text);
  return {
    ...told,
    key: fields.get('key') ?? 'null',
    keyColumns: Object.keys(told.key ?? {}),
    row: fields.get('row'),
    oldKey: fields.get('oldKey'),
  };
}
