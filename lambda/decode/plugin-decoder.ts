/**
 * What the decoder of each output plugin offers, and what it makes of one row of the slot's data. Types only. The peek knows
 * each transaction's commit before its first row, and makes the messages of `messages.ts` from both.
 */
import type { Ignored, LogicalMessage, RowChange, Truncate } from './messages.ts';

/** A transaction begins. */
export interface DecodedBegin {
  readonly kind: 'begin';
  /** The transaction id, 32 bits unsigned; undefined where the slot was read without include-xids. */
  readonly xid: number | undefined;
  /** Microseconds since 1970-01-01T00:00:00Z, where the plugin says it here already. */
  readonly commitTimeMicros?: bigint;
}

/** A transaction is complete. */
export interface DecodedCommit {
  readonly kind: 'commit';
  /** The transaction id, 32 bits unsigned; undefined where the plugin says it at the beginning only. */
  readonly xid: number | undefined;
  /** Microseconds since 1970-01-01T00:00:00Z; undefined where the slot was read without include-timestamp. */
  readonly commitTimeMicros: bigint | undefined;
}

/** What one row of the slot's data was decoded to. A change is valid until the decoder's next call. */
export type DecodedMessage = DecodedBegin | DecodedCommit | RowChange | Truncate | LogicalMessage | Ignored;

/** What keeps the readable rest of a row that is too large to be kept; a decoder's shortener does. */
export interface RowShortener {
  /** Begins a row: the header is to be kept in front of it. */
  begin(header: Buffer): void;
  /** Takes the next piece of the row's data. */
  write(bytes: Buffer, start: number, end: number): void;
  /** Ends it. @returns the header and what is kept; the caller's to keep */
  end(): Buffer;
}

/** Turns a row's bytes into a message. Each plugin has one. */
export interface PluginDecoder {
  decode(bytes: Buffer, start: number, end: number, oversizeBytes?: number): DecodedMessage;
  /**
   * Called before the first row of each reading.
   *
   * @param anyBytes - whether texts may be of bytes that are no UTF-8 and cannot be told, as in a SQL_ASCII database
   */
  begin?(anyBytes: boolean): void;
  /** A row is no text as a whole: the decoder checks the texts in it. @default a row is one text */
  readonly isBinary?: boolean;
  /** Rows of more bytes go through the shortener first. @default none do */
  readonly maxRowBytes?: number;
  /** With which byte a logical message begins: what follows is bytes, and no text to be looked at. */
  readonly messageByte?: number;
  /** Writes a row again that has bytes which are no UTF-8. @default such a row is taken as it is */
  readonly repair?: (bytes: Buffer, start: number, end: number, message: DecodedMessage) => Buffer;
  readonly shortener?: RowShortener;
}
