/**
 * Lines of the plugin wal2json (format version 2), without their first eleven bytes `{"action":"`, from bytes to messages.
 * Whatever is not exactly what it writes throws {@link UndecodableError}.
 * Knows nothing of slots. The peek adds the positions to BEGIN and COMMIT.
 *
 * @see https://github.com/eulerto/wal2json
 */
import { isUtf8 } from 'node:buffer';
import { type Ignored, type RowChange, type TableName, type Truncate, UTF8_TEXT } from '../messages.ts';
import type { PluginDecoder } from '../plugin-decoder.ts';
import type { DecodedBegin, DecodedCommit, DecodedMessage } from '../plugin-decoder.ts';
import { RelationInterner } from '../relations.ts';
import { emptyChange } from '../reused-row.ts';
import type { ServerNames } from '../server-names.ts';
import { parseTimestampMicros } from '../timestamp.ts';
import { LineReader, literal } from './reader.ts';
import { emptyRow, isRestated, type KnownColumn, type Row, RowReader } from './row.ts';
import { limitsFor, Wal2jsonRowShortener } from './row-shortener.ts';

/** How many names are kept before all are forgotten. A database with more columns is decoded, only slower. */
const NAMES_LIMIT = 32_768;

const IGNORED: Ignored = { kind: 'ignored' };

const BEGIN = 0x42;
const COMMIT = 0x43;
const DELETE = 0x44;
const INSERT = 0x49;
const MESSAGE = 0x4d;
const TRUNCATE = 0x54;
const UPDATE = 0x55;

const XID = literal('","xid":');
const TIMESTAMP = literal(',"timestamp":');
const SCHEMA = literal(',"schema":');
const TABLE = literal(',"table":');
const COLUMNS = literal(',"columns":[');
const IDENTITY = literal(',"identity":[');
const PK = literal(',"pk":[');
const CLOSING_BRACE = literal('}');

/** A table as its lines name it, with the columns that its rows had last. */
interface KnownTable {
  /** The line from the schema to the end of the table's name. */
  readonly pattern: Buffer;
  readonly name: TableName;
  readonly columns: KnownColumn[];
  readonly identity: KnownColumn[];
  /** The list `pk` of its last row, as it is written, and what it says. */
  pk: Buffer;
  key: readonly string[] | undefined;
}

/**
 * Decodes lines of wal2json, read with the options of `wal2json()` in `postgres/plugins.ts`, each from its twelfth byte on.
 *
 * A row's message, its tuples and their arrays are the same objects at every call: they are valid until the next one, and
 * so are the bytes that they refer to. Table names and column headers are interned, and stay valid.
 *
 * @example
 * const decoder = new Wal2jsonDecoder(names);
 * decoder.begin(false);
 * for (const row of rows) decoder.decode(row, 0, row.length);
 */
export class Wal2jsonDecoder implements PluginDecoder {
  /** Lines of more bytes are to be shortened before they are decoded. */
  readonly maxRowBytes: number;
  readonly shortener: Wal2jsonRowShortener;
  readonly isBinary = true;

  readonly #namesLimit: number;
  readonly #interner: RelationInterner;
  readonly #reader = new LineReader();
  readonly #rows: RowReader;
  readonly #tables = new Map<string, KnownTable>();
  #table: KnownTable | undefined;
  readonly #new: Row = emptyRow();
  readonly #old: Row = emptyRow();
  /** Holds a copy of the line, whose strings are made plain in place, and behind it what had to be written again. */
  #scratch: Buffer = Buffer.alloc(0);
  #anyBytes = false;
  readonly #change = emptyChange();

  /**
   * @param names - what the catalogs say of types and keywords
   * @param namesLimit - how many tables are remembered
   * @param maxRecordBytes - what the stream allows for a record
   */
  constructor(names: ServerNames, namesLimit = NAMES_LIMIT, maxRecordBytes = 1024 * 1024) {
    this.#namesLimit = namesLimit;
    this.#interner = new RelationInterner(names, namesLimit);
    this.#rows = new RowReader(this.#reader, (column) => this.#interner.column(column));
    const limits = limitsFor(maxRecordBytes);
    this.maxRowBytes = limits.lineBytes;
    this.shortener = new Wal2jsonRowShortener(limits);
  }

  /**
   * Begins a reading of the slot. Types may have been made since the last one: what was known by their numbers is read anew.
   *
   * @param anyBytes - whether texts may be of any bytes: of a SQL_ASCII database, read without a conversion
   */
  begin(anyBytes = false): void {
    this.#anyBytes = anyBytes;
    this.#tables.clear();
    this.#table = undefined;
  }

