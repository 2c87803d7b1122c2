/**
 * Rows of a binary COPY of (lsn pg_lsn, data bytea), found in the chunks in which they arrive. A row is looked at where
 * it lies; only one that crosses from a chunk into the next is put together. Pure; knows neither SQL nor test_decoding.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY
 */
import type { Lsn } from '../decode/lsn.ts';
import type { RowShortener } from '../decode/plugin-decoder.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Signature, flags, and the length of a header extension, which is always 0. */
const HEADER_BYTES = 19;
/** Field count, a length of 8, the LSN, a length. */
const ROW_HEADER_BYTES = 18;
/** Field count and two lengths of -1. */
const NULL_ROW_BYTES = 10;
const FIELDS = 2;
/** The bits that no byte of ASCII has, of four bytes. */
const NOT_ASCII = 0x80808080;

/** Takes chunks, gives rows: push one chunk, then call {@link BinaryCopyReader.next} until it says false. */
export class BinaryCopyReader {
  /** Where the row's data is: from `start` to `end`. Valid until the next call, and as long as its chunk is. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  /** Whether the row is all NULL. */
  isNull = false;
  /** The size of the row's data as it was sent, where the row was too large and is shortened; else undefined. */
  oversizeBytes: number | undefined;
  /** Whether the end of the data has been seen. */
  ended = false;

  readonly #maxRowBytes: number;
  readonly #shortener: RowShortener | undefined;
  #chunk: Buffer = Buffer.alloc(0);
  /** Its size: the chunk itself may be freed once its rows were taken. */
  #chunkLength = 0;
  #offset = 0;
  /** That of a chunk's last row, once all of it is taken. */
  #lastLsn: Lsn | undefined;
  /** Of the row's bytes. */
  #view: DataView = viewOf(this.bytes);
  /** The beginning of what did not end in its chunk. */
  #carry = Buffer.allocUnsafeSlow(64 * 1024);
  #carried = 0;
  #headerSeen = false;
  /** How many bytes of a row that is being shortened are yet to come. */
  #leftToShorten = 0;

  /**
   * @param maxRowBytes - rows of more bytes are shortened as they stream by, never collected @default none are
   * @param shortener - shortens such rows
   */
  constructor(maxRowBytes = Infinity, shortener?: RowShortener) {
    this.#maxRowBytes = maxRowBytes;
    this.#shortener = shortener;
  }

