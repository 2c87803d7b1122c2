/**
 * A row's columns as the properties of a JSON object, for the formats that imitate another system's envelope.
 * Knows where a tuple's values are; how a value is written is each format's own.
 */
import { type ColumnHeader, type Tuple, ValueKind } from '../decode/messages.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Converter } from './json/converter.ts';
import { NULL } from './null.ts';
import type { Key } from './record.ts';
import { jsonString } from './text.ts';

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** How many columns are remembered; more than a decoder remembers, so that its columns do not displace each other. */
const MAX_COLUMNS = 65_536;

/** What a format says of a type. */
export interface TypeWriter {
  /** Writes a value that was sent. */
  readonly write: Converter;
  /** What is written for a value that is stored out of line and was not sent; undefined: the column is left out. */
  readonly unchanged?: Buffer | undefined;
}

/** What becomes of a value that is not simply written. */
export interface FieldRules {
  /** Whether a NULL is written as `null`; else its column is left out. */
  readonly nulls: boolean;
}

interface Column extends TypeWriter {
  readonly header: ColumnHeader;
  /** `,"name":` */
  readonly label: Buffer;
}

/** Writes tuples and keys as JSON objects. Remembers what each column needs. */
export class FieldWriter {
  readonly #typeWriter: (type: string) => TypeWriter;
  readonly #rules: FieldRules;
  readonly #columns: (Column | undefined)[] = [];

  /**
   * @param typeWriter - makes a type's writer; called once a column
   * @param rules - what becomes of NULLs
   */
  constructor(typeWriter: (type: string) => TypeWriter, rules: FieldRules) {
    this.#typeWriter = typeWriter;
    this.#rules = rules;
  }

  /**
   * Writes a row.
   *
   * @param row - the tuple
   * @param old - the old tuple, which may hold the values that `row` does not; undefined: there is none
   * @param omitted - columns to leave out, by their printed names
   * @param bytes - what the tuples' ranges point into
   * @param out - it is appended to this
   */
  row(row: Tuple, old: Tuple | undefined, omitted: ReadonlySet<string>, bytes: Buffer, out: ByteWriter): void {
    const begin = out.length;
    for (let i = 0; i < row.count; i++) {
      const header = row.headers[i];
      if (header === undefined || (omitted.size > 0 && omitted.has(header.printed))) continue;
      if (row.kinds[i] !== ValueKind.unchanged) {
        this.#field(header, row, i, bytes, out);
        continue;
      }
      const known = old === undefined ? -1 : indexOfSent(old, header);
      if (old !== undefined && known >= 0) this.#field(header, old, known, bytes, out);
      else this.#unchanged(header, out);
    }
    closeObject(out, begin);
  }

  /**
   * Writes a key, in key order.
   *
   * @param key - the key
   * @param bytes - what its tuples' ranges point into
   * @param out - it is appended to this
   */
  key(key: Key, bytes: Buffer, out: ByteWriter): void {
    const begin = out.length;
    for (let part = 0; part < key.count; part++) {
      const tuple = key.tuples[part];
      const column = key.columns[part] ?? 0;
      const header = tuple?.headers[column];
      if (tuple !== undefined && header !== undefined) this.#field(header, tuple, column, bytes, out);
    }
    closeObject(out, begin);
  }

  #field(header: ColumnHeader, tuple: Tuple, index: number, bytes: Buffer, out: ByteWriter): void {
    const kind = tuple.kinds[index];
    if (kind === ValueKind.null && !this.#rules.nulls) return;
    const column = this.#column(header);
    out.copy(column.label);
    if (kind === ValueKind.null) out.copy(NULL);
    else column.write(out, bytes, tuple.starts[index] ?? 0, tuple.ends[index] ?? 0, kind === ValueKind.escaped);
  }

  #unchanged(header: ColumnHeader, out: ByteWriter): void {
    const column = this.#column(header);
    if (column.unchanged === undefined) return;
    out.copy(column.label);
    out.copy(column.unchanged);
  }

  #column(header: ColumnHeader): Column {
    const place = header.id % MAX_COLUMNS;
    const known = this.#columns[place];
    if (known?.header === header) return known;
    const label = Buffer.concat([Buffer.from(','), jsonString(header.name), Buffer.from(':')]);
    const column = { header, label, ...this.#typeWriter(header.type) };
    this.#columns[place] = column;
    return column;
  }
}

/** Turns the comma of the first field into the object's opening brace, and closes it. */
function closeObject(out: ByteWriter, begin: number): void {
  if (out.length === begin) out.byte(OPEN_BRACE);
  else out.bytes[begin] = OPEN_BRACE;
  out.byte(CLOSE_BRACE);
}

/** @returns where a tuple holds a column's value, or -1 */
function indexOfSent(tuple: Tuple, header: ColumnHeader): number {
  for (let i = 0; i < tuple.count; i++) {
    if (tuple.headers[i] === header) return tuple.kinds[i] === ValueKind.unchanged ? -1 : i;
  }
  return -1;
}
