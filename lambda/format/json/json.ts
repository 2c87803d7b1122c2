/**
 * The format `json`: the full row, one compact object a change.
 * Knows the order of the fields, and which columns go where. How a value is written is in `value-converters.ts`.
 *
 * `{"id":…,"source":…,"op":…,"schema":…,"table":…,"key":…,["newKey"|"oldKey":…,]["row":…,]["old":…,]["unchanged":…,]
 * ["truncated":true,]["jsonNull":…,]"xid":…,"commitLsn":…,"ordinal":…,"commitTime":…}`
 */
import { type ColumnHeader, type TableName, type Tuple, ValueKind } from '../../decode/messages.ts';
import type { ByteWriter } from '../byte-writer.ts';
import { byOperation, memoise, ofOperation } from '../memo.ts';
import { NULL } from '../null.ts';
import type { ArrayDelimiter, ChangeRecord, Format, Key, LogicalMessageRecord, MakeFormat } from '../record.ts';
import { jsonString } from '../text.ts';
import type { Converter } from './converter.ts';
import { writeJsonLogicalMessage } from './logical-message.ts';
import { TransactionText } from './transaction-text.ts';
import { builtInDelimiter, converterFor, holdsJson, isJsonNull } from './value-converters.ts';

const NEW_KEY = Buffer.from(',"newKey":', 'latin1');
const OLD_KEY = Buffer.from(',"oldKey":', 'latin1');
const ROW = Buffer.from(',"row":', 'latin1');
const OLD = Buffer.from(',"old":', 'latin1');
const UNCHANGED = Buffer.from(',"unchanged":', 'latin1');
const TRUNCATED = Buffer.from(',"truncated":true', 'latin1');
const JSON_NULL = Buffer.from(',"jsonNull":', 'latin1');

const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** How many columns are remembered; more than a decoder remembers, so that its columns do not displace each other. */
const MAX_COLUMNS = 65_536;

/** What a column adds to every record. */
interface Column {
  readonly header: ColumnHeader;
  /** `,"name":` */
  readonly label: Buffer;
  readonly write: Converter;
  /** Whether its values are JSON, among which there is a null. */
  readonly holdsJson: boolean;
}

/** A part of a record that holds values. */
type Section = 'key' | 'newKey' | 'oldKey' | 'row' | 'old';

/**
 * Makes the format `json`.
 *
 * @param options - `source`: named in every record
 * @returns the format
 */
export const json: MakeFormat = (options) => new JsonFormat(options.source, options.arrayDelimiter ?? builtInDelimiter);

/** Takes 0.5 µs for a row of eight columns that becomes 450 bytes (test/bench/format.bench.ts). */
class JsonFormat implements Format {
  readonly supportsDeleteWithoutKey = true;
  readonly showsRow = true;
  readonly #transaction = new TransactionText();
  readonly #table: (table: TableName) => Record<ChangeRecord['operation'], Buffer>;
  /**
   * By the header's id. A decoder that forgets names gives new ids all the time: so the number of entries is bounded, and
   * an entry is used only for the header object that it was made for.
   */
  readonly #columns: (Column | undefined)[] = [];
  /** Indexes of the columns that `row` could not show, `unchanged` in use. */
  readonly #unchanged: number[] = [];
  readonly #source: string;
  readonly #arrayDelimiter: ArrayDelimiter;
  /** The part that is being written. */
  #section: Section = 'key';
  /** Where in this record `null` is the JSON value, and not SQL's NULL. Nearly always empty. */
  readonly #jsonNulls: { readonly section: Section; readonly column: Column }[] = [];

  constructor(source: string, arrayDelimiter: ArrayDelimiter) {
    this.#source = source;
    this.#arrayDelimiter = arrayDelimiter;
    this.#table = memoise((table) => byOperation((operation) => tablePart(source, table, operation)));
  }

