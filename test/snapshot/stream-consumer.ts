/**
 * What a consumer makes of the whole stream alone, in each format, by docs/records.md: the rows of the tables of this
 * directory's test. Knows nothing of the code that wrote the records.
 *
 * Lanes are merged by commit LSN and ordinal: a row that is moved to another key may be moved to another lane, and its values
 * that were not sent are those that it had in the old one, at that place.
 */

/** The formats that are read. */
export type Format = 'json' | 'debezium' | 'dms';
/** A row's values as PostgreSQL prints them; NULLs are left out. */
export type Row = Readonly<Record<string, string>>;

/** Each table's columns, and how many of them are its key. */
export const TABLES: Readonly<Record<string, { readonly columns: readonly string[]; readonly keyColumns: number }>> = {
  accounts: { columns: ['id', 'v', 'ok', 'note'], keyColumns: 1 },
  lines: { columns: ['account', 'n', 'v', 'bits', 'doc'], keyColumns: 2 },
  seen: { columns: ['id', 'v'], keyColumns: 1 },
};
/** What stands for a value that the consumer never got. */
export const MISSING = 'MISSING';

type Value = string | number | boolean | null;
type Values = Readonly<Record<string, Value>>;

/** What a record says. */
interface Said {
  /** Undefined: a repeat of it cannot be told, and does no harm. */
  readonly id: string | undefined;
  readonly kind: 'read' | 'upsert' | 'delete' | 'truncate';
  readonly table: string;
  readonly key: string;
  readonly values: Values;
  readonly unsent: readonly string[];
  /** The same of the two halves of a move; of an INSERT that is none it does no harm. */
  readonly move: string | undefined;
  readonly lsn: bigint;
  readonly ordinal: number;
}

const NOT_SENT = '__debezium_unavailable_value';

function keyOf(table: string, values: Values): string {
  const { columns = [], keyColumns = 0 } = TABLES[table] ?? {};
  return columns
    .slice(0, keyColumns)
    .map((name) => String(values[name]))
    .join('/');
}

