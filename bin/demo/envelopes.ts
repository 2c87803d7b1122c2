/**
 * The envelopes `debezium` and `dms` as their consumers read them: what a record says of the change, in the words and values
 * of the demo's own list. Written from docs/records.md alone; pure, and knows none of the code that wrote the record.
 */
import { canonical, identityOf, KNOWN_TABLES, type ParsedRecord } from './record-identity.ts';
import { type DemoTable, type Json, quoted, type Row } from './tables.ts';

const NOT_SENT = '__debezium_unavailable_value';
const DEBEZIUM_OPERATIONS: Readonly<Record<string, string>> = { c: 'INSERT', u: 'UPDATE', d: 'DELETE', t: 'TRUNCATE' };
const DMS_OPERATIONS: Readonly<Record<string, string>> = {
  insert: 'INSERT',
  update: 'UPDATE',
  delete: 'DELETE',
  'truncate-table': 'TRUNCATE',
};

/** What an envelope says of a change. */
interface Said {
  readonly xid: number;
  readonly operation: string;
  readonly schema: string;
  readonly name: string;
  /** The row, or of a DELETE the key. */
  readonly row: Row;
  /** Columns whose values were not sent. */
  readonly unchanged?: readonly string[];
  readonly id: string | undefined;
}

interface DebeziumRecord {
  readonly before: Row | null;
  readonly after: Row | null;
  readonly source: {
    readonly schema: string;
    readonly table: string;
    readonly txId: number;
    readonly ts_us: number;
  };
  readonly transaction: { readonly total_order: number } | null;
  readonly op: string;
}

interface DmsRecord {
  readonly data: Row;
  readonly metadata: {
    readonly operation: string;
    readonly 'schema-name': string;
    readonly 'table-name': string;
    readonly 'transaction-id': number;
    readonly 'transaction-record-id'?: number;
  };
}

/** Reads a record of the format `debezium`. @throws {Error} when it is none, or of no table of the demo */
export function readDebezium(data: string): ParsedRecord {
  const { before, after, source, transaction, op } = JSON.parse(data) as DebeziumRecord;
  const table = tableOf(source.schema, source.table);
  const sent = (op === 'd' ? before : after) ?? {};
  const unchanged = Object.keys(sent).filter((column) => sent[column] === NOT_SENT);
  const row = mapRow(sent, (column, value) =>
    unchanged.includes(column) ? undefined : ofDebezium(table, column, value),
  );
  return parsed(table, {
    xid: source.txId,
    operation: DEBEZIUM_OPERATIONS[op] ?? op,
    schema: source.schema,
    name: source.table,
    row,
    ...(unchanged.length > 0 ? { unchanged } : {}),
    id: transaction === null ? undefined : `${source.txId} ${source.ts_us} ${transaction.total_order}`,
  });
}

/** Reads a record of the format `dms`. @throws {Error} when it is none, or of no table of the demo */
export function readDms(data: string): ParsedRecord {
  const { data: sent, metadata } = JSON.parse(data) as DmsRecord;
  const { operation, 'schema-name': schema, 'table-name': name, 'transaction-id': xid } = metadata;
  const table = tableOf(schema, name);
  const row = mapRow(sent, (column, value) => (value === null ? undefined : ofDms(table, column, value)));
  const place = metadata['transaction-record-id'];
  return parsed(table, {
    xid,
    operation: DMS_OPERATIONS[operation] ?? operation,
    schema,
    name,
    row,
    id: place === undefined ? undefined : `${xid} ${place}`,
  });
}

/**
 * What an envelope can say of a record, for comparison.
 *
 * @param format - the envelope
 * @param contents - all that there is to say
 */
export function contentsInEnvelope(
  format: 'debezium' | 'dms',
  contents: {
    readonly op: string;
    readonly schema: string;
    readonly table: string;
    readonly key: Row | null;
    readonly row?: Row;
    readonly unchanged?: readonly string[];
  },
): string {
  const { op, schema, table, key, row, unchanged } = contents;
  const shown = row ?? key ?? {};
  return canonical({
    op,
    schema,
    table,
    // A NULL and a value that was not sent are both left out by `dms`.
    row: format === 'dms' ? mapRow(shown, (_column, value) => value ?? undefined) : shown,
    ...(format === 'debezium' && unchanged !== undefined ? { unchanged } : {}),
  });
}

