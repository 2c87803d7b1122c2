/**
 * What a formatter of your own is given and gives: `pg2kinesis/formatter`. Types only, which both halves know: the function
 * calls it, and the stack bundles it.
 */

/**
 * A column's value. SQL NULL is `null`.
 *
 * - `smallint`, `integer`, `real`, `double precision`: a number, NaN and the infinities included
 * - `bigint`: a number; a string beyond ±(2^53−1), so that nothing is lost
 * - `numeric`, `money`: a string, so that nothing is lost
 * - `boolean`: a boolean
 * - `json`, `jsonb`: the document, parsed
 * - `bytea`: its bytes
 * - everything else, and arrays: as FORMAT=json writes them; dates and times are strings in ISO 8601
 */
export type FormatterValue =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly FormatterValue[]
  | { readonly [name: string]: FormatterValue };

/** Columns and their values. */
export type FormatterRow = Readonly<Record<string, FormatterValue>>;

/** One change, or one half of a change of the primary key. Made for this one call: you may keep it. */
export interface FormatterChange {
  /** Names the change, with `source`: a repeat has the same two. */
  readonly id: string;
  /** SOURCE_NAME. */
  readonly source: string;
  /** A change of the primary key comes as a DELETE with `newKey` and an INSERT with `oldKey`. READ: a row that a snapshot read. */
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'READ';
  readonly schema: string;
  readonly table: string;
  /** The primary key; `null` for TRUNCATE, and for a DELETE whose key the server did not send. */
  readonly key: FormatterRow | null;
  /** The new row; not there for DELETE and TRUNCATE, and where the change is `truncated`. */
  readonly row?: FormatterRow;
  /** What the server sent of the old row. */
  readonly old?: FormatterRow;
  /** Columns of the new row that the server did not send, because they did not change (TOAST). */
  readonly unchanged?: readonly string[];
  readonly newKey?: FormatterRow;
  readonly oldKey?: FormatterRow;
  /** The record that you made of the whole change was too large, or the change itself: `row` and `old` are not there. */
  readonly truncated?: true;
  /** The type of each column that was sent, as PostgreSQL's format_type names it, without a modifier. */
  readonly types: Readonly<Record<string, string>>;
  readonly xid: number;
  readonly commitLsn: string;
  /** The change's place in its transaction, from 1, counted before any filter. */
  readonly ordinal: number;
  /** In ISO 8601, with microseconds. */
  readonly commitTime: string;
}

/** A logical message: what `pg_logical_emit_message` wrote. Made for this one call: you may keep it. */
export interface FormatterMessage {
  /** Names the message, with `source`: a repeat has the same two. */
  readonly id: string;
  /** SOURCE_NAME. */
  readonly source: string;
  readonly op: 'MESSAGE';
  readonly prefix: string;
  /** Its bytes; not there where the message is `truncated`. */
  readonly content?: Uint8Array;
  /** Whether it is part of a transaction. `xid`, `commitLsn`, `ordinal` and `commitTime` are there then, and only then. */
  readonly transactional: boolean;
  /** The record that you made of the whole message was too large, or the message itself: `content` is not there. */
  readonly truncated?: true;
  /** The message's own position in the WAL. */
  readonly lsn: string;
  readonly xid?: number;
  readonly commitLsn?: string;
  /** That of the change before it in the transaction; 0: it comes before the first. */
  readonly ordinal?: number;
  /** In ISO 8601, with microseconds. */
  readonly commitTime?: string;
}

/** What a formatter makes of a change. */
export interface FormatterRecord {
  /** The user record's data; a string is written in UTF-8. With AGGREGATION=lines it holds no line break. */
  readonly data: string | Uint8Array;
  /** 1 to 256 characters; a longer one is replaced by its SHA-256. @default what PARTITION_BY says */
  readonly partitionKey?: string | undefined;
}

/**
 * A module's default export, for FORMAT=module.
 *
 * @example
 * export default {
 *   format: (change) => ({ data: JSON.stringify({ table: change.table, key: change.key }) }),
 * } satisfies Formatter;
 */
export interface Formatter {
  /**
   * Makes a record of a change. Called for every change, again for one that is read again: the same change has to give
   * the same record. It is synchronous, and nothing can interrupt it.
   *
   * @param change - what was committed
   * @returns undefined: the change is left out, and counted as `formatter`
   */
  format(change: FormatterChange): FormatterRecord | undefined;
  /**
   * Makes a record of a logical message, by the same rules. Required with MESSAGES.
   *
   * @param message - what was emitted
   * @returns undefined: the message is left out
   */
  formatMessage?(message: FormatterMessage): FormatterRecord | undefined;
}
