/**
 * Records for tests: a line of test_decoding through the real decoder, and round it what a run would add.
 */
import type { RowChange, TableName, Transaction, Tuple } from '../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../lambda/decode/test-decoding/decoder.ts';
import { ByteWriter } from '../../lambda/format/byte-writer.ts';
import type { ChangeRecord, Format, FormatOptions, Key } from '../../lambda/format/record.ts';

/** The transaction of the examples: xid 754, committed at 0/16B3748 on 2026-01-02T03:04:05.678901Z. */
export const TRANSACTION: Transaction = {
  xid: 754,
  commitLsn: 0x16b3748n,
  commitTimeMicros: 1767323045678901n,
};

/** What formats are made with where a test says nothing else: the source and database of the examples, a fixed time. */
export const FORMAT_OPTIONS: FormatOptions = {
  source: 'app/pg2kinesis',
  database: 'app',
  partitionBy: 'primary-key',
  now: () => 1_767_323_046_000,
  debezium: { transaction: false, time: 'microseconds' },
  dms: { nulls: false, transaction: false, beforeImage: false },
  formatter: { format: (change) => ({ data: JSON.stringify(change) }) },
};

/** What is to differ from a plain record. */
export interface RecordOptions {
  /** The key's columns as printed, in key order. @default none: no key */
  readonly key?: readonly string[];
  /** Makes half a key change of an UPDATE: the DELETE or the INSERT. */
  readonly half?: 'DELETE' | 'INSERT';
  /** @default 3 */
  readonly ordinal?: number;
  /** Columns to leave out, as printed. */
  readonly omitted?: readonly string[];
  /** @default false */
  readonly truncated?: boolean;
  /** @default {@link TRANSACTION} */
  readonly transaction?: Transaction;
  /** The row's own position. @default 0/16B3700 */
  readonly lsn?: bigint;
}

/**
 * Makes the record of a row's line.
 *
 * @param line - one line of test_decoding: `table public.users: INSERT: id[integer]:42`
 * @param options - the key, and what else a run decides
 * @param decoder - one of its own unless given
 * @returns the record, valid until the decoder's next call
 */
export function recordOf(line: string, options: RecordOptions = {}, decoder = new TestDecodingDecoder()): ChangeRecord {
  const bytes = Buffer.from(line, 'utf8');
  const change = decoder.decode(bytes, 0, bytes.length);
  if (change.kind !== 'change') throw new Error(`${change.kind}, not a row's change`);
  const { half } = options;
  const newKey = change.newTuple && keyOf(change.newTuple, options.key, change.oldTuple);
  const oldKey = change.oldTuple && keyOf(change.oldTuple, options.key, undefined);
  const isOld = half === 'DELETE' || change.operation === 'DELETE';
  return {
    operation: half ?? change.operation,
    table: change.table,
    transaction: options.transaction ?? TRANSACTION,
    ordinal: options.ordinal ?? 3,
    lsn: options.lsn ?? 0x16b3700n,
    change,
    key: isOld ? oldKey : newKey,
    otherKey: half === undefined ? undefined : isOld ? newKey : oldKey,
    omitted: new Set(options.omitted),
    truncated: options.truncated ?? false,
  };
}

/** @returns the record of a table's TRUNCATE */
export function truncateOf(table: TableName, transaction = TRANSACTION): ChangeRecord {
  return {
    operation: 'TRUNCATE',
    table,
    transaction,
    ordinal: 3,
    lsn: 0x16b3700n,
    change: undefined,
    key: undefined,
    otherKey: undefined,
    omitted: new Set(),
    truncated: false,
  };
}

/** Where a key's parts stand; a part that was not sent in the tuple stands in the other one. */
function keyOf(tuple: Tuple, names: readonly string[] | undefined, other: Tuple | undefined): Key | undefined {
  if (names === undefined || names.length === 0) return undefined;
  const key: Key = { count: names.length, tuples: [], columns: [] };
  for (const name of names) {
    let from = tuple;
    let column = from.headers.findIndex((header, i) => i < from.count && header.printed === name);
    if (from.kinds[column] === 1 && other !== undefined) {
      from = other;
      column = from.headers.findIndex((header, i) => i < from.count && header.printed === name);
    }
    if (column < 0) return undefined;
    key.tuples.push(from);
    key.columns.push(column);
  }
  return key;
}

/** @returns what a format writes of a record, as text */
export function written(format: Format, record: ChangeRecord): string {
  const out = new ByteWriter(16);
  format.write(record, out);
  return out.toString();
}

/** A value in apostrophes, as test_decoding prints text. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as test_decoding prints it, quoted where needed. */
export function printName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** @returns a copy of a change that stays valid when its decoder goes on */
export function keep(change: RowChange): RowChange {
  const copy = (tuple: Tuple | undefined): Tuple | undefined =>
    tuple && {
      count: tuple.count,
      headers: tuple.headers.slice(0, tuple.count),
      kinds: tuple.kinds.slice(0, tuple.count),
      starts: tuple.starts.slice(0, tuple.count),
      ends: tuple.ends.slice(0, tuple.count),
    };
  return { ...change, newTuple: copy(change.newTuple), oldTuple: copy(change.oldTuple) };
}
