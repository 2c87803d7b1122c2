/**
 * Messages of PostgreSQL's pgoutput plugin (protocol version 1, with or without logical messages), from bytes to
 * messages. Whatever is not exactly the protocol throws {@link UndecodableError}.
 * Knows nothing of slots and publications. The peek adds the positions to Begin and Commit.
 *
 * @see https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import { isUtf8 } from 'node:buffer';
import { type Ignored, type Truncate, type Tuple, UTF8_TEXT, ValueKind } from '../messages.ts';
import type { PluginDecoder } from '../plugin-decoder.ts';
import type { DecodedMessage } from '../plugin-decoder.ts';
import { type Relation, RelationInterner, type SentColumn } from '../relations.ts';
import { emptyChange, emptyTuple } from '../reused-row.ts';
import { sentTypeName, type ServerNames } from '../server-names.ts';
import { readLogicalMessage } from './logical-message.ts';
import { MessageReader } from './reader.ts';
import { repairMessage } from './repair.ts';
import { ELIDED_VALUE, limitsFor, PgoutputRowShortener } from './row-shortener.ts';
import { readBegin, readCommit } from './transaction-messages.ts';

/** How many names are kept before all are forgotten. A database with more columns is decoded, only slower. */
const NAMES_LIMIT = 32_768;

const IGNORED: Ignored = { kind: 'ignored' };

const BEGIN = 0x42;
const COMMIT = 0x43;
const DELETE = 0x44;
const INSERT = 0x49;
const MESSAGE = 0x4d;
const ORIGIN = 0x4f;
const RELATION = 0x52;
const TRUNCATE = 0x54;
const UPDATE = 0x55;
const TYPE = 0x59;

const OLD_KEY = 0x4b;
const OLD_ROW = 0x4f;
const NEW_ROW = 0x4e;

const VALUE_NULL = 0x6e;
const VALUE_TEXT = 0x74;
const VALUE_UNCHANGED = 0x75;

/** Column flag of a Relation message: part of the replica identity. */
const IN_IDENTITY = 1;

/**
 * Decodes messages of pgoutput, read by `pg_logical_slot_peek_binary_changes` with `proto_version` 1.
 *
 * A row's message, its tuples and their arrays are the same objects at every call: they are valid until the next one.
 * Table names and column headers are interned, and stay valid.
 *
 * @example
 * const decoder = new PgoutputDecoder(names);
 * decoder.begin();
 * for (const row of rows) decoder.decode(row, 0, row.length);
 */
export class PgoutputDecoder implements PluginDecoder {
  /** Messages of more bytes are to be shortened before they are decoded. */
  readonly maxRowBytes: number;
  readonly shortener: PgoutputRowShortener;
  readonly isBinary = true;

  readonly #names: ServerNames;
  readonly #interner: RelationInterner;
  readonly #reader = new MessageReader();
  readonly #relations = new Map<number, Relation>();
  /** What Type messages said, by oid. */
  readonly #sentTypes = new Map<number, string>();
  readonly #new = emptyTuple();
  readonly #old = emptyTuple();
  readonly #change = emptyChange();
  /** Of the message before; 0: none. */
  #lastKind = 0;
  #lastOid = -1;
  #lastRelation: Relation | undefined;
  /** Whether the database ensures nothing of its texts: then what is no UTF-8 is refused. */
  #anyBytes = false;
  /** Whether a value of the row under way is no UTF-8. */
  #hasRawBytes = false;

  /**
   * @param names - what the catalogs say of types and keywords
   * @param namesLimit - how many tables, and how many column headers, are remembered
   * @param maxRecordBytes - what the stream allows for a record
   */
  constructor(names: ServerNames, namesLimit = NAMES_LIMIT, maxRecordBytes = 1024 * 1024) {
    this.#names = names;
    this.#interner = new RelationInterner(names, namesLimit);
    const limits = limitsFor(maxRecordBytes);
    this.maxRowBytes = limits.messageBytes;
    this.shortener = new PgoutputRowShortener(limits);
  }

  /**
   * Begins a reading of the slot: the plugin tells of every table anew.
   *
   * @param anyBytes - whether texts may be of any bytes: of a SQL_ASCII database, read without a conversion
   */
  begin(anyBytes = false): void {
    this.#anyBytes = this.#reader.checksText = anyBytes;
    this.#lastKind = 0;
    this.#relations.clear();
    this.#sentTypes.clear();
    this.#lastOid = -1;
    this.#lastRelation = undefined;
  }

  /**
   * Decodes one message: one row of the slot's data.
   *
   * @param bytes - what holds it; a change refers to it
   * @param start - its first byte
   * @param end - the index after its last byte
   * @param oversizeBytes - its size before it was shortened; undefined: it is as it was sent
   * @returns what it says; a change is valid until the next call
   * @throws {UndecodableError} when it is not exactly the protocol
   */
  decode(bytes: Buffer, start: number, end: number, oversizeBytes?: number): DecodedMessage {
    const reader = this.#reader;
    reader.open(bytes, start, end);
    const last = this.#lastKind;
    this.#lastKind = 0;
    // Up to 13 an empty message follows where the plugin does not find the name of a transaction's origin.
    if (start === end && last === BEGIN) return IGNORED;
    const kind = reader.byte('a message');
    this.#lastKind = kind;
    switch (kind) {
      case INSERT:
      case UPDATE:
      case DELETE:
        this.#change.bytes = bytes;
        this.#change.oversizeBytes = oversizeBytes;
        if (this.#row(kind)) {
          const { oldTuple, newTuple } = this.#change;
          const repaired = repairMessage(bytes, start, end, [oldTuple, newTuple]);
          return this.decode(repaired, 0, repaired.length, oversizeBytes);
        }
        return this.#change;
      case BEGIN:
        return readBegin(reader);
      case COMMIT:
        return readCommit(reader);
      case RELATION:
        return this.#relation();
      case TYPE:
        return this.#type();
      case TRUNCATE:
        return this.#truncate();
      case MESSAGE:
        return readLogicalMessage(reader, start, end, oversizeBytes);
      case ORIGIN:
        reader.int64("an origin's LSN");
        reader.text("an origin's name");
        return this.#ignored();
      default:
        throw reader.expected('a kind of message that protocol version 1 has', 0);
    }
  }

