/**
 * Table and column names, one object each: from the bytes a plugin prints to what the rest compares by identity.
 * Knows the printed form of a name, and nothing of rows.
 */
import type { ColumnHeader, TableName } from '../messages.ts';
import type { BytePattern } from './byte-pattern.ts';
import { bytePattern } from './byte-pattern.ts';
import { unquoteIdentifier } from './text.ts';

/** A column's header, and the bytes by which it is recognised: ` name[type]:`. */
export interface KnownHeader {
  readonly header: ColumnHeader;
  readonly pattern: BytePattern;
}

/** A table, the bytes by which it is recognised, and the columns last seen in its rows. */
export interface KnownTable {
  readonly name: TableName;
  /** How a line on this table alone begins: `table schema.name: `. */
  readonly prefix: BytePattern;
  /** In the order of the row. Only a guess: each row is compared with it. */
  readonly lastColumns: KnownHeader[];
  /** The table whose rows came after this one's rows the last time: a guess at the next. */
  likelyNext: KnownTable | undefined;
}

/**
 * All names that a decoder has met.
 *
 * Bounded: when there are too many (for example if every transaction creates and drops a table), all are forgotten at
 * once and interned again as they come. A name is then another object, and a header has another id, since ids are never
 * used twice. A cache by identity does not find it, and looks it up again.
 */
export class NameInterner {
  readonly #limit: number;
  readonly #tables = new Map<string, KnownTable>();
  readonly #headers = new Map<string, KnownHeader>();
  #nextId = 0;
  /**
   * Whether there are too many: call {@link NameInterner.forget} before the next row. Not within a row, whose old and new
   * tuple would have two objects for one column.
   */
  full = false;

  /** @param limit - how many tables, and how many headers, are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Forgets everything: the tables too, since they hold headers. */
  forget(): void {
    this.#headers.clear();
    this.#tables.clear();
    this.full = false;
  }

  /**
   * Interns a table's name.
   *
   * @param bytes - what holds the name
   * @param at - where the schema begins
   * @param dot - the dot between schema and name
   * @param end - the index after the name
   */
  internTable(bytes: Buffer, at: number, dot: number, end: number): KnownTable {
    // Latin-1 gives each sequence of bytes a string of its own, and quickly.
    const key = bytes.toString('latin1', at, end);
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const table: KnownTable = {
      name: {
        printed: bytes.toString('utf8', at, end),
        schema: unquoteIdentifier(bytes.toString('utf8', at, dot)),
        name: unquoteIdentifier(bytes.toString('utf8', dot + 1, end)),
      },
      prefix: bytePattern(Buffer.from(`table ${key}: `, 'latin1')),
      lastColumns: [],
      likelyNext: undefined,
    };
    this.#tables.set(key, table);
    if (this.#tables.size > this.#limit) this.full = true;
    return table;
  }

  /**
   * Interns a column's header.
   *
   * @param bytes - what holds the header
   * @param at - the space before the name
   * @param bracket - the bracket that opens the type
   * @param end - the index after the colon
   */
  internHeader(bytes: Buffer, at: number, bracket: number, end: number): KnownHeader {
    const key = bytes.toString('latin1', at, end);
    const known = this.#headers.get(key);
    if (known !== undefined) return known;
    const printed = bytes.toString('utf8', at + 1, bracket);
    const header: KnownHeader = {
      header: {
        id: this.#nextId++,
        printed,
        name: unquoteIdentifier(printed),
        type: bytes.toString('utf8', bracket + 1, end - 2),
      },
      pattern: bytePattern(Buffer.from(key, 'latin1')),
    };
    this.#headers.set(key, header);
    if (this.#headers.size > this.#limit) this.full = true;
    return header;
  }
}
