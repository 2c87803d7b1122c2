/**
 * Lines of PostgreSQL's test_decoding plugin, from bytes to messages: one left-to-right scan, nothing read twice,
 * nothing guessed. Whatever is not exactly the plugin's grammar throws {@link UndecodableError}.
 * Knows nothing of slots, LSNs or keys: `postgres/peek.ts` adds the positions to BEGIN and COMMIT.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import type { RowChange, Truncate, Tuple } from '../messages.ts';
import { UndecodableError } from '../messages.ts';
import type { PluginDecoder } from '../plugin-decoder.ts';
import type { DecodedMessage } from '../plugin-decoder.ts';
import { emptyChange, emptyTuple } from '../reused-row.ts';
import { matchesAt } from './byte-pattern.ts';
import type { KnownHeader, KnownTable } from './intern.ts';
import { NameInterner } from './intern.ts';
import { decodeLogicalMessage, MESSAGE_BYTE } from './logical-message.ts';
import { repairLine } from './repair.ts';
import { limitsForRecord, TestDecodingRowShortener } from './row-shortener.ts';
import { literal, scanIdentifier, scanType, startsWithAt } from './scan.ts';
import { decodeBegin, decodeCommit, unknownLineError } from './transaction-lines.ts';
import { decodeTruncate } from './truncate-line.ts';
import { scanValue } from './value.ts';

const SPACE = 0x20;
const DOT = 0x2e;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const COLON = 0x3a;

const TABLE = literal('table ');
const COMMA = literal(', ');
const COLON_SPACE = literal(': ');
const INSERT = literal('INSERT:');
const UPDATE = literal('UPDATE:');
const DELETE = literal('DELETE:');
const OLD_KEY = literal(' old-key:');
const NEW_TUPLE = literal(' new-tuple:');
const NO_TUPLE = literal(' (no-tuple-data)');

/** How many names are kept before all are forgotten: some 10 MB at most. A database with more columns is decoded, only slower. */
const NAMES_LIMIT = 32_768;

/** More columns than a table can have (1,600). A list that is longer holds columns that were altered or dropped since. */
const COLUMNS_LIMIT = 2_048;

/**
 * Decodes lines of test_decoding, read with include-xids and include-timestamp in a session whose settings are pinned.
 *
 * A row's message, its tuples and their arrays are the same objects at every call: they are valid until the next one.
 * Table names and column headers are interned, and stay valid.
 *
 * By test/bench/decode.bench.ts a change of 290 bytes in nine columns takes 265 ns on a 2-core cloud machine, one of
 * another table than the one before 265 (in turn) to 450 (at random). Comparing names and headers one byte at a time
 * took 370, and a map of names alone 530 for tables in turn.
 *
 * @example
 * const line = new TestDecodingDecoder().decode(bytes, 0, bytes.length);
 * if (line.kind === 'change') console.log(line.operation, line.table.printed, line.newTuple?.count);
 */
export class TestDecodingDecoder implements PluginDecoder {
  readonly #interner: NameInterner;
  readonly #new = emptyTuple();
  readonly #old = emptyTuple();
  readonly #change = emptyChange();
  /** The last row's table: the next is most often the same. */
  #table: KnownTable | undefined;
  /** Of the change's bytes. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** The second result of `#seekHeader`, the column's place: a field, so that no object is made for each column. */
  #foundAt = 0;

  /** Lines of more bytes are to be shortened before they are decoded. */
  readonly maxRowBytes: number;
  readonly shortener: TestDecodingRowShortener;
  readonly messageByte = MESSAGE_BYTE;
  /** For lines with bytes that are no UTF-8. */
  readonly repair = repairLine;

  /**
   * @param namesLimit - how many tables, and how many column headers, are remembered. Beyond it all are forgotten and
   *   interned anew: other objects, with ids never used before
   * @param maxRecordBytes - what the stream allows for a record
   */
  constructor(namesLimit = NAMES_LIMIT, maxRecordBytes = 1024 * 1024) {
    this.#interner = new NameInterner(namesLimit);
    const limits = limitsForRecord(maxRecordBytes);
    this.maxRowBytes = limits.lineBytes;
    this.shortener = new TestDecodingRowShortener(limits);
  }

