/**
 * What one row of a slot's data says, as every plugin's decoder gives it. The peek turns it into messages: it knows the
 * transaction's commit before its first row.
 */
import type { Ignored, LogicalMessage, RowChange, Truncate } from './messages.ts';

/** A transaction begins. */
export interface BeginLine {
  readonly kind: 'begin';
  /** The transaction id, 32 bits unsigned; undefined where the slot was read without include-xids. */
  readonly xid: number | undefined;
  /** Microseconds since 1970-01-01T00:00:00Z, where the plugin says it here already. */
  readonly commitTimeMicros?: bigint;
}

/** A transaction is complete. */
export interface CommitLine {
  readonly kind: 'commit';
  /** The transaction id, 32 bits unsigned; undefined where the plugin says it at the beginning only. */
  readonly xid: number | undefined;
  /** Microseconds since 1970-01-01T00:00:00Z; undefined where the slot was read without include-timestamp. */
  readonly commitTimeMicros: bigint | undefined;
}

/** What a row says. A change is valid until the decoder's next call. */
export type Line = BeginLine | CommitLine | RowChange | Truncate | LogicalMessage | Ignored;
