/**
 * Rows of one table as they were read, and the reader of COPY's text format that fills them in. Values are what the
 * output functions print, as in the plugin's lines, so that a row makes the same record as its change. Pure.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html (Text Format)
 */
import { isUtf8 } from 'node:buffer';
import { type ColumnHeader, type RowChange, type TableName, type Tuple, ValueKind } from '../decode/messages.ts';

/** A column that is read. */
export interface ReadColumn {
  readonly header: ColumnHeader;
  /** How its values are written where they are not NULL. */
  readonly kind: ValueKind;
}

/** Where the values of rows are: that of column c of row r is at index `r * perRow + c`. */
export interface RowValues {
  readonly perRow: number;
  readonly bytes: Buffer;
  /** Where each begins; -1: NULL; -2: it was too large to be kept. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** How large each row was as it was sent. */
  readonly sizes: readonly number[];
  readonly count: number;
}

/** A row that a chunk holds. */
export interface HeldRow {
  readonly rows: RowSet;
  readonly index: number;
}

const NULL = -1;
const TOO_LARGE = -2;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const BACKSLASH = 0x5c;
const CAPITAL_N = 0x4e;
/** What stands for what behind a backslash; anything else stands for itself. */
const ESCAPED = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x76, 0x0b],
]);

/** Reads COPY's text format as it streams. */
export class CopyTextReader {
  readonly #columns: number;
  readonly #valueBytes: number;
  #out: Buffer;
  #length = 0;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #sizes: number[] = [];
  #count = 0;
  /** Of the value that is being read. */
  #start = 0;
  #isNull = false;
  #isTooLarge = false;
  #isEscape = false;
  /** Where the row that is being read began. */
  #rowLength = 0;
  #rowSize = 0;

  /**
   * @param columns - how many columns a row has
   * @param valueBytes - a larger value is not kept
   */
  constructor(columns: number, valueBytes: number) {
    this.#columns = columns;
    this.#valueBytes = valueBytes;
    this.#out = Buffer.allocUnsafeSlow(64 * 1024);
  }

  /** How many rows were read to their end. */
  get count(): number {
    return this.#count;
  }

  /** How many bytes they have. */
  get bytes(): number {
    return this.#rowLength;
  }

  /** @param chunk - the next bytes */
  push(chunk: Buffer): void {
    this.#reserve(chunk.length);
    const out = this.#out;
    let length = this.#length;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      this.#rowSize++;
      if (this.#isEscape) {
        this.#isEscape = false;
        if (byte === CAPITAL_N && length === this.#start) this.#isNull = true;
        else out[length++] = ESCAPED.get(byte) ?? byte;
      } else if (byte === BACKSLASH) {
        this.#isEscape = true;
      } else if (byte === TAB || byte === LINE_FEED) {
        this.#length = length;
        this.#endValue();
        if (byte === LINE_FEED) this.#endRow();
        length = this.#length;
      } else {
        out[length++] = byte;
      }
      if (length - this.#start > this.#valueBytes) {
        this.#isTooLarge = true;
        length = this.#start;
      }
    }
    this.#length = length;
  }

  /** @returns the rows that were read to their end */
  values(): RowValues {
    return {
      perRow: this.#columns,
      bytes: this.#out.subarray(0, this.#rowLength),
      starts: this.#starts,
      ends: this.#ends,
      sizes: this.#sizes,
      count: this.#count,
    };
  }

  #endValue(): void {
    this.#starts.push(this.#isTooLarge ? TOO_LARGE : this.#isNull ? NULL : this.#start);
    if (this.#isTooLarge) this.#length = this.#start;
    this.#ends.push(this.#length);
    this.#start = this.#length;
    this.#isNull = this.#isTooLarge = false;
  }

  #endRow(): void {
    if (this.#starts.length !== (this.#count + 1) * this.#columns) {
      // A table without columns that are read: one empty value stands for the row.
      throw new Error(`COPY gave ${this.#starts.length} values in ${this.#count + 1} rows of ${this.#columns} columns`);
    }
    this.#count++;
    this.#sizes.push(this.#rowSize);
    this.#rowSize = 0;
    this.#rowLength = this.#length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#out.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#out.length, this.#length + more));
    this.#out.copy(larger, 0, 0, this.#length);
    this.#out = larger;
  }
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
   * @param oneByOne - halves of characters could meet where values do: looks at each value
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
   * @returns another change
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
      const column = this.columns.findIndex(({ header }) => header.printed === tuple.headers[i]?.printed);
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
