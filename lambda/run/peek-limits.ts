/**
 * How much to ask of one peek: the most rows (N) and the most WAL (W), learned from how long the last peek took.
 * Pure. Every peek reads WAL again from restart_lsn, so many small peeks over a backlog cost quadratically, while one
 * that is too large does not finish in time: grow fast while peeks are quick, halve when one runs out of time.
 */

/** What the next peek may read. */
export interface PeekLimits {
  /** N: rows, 1 or more. */
  readonly rows: number;
  /** W: bytes of WAL after confirmed_flush_lsn. */
  readonly walBytes: number;
}

/** The time to the first row that the limits aim at: long enough to outweigh reading again from restart_lsn, short enough not to hold VACUUM back. */
export const TARGET_FIRST_ROW_MS = 5_000;
const MIN_ROWS = 1_000;
const MIN_WAL_BYTES = 16 * 1024 * 1024;
const MAX_WAL_BYTES = 1024 ** 4;
const GROWTH = 4;

/**
 * The limits of a container's first peek: about a second's work on a small server.
 *
 * Of 400,000 changes (560,000 rows) the server's processor time was 1.85 s in one peek, 1.93 s in 3 of this size, 2.2 s in 6
 * and 3.4 s in 19: a larger first peek would gain 4 %, and hold VACUUM back for minutes where the stream is slow.
 *
 * @param maxRows - BATCH_CHANGES, the most rows that any peek may ask for
 */
export function initialLimits(maxRows: number): PeekLimits {
  return { rows: Math.min(250_000, maxRows), walBytes: 1024 ** 3 };
}

/** What was learned from a peek. */
export interface PeekObservation {
  /** What ended it: its row limit, its WAL limit, or neither: then it says nothing of a larger one. */
  readonly limitedBy: 'rows' | 'wal' | 'nothing';
  /** How long the server worked before the first row. */
  readonly firstRowMs: number;
  /** How long it was given. */
  readonly budgetMs: number;
  /** WAL between restart_lsn and the slot's position, which it read once more. */
  readonly rereadBytes: number;
  /** WAL after the slot's position that it read for the first time. */
  readonly readBytes: number;
}

/**
 * After a peek whose first row came: raise the limit that ended it, while peeks are quick. If most of what it read was
 * WAL that had been read before (an open transaction holds restart_lsn), larger peeks make that rarer: then raise it,
 * too, as far as time allows.
 *
 * @param limits - the limits that the peek had
 * @param cost - what was learned from it
 * @param maxRows - BATCH_CHANGES, the most rows that any peek may ask for
 */
export function grow(limits: PeekLimits, cost: PeekObservation, maxRows: number): PeekLimits {
  if (cost.limitedBy === 'nothing') return limits;
  let factor = Math.min(GROWTH, TARGET_FIRST_ROW_MS / Math.max(1, cost.firstRowMs));
  if (cost.rereadBytes > cost.readBytes && cost.firstRowMs < cost.budgetMs / 2) factor = Math.max(2, factor);
  // Slow, but in time: only a time-out lowers the limits.
  if (factor <= 1) return limits;
  return cost.limitedBy === 'rows'
    ? { ...limits, rows: Math.min(maxRows, Math.ceil(limits.rows * factor)) }
    : { ...limits, walBytes: Math.min(MAX_WAL_BYTES, Math.ceil(limits.walBytes * factor)) };
}

/**
 * After a peek that ran out of time, or of temporary disk space, before its first row.
 *
 * @param limits - the limits that the peek had
 * @param spanBytes - how much WAL it was really asked for, which may be less than the limit
 * @returns smaller limits, or undefined when they were the smallest already
 */
export function shrink(limits: PeekLimits, spanBytes: number): PeekLimits | undefined {
  if (limits.rows <= MIN_ROWS && spanBytes <= MIN_WAL_BYTES) return undefined;
  return {
    rows: Math.max(Math.min(MIN_ROWS, limits.rows), Math.floor(limits.rows / 2)),
    walBytes: Math.max(MIN_WAL_BYTES, Math.floor(Math.min(limits.walBytes, spanBytes) / 2)),
  };
}