function parseLsn(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

function readJson(text: string): Said {
  const record = JSON.parse(text) as {
    readonly id: string;
    readonly op: string;
    readonly table: string;
    readonly key: Values | null;
    readonly row?: Values;
    readonly newKey?: Values;
    readonly oldKey?: Values;
    readonly unchanged?: readonly string[];
    readonly commitLsn: string;
    readonly ordinal: number;
  };
  const { id, op, table, key, row = {}, newKey, oldKey, unchanged = [], commitLsn, ordinal } = record;
  const kinds = { READ: 'read', DELETE: 'delete', TRUNCATE: 'truncate' } as const;
  const isMove = newKey !== undefined || oldKey !== undefined;
  return {
    id,
    kind: op in kinds ? kinds[op as keyof typeof kinds] : 'upsert',
    table,
    key: key === null ? '' : keyOf(table, key),
    values: row,
    unsent: unchanged,
    move: isMove ? `${commitLsn} ${keyOf(table, newKey ?? key ?? {})}` : undefined,
    lsn: parseLsn(commitLsn),
    ordinal,
  };
}

function readDebezium(text: string): Said {
  const { before, after, source, op, transaction } = JSON.parse(text) as {
    readonly before: Values | null;
    readonly after: Values | null;
    readonly source: {
      readonly table: string;
      readonly txId: number | null;
      readonly ts_us: number;
      readonly lsn: number;
    };
    readonly op: string;
    readonly transaction: { readonly total_order: number } | null;
  };
  const { table, txId, ts_us: micros, lsn } = source;
  const sent = after ?? before ?? {};
  const kinds = { r: 'read', d: 'delete', t: 'truncate' } as const;
  const isRead = op === 'r';
  const ordinal = transaction?.total_order ?? 0;
  return {
    id: isRead ? undefined : `${txId} ${micros} ${ordinal}`,
    kind: op in kinds ? kinds[op as keyof typeof kinds] : 'upsert',
    table,
    key: op === 't' ? '' : keyOf(table, sent),
    values: sent,
    unsent: Object.keys(sent).filter((name) => sent[name] === NOT_SENT),
    // Neither half says so. A create with values that were not sent is one, and the delete stands right before it.
    move: op === 'c' || op === 'd' ? String(txId) : undefined,
    lsn: BigInt(lsn),
    ordinal,
  };
}

function readDms(text: string): Said {
  const { data = {}, metadata } = JSON.parse(text) as { readonly data?: Values; readonly metadata: Values };
  const operation = String(metadata['operation']);
  const table = String(metadata['table-name']);
  const kinds = { load: 'read', delete: 'delete', 'truncate-table': 'truncate' } as const;
  const kind = operation in kinds ? kinds[operation as keyof typeof kinds] : 'upsert';
  const xid = String(metadata['transaction-id']);
  const ordinal = Number(metadata['transaction-record-id'] ?? 0);
  return {
    id: kind === 'read' ? undefined : `${xid} ${String(metadata['commit-timestamp'])} ${ordinal}`,
    kind,
    table,
    key: kind === 'truncate' ? '' : keyOf(table, data),
    values: data,
    // With DMS_NULLS=include.
    unsent: kind === 'upsert' ? (TABLES[table]?.columns ?? []).filter((name) => !(name in data)) : [],
    move: operation === 'insert' || operation === 'delete' ? xid : undefined,
    lsn: 0n,
    ordinal,
  };
}

const READERS: Readonly<Record<Format, (text: string) => Said>> = {
  json: readJson,
  debezium: readDebezium,
  dms: readDms,
};

/** A value as PostgreSQL prints it, of the columns of these tables. */
function print(format: Format, name: string, value: Value): string {
  if (name === 'v') return String(Number(value));
  if (name === 'bits' && format === 'debezium')
    return (Buffer.from(String(value), 'base64')[0] ?? 0).toString(2).padStart(3, '0');
  if (name === 'ok') return String(value).startsWith('t') ? 't' : 'f';
  return String(value);
}

/** Applies a stream. */
export class StreamConsumer {
  /** By table and key. */
  readonly tables = new Map<string, Map<string, Row>>();
  reads = 0;
  repeats = 0;
  readonly #format: Format;
  readonly #seen = new Set<string>();
  /** The rows that were moved away, by their move. */
  readonly #moved = new Map<string, Row | undefined>();

  /** @param format - of the stream */
  constructor(format: Format) {
    this.#format = format;
  }

  /**
   * @param lanes - the texts of each lane's records, in its order. Only FORMAT=json can be merged: others have one lane
   */
  consume(lanes: readonly (readonly string[])[]): void {
    if (lanes.length === 1) {
      for (const text of lanes[0] ?? []) this.apply(text);
      return;
    }
    const records = lanes.flatMap((lane) => lane.map((text) => ({ text, ...placeOf(text) })));
    // Stable: of two records at one place the first that came stays the first.
    records.sort((a, b) => (a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : a.ordinal - b.ordinal));
    for (const { text } of records) this.apply(text);
  }

  /** @param text - the next record */
  apply(text: string): void {
    const said = READERS[this.#format](text);
    if (said.id !== undefined) {
      if (this.#seen.has(said.id)) {
        this.repeats++;
        return;
      }
      this.#seen.add(said.id);
    }
    const { table, kind, key, move } = said;
    const rows = this.tables.get(table) ?? new Map<string, Row>();
    this.tables.set(table, rows);
    if (kind === 'truncate') return rows.clear();
    if (kind === 'delete') {
      if (move !== undefined) this.#moved.set(`${table} ${move}`, rows.get(key));
      rows.delete(key);
      return;
    }
    if (kind === 'read') this.reads++;
    rows.set(key, this.#rowOf(said, rows.get(key)));
  }

  #rowOf({ table, values, unsent, move }: Said, old: Row | undefined): Row {
    const row: Record<string, string> = {};
    for (const [name, value] of Object.entries(values))
      if (value !== null && !unsent.includes(name)) row[name] = print(this.#format, name, value);
    if (unsent.length === 0) return row;
    const from = move === undefined ? old : this.#moved.get(`${table} ${move}`);
    for (const name of unsent) {
      const kept = from === undefined ? MISSING : from[name];
      if (kept !== undefined) row[name] = kept;
    }
    return row;
  }
}

/** Where a record of FORMAT=json stands in the WAL, without parsing all of it. */
function placeOf(text: string): { readonly lsn: bigint; readonly ordinal: number } {
  const [, lsn = '0/0', ordinal = '0'] = /"id":"([0-9A-F]+\/[0-9A-F]+)@[^"#]*#(\d+)/.exec(text) ?? [];
  return { lsn: parseLsn(lsn), ordinal: Number(ordinal) };
}
