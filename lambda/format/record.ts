/**
 * What a format is given and what it gives: the one interface between the run's transformation and the formats.
 * Pure; knows no plugin, no lane and no stream.
 */
import type { Formatter } from '../../lib/formatter/formatter.ts';
import type { Lsn } from '../decode/lsn.ts';
import type { RowChange, TableName, Transaction, Tuple } from '../decode/messages.ts';
import type { ByteWriter } from './byte-writer.ts';

/** Where the parts of a primary key are: in key order, `count` entries in use; part i is column `columns[i]` of `tuples[i]`. */
export interface Key {
  /** How many columns the key has, 1 or more. */
  count: number;
  /** The tuple that holds each part. */
  readonly tuples: Tuple[];
  /** The part's index in that tuple. */
  readonly columns: number[];
}

/** One record to be written. Reused: valid during one call of a format. */
export interface ChangeRecord {
  /** The record's operation. A key change is two records: DELETE, then INSERT. READ: a row that a snapshot has read. */
  operation: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'READ';
  /** The row's table. */
  table: TableName;
  /** The transaction it was part of; of a READ, the place in the WAL at which the row is true. */
  transaction: Transaction;
  /** The record's place in its transaction, counted from 1 before any filter; of a READ, among the rows read with it. */
  ordinal: number;
  /** The position of the change's own WAL record, where the format uses it; rows of one COPY share it. */
  lsn: Lsn;
  /** What was decoded; undefined for TRUNCATE. */
  change: RowChange | undefined;
  /** The key; undefined for TRUNCATE and for a DELETE that carries none. */
  key: Key | undefined;
  /** Only for the two records of a key change: the new key on the DELETE, the old key on the INSERT. */
  otherKey: Key | undefined;
  /** Columns to leave out of `row` and `old`. */
  omitted: ReadonlySet<string>;
  /** Too large: leave out `row` and `old`, and say so. */
  truncated: boolean;
}

/** One logical message to be written. Reused: valid during one call of a format. */
export interface LogicalMessageRecord {
  /** Text; may be empty. */
  prefix: string;
  /** What holds the content. */
  bytes: Buffer;
  /** Where the content begins. */
  start: number;
  /** The index after its last byte. */
  end: number;
  /** The message's own position in the WAL. */
  lsn: Lsn;
  /** The transaction that it is part of; undefined: none. */
  transaction: Transaction | undefined;
  /** That of the change before it in the transaction; 0: it comes before the first. */
  ordinal: number;
  /** Its place among the messages behind that change, from 1. */
  place: number;
  /** Too large: leave out the content, and say so. */
  truncated: boolean;
}

/** A format: how a change becomes the data of a user record. */
export interface Format {
  /** Whether a DELETE without key can be written. If not, it is skipped and counted. */
  readonly supportsDeleteWithoutKey: boolean;
  /** Whether a record shows values besides the key: without them it has to be written as `truncated`. */
  readonly showsRow: boolean;
  /** Whether records say the position of their row: {@link ChangeRecord.lsn}. @default false */
  readonly usesRowLsn?: boolean;
  /**
   * Called instead of {@link write} where it is there: for a format that may leave a record out, or give it another
   * partition key.
   *
   * @param record - what to write
   * @param out - appended to, never cleared
   * @param partitionKey - holds the record's partition key; may be replaced
   * @returns false: the record is left out
   */
  decide?(record: ChangeRecord, out: ByteWriter, partitionKey: ByteWriter): boolean;
  /**
   * Appends one record's data, UTF-8.
   *
   * @param record - what to write
   * @param out - appended to, never cleared
   */
  write(record: ChangeRecord, out: ByteWriter): void;
  /**
   * Appends a logical message's data. A format without it has no record for one.
   *
   * @param record - what to write
   * @param out - appended to, never cleared
   * @param partitionKey - holds the record's partition key; may be replaced
   * @returns false: the record is left out
   */
  writeLogicalMessage?(record: LogicalMessageRecord, out: ByteWriter, partitionKey: ByteWriter): boolean;
}

/**
 * Finds the delimiter between the elements of an array: `pg_type.typdelim`, one ASCII character.
 *
 * @param element - the element's type as the plugin prints it
 */
export type ArrayDelimiter = (element: string) => string;

/** What a format may ask of types that no plugin prints. */
export interface TypeFacts {
  /** The delimiter between the elements of an array. @default {@link builtInDelimiter}: that of the server's own types */
  readonly arrayDelimiter?: ArrayDelimiter;
  /** The type that a domain is made of; of any other type itself. @default no type is a domain */
  readonly baseType?: (type: string) => string;
}

/** What a format may depend on. */
export interface FormatOptions extends TypeFacts {
  /** Names the source in every record: SOURCE_NAME. */
  readonly source: string;
  /** The database's name. */
  readonly database: string;
  /** What partition keys are made of. */
  readonly partitionBy: PartitionMode;
  /** The time of writing, in whole milliseconds since 1970. */
  readonly now: () => number;
  readonly debezium: DebeziumOptions;
  readonly dms: DmsOptions;
  /** The user's own, for the format `module`. */
  readonly formatter?: Formatter | undefined;
  /** Whether a record must not hold a line break. @default false */
  readonly oneLine?: boolean;
}

/** What PARTITION_BY may say. */
export type PartitionMode = 'primary-key' | 'table' | 'transaction' | 'stream';

/** The settings of Debezium that its format follows. */
export interface DebeziumOptions {
  /** `provide.transaction.metadata`. */
  readonly transaction: boolean;
  /** `time.precision.mode`. */
  readonly time: 'microseconds' | 'isostring';
}

/** The settings of AWS DMS that its format follows. */
export interface DmsOptions {
  /** `IncludeNullAndEmpty`: NULL is written, else left out. */
  readonly nulls: boolean;
  /** `IncludeTransactionDetails`. */
  readonly transaction: boolean;
  /** `BeforeImageSettings`: an UPDATE has the old row, as far as the server sent it. */
  readonly beforeImage: boolean;
}

/**
 * Makes a format; each in the table of formats is one.
 *
 * @param options - most formats need none
 */
export type MakeFormat = (options: FormatOptions) => Format;