  /**
   * Decodes one line: one row of the slot's data from its twelfth byte on.
   *
   * @param bytes - what holds it; it is left as it is
   * @param start - its first byte
   * @param end - the index after its last byte
   * @param oversizeBytes - its size before it was shortened; undefined: it is as it was sent
   * @returns what it says; a change is valid until the next call
   * @throws {UndecodableError} when it is not exactly what wal2json writes
   */
  decode(bytes: Buffer, start: number, end: number, oversizeBytes?: number): DecodedMessage {
    const line = bytes.subarray(start, end);
    const isText = isUtf8(line);
    const reader = this.#reader;
    if (this.#scratch.length < line.length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 * 1024));
    line.copy(this.#scratch);
    reader.open(this.#scratch, line.length);
    if (!isText && this.#anyBytes) throw reader.expected(UTF8_TEXT);
    const action = line[0];
    reader.at = 1;
    switch (action) {
      case INSERT:
      case UPDATE:
      case DELETE:
        this.#change.oversizeBytes = oversizeBytes;
        return this.#row(action, isText);
      case BEGIN:
      case COMMIT:
        return this.#transaction(action);
      case TRUNCATE: {
        this.#passTransaction();
        const table = this.#tableOf();
        this.#end();
        return { kind: 'truncate', tables: [table.name] } satisfies Truncate;
      }
      case MESSAGE:
        return IGNORED;
      default:
        throw reader.expected('an action of wal2json', 0);
    }
  }

  #transaction(action: typeof BEGIN | typeof COMMIT): DecodedBegin | DecodedCommit {
    const reader = this.#reader;
    reader.expect(XID);
    const xid = reader.integer('a transaction id');
    reader.expect(TIMESTAMP);
    reader.string('a commit time');
    const commitTimeMicros = parseTimestampMicros(reader.text());
    if (commitTimeMicros === undefined) throw reader.expected('a commit time', reader.from);
    this.#end();
    return action === BEGIN ? { kind: 'begin', xid, commitTimeMicros } : { kind: 'commit', xid, commitTimeMicros };
  }

  #passTransaction(): void {
    const reader = this.#reader;
    reader.expect(XID);
    reader.integer('a transaction id');
    reader.expect(TIMESTAMP);
    reader.string('a commit time');
  }

  #row(action: typeof INSERT | typeof UPDATE | typeof DELETE, isText: boolean): RowChange {
    const reader = this.#reader;
    const change = this.#change;
    const [row, old] = [this.#new, this.#old];
    this.#passTransaction();
    const table = this.#tableOf();
    change.operation = action === INSERT ? 'INSERT' : action === UPDATE ? 'UPDATE' : 'DELETE';
    change.table = table.name;
    change.newTuple = change.oldTuple = undefined;
    this.#rows.takesElided = change.oversizeBytes !== undefined;
    if (action !== DELETE) {
      reader.expect(COLUMNS);
      this.#rows.read(table.columns, row, false);
      change.newTuple = row.tuple;
    }
    if (action !== INSERT && reader.takes(IDENTITY)) {
      this.#rows.read(table.identity, old, true);
      change.oldTuple = old.tuple;
    }
    reader.expect(PK);
    change.historicKey = this.#key(table);
    this.#end();
    if (change.newTuple !== undefined && change.oldTuple !== undefined) {
      if (isRestated(row, old, change.historicKey, this.#scratch)) change.oldTuple = undefined;
      else this.#rows.fillUnsent(row, old);
    }
    change.bytes = isText ? this.#scratch : this.#rows.repair([change.newTuple, change.oldTuple]);
    return change;
  }

  /** The list `pk`: most often the same as in the table's last row. */
  #key(table: KnownTable): readonly string[] | undefined {
    const reader = this.#reader;
    if (table.pk.length > 0 && reader.takes(table.pk)) return table.key;
    const from = reader.at;
    const written = Buffer.from(reader.bytes.subarray(from, reader.end));
    const key = this.#rows.names();
    table.pk = written.subarray(0, reader.at - from);
    table.key = key.length === 0 ? undefined : key;
    return table.key;
  }

  #tableOf(): KnownTable {
    if (this.#interner.full) {
      this.#interner.forget();
      this.#tables.clear();
      this.#table = undefined;
    }
    const reader = this.#reader;
    const last = this.#table;
    if (last !== undefined && reader.takes(last.pattern)) return last;
    const from = reader.at;
    const written = Buffer.from(reader.bytes.subarray(from, Math.min(reader.end, from + 1_024)));
    reader.expect(SCHEMA);
    reader.string('a schema');
    const schema = reader.text();
    reader.expect(TABLE);
    reader.string("a table's name");
    const name = reader.text();
    const id = `${schema}\0${name}`;
    let table = this.#tables.get(id);
    if (table === undefined) {
      if (this.#tables.size >= this.#namesLimit) this.#tables.clear();
      table = {
        pattern: Buffer.from(written.subarray(0, reader.at - from)),
        name: this.#interner.table(schema, name),
        columns: [],
        identity: [],
        pk: Buffer.alloc(0),
        key: undefined,
      };
      this.#tables.set(id, table);
    }
    this.#table = table;
    return table;
  }

  #end(): void {
    const reader = this.#reader;
    reader.expect(CLOSING_BRACE);
    if (reader.at !== reader.end) throw reader.expected('the end of the line');
  }
}
