/**
 * The demo's tables, chosen to be awkward: a composite key, no key, hostile names, partitions, values stored out of
 * line. How each is made, named and filled; knows nothing of what becomes of the changes.
 */

/** A value as the `json` format writes it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A row by its columns' unquoted names. */
export type Row = Readonly<Record<string, Json>>;

/** A source of chance, a number in [0, 1) each. */
export type Random = () => number;

/** A table that rows are written to. */
export interface DemoTable {
  /** Unquoted. */
  readonly schema: string;
  /** Unquoted. */
  readonly name: string;
  /** The primary key's columns in key order; empty: none. */
  readonly key: readonly string[];
  /** The columns' definitions, and what follows them. */
  readonly ddl: string;
  /** A column whose long values the server stores out of line, and does not send again while they stay. */
  readonly longColumn?: string;
  /** The partition that a row goes to, where there are any. */
  readonly partitionOf?: (row: Row) => DemoTable;
  /** All partitions. */
  readonly partitions?: readonly DemoTable[];
  /** A new row. @param serial - different each time */
  fresh(serial: number, random: Random): Row;
  /** The same row with other values, its key unchanged. */
  changed(row: Row, random: Random): Row;
  /** The same row under a key that no row had. @param serial - different each time */
  moved(row: Row, serial: number): Row;
}

const WORDS = [
  'Ada',
  "O'Brien",
  'Zoë',
  '日本語',
  'a,b',
  'say "hi"',
  'back\\slash',
  '',
  'null',
  ' new-tuple: x[integer]:1',
  '🐘',
];

const pick = <T>(items: readonly [T, ...T[]] | readonly T[], random: Random): T => {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
};
const money = (random: Random): string => (random() * 10_000).toFixed(2);
// As the server prints it: no fraction where it is zero, no zeros at its end.
const instant = (random: Random): string =>
  new Date(1_767_323_045_000 + Math.floor(random() * 1e9)).toISOString().replace(/\.?0+Z$/, 'Z');
const story = (random: Random): string =>
  Array.from({ length: 300 }, () => random().toString(36).slice(2, 12)).join('\n');

/** One integer key; a long text stored out of line in every third row. */
export const customers: DemoTable = {
  schema: 'shop',
  name: 'customers',
  key: ['id'],
  longColumn: 'bio',
  ddl: `(id bigint PRIMARY KEY, name text NOT NULL, balance numeric(12,2), active boolean, tags text[], bio text STORAGE EXTERNAL, joined timestamptz)`,
  fresh: (serial, random) => ({
    id: serial,
    name: pick(WORDS, random),
    balance: money(random),
    active: random() < 0.5,
    tags: random() < 0.3 ? null : [pick(WORDS, random), 'new\nline'],
    bio: serial % 3 === 0 ? story(random) : null,
    joined: instant(random),
  }),
  changed: (row, random) => ({ ...row, name: pick(WORDS, random), balance: random() < 0.1 ? null : money(random) }),
  moved: (row, serial) => ({ ...row, id: serial }),
};

/** A composite key. */
export const orderLines: DemoTable = {
  schema: 'shop',
  name: 'order_lines',
  key: ['order_id', 'sku'],
  ddl: `(quantity integer, sku text, order_id integer, price numeric, PRIMARY KEY (order_id, sku))`,
  fresh: (serial, random) => ({
    quantity: 1,
    sku: `${pick(WORDS, random)}/${serial}`,
    order_id: 1000 + Math.floor(serial / 3),
    price: money(random),
  }),
  changed: (row, random) => ({ ...row, quantity: Math.floor(random() * 100), price: money(random) }),
  moved: (row, serial) => ({ ...row, sku: `moved "${serial}"` }),
};

/** No key: its changes cannot be published, and are counted. */
export const auditTrail: DemoTable = {
  schema: 'shop',
  name: 'audit_trail',
  key: [],
  ddl: `(at timestamptz, what text)`,
  fresh: (serial, random) => ({ at: instant(random), what: `event ${serial}` }),
  changed: (row) => row,
  moved: (row) => row,
};

/** Names and keys that a parser by approximation trips over. */
export const hostile: DemoTable = {
  schema: 'Odd "Names"',
  name: 'table x.y: INSERT: id[integer]:1',
  key: ['Key: [text]'],
  ddl: `("Key: [text]" text PRIMARY KEY, "new-tuple:" jsonb, "it's" double precision)`,
  fresh: (serial, random) => ({
    'Key: [text]': `${pick(WORDS, random)} ${serial}'s`,
    'new-tuple:': { say: pick(WORDS, random), list: [1, null, { deep: true }] },
    "it's": Math.round(random() * 1e6) / 64,
  }),
  changed: (row, random) => ({ ...row, 'new-tuple:': { now: pick(WORDS, random) }, "it's": random() }),
  moved: (row, serial) => ({ ...row, 'Key: [text]': `moved, "${serial}"` }),
};

const anyReading: Omit<DemoTable, 'name'> = {
  schema: 'shop',
  key: ['sensor', 'day'],
  ddl: `(sensor smallint, day date, value real, PRIMARY KEY (sensor, day)) PARTITION BY RANGE (day)`,
  fresh: (serial, random) => ({
    sensor: serial % 30_000,
    day: `${random() < 0.5 ? 2025 : 2026}-0${1 + Math.floor(random() * 9)}-1${Math.floor(serial / 30_000) % 10}`,
    value: Math.fround(Math.round(random() * 1000) / 8),
  }),
  changed: (row, random) => ({ ...row, value: Math.fround(Math.round(random() * 1000) / 8) }),
  moved: (row) => ({
    ...row,
    day: in2025(row) ? dayOf(row).replace('2025', '2026') : dayOf(row).replace('2026', '2025'),
  }),
};
const dayOf = (row: Row): string => (typeof row['day'] === 'string' ? row['day'] : '');
const in2025 = (row: Row): boolean => dayOf(row).startsWith('2025');
const readings2025: DemoTable = { ...anyReading, name: 'readings_2025' };
const readings2026: DemoTable = { ...anyReading, name: 'readings_2026' };

/** Partitioned by day: its changes arrive under its partitions' names; a moved row is a DELETE in one, an INSERT in another. */
export const readings: DemoTable = {
  ...anyReading,
  name: 'readings',
  partitions: [readings2025, readings2026],
  partitionOf: (row) => (in2025(row) ? readings2025 : readings2026),
};

/** All tables that statements name; partitions are in {@link DemoTable.partitions}. */
export const TABLES: readonly DemoTable[] = [customers, orderLines, auditTrail, hostile, readings];

/**
 * Quotes an identifier where PostgreSQL's quote_identifier does; the demo's names are no reserved words.
 *
 * @param name - the name, unquoted
 */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** @returns the table's name as SQL and test_decoding write it */
export function printedName(table: DemoTable): string {
  return `${quoted(table.schema)}.${quoted(table.name)}`;
}

/** @returns the statements that make all tables */
export function definitions(): string[] {
  const schemas = new Set(TABLES.map((table) => table.schema));
  return [
    ...[...schemas].map((schema) => `CREATE SCHEMA ${quoted(schema)}`),
    ...TABLES.map((table) => `CREATE TABLE ${printedName(table)} ${table.ddl}`),
    `CREATE TABLE shop.readings_2025 PARTITION OF shop.readings FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')`,
    `CREATE TABLE shop.readings_2026 PARTITION OF shop.readings FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`,
  ];
}
