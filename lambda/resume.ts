/**
 * Where a run was cut short inside a transaction, and when the next may go on from there.
 * Pure. A position is good only for the very reading it was taken from: a slot that somebody else has read since, or
 * that was made anew, may hold another transaction at the same LSN, and going on inside it would lose changes (I1).
 */
import { formatLsn, parseLsn } from './decode/lsn.ts';
import type { Transaction } from './decode/messages.ts';

/** A position inside a transaction, as the run's answer gives it and `run` and `drain` accept it. */
export interface ResumePosition {
  /** The transaction's commit LSN. */
  readonly commitLsn: string;
  /** Its id. */
  readonly xid: number;
  /** Its commit time, microseconds since 1970, as text: it may exceed 2^53. */
  readonly commitTimeMicros: string;
  /** The ordinal of its last change that Kinesis has acknowledged. */
  readonly ordinal: number;
  /** What the server said of readings of the slot when the position was taken. */
  readonly evidence: string;
}

/**
 * Writes a position down.
 *
 * @param transaction - which
 * @param ordinal - of the last change acknowledged, 1 or more
 * @param evidence - of `Slot.readingEvidence`, taken after the run's last reading
 */
export function resumePosition(transaction: Transaction, ordinal: number, evidence: string): ResumePosition {
  return {
    commitLsn: formatLsn(transaction.commitLsn),
    xid: transaction.xid,
    commitTimeMicros: String(transaction.commitTimeMicros),
    ordinal,
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
