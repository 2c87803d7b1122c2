/**
 * Lines of PostgreSQL's test_decoding plugin, from bytes to messages: one left-to-right scan, nothing read twice,
 * nothing guessed. Whatever is not exactly the plugin's grammar throws {@link UndecodableError}.
 * Knows nothing of slots, LSNs or keys: who reads the slot pairs BEGIN and COMMIT with their positions.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import type { Ignored, RowChange, TableName, Truncate, Tuple } from '../messages.ts';
import { UndecodableError } from '../messages.ts';
import { isMarked } from './byte-pattern.ts';
import { limitsForRecord, TestDecodingCondenser } from './condenser.ts';
import type { KnownHeader, KnownTable } from './intern.ts';
import { Names } from './intern.ts';
import { literal, scanIdentifier, scanType, standsAt } from './scan.ts';
import type { BeginLine, CommitLine } from './transaction-lines.ts';
import { decodeBegin, decodeCommit, decodeMessage, notALine } from './transaction-lines.ts';
import { scanValue } from './value.ts';

/** What a line says. */
export type Line = BeginLine | CommitLine | RowChange | Truncate | Ignored;

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
const TRUNCATE = literal('TRUNCATE:');
const OLD_KEY = literal(' old-key:');
const NEW_TUPLE = literal(' new-tuple:');
const NO_TUPLE = literal(' (no-tuple-data)');
const NO_FLAGS = literal(' (no-flags)');
const RESTART_SEQS = literal(' restart_seqs');
const CASCADE = literal(' cascade');

/** Names kept before they are forgotten; some 10 MB at most. A database of as many columns decodes, only slower. */
const NAMES_LIMIT = 32_768;

/** More columns than a table can have (1,600): what a layout holds beyond this is of columns long altered. */
const LAYOUT_LIMIT = 2_048;