/**
 * Debezium Server's partition key: the key's JSON.
 *
 * @param table - whose key it is
 * @param key - its parts in key order; undefined: there is none
 */
export function debeziumKey(table: DemoTable, key: readonly Json[] | undefined): string {
  if (key === undefined) return 'default';
  const parts = table.key.map((column, i) => {
    const value = key[i] ?? null;
    const said = typeOf(table, column) === 'date' && typeof value === 'string' ? daysOf(value) : value;
    return `${JSON.stringify(column)}:${JSON.stringify(said)}`;
  });
  return `{${parts.join(',')}}`;
}

function parsed(table: DemoTable, { xid, operation, schema, name, row, unchanged, id }: Said): ParsedRecord {
  const key = operation === 'TRUNCATE' ? undefined : table.key.map((column) => row[column] ?? null);
  return {
    identity: identityOf({ xid: String(xid), table: `${quoted(schema)}.${quoted(name)}`, operation, key }),
    contents: canonical({ op: operation, schema, table: name, row, ...(unchanged === undefined ? {} : { unchanged }) }),
    id,
  };
}

function tableOf(schema: string, name: string): DemoTable {
  const printed = `${quoted(schema)}.${quoted(name)}`;
  const known = KNOWN_TABLES.get(printed);
  if (known === undefined) throw new Error(`no table of the demo: ${printed}`);
  return known;
}

/** @param change - undefined: the column is left out */
function mapRow(row: Row, change: (column: string, value: Json) => Json | undefined): Row {
  const columns = Object.entries(row).flatMap(([column, value]) => {
    const changed = change(column, value);
    return changed === undefined ? [] : [[column, changed] as const];
  });
  return Object.fromEntries(columns);
}

/** A value of `debezium` as `json` has it. */
function ofDebezium(table: DemoTable, column: string, value: Json): Json {
  switch (typeOf(table, column)) {
    case 'date':
      return typeof value === 'number' ? new Date(value * 86_400_000).toISOString().slice(0, 10) : value;
    case 'timestamptz':
      return typeof value === 'string' ? value.replace(/\.?0+Z$/, 'Z') : value;
    case 'jsonb':
      return typeof value === 'string' ? (JSON.parse(value) as Json) : value;
    default:
      return value;
  }
}

/** A value of `dms` as `json` has it. */
function ofDms(table: DemoTable, column: string, value: Json): Json {
  switch (typeOf(table, column)) {
    case 'boolean':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'numeric':
      return typeof value === 'number' ? value.toFixed(2) : value;
    case 'jsonb':
      return typeof value === 'string' ? (JSON.parse(value) as Json) : value;
    case 'text[]':
      return typeof value === 'string' ? arrayOf(value) : value;
    default:
      return value;
  }
}

const daysOf = (date: string): number => Date.parse(`${date}T00:00:00Z`) / 86_400_000;

/** The elements of a one-dimensional array as PostgreSQL prints it: `{a,"b \"c\"",NULL}`. */
function arrayOf(text: string): Json {
  const elements = text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,"]+)/gs);
  return [...elements].map(([, inside, bare]) =>
    inside === undefined ? (bare === 'NULL' ? null : (bare ?? null)) : inside.replace(/\\(.)/gs, '$1'),
  );
}

const types = new Map<DemoTable, ReadonlyMap<string, string>>();

/** The type of a column in the table's definition, without a modifier. */
function typeOf(table: DemoTable, column: string): string | undefined {
  let known = types.get(table);
  if (known === undefined) {
    const columns = [...table.ddl.matchAll(/[(,]\s*("[^"]+"|\w+) ([a-z]+(?:\[\])?)/g)];
    known = new Map(columns.map(([, name = '', type = '']) => [name.replace(/^"(.*)"$/, '$1'), type]));
    types.set(table, known);
  }
  return known.get(column);
}
