/**
 * Rows of one table as they were read. Values are what the output functions print, as in the plugin's rows, so that a row makes
 * the same record as its change. Pure.
 */
import { isUtf8 } from 'node:buffer';
import { type ColumnHeader, type RowChange, type TableName, type Tuple, ValueKind } from '../decode/messages.ts';
import { NULL, type RowValues, TOO_LARGE } from './copy-text-reader.ts';

/** A column that is read. */
export interface ReadColumn {
  readonly header: ColumnHeader;
  /** How its values are written where they are not NULL. */
  readonly kind: ValueKind;
}

/** A row that a chunk holds. */
export interface HeldRow {
  readonly rows: RowSet;
  readonly index: number;
}

/** Rows of one table. */
export class RowSet {
  readonly table: TableName;
  /** The key's columns, as printed, in key order. */
  readonly key: readonly string[];
  readonly columns: readonly ReadColumn[];
  readonly #values: RowValues;
  readonly #change: { -readonly [K in keyof RowChange]: RowChange[K] };
  readonly #tuple: Tuple;
  readonly #keyColumns: readonly number[];

  /**
   * @param table - their table
   * @param columns - its columns, as they are read
   * @param key - the key's columns, as printed, in key order
   * @param values - what was read: of each row these columns, and what else was asked for behind them
   */
  constructor(table: TableName, columns: readonly ReadColumn[], key: readonly string[], values: RowValues) {
    this.table = table;
    this.key = key;
    this.columns = columns;
    this.#values = values;
    this.#keyColumns = key.map((name) => columns.findIndex(({ header }) => header.printed === name));
    this.#tuple = {
      count: columns.length,
      headers: columns.map(({ header }) => header),
      kinds: [],
      starts: [],
      ends: [],
    };
    this.#change = {
      kind: 'change',
      operation: 'INSERT',
      table,
      bytes: values.bytes,
      newTuple: this.#tuple,
      oldTuple: undefined,
      oversizeBytes: undefined,
    };
  }

  get count(): number {
    return this.#values.count;
  }

  /**
   * @param index - of a row
   * @returns its key's parts
   */
  keyOf(index: number): string[] {
    return this.#keyColumns.map((column) => this.text(index, column) ?? '');
  }

  /**
   * Whether all values are UTF-8, in which records are written.
   *
   * @param oneByOne - look at each value by itself: two that are no UTF-8 may be UTF-8 when they follow each other
   */
  isUtf8(oneByOne: boolean): boolean {
    const { bytes, starts, ends } = this.#values;
    if (!oneByOne) return isUtf8(bytes);
    return starts.every((start, i) => start < 0 || isUtf8(bytes.subarray(start, ends[i])));
  }

  /** @returns a value's text; undefined: it is NULL, or was too large */
  text(index: number, column: number): string | undefined {
    const at = index * this.#values.perRow + column;
    const start = this.#values.starts[at] ?? NULL;
    return start < 0 ? undefined : this.#values.bytes.toString('utf8', start, this.#values.ends[at]);
  }

  /**
   * @param index - of a row
   * @returns the row in the shape of a change that inserts it; valid until the next call
   */
  asChange(index: number): RowChange {
    const { starts, ends, sizes } = this.#values;
    let isWhole = true;
    for (let column = 0; column < this.columns.length; column++) {
      const at = index * this.#values.perRow + column;
      const start = starts[at] ?? NULL;
      isWhole &&= start !== TOO_LARGE;
      this.#tuple.kinds[column] = this.#kind(start, column);
      this.#tuple.starts[column] = Math.max(0, start);
      this.#tuple.ends[column] = ends[at] ?? 0;
    }
    this.#change.oversizeBytes = isWhole ? undefined : sizes[index];
    return this.#change;
  }

  /**
   * Gives a change the values that it lacks because they did not change, from the row that it was made from.
   *
   * @param index - of that row
   * @param change - valid during the call
   * @returns another change; it still lacks those of columns that were read under another name, or of another type
   */
  complete(index: number, change: RowChange): RowChange {
    const { newTuple } = change;
    if (newTuple === undefined) return change;
    const { starts, ends, bytes } = this.#values;
    const parts: Buffer[] = [change.bytes];
    let length = change.bytes.length;
    const tuple: Tuple = {
      count: newTuple.count,
      headers: newTuple.headers.slice(0, newTuple.count),
      kinds: newTuple.kinds.slice(0, newTuple.count),
      starts: newTuple.starts.slice(0, newTuple.count),
      ends: newTuple.ends.slice(0, newTuple.count),
    };
    for (let i = 0; i < tuple.count; i++) {
      if (tuple.kinds[i] !== ValueKind.unchanged) continue;
      const { printed, type } = tuple.headers[i] ?? {};
      const column = this.columns.findIndex(({ header }) => header.printed === printed && header.type === type);
      const at = index * this.#values.perRow + column;
      const start = column < 0 ? undefined : starts[at];
      if (start === undefined) continue;
      const value = start < 0 ? Buffer.alloc(0) : bytes.subarray(start, ends[at]);
      tuple.kinds[i] = this.#kind(start, column);
      tuple.starts[i] = length;
      tuple.ends[i] = length += value.length;
      parts.push(value);
    }
    const isWhole = !tuple.kinds.includes(ValueKind.elided);
    return {
      ...change,
      bytes: Buffer.concat(parts),
      newTuple: tuple,
      oversizeBytes: change.oversizeBytes ?? (isWhole ? undefined : this.#values.sizes[index]),
    };
  }

  #kind(start: number, column: number): ValueKind {
    if (start === NULL) return ValueKind.null;
    if (start === TOO_LARGE) return ValueKind.elided;
    return this.columns[column]?.kind ?? ValueKind.quoted;
  }
}
