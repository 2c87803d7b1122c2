/**
 * The change that a formatter of the user's own is given: an ordinary object, made for each call. What a table or a
 * transaction repeats is made once. Knows no formatter.
 */
import type { FormatterChange, FormatterRow, FormatterValue } from '../../../lib/formatter/formatter.ts';
import { formatLsn } from '../../decode/lsn.ts';
import { type ColumnHeader, type TableName, type Transaction, type Tuple, ValueKind } from '../../decode/messages.ts';
import { memoise, memoiseLast } from '../memo.ts';
import type { ArrayDelimiter, ChangeRecord, Key } from '../record.ts';
import { isoMicros } from '../temporal.ts';
import { readerFor, type ValueReader } from './value-readers.ts';

/** How many columns are remembered; more than a decoder remembers, so that its columns do not displace each other. */
const MAX_COLUMNS = 65_536;

type Mutable<T> = { -readonly [N in keyof T]: T[N] };
type Values = Record<string, FormatterValue>;

/** What the headers of a table's last change said. */
interface Shape {
  readonly headers: ColumnHeader[];
  types: Readonly<Record<string, string>>;
}

/** Makes changes. */
export class ChangeMaker {
  readonly #source: string;
  readonly #delimiter: ArrayDelimiter;
  readonly #readers: ({ readonly header: ColumnHeader; readonly read: ValueReader } | undefined)[] = [];
  readonly #transaction = memoiseLast((transaction: Transaction) => ({
    commitLsn: formatLsn(transaction.commitLsn),
    id: `${formatLsn(transaction.commitLsn)}@${transaction.commitTimeMicros}#`,
    commitTime: isoMicros(transaction.commitTimeMicros),
  }));
  readonly #shape = memoise<TableName, Shape>(() => ({ headers: [], types: Object.freeze({}) }));

  /**
   * @param source - SOURCE_NAME
   * @param delimiter - finds what separates an array's elements
   */
  constructor(source: string, delimiter: ArrayDelimiter) {
    this.#source = source;
    this.#delimiter = delimiter;
  }

  /**
   * @param record - what was decoded
   * @returns all that FORMAT=json has of it, as JavaScript values, and the columns' types
   */
  of(record: ChangeRecord): FormatterChange {
    const { change, operation, table, key, otherKey } = record;
    const { commitLsn, commitTime, id } = this.#transaction(record.transaction);
    const made: Mutable<FormatterChange> = {
      id: id + String(record.ordinal),
      source: this.#source,
      op: operation,
      schema: table.schema,
      table: table.name,
      key: key === undefined || change === undefined ? null : this.#key(key, change.bytes),
      types: this.#types(record),
      xid: record.transaction.xid,
      commitLsn,
      ordinal: record.ordinal,
      commitTime,
    };
    if (change === undefined) return made;
    if (otherKey !== undefined) {
      if (operation === 'DELETE') made.newKey = this.#key(otherKey, change.bytes);
      else made.oldKey = this.#key(otherKey, change.bytes);
    }
    if (record.truncated) made.truncated = true;
    else this.#rows(record, made);
    return made;
  }

  /** As FORMAT=json: after a key change the old key is in `oldKey`, and what else the server sent is on the DELETE. */
  #rows({ change, operation, omitted }: ChangeRecord, made: Mutable<FormatterChange>): void {
    if (change === undefined) return;
    const { oldTuple, newTuple, bytes } = change;
    if (operation === 'DELETE' || newTuple === undefined) {
      if (oldTuple !== undefined) made.old = this.#old(oldTuple, omitted, bytes);
      return;
    }
    const row: Values = {};
    let unchanged: string[] | undefined;
    for (let i = 0; i < newTuple.count; i++) {
      const header = newTuple.headers[i];
      if (header === undefined || (omitted.size > 0 && omitted.has(header.printed))) continue;
      let tuple = newTuple;
      let place = i;
      if (newTuple.kinds[i] === ValueKind.unchanged) {
        place = oldTuple === undefined ? -1 : indexOfSent(oldTuple, header);
        if (oldTuple === undefined || place < 0) {
          (unchanged ??= []).push(header.name);
          continue;
        }
        tuple = oldTuple;
      }
      put(row, header.name, this.#value(tuple, place, header, bytes));
    }
    made.row = row;
    if (operation === 'UPDATE' && oldTuple !== undefined) made.old = this.#old(oldTuple, omitted, bytes);
    if (unchanged !== undefined) made.unchanged = unchanged;
  }

  #old(tuple: Tuple, omitted: ReadonlySet<string>, bytes: Buffer): FormatterRow {
    const row: Values = {};
    for (let i = 0; i < tuple.count; i++) {
      const header = tuple.headers[i];
      if (header === undefined || tuple.kinds[i] === ValueKind.unchanged || omitted.has(header.printed)) continue;
      put(row, header.name, this.#value(tuple, i, header, bytes));
    }
    return row;
  }

  #key(key: Key, bytes: Buffer): FormatterRow {
    const row: Values = {};
    for (let part = 0; part < key.count; part++) {
      const tuple = key.tuples[part];
      const place = key.columns[part] ?? 0;
      const header = tuple?.headers[place];
      if (tuple !== undefined && header !== undefined) put(row, header.name, this.#value(tuple, place, header, bytes));
    }
    return row;
  }

  #value(tuple: Tuple, index: number, header: ColumnHeader, bytes: Buffer): FormatterValue {
    const kind = tuple.kinds[index];
    if (kind === ValueKind.null) return null;
    const slot = header.id % MAX_COLUMNS;
    let known = this.#readers[slot];
    if (known?.header !== header) {
      known = { header, read: readerFor(header.type, this.#delimiter) };
      this.#readers[slot] = known;
    }
    return known.read(bytes, tuple.starts[index] ?? 0, tuple.ends[index] ?? 0, kind === ValueKind.escaped);
  }

  /** The types of the columns that were sent. One object for as long as the table's columns stay the same. */
  #types({ change, table }: ChangeRecord): Readonly<Record<string, string>> {
    const tuple = change?.newTuple ?? change?.oldTuple;
    const shape = this.#shape(table);
    if (tuple === undefined) return {};
    let same = shape.headers.length === tuple.count;
    for (let i = 0; same && i < tuple.count; i++) same = shape.headers[i] === tuple.headers[i];
    if (same) return shape.types;
    const types: Record<string, string> = {};
    for (const header of tuple.headers.slice(0, tuple.count)) put(types, header.name, header.type);
    shape.headers.splice(0, Infinity, ...tuple.headers.slice(0, tuple.count));
    shape.types = Object.freeze(types);
    return shape.types;
  }
}

/** A column may be named `__proto__`, which an assignment would take for something else. */
function put<T>(row: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__')
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  else row[name] = value;
}

/** @returns where a tuple holds a column's value, or -1 */
function indexOfSent(tuple: Tuple, header: ColumnHeader): number {
  for (let i = 0; i < tuple.count; i++) {
    if (tuple.headers[i] === header) return tuple.kinds[i] === ValueKind.unchanged ? -1 : i;
  }
  return -1;
}
