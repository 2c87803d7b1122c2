/**
 * Where a run was cut short inside a transaction, and when the next may go on from there.
 * Pure. A position is valid only as long as nobody has read the slot since. After that, or in a slot that was dropped
 * and created again, another transaction may have the same LSN, and going on inside it would lose changes (I1).
 */
import { formatLsn, parseLsn } from './lsn.ts';
import type { Transaction } from './messages.ts';

/** How far inside a transaction a run has come. */
export interface TransactionProgress {
  readonly transaction: Transaction;
  /** The ordinal of the last change done; 0: none is. */
  readonly ordinal: number;
  /** How many rows are done. */
  readonly rows: number;
  /** How many logical messages behind the last of these rows are done. */
  readonly messages: number;
}

/** A position inside a transaction, as the run's answer gives it and `run` and `drain` accept it. */
export interface ResumePosition {
  /** The transaction's commit LSN. */
  readonly commitLsn: string;
  /** Its id. */
  readonly xid: number;
  /** Its commit time, microseconds since 1970, as text: it may exceed 2^53. */
  readonly commitTimeMicros: string;
  /** The ordinal of its last change that Kinesis has acknowledged: the next one's follows it. */
  readonly ordinal: number;
  /**
   * How many of its rows, as the server sends them, are done. The next run skips rows, not ordinals: how many ordinals
   * a row takes depends on the table's primary key, which may be altered between two runs.
   */
  readonly rows: number;
  /**
   * How many logical messages behind the last of these rows are done; left out: none. They are counted apart from rows, for
   * the server sends them only where MESSAGES is set, which may have changed between two runs.
   */
  readonly messages?: number | undefined;
  /** The server's statistics of the slot when the position was taken (`Slot.slotStatsFingerprint`). */
  readonly evidence: string;
}

/**
 * Makes a position for the answer.
 *
 * @param within - which transaction, and how far inside it
 * @param evidence - `Slot.slotStatsFingerprint` after the run's last peek
 */
export function resumePosition(
  { transaction, ordinal, rows, messages }: TransactionProgress,
  evidence: string,
): ResumePosition {
  return {
    commitLsn: formatLsn(transaction.commitLsn),
    xid: transaction.xid,
    commitTimeMicros: String(transaction.commitTimeMicros),
    ordinal,
    rows,
    ...(messages === 0 ? {} : { messages }),
    evidence,
  };
}

/**
 * Whether a transaction is the one that a position was taken in.
 *
 * @param position - the position
 * @param transaction - the first unconsumed transaction of the slot
 */
export function isSameTransaction(position: ResumePosition, transaction: Transaction): boolean {
  return (
    parseLsn(position.commitLsn) === transaction.commitLsn &&
    position.xid === transaction.xid &&
    position.commitTimeMicros === String(transaction.commitTimeMicros)
  );
}

/**
 * Whether a run has come further inside a transaction.
 *
 * @param progress - where it is
 * @param from - where it went on from, in the same transaction; undefined: at its beginning
 */
export function isFurther(
  progress: Pick<TransactionProgress, 'rows' | 'messages'>,
  from: Pick<ResumePosition, 'rows' | 'messages'> | undefined,
): boolean {
  const rows = from?.rows ?? 0;
  return progress.rows > rows || (progress.rows === rows && progress.messages > (from?.messages ?? 0));
}
