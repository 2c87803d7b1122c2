/**
 * The columns of a row, as wal2json lists them: `{"name":"id","typeoid":23,"value":1}`. Fills tuples, and makes of the
 * list `identity`, which every UPDATE has, what the server had logged of the old row. Knows no table.
 */
import { isUtf8 } from 'node:buffer';
import { type Tuple, ValueKind } from '../messages.ts';
import { repairValue } from '../raw-bytes.ts';
import type { RelationColumn, SentColumn } from '../relations.ts';
import { type LineReader, literal } from './reader.ts';
import { ELIDED } from './row-shortener.ts';

/** What is expected in a line, and missing in those of a plugin that is too old. */
export const TYPE_NUMBER = "a type's number, which wal2json writes from version 2.4 on";

/** A column as the lines of a table write it. */
export interface KnownColumn extends Pick<RelationColumn, 'header' | 'style'> {
  /** From the brace to the value. */
  readonly pattern: Buffer;
  readonly isBytea: boolean;
}

/** A tuple, and how many columns were listed: NULLs of an old row among them, which the tuple leaves out. */
export interface Row {
  readonly tuple: Tuple;
  listed: number;
}

/** @returns a row to be filled, again and again */
export function emptyRow(): Row {
  return { tuple: { count: 0, headers: [], kinds: [], starts: [], ends: [] }, listed: 0 };
}

const NAME = literal('{"name":');
const TYPE_OID = literal(',"typeoid":');
const MINUS = literal('-');
const VALUE = literal(',"value":');
const CLOSING_BRACE = literal('}');
const CLOSING_BRACKET = literal(']');
const COMMA = literal(',');
const NULL = literal('null');
const BYTEA = 17;
const QUOTE = 0x22;
const FALSE = 0x66;
const TRUE = 0x74;

/** More columns than a table can have (1,600). A list that is longer holds columns that were altered or dropped since. */
const COLUMNS_LIMIT = 2_048;
/** A name of 63 bytes, each written in six, and what is around it. */
const PATTERN_BYTES = 512;

/** Reads lists of columns. */
export class RowReader {
  /** Whether a value may have been left out by the shortener. */
  takesElided = false;
  readonly #reader: LineReader;
  readonly #intern: (column: Pick<SentColumn, 'name' | 'typeOid' | 'sentType'>) => RelationColumn;

  /**
   * @param reader - over the line
   * @param intern - gives a column's header
   */
  constructor(
    reader: LineReader,
    intern: (column: Pick<SentColumn, 'name' | 'typeOid' | 'sentType'>) => RelationColumn,
  ) {
    this.#reader = reader;
    this.#intern = intern;
  }

  /**
   * Reads a list up to its closing bracket.
   *
   * @param last - the columns of the table's last such list, which is kept up to date
   * @param row - filled
   * @param isOld - NULLs are left out of it
   */
  read(last: KnownColumn[], row: Row, isOld: boolean): void {
    const reader = this.#reader;
    const { tuple } = row;
    let place = 0;
    let count = 0;
    row.listed = 0;
    if (!reader.takes(CLOSING_BRACKET)) {
      for (;;) {
        let known = last[place];
        if (known === undefined || !reader.takes(known.pattern)) {
          place = this.#seek(last, place);
          known = last[place];
          if (known === undefined) throw reader.expected('a column');
        }
        place++;
        row.listed++;
        const kind = this.#value(known);
        reader.expect(CLOSING_BRACE);
        if (kind !== ValueKind.null || !isOld) {
          tuple.headers[count] = known.header;
          tuple.kinds[count] = kind;
          tuple.starts[count] = reader.from;
          tuple.ends[count] = reader.to;
          count++;
        }
        if (reader.takes(CLOSING_BRACKET)) break;
        reader.expect(COMMA);
      }
    }
    tuple.count = count;
  }