  /**
   * Decodes one line: one row of the slot's data, which may hold line breaks.
   *
   * A line that was cut down to `message:` is accepted, so that the server need not send the content of a message that
   * nobody wants. A row printed with `(no-tuple-data)` has no tuple, one without columns an empty tuple.
   *
   * @param bytes - what holds the line, UTF-8; a change refers to it
   * @param start - its first byte
   * @param end - the index after its last byte
   * @param oversizeBytes - the line's size before it was shortened; undefined: it is as it was sent
   * @returns what it says; a change is valid until the next call
   * @throws {UndecodableError} when it is not exactly the plugin's grammar, or of a prepared transaction
   */
  decode(bytes: Buffer, start: number, end: number, oversizeBytes?: number): DecodedMessage {
    this.#change.oversizeBytes = oversizeBytes;
    switch (start < end ? bytes[start] : undefined) {
      case 0x74: // table
        return this.#decodeTable(bytes, start, end);
      case 0x42: // BEGIN
        return decodeBegin(bytes, start, end);
      case 0x43: // COMMIT
        return decodeCommit(bytes, start, end);
      case MESSAGE_BYTE:
        return decodeLogicalMessage(bytes, start, end, oversizeBytes);
      default:
        throw unknownLineError(bytes, start, end);
    }
  }

  /** `table a.b: INSERT: ...`, or `table a.b, c.d: TRUNCATE: ...` */
  #decodeTable(bytes: Buffer, start: number, end: number): RowChange | Truncate {
    if (this.#interner.full) {
      this.#interner.forget();
      this.#table = undefined;
    }
    if (bytes !== this.#change.bytes) {
      this.#change.bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    const last = this.#table;
    if (last !== undefined) {
      let known: KnownTable | undefined = last;
      if (!matchesAt(this.#view, start, end, known.prefix)) known = known.likelyNext;
      if (known !== undefined && (known === last || matchesAt(this.#view, start, end, known.prefix))) {
        this.#table = known;
        return this.#decodeChange(bytes, start + known.prefix.length, end, start, known);
      }
    }
    if (!startsWithAt(bytes, start, end, TABLE)) throw new UndecodableError('"table "', 0);
    const first = this.#scanTable(bytes, start + TABLE.length, end, start);
    let at = start + first.prefix.length - COLON_SPACE.length;
    if (startsWithAt(bytes, at, end, COLON_SPACE)) {
      if (last !== undefined) last.likelyNext = first;
      this.#table = first;
      return this.#decodeChange(bytes, at + COLON_SPACE.length, end, start, first);
    }
    const tables = [first.name];
    while (startsWithAt(bytes, at, end, COMMA)) {
      const next = this.#scanTable(bytes, at + COMMA.length, end, start);
      tables.push(next.name);
      at += COMMA.length + next.prefix.length - TABLE.length - COLON_SPACE.length;
    }
    if (!startsWithAt(bytes, at, end, COLON_SPACE))
      throw new UndecodableError('": " or ", " after a table', at - start);
    return decodeTruncate(bytes, at + COLON_SPACE.length, end, start, tables);
  }

  #scanTable(bytes: Buffer, at: number, end: number, start: number): KnownTable {
    const dot = scanIdentifier(bytes, at, end, start, 'a schema');
    if (dot >= end || bytes[dot] !== DOT) throw new UndecodableError('"." after a schema', dot - start);
    return this.#interner.internTable(bytes, at, dot, scanIdentifier(bytes, dot + 1, end, start, "a table's name"));
  }

  #decodeChange(bytes: Buffer, at: number, end: number, start: number, table: KnownTable): RowChange | Truncate {
    const change = this.#change;
    if (startsWithAt(bytes, at, end, INSERT)) {
      change.operation = 'INSERT';
      change.oldTuple = undefined;
      change.newTuple = this.#decodeTuple(bytes, at + INSERT.length, end, start, table, this.#new);
    } else if (startsWithAt(bytes, at, end, UPDATE)) {
      let next = at + UPDATE.length;
      change.operation = 'UPDATE';
      change.oldTuple = undefined;
      if (startsWithAt(bytes, next, end, OLD_KEY)) {
        next = this.#scanTuple(bytes, next + OLD_KEY.length, end, start, table, this.#old, true);
        if (next >= end) throw new UndecodableError('" new-tuple:"', end - start);
        next += NEW_TUPLE.length;
        change.oldTuple = this.#old;
      }
      change.newTuple = this.#decodeTuple(bytes, next, end, start, table, this.#new);
    } else if (startsWithAt(bytes, at, end, DELETE)) {
      change.operation = 'DELETE';
      change.newTuple = undefined;
      change.oldTuple = this.#decodeTuple(bytes, at + DELETE.length, end, start, table, this.#old);
    } else {
      return decodeTruncate(bytes, at, end, start, [table.name]);
    }
    change.table = table.name;
    return change;
  }

  /** The columns up to the line's end, or undefined where the server had none to print. */
  #decodeTuple(
    bytes: Buffer,
    at: number,
    end: number,
    start: number,
    table: KnownTable,
    tuple: Tuple,
  ): Tuple | undefined {
    if (startsWithAt(bytes, at, end, NO_TUPLE)) {
      if (at + NO_TUPLE.length !== end) throw new UndecodableError('the end of the line', at + NO_TUPLE.length - start);
      return undefined;
    }
    this.#scanTuple(bytes, at, end, start, table, tuple, false);
    return tuple;
  }

  /**
   * Fills a tuple with the columns up to the line's end, or up to ` new-tuple:` where that may follow.
   * Each header is first compared, byte by byte, with those the table's last rows had from here on.
   */
  #scanTuple(
    bytes: Buffer,
    from: number,
    end: number,
    start: number,
    table: KnownTable,
    tuple: Tuple,
    isOldKey: boolean,
  ): number {
    const { lastColumns } = table;
    const view = this.#view;
    let at = from;
    let place = 0;
    let count = 0;
    while (at < end) {
      let known = lastColumns[place];
      if (known === undefined || !matchesAt(view, at, end, known.pattern)) {
        if (isOldKey && startsWithAt(bytes, at, end, NEW_TUPLE)) break;
        known = this.#seekHeader(bytes, at, end, start, lastColumns, place);
        place = this.#foundAt;
      }
      place++;
      tuple.headers[count] = known.header;
      at = scanValue(bytes, at + known.pattern.length, end, start, tuple, count);
      count++;
    }
    tuple.count = count;
    return at;
  }