  #relation(): Ignored {
    const reader = this.#reader;
    const oid = reader.uint32("a table's number");
    const schema = reader.text('a schema');
    const name = reader.text("a table's name");
    const replicaIdentity = String.fromCharCode(reader.byte('a replica identity'));
    const count = reader.uint16('a number of columns');
    const columns: SentColumn[] = [];
    for (let i = 0; i < count; i++) {
      const flags = reader.byte("a column's flags");
      const column = reader.text("a column's name");
      const typeOid = reader.uint32("a column's type");
      reader.uint32("a column's type modifier");
      const isKey = (flags & IN_IDENTITY) !== 0;
      columns.push({ isKey, name: column, typeOid, sentType: this.#sentTypes.get(typeOid) });
    }
    reader.end();
    if (this.#interner.full) this.#interner.forget();
    this.#relations.set(oid, this.#interner.intern({ schema, name, replicaIdentity, columns }));
    this.#lastOid = -1;
    return IGNORED;
  }

  #type(): Ignored {
    const reader = this.#reader;
    const oid = reader.uint32("a type's number");
    const schema = reader.text('a schema');
    const name = reader.text("a type's name");
    reader.end();
    this.#sentTypes.set(oid, sentTypeName(schema, name, this.#names));
    return IGNORED;
  }

  #truncate(): Truncate {
    const reader = this.#reader;
    const count = reader.uint32('a number of tables');
    reader.byte('flags');
    const tables = [];
    for (let i = 0; i < count; i++) tables.push(this.#relationOf(reader.uint32("a table's number")).table);
    reader.end();
    return { kind: 'truncate', tables };
  }

  #ignored(): Ignored {
    this.#reader.end();
    return IGNORED;
  }

  /** Reads a row. @returns whether a value of it is no UTF-8 */
  #row(kind: typeof INSERT | typeof UPDATE | typeof DELETE): boolean {
    const reader = this.#reader;
    this.#hasRawBytes = false;
    const change = this.#change;
    const relation = this.#relationOf(reader.uint32("a table's number"));
    change.operation = kind === INSERT ? 'INSERT' : kind === UPDATE ? 'UPDATE' : 'DELETE';
    change.table = relation.table;
    change.historicKey = relation.historicKey;
    change.oldTuple = change.newTuple = undefined;
    let part = reader.byte('a row');
    if (kind !== INSERT && (part === OLD_KEY || part === OLD_ROW)) {
      this.#tuple(relation, this.#old, true);
      change.oldTuple = this.#old;
      if (kind === UPDATE) part = reader.byte('a new row');
    }
    if (kind !== DELETE) {
      if (part !== NEW_ROW) throw reader.expected('a new row', reader.offset - 1);
      this.#tuple(relation, this.#new, false);
      change.newTuple = this.#new;
    } else if (change.oldTuple === undefined) {
      throw reader.expected('an old row', reader.offset - 1);
    }
    reader.end();
    return this.#hasRawBytes;
  }

  /** Fills a tuple. Of an old row the server sends the columns that it has not as NULL: they are left out. */
  #tuple(relation: Relation, tuple: Tuple, isOld: boolean): void {
    const reader = this.#reader;
    const { columns } = relation;
    const sent = reader.uint16('a number of columns');
    if (sent !== columns.length) throw reader.expected("as many columns as the table's", reader.offset - 2);
    let count = 0;
    for (const { header, style, mayBeRaw } of columns) {
      const how = reader.byte("a value's kind");
      let kind: ValueKind = ValueKind.null;
      if (how === VALUE_TEXT) {
        const length = reader.uint32("a value's length");
        const from = reader.skip(length, 'a value');
        tuple.starts[count] = from;
        tuple.ends[count] = from + length;
        if ((mayBeRaw || this.#anyBytes) && !isUtf8(reader.bytes.subarray(from, from + length))) {
          if (this.#anyBytes) throw reader.expected(UTF8_TEXT, reader.offset - length);
          this.#hasRawBytes = true;
        }
        kind = style === 'text' ? ValueKind.quoted : style === 'bits' ? ValueKind.bits : ValueKind.boolean;
      } else if (how === VALUE_UNCHANGED) {
        kind = ValueKind.unchanged;
      } else if (how === ELIDED_VALUE && this.#change.oversizeBytes !== undefined) {
        kind = ValueKind.elided;
      } else if (how !== VALUE_NULL) {
        throw reader.expected('a value as text', reader.offset - 1);
      } else if (isOld) {
        continue;
      }
      tuple.headers[count] = header;
      tuple.kinds[count] = kind;
      count++;
    }
    tuple.count = count;
  }

  #relationOf(oid: number): Relation {
    if (oid === this.#lastOid && this.#lastRelation !== undefined) return this.#lastRelation;
    const relation = this.#relations.get(oid);
    if (relation === undefined) throw this.#reader.expected('a table that was told of before its rows');
    this.#lastOid = oid;
    this.#lastRelation = relation;
    return relation;
  }
}
