/**
 * The typed messages that every decoder makes of its plugin's output, and that the rest of the code reads.
 * Knows no plugin's syntax. Holds byte ranges, not copies: a change is valid until its decoder's next call.
 */
import type { Lsn } from './lsn.ts';

/** A table as a plugin names it. One object a table, interned by the decoder: compare by identity. */
export interface TableName {
  /** As printed, schema-qualified and quoted where needed: `public."Order items"`. */
  readonly printed: string;
  /** Unquoted. */
  readonly schema: string;
  /** Unquoted. */
  readonly name: string;
}

/** A column's name and type as a plugin prints them. Interned by the decoder: compare by identity. */
export interface ColumnHeader {
  /** Small, dense and unique among a decoder's headers, for tables indexed by it. */
  readonly id: number;
  /** As printed, quoted where needed. */
  readonly printed: string;
  /** Unquoted. */
  readonly name: string;
  /** As `format_type` prints it without a modifier: `integer`, `timestamp with time zone`, `public."My enum"[]`. */
  readonly type: string;
}

/** A logical message whose prefix has more bytes in UTF-8 is never published, whatever its content. */
export const MAX_PREFIX_BYTES = 64 * 1024;

/** How a value is written; see {@link Tuple.kinds}. */
export const ValueKind = {
  /** SQL NULL. */
  null: 0,
  /** Stored out of line and not sent, because it did not change. */
  unchanged: 1,
  /** Printed without quotes: numbers, `true`, `false`, NaN, Infinity. */
  bare: 2,
  /** Printed in apostrophes; the range excludes them, and holds no doubled apostrophe. */
  quoted: 3,
  /** As `quoted`, and each apostrophe inside the range is doubled. */
  escaped: 4,
  /** A bit string, `B'101'`; the range holds the bits. */
  bits: 5,
  /** The server sent it, but it was too large to be kept: see {@link RowChange.oversizeBytes}. */
  elided: 6,
  /** A boolean that the range says by its first letter, `t` or `f`: `true` and `false` wherever its text is wanted. */
  boolean: 7,
} as const;
/** One of {@link ValueKind}'s numbers. */
export type ValueKind = (typeof ValueKind)[keyof typeof ValueKind];

/** The columns of one row, as parallel arrays with `count` entries in use. The arrays are reused: see the decoder. */
export interface Tuple {
  /** How many columns; may be 0. */
  count: number;
  /** Each column's name and type. */
  readonly headers: ColumnHeader[];
  /** Each value's {@link ValueKind}. */
  readonly kinds: number[];
  /** Where each value's text begins in the change's bytes; meaningless for null, unchanged and elided. */
  readonly starts: number[];
  /** Where it ends, exclusive. */
  readonly ends: number[];
}

/** A transaction's identity. All its messages have the same object. */
export interface Transaction {
  /** The transaction id, 32 bits. */
  readonly xid: number;
  /** The position to advance the slot to once all of the transaction is published. */
  readonly commitLsn: Lsn;
  /** When it was committed, microseconds since 1970-01-01T00:00:00Z. */
  readonly commitTimeMicros: bigint;
}

/** A transaction begins. Its commit is known already. */
export interface Begin {
  readonly kind: 'begin';
  readonly transaction: Transaction;
}

/** The transaction that began last is complete. */
export interface Commit {
  readonly kind: 'commit';
  readonly transaction: Transaction;
}

/** One row's INSERT, UPDATE or DELETE. Valid until the decoder's next call. */
export interface RowChange {
  readonly kind: 'change';
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE';
  readonly table: TableName;
  /** What the ranges of the tuples point into. UTF-8. */
  readonly bytes: Buffer;
  /** The new row; absent for DELETE, and where the plugin says that the server gave it none. */
  readonly newTuple: Tuple | undefined;
  /** What was sent of the old row: the columns of the replica identity, without NULLs; absent where nothing was. */
  readonly oldTuple: Tuple | undefined;
  /**
   * The size in bytes of what the server sent, where that was so much that large values of it may have been left out
   * ({@link ValueKind.elided}); undefined: everything was kept.
   */
  readonly oversizeBytes: number | undefined;
  /**
   * The primary key's columns as they were at the change, as printed, in the table's order of columns; undefined where the
   * plugin does not say: then the catalogs decide.
   */
  readonly historicKey?: readonly string[] | undefined;
}

/** TRUNCATE of one table or several. */
export interface Truncate {
  readonly kind: 'truncate';
  readonly tables: readonly TableName[];
}

/** What `pg_logical_emit_message` wrote. Valid until the decoder's next call. */
export interface LogicalMessage {
  readonly kind: 'message';
  /** Part of the transaction that is under way. Else it comes between transactions, at its own place in the WAL. */
  readonly transactional: boolean;
  /** Undefined: it is longer than is kept of a message that is too large. */
  readonly prefix: string | undefined;
  /** What holds the content: any bytes, in no encoding. */
  readonly bytes: Buffer;
  /** Where the content begins. */
  readonly start: number;
  /** The index after its last byte; `start` where it was too large to be kept. */
  readonly end: number;
  /** The content's size in bytes, as it was emitted. */
  readonly size: number;
}

/** A row that carries nothing to publish: a logical message that nobody asked for, or a plugin's own. It counts towards a peek's limit. */
export interface Ignored {
  readonly kind: 'ignored';
}

/** Any message. */
export type Message = Begin | Commit | RowChange | Truncate | LogicalMessage | Ignored;

/** What a decoder expects of a text in a database of encoding SQL_ASCII. */
export const UTF8_TEXT = 'text in UTF-8, which a SQL_ASCII database does not ensure';

/** A decoder refused a line. Says where, and never shows the line (I10). */
export class UndecodableError extends Error {
  /** What the decoder expected, without the line's contents. */
  readonly expected: string;
  /** The offset in the line, in bytes, at which it was not found. */
  readonly offset: number;

  /**
   * @param expected - what should have been there; no part of the line
   * @param offset - in bytes from the line's beginning
   */
  constructor(expected: string, offset: number) {
    super(`expected ${expected} at byte ${offset}`);
    this.name = 'UndecodableError';
    this.expected = expected;
    this.offset = offset;
  }
}