  write(record: ChangeRecord, out: ByteWriter): void {
    const transaction = this.#transaction;
    transaction.select(record.transaction);
    transaction.writeHead(out);
    out.decimal(record.ordinal);
    out.copy(ofOperation(this.#table(record.table), record.operation));
    if (record.change === undefined) {
      out.copy(NULL);
    } else {
      this.#keys(record, record.change.bytes, out);
      if (record.truncated) out.copy(TRUNCATED);
      else this.#rows(record, out);
      if (this.#jsonNulls.length > 0) this.#writeJsonNulls(out);
    }
    transaction.writeMiddle(out);
    out.decimal(record.ordinal);
    transaction.writeTail(out);
  }

  writeLogicalMessage(record: LogicalMessageRecord, out: ByteWriter): boolean {
    writeJsonLogicalMessage(this.#source, record, out);
    return true;
  }

  #keys(record: ChangeRecord, bytes: Buffer, out: ByteWriter): void {
    this.#section = 'key';
    if (record.key === undefined) out.copy(NULL);
    else this.#key(record.key, bytes, out);
    if (record.otherKey === undefined) return;
    const deletes = record.operation === 'DELETE';
    this.#section = deletes ? 'newKey' : 'oldKey';
    out.copy(deletes ? NEW_KEY : OLD_KEY);
    this.#key(record.otherKey, bytes, out);
  }

  #key(key: Key, bytes: Buffer, out: ByteWriter): void {
    const begin = out.length;
    for (let part = 0; part < key.count; part++) {
      const tuple = key.tuples[part];
      if (tuple !== undefined) this.#field(tuple, key.columns[part] ?? 0, bytes, out);
    }
    closeObject(out, begin);
  }

  /** `row`, `old` and `unchanged`, if there are any. */
  #rows(record: ChangeRecord, out: ByteWriter): void {
    const { change, operation } = record;
    if (change === undefined) return;
    if (operation !== 'DELETE' && change.newTuple !== undefined) {
      const unchanged = this.#row(change.newTuple, change.oldTuple, record.omitted, change.bytes, out);
      // After a key change the old key is in `oldKey`, and what else the server sent is on the DELETE.
      if (operation === 'UPDATE') this.#old(change.oldTuple, record.omitted, change.bytes, out);
      this.#writeUnchanged(change.newTuple, unchanged, out);
    } else {
      this.#old(change.oldTuple, record.omitted, change.bytes, out);
    }
  }

  /** Writes the new row. @returns how many columns are unchanged and unknown; their indexes are in `#unchanged` */
  #row(row: Tuple, old: Tuple | undefined, omitted: ReadonlySet<string>, bytes: Buffer, out: ByteWriter): number {
    let unchanged = 0;
    this.#section = 'row';
    out.copy(ROW);
    const begin = out.length;
    for (let i = 0; i < row.count; i++) {
      if (isOmitted(row, i, omitted)) continue;
      if (row.kinds[i] !== ValueKind.unchanged) {
        this.#field(row, i, bytes, out);
        continue;
      }
      const known = old === undefined ? -1 : indexOfSent(old, row.headers[i]);
      if (old !== undefined && known >= 0) this.#field(old, known, bytes, out);
      else this.#unchanged[unchanged++] = i;
    }
    closeObject(out, begin);
    return unchanged;
  }

  #old(old: Tuple | undefined, omitted: ReadonlySet<string>, bytes: Buffer, out: ByteWriter): void {
    if (old === undefined) return;
    this.#section = 'old';
    out.copy(OLD);
    const begin = out.length;
    for (let i = 0; i < old.count; i++) {
      if (old.kinds[i] !== ValueKind.unchanged && !isOmitted(old, i, omitted)) this.#field(old, i, bytes, out);
    }
    closeObject(out, begin);
  }

  #writeUnchanged(row: Tuple, count: number, out: ByteWriter): void {
    if (count === 0) return;
    out.copy(UNCHANGED);
    for (let i = 0; i < count; i++) {
      const header = row.headers[this.#unchanged[i] ?? 0];
      out.byte(i === 0 ? OPEN_BRACKET : COMMA);
      // The label is `,"name":`.
      if (header !== undefined) {
        const { label } = this.#column(header);
        out.copy(label, 1, label.length - 1);
      }
    }
    out.byte(CLOSE_BRACKET);
  }

  /** Writes `,"jsonNull":{"row":["name",…]}`, and forgets them. */
  #writeJsonNulls(out: ByteWriter): void {
    out.copy(JSON_NULL);
    let last: Section | undefined;
    for (const { section, column } of this.#jsonNulls) {
      if (section === last) out.byte(COMMA);
      else out.ascii(`${last === undefined ? '{' : '],'}"${section}":[`);
      last = section;
      // The label is `,"name":`.
      out.copy(column.label, 1, column.label.length - 1);
    }
    out.byte(CLOSE_BRACKET);
    out.byte(CLOSE_BRACE);
    this.#jsonNulls.length = 0;
  }

  /** Writes `,"name":value`. */
  #field(tuple: Tuple, index: number, bytes: Buffer, out: ByteWriter): void {
    const header = tuple.headers[index];
    if (header === undefined) return;
    const column = this.#column(header);
    out.copy(column.label);
    const kind = tuple.kinds[index];
    if (kind === ValueKind.null) {
      out.copy(NULL);
      return;
    }
    const start = tuple.starts[index] ?? 0;
    const end = tuple.ends[index] ?? 0;
    column.write(out, bytes, start, end, kind === ValueKind.escaped);
    if (column.holdsJson && isJsonNull(bytes, start, end)) this.#jsonNulls.push({ section: this.#section, column });
  }

  #column(header: ColumnHeader): Column {
    const place = header.id % MAX_COLUMNS;
    const known = this.#columns[place];
    if (known?.header === header) return known;
    const label = Buffer.concat([Buffer.from(','), jsonString(header.name), Buffer.from(':')]);
    const { type } = header;
    const column = { header, label, write: converterFor(type, this.#arrayDelimiter), holdsJson: holdsJson(type) };
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

function isOmitted(tuple: Tuple, index: number, omitted: ReadonlySet<string>): boolean {
  if (omitted.size === 0) return false;
  const header = tuple.headers[index];
  return header === undefined || omitted.has(header.printed);
}

/** @returns the index of a column's value in a tuple, or -1 */
function indexOfSent(tuple: Tuple, header: ColumnHeader | undefined): number {
  for (let i = 0; i < tuple.count; i++) {
    if (tuple.headers[i] === header) return tuple.kinds[i] === ValueKind.unchanged ? -1 : i;
  }
  return -1;
}

/** The text from after the id's ordinal to before the key: the same for all records of a table and operation. */
function tablePart(source: string, table: TableName, operation: string): Buffer {
  const { schema, name } = table;
  return Buffer.from(
    `","source":${JSON.stringify(source)},"op":"${operation}","schema":${JSON.stringify(schema)},"table":${JSON.stringify(name)},"key":`,
    'utf8',
  );
}