  /** @param chunk - the next bytes @throws {Error} when rows of the chunk before were not taken */
  push(chunk: Buffer): void {
    if (this.#offset < this.#chunkLength && !this.ended) throw new Error('rows were left behind in a block');
    this.#chunk = chunk;
    this.#chunkLength = chunk.length;
    this.#offset = 0;
  }

  /**
   * Goes to the next row.
   *
   * @returns false when the chunk holds no further whole one
   * @throws {Error} when the bytes are no such COPY
   */
  next(): boolean {
    if (!this.#headerSeen && !this.#header()) return false;
    if (this.ended) return false;
    if (this.#leftToShorten > 0) return this.#shorten();
    this.oversizeBytes = undefined;
    return this.#carried > 0 ? this.#nextCarried() : this.#nextInChunk();
  }

  /** @returns whether all of the row's data is ASCII: four bytes at a time, a quarter of what a view and the native check take */
  isAscii(): boolean {
    const view = this.#view;
    let at = this.start;
    for (const last = this.end - 4; at <= last; at += 4) if ((view.getInt32(at) & NOT_ASCII) !== 0) return false;
    for (; at < this.end; at++) if (view.getInt8(at) < 0) return false;
    return true;
  }

  /** @returns the LSN of the row that was given last, also once its chunk is gone; not for a NULL row */
  lsn(): Lsn {
    return this.#lastLsn ?? this.bytes.readBigUInt64BE(this.start - 12);
  }

  #nextInChunk(): boolean {
    const chunk = this.#chunk;
    const offset = this.#offset;
    const length = this.#measure(chunk, offset, this.#chunkLength);
    if (length === 0 || offset + length > this.#chunkLength) {
      // Before its bytes are overwritten, or freed.
      if (this.start > 0 && !this.isNull) this.#lastLsn = this.lsn();
      this.#keep(this.#chunkLength - offset);
      return false;
    }
    this.#offset = offset + length;
    return this.#give(chunk, offset, length);
  }

  #nextCarried(): boolean {
    let length = this.#measure(this.#carry, 0, this.#carried);
    while (length === 0) {
      // Too little to know the length yet.
      if (this.#offset === this.#chunkLength) return false;
      this.#keep(1);
      length = this.#measure(this.#carry, 0, this.#carried);
    }
    if (length > this.#maxRowBytes && this.#shortener !== undefined) {
      this.oversizeBytes = length - ROW_HEADER_BYTES;
      this.#shortener.begin(this.#carry.subarray(0, ROW_HEADER_BYTES));
      this.#shortener.write(this.#carry, ROW_HEADER_BYTES, this.#carried);
      this.#leftToShorten = length - this.#carried;
      this.#carried = 0;
      return this.#shorten();
    }
    this.#reserve(length);
    this.#keep(Math.min(length - this.#carried, this.#chunkLength - this.#offset));
    if (this.#carried < length) return false;
    this.#carried = 0;
    return this.#give(this.#carry, 0, length);
  }

  /** Lets the next piece of a row that is too large pass. @returns whether it was the last */
  #shorten(): boolean {
    const end = Math.min(this.#chunkLength, this.#offset + this.#leftToShorten);
    this.#shortener?.write(this.#chunk, this.#offset, end);
    this.#leftToShorten -= end - this.#offset;
    this.#offset = end;
    if (this.#leftToShorten > 0) return false;
    const kept = this.#shortener?.end() ?? this.bytes;
    return this.#give(kept, 0, kept.length);
  }

  #give(bytes: Buffer, offset: number, length: number): boolean {
    if (length === 2) {
      this.ended = true;
      return false;
    }
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.#view = viewOf(bytes);
    }
    this.#lastLsn = undefined;
    this.isNull = length === NULL_ROW_BYTES;
    this.start = offset + ROW_HEADER_BYTES;
    this.end = offset + length;
    return true;
  }

  /** @returns the length of the row that begins at the offset; 2 for the trailer; 0 when there is too little to tell */
  #measure(bytes: Buffer, offset: number, end: number): number {
    if (end - offset < 2) return 0;
    const fields = bytes.readInt16BE(offset);
    if (fields === -1) return 2;
    if (fields !== FIELDS) throw new Error(`a COPY row of ${fields} fields where ${FIELDS} were asked for`);
    if (end - offset < NULL_ROW_BYTES) return 0;
    const lsnBytes = bytes.readInt32BE(offset + 2);
    if (lsnBytes === -1) return NULL_ROW_BYTES;
    if (lsnBytes !== 8) throw new Error(`an LSN of ${lsnBytes} bytes in a COPY row`);
    if (end - offset < ROW_HEADER_BYTES) return 0;
    const dataBytes = bytes.readInt32BE(offset + 14);
    if (dataBytes < 0) throw new Error('a COPY row with an LSN and no data');
    return ROW_HEADER_BYTES + dataBytes;
  }

  #header(): boolean {
    this.#keep(Math.min(HEADER_BYTES - this.#carried, this.#chunkLength - this.#offset));
    if (this.#carried < HEADER_BYTES) return false;
    if (!this.#carry.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new Error('no binary COPY');
    this.#carried = 0;
    this.#headerSeen = true;
    return true;
  }

  /** Moves bytes from the chunk to the carry. */
  #keep(count: number): void {
    this.#reserve(this.#carried + count);
    this.#chunk.copy(this.#carry, this.#carried, this.#offset, this.#offset + count);
    this.#carried += count;
    this.#offset += count;
  }

  /** Room for a whole row at once: one of hundreds of megabytes comes in thousands of chunks. */
  #reserve(bytes: number): void {
    if (bytes <= this.#carry.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(this.#carry.length * 2, 1 << 20)));
    this.#carry.copy(grown, 0, 0, this.#carried);
    this.#carry = grown;
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
