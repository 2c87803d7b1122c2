/**
 * Reads COPY's text format as it streams: where each value of each row is. Pure; knows no table.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html (Text Format)
 */

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

/** Where a value that is NULL begins. */
export const NULL = -1;
/** Where a value begins that was too large to be kept. */
export const TOO_LARGE = -2;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const BACKSLASH = 0x5c;
const CAPITAL_N = 0x4e;
/** The byte that an escape such as `\n` means. Any other byte after a backslash means itself. */
const ESCAPED = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x76, 0x0b],
]);

/** Once so many times the largest value is kept of a row, only small values of it are: memory does not grow with a row. */
const ROW_VALUES = 2;
/** Small is up to this: a part of a key is never larger, and a row has at most 1,600 columns. */
const SMALL_BYTES = 8 * 1024;

/** Reads COPY's text format as it streams. */
export class CopyTextReader {
  readonly #columns: number;
  readonly #valueBytes: number;
  /** How large the value that is being read may be. */
  #mostBytes: number;
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
    this.#valueBytes = this.#mostBytes = valueBytes;
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
      if (length - this.#start > this.#mostBytes) {
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
    const isLong = this.#start - this.#rowLength > ROW_VALUES * this.#valueBytes;
    this.#mostBytes = isLong ? Math.min(SMALL_BYTES, this.#valueBytes) : this.#valueBytes;
  }

  #endRow(): void {
    if (this.#starts.length !== (this.#count + 1) * this.#columns) {
      // A table without columns that are read: COPY writes one empty value for such a row.
      throw new Error(`COPY gave ${this.#starts.length} values in ${this.#count + 1} rows of ${this.#columns} columns`);
    }
    this.#count++;
    this.#sizes.push(this.#rowSize);
    this.#rowSize = 0;
    this.#rowLength = this.#length;
    this.#mostBytes = this.#valueBytes;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#out.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#out.length, this.#length + more));
    this.#out.copy(larger, 0, 0, this.#length);
    this.#out = larger;
  }
}
