/**
 * Table and column names, one object each: from the bytes a plugin prints to what the rest compares by identity.
 * Knows the printed form of a name, and nothing of the rows they stand in.
 */
import type { ColumnHeader, TableName } from '../messages.ts';
import type { Mark } from './byte-pattern.ts';
import { mark } from './byte-pattern.ts';
import { unquoteIdentifier } from './text.ts';

/** A column's header and the bytes by which it is known again: ` name[type]:`. */
export interface KnownHeader {
  readonly header: ColumnHeader;
  readonly mark: Mark;
}

/** A table, the bytes by which it is known again, and the columns last seen in its rows. */
export interface KnownTable {
  readonly name: TableName;
  /** How a line on this table alone begins: `table schema.name: `. */
  readonly prefix: Mark;
  /** In the order of the row. A hint: a row is compared with it, never taken to follow it. */
  readonly layout: KnownHeader[];
  /** The table whose rows came after this one's rows the last time: a guess at the next. */
  successor: KnownTable | undefined;
}

/**
 * All names that a decoder has met.
 *
 * Bounded: when there are too many (a table made and dropped by every transaction, say), they are forgotten at once
 * and interned anew as they come. Then a name met again is another object, and a header has another id: ids are never
 * used twice, so they stay dense only while nothing is forgotten. Who keeps something by identity finds nothing there,
 * and looks it up again.
 */
export class Names {
  readonly #limit: number;
  readonly #tables = new Map<string, KnownTable>();
  readonly #headers = new Map<string, KnownHeader>();
  #nextId = 0;
  /** Whether there are too many, and {@link Names.forget} is due before the next row. Never within one: its old and its
   *  new tuple would have two objects for a column. */
  full = false;

  /** @param limit - how many tables, and how many headers, are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Forgets all, tables with headers: their layouts hold headers. */
  forget(): void {
    this.#headers.clear();
    this.#tables.clear();
    this.full = false;
  }

  /**
   * Interns a table's name.
   *
   * @param bytes - what the name stands in
   * @param at - where the schema begins
   * @param dot - the dot between schema and name
   * @param end - behind the name
   */
  table(bytes: Buffer, at: number, dot: number, end: number): KnownTable {
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
      prefix: mark(Buffer.from(`table ${key}: `, 'latin1')),
      layout: [],
      successor: undefined,
    };
    this.#tables.set(key, table);
    if (this.#tables.size > this.#limit) this.full = true;
    return table;
  }

  /**
   * Interns a column's header.
   *
   * @param bytes - what the header stands in
   * @param at - the space before the name
   * @param bracket - the bracket that opens the type
   * @param end - behind the colon
   */
  header(bytes: Buffer, at: number, bracket: number, end: number): KnownHeader {
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
      mark: mark(Buffer.from(key, 'latin1')),
    };
    this.#headers.set(key, header);
    if (this.#headers.size > this.#limit) this.full = true;
    return header;
  }
}