  /** Reads the list `pk` up to its closing bracket. @returns the columns as printed */
  names(): string[] {
    const reader = this.#reader;
    const names: string[] = [];
    while (!reader.takes(CLOSING_BRACKET)) {
      if (names.length > 0) reader.expect(COMMA);
      names.push(this.#intern(this.#column()).header.printed);
      reader.expect(CLOSING_BRACE);
    }
    return names;
  }

  /**
   * Adds to a new row the columns that it has not, from the old one: they are stored out of line and did not change, and the
   * server logged them with the old row. They come at the place that the old row gives them.
   *
   * @param row - the new row
   * @param old - the old row
   */
  fillUnsent({ tuple }: Row, { tuple: old }: Row): void {
    for (const list of [tuple.headers, tuple.kinds, tuple.starts, tuple.ends]) list.length = tuple.count;
    for (let i = 0, place = 0; i < old.count; i++) {
      const header = old.headers[i];
      if (header === undefined) continue;
      const found = tuple.headers.indexOf(header);
      if (found >= 0) {
        place = found + 1;
        continue;
      }
      tuple.headers.splice(place, 0, header);
      tuple.kinds.splice(place, 0, old.kinds[i] ?? ValueKind.null);
      tuple.starts.splice(place, 0, old.starts[i] ?? 0);
      tuple.ends.splice(place, 0, old.ends[i] ?? 0);
      tuple.count++;
      place++;
    }
  }

  /**
   * Writes values that are no UTF-8 again, behind the line.
   *
   * @param tuples - whose ranges are moved there
   * @returns the line's bytes with the new values
   */
  repair(tuples: readonly (Tuple | undefined)[]): Buffer {
    const bytes = this.#reader.bytes.subarray(0, this.#reader.end);
    const parts = [bytes];
    let { length } = bytes;
    for (const tuple of tuples) {
      for (let i = 0; tuple !== undefined && i < tuple.count; i++) {
        if (tuple.kinds[i] !== ValueKind.quoted) continue;
        const value = bytes.subarray(tuple.starts[i], tuple.ends[i]);
        if (isUtf8(value)) continue;
        const repaired = repairValue(value);
        parts.push(repaired);
        tuple.starts[i] = length;
        length += repaired.length;
        tuple.ends[i] = length;
      }
    }
    return Buffer.concat(parts);
  }

  /** Reads the value of a column: its range is the reader's then. */
  #value({ style, isBytea }: KnownColumn): ValueKind {
    const reader = this.#reader;
    // Behind the line are bytes of an earlier one.
    const first = reader.at < reader.end ? reader.bytes[reader.at] : undefined;
    if (first === QUOTE) {
      reader.string('a value');
      if (isBytea) {
        // The server prints \x before it, which wal2json leaves out; here is a colon and a quote.
        reader.from -= 2;
        reader.bytes.write('\\x', reader.from, 'latin1');
      }
      return style === 'bits' ? ValueKind.bits : ValueKind.quoted;
    }
    if (reader.takes(NULL)) return ValueKind.null;
    if (this.takesElided && reader.takes(ELIDED)) return ValueKind.elided;
    reader.number();
    const isNumber = first !== undefined && (first === 0x2d || (first >= 0x30 && first <= 0x39));
    if (!isNumber && first !== TRUE && first !== FALSE) throw reader.expected('a value', reader.from);
    return ValueKind.bare;
  }

  /** Finds the column that comes next further on among the last ones, or adds it there. @returns its place */
  #seek(last: KnownColumn[], place: number): number {
    const reader = this.#reader;
    for (let ahead = place + 1; ahead < last.length; ahead++) {
      const known = last[ahead];
      if (known !== undefined && reader.takes(known.pattern)) return ahead;
    }
    const from = reader.at;
    const written = Buffer.from(reader.bytes.subarray(from, Math.min(reader.end, from + PATTERN_BYTES)));
    const column = this.#column();
    reader.expect(VALUE);
    const { header, style } = this.#intern(column);
    const pattern = Buffer.from(written.subarray(0, reader.at - from));
    if (last.length >= COLUMNS_LIMIT) last.length = 0;
    const to = Math.min(place, last.length);
    last.splice(to, 0, { header, style, pattern, isBytea: column.typeOid === BYTEA });
    return to;
  }

  /** `{"name":"id","typeoid":23` */
  #column(): Pick<SentColumn, 'name' | 'typeOid' | 'sentType'> {
    const reader = this.#reader;
    reader.expect(NAME);
    reader.string("a column's name");
    const name = reader.text();
    if (!reader.takes(TYPE_OID)) throw reader.expected(TYPE_NUMBER);
    // It is written with a sign, though it has none.
    const isNegative = reader.takes(MINUS);
    const number = reader.integer("a type's number");
    return { name, typeOid: (isNegative ? -number : number) >>> 0, sentType: undefined };
  }
}

/**
 * Whether the old row of an UPDATE only says again what the new one does: wal2json lists the identity's columns always, also
 * where the server logged no old row, because they did not change. A whole row (REPLICA IDENTITY FULL) was logged.
 *
 * @param row - the new row
 * @param old - the list `identity`
 * @param key - the primary key's columns as printed
 * @param bytes - what both refer to
 */
export function isRestated(row: Row, old: Row, key: readonly string[] | undefined, bytes: Buffer): boolean {
  const { tuple } = old;
  const isKey =
    key !== undefined && old.listed === key.length && key.every((name, i) => tuple.headers[i]?.printed === name);
  if (!isKey && old.listed >= row.listed) return false;
  for (let i = 0; i < tuple.count; i++) {
    const header = tuple.headers[i];
    const found = header === undefined ? -1 : row.tuple.headers.indexOf(header);
    // What is not there has no kind.
    if (found >= row.tuple.count || row.tuple.kinds[found] !== tuple.kinds[i]) return false;
    if (tuple.kinds[i] === ValueKind.elided) return false;
    const [from, to] = [row.tuple.starts[found], row.tuple.ends[found]];
    if (bytes.compare(bytes, tuple.starts[i], tuple.ends[i], from, to) !== 0) return false;
  }
  return true;
}