  /** The header at `at`: found further on among the last columns, or read and added to them. Its place is left in `#foundAt`. */
  #seekHeader(
    bytes: Buffer,
    at: number,
    end: number,
    start: number,
    lastColumns: KnownHeader[],
    place: number,
  ): KnownHeader {
    for (let ahead = place + 1; ahead < lastColumns.length; ahead++) {
      const known = lastColumns[ahead];
      if (known !== undefined && matchesAt(this.#view, at, end, known.pattern)) {
        this.#foundAt = ahead;
        return known;
      }
    }
    const known = this.#scanHeader(bytes, at, end, start);
    if (lastColumns.length >= COLUMNS_LIMIT) lastColumns.length = 0;
    this.#foundAt = Math.min(place, lastColumns.length);
    lastColumns.splice(this.#foundAt, 0, known);
    return known;
  }

  /** ` name[type]:` */
  #scanHeader(bytes: Buffer, at: number, end: number, start: number): KnownHeader {
    if (bytes[at] !== SPACE) throw new UndecodableError('" " before a column', at - start);
    const bracket = scanIdentifier(bytes, at + 1, end, start, "a column's name");
    if (bracket >= end || bytes[bracket] !== OPENING_BRACKET)
      throw new UndecodableError('"[" after a column', bracket - start);
    const close = scanType(bytes, bracket + 1, end, start);
    if (close >= end || bytes[close] !== CLOSING_BRACKET) throw new UndecodableError('"]" after a type', close - start);
    if (close + 1 >= end || bytes[close + 1] !== COLON)
      throw new UndecodableError('":" after a column', close + 1 - start);
    return this.#interner.internHeader(bytes, at, bracket, close + 2);
  }
}