function emptyTuple(): Tuple {
  return { count: 0, headers: [], kinds: [], starts: [], ends: [] };
}

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
export class TestDecodingDecoder {
  readonly #names: Names;
  readonly #new = emptyTuple();
  readonly #old = emptyTuple();
  readonly #change: { -readonly [K in keyof RowChange]: RowChange[K] } = {
    kind: 'change',
    operation: 'INSERT',
    table: { printed: '', schema: '', name: '' },
    bytes: Buffer.alloc(0),
    newTuple: undefined,
    oldTuple: undefined,
    oversizeBytes: undefined,
  };
  /** The last row's table: the next is most often the same. */
  #table: KnownTable | undefined;
  /** Of the change's bytes. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** What {@link TestDecodingDecoder.#seekHeader} returns besides. */
  #place = 0;

  /** Lines of more bytes are to be condensed before they are decoded. */
  readonly maxLineBytes: number;
  readonly condenser: TestDecodingCondenser;

  /**
   * @param namesLimit - how many tables, and how many column headers, are remembered. Beyond it all are forgotten and
   *   interned anew: other objects, with ids never used before
   * @param maxRecordBytes - what the stream allows for a record
   */
  constructor(namesLimit = NAMES_LIMIT, maxRecordBytes = 1024 * 1024) {
    this.#names = new Names(namesLimit);
    const limits = limitsForRecord(maxRecordBytes);
    this.maxLineBytes = limits.lineBytes;
    this.condenser = new TestDecodingCondenser(limits);
  }

  /**
   * Decodes one line: one row of the slot's data, which may hold line breaks.
   *
   * A logical message is told by its first word; a line cut down to `message:` is accepted, so that its content need
   * not travel. A row printed with `(no-tuple-data)` has no tuple, one without columns an empty tuple.
   *
   * @param bytes - where the line stands, UTF-8; a change refers to it
   * @param start - its first byte
   * @param end - behind its last byte
   * @param oversizeBytes - the line's size before it was condensed; undefined: it is as it was sent
   * @returns what it says; a change is valid until the next call
   * @throws {UndecodableError} when it is not exactly the plugin's grammar, or of a prepared transaction
   */
  decode(bytes: Buffer, start: number, end: number, oversizeBytes?: number): Line {
    this.#change.oversizeBytes = oversizeBytes;
    switch (start < end ? bytes[start] : undefined) {
      case 0x74: // table
        return this.#decodeTable(bytes, start, end);
      case 0x42: // BEGIN
        return decodeBegin(bytes, start, end);
      case 0x43: // COMMIT
        return decodeCommit(bytes, start, end);
      case 0x6d: // message
        return decodeMessage(bytes, start, end);
      default:
        throw notALine(bytes, start, end);
    }
  }

  /** `table a.b: INSERT: ...`, or `table a.b, c.d: TRUNCATE: ...` */
  #decodeTable(bytes: Buffer, start: number, end: number): RowChange | Truncate {
    if (this.#names.full) {
      this.#names.forget();
      this.#table = undefined;
    }
    if (bytes !== this.#change.bytes) {
      this.#change.bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    const last = this.#table;
    if (last !== undefined) {
      let known: KnownTable | undefined = last;
      if (!isMarked(this.#view, start, end, known.prefix)) known = known.successor;
      if (known !== undefined && (known === last || isMarked(this.#view, start, end, known.prefix))) {
        this.#table = known;
        return this.#decodeChange(bytes, start + known.prefix.length, end, start, known);
      }
    }
    if (!standsAt(bytes, start, end, TABLE)) throw new UndecodableError('"table "', 0);
    const first = this.#scanTable(bytes, start + TABLE.length, end, start);
    let at = start + first.prefix.length - COLON_SPACE.length;
    if (standsAt(bytes, at, end, COLON_SPACE)) {
      if (last !== undefined) last.successor = first;
      this.#table = first;
      return this.#decodeChange(bytes, at + COLON_SPACE.length, end, start, first);
    }
    const tables = [first.name];
    while (standsAt(bytes, at, end, COMMA)) {
      const next = this.#scanTable(bytes, at + COMMA.length, end, start);
      tables.push(next.name);
      at += COMMA.length + next.prefix.length - TABLE.length - COLON_SPACE.length;
    }
    if (!standsAt(bytes, at, end, COLON_SPACE)) throw new UndecodableError('": " or ", " behind a table', at - start);
    return decodeTruncate(bytes, at + COLON_SPACE.length, end, start, tables);
  }

  #scanTable(bytes: Buffer, at: number, end: number, start: number): KnownTable {
    const dot = scanIdentifier(bytes, at, end, start, 'a schema');
    if (dot >= end || bytes[dot] !== DOT) throw new UndecodableError('"." behind a schema', dot - start);
    return this.#names.table(bytes, at, dot, scanIdentifier(bytes, dot + 1, end, start, "a table's name"));
  }

  #decodeChange(bytes: Buffer, at: number, end: number, start: number, table: KnownTable): RowChange | Truncate {
    const change = this.#change;
    if (standsAt(bytes, at, end, INSERT)) {
      change.operation = 'INSERT';
      change.oldTuple = undefined;
      change.newTuple = this.#decodeTuple(bytes, at + INSERT.length, end, start, table, this.#new);
    } else if (standsAt(bytes, at, end, UPDATE)) {
      let next = at + UPDATE.length;
      change.operation = 'UPDATE';
      change.oldTuple = undefined;
      if (standsAt(bytes, next, end, OLD_KEY)) {
        next = this.#scanTuple(bytes, next + OLD_KEY.length, end, start, table, this.#old, true);
        if (next >= end) throw new UndecodableError('" new-tuple:"', end - start);
        next += NEW_TUPLE.length;
        change.oldTuple = this.#old;
      }
      change.newTuple = this.#decodeTuple(bytes, next, end, start, table, this.#new);
    } else if (standsAt(bytes, at, end, DELETE)) {
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
    if (standsAt(bytes, at, end, NO_TUPLE)) {
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
    const { layout } = table;
    const view = this.#view;
    let at = from;
    let place = 0;
    let count = 0;
    while (at < end) {
      let known = layout[place];
      if (known === undefined || !isMarked(view, at, end, known.mark)) {
        if (isOldKey && standsAt(bytes, at, end, NEW_TUPLE)) break;
        known = this.#seekHeader(bytes, at, end, start, layout, place);
        place = this.#place;
      }
      place++;
      tuple.headers[count] = known.header;
      at = scanValue(bytes, at + known.mark.length, end, start, tuple, count);
      count++;
    }
    tuple.count = count;
    return at;
  }

  /** The header that stands here: further on in the layout, or learned and put in. Leaves its place in `#place`. */
  #seekHeader(
    bytes: Buffer,
    at: number,
    end: number,
    start: number,
    layout: KnownHeader[],
    place: number,
  ): KnownHeader {
    for (let ahead = place + 1; ahead < layout.length; ahead++) {
      const known = layout[ahead];
      if (known !== undefined && isMarked(this.#view, at, end, known.mark)) {
        this.#place = ahead;
        return known;
      }
    }
    const known = this.#scanHeader(bytes, at, end, start);
    if (layout.length >= LAYOUT_LIMIT) layout.length = 0;
    this.#place = Math.min(place, layout.length);
    layout.splice(this.#place, 0, known);
    return known;
  }

  /** ` name[type]:` */
  #scanHeader(bytes: Buffer, at: number, end: number, start: number): KnownHeader {
    if (bytes[at] !== SPACE) throw new UndecodableError('" " before a column', at - start);
    const bracket = scanIdentifier(bytes, at + 1, end, start, "a column's name");
    if (bracket >= end || bytes[bracket] !== OPENING_BRACKET)
      throw new UndecodableError('"[" behind a column', bracket - start);
    const close = scanType(bytes, bracket + 1, end, start);
    if (close >= end || bytes[close] !== CLOSING_BRACKET)
      throw new UndecodableError('"]" behind a type', close - start);
    if (close + 1 >= end || bytes[close + 1] !== COLON)
      throw new UndecodableError('":" behind a column', close + 1 - start);
    return this.#names.header(bytes, at, bracket, close + 2);
  }
}

function expectEnd(at: number, end: number, start: number): void {
  if (at !== end) throw new UndecodableError('the end of the line', at - start);
}

/** `TRUNCATE: restart_seqs cascade`. The plugin always prints flags: a line without any was cut. */
function decodeTruncate(bytes: Buffer, from: number, end: number, start: number, tables: TableName[]): Truncate {
  if (!standsAt(bytes, from, end, TRUNCATE)) {
    const operations = tables.length > 1 ? '"TRUNCATE:"' : '"INSERT:", "UPDATE:", "DELETE:" or "TRUNCATE:"';
    throw new UndecodableError(operations, from - start);
  }
  const flags = from + TRUNCATE.length;
  let at = flags;
  if (standsAt(bytes, at, end, NO_FLAGS)) {
    at += NO_FLAGS.length;
  } else {
    if (standsAt(bytes, at, end, RESTART_SEQS)) at += RESTART_SEQS.length;
    if (standsAt(bytes, at, end, CASCADE)) at += CASCADE.length;
    if (at === flags) throw new UndecodableError('" (no-flags)", " restart_seqs" or " cascade"', at - start);
  }
  expectEnd(at, end, start);
  return { kind: 'truncate', tables };
}
