/**
 * How much to ask of one peek: at most so many rows (N) and so much WAL (W), learned from how long the last one took.
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

/** A first row is wanted about so soon: long enough to outweigh a reading from restart_lsn, short enough that VACUUM is not held back. */
export const TARGET_FIRST_ROW_MS = 5_000;
const MIN_ROWS = 1_000;
const MIN_WAL_BYTES = 16 * 1024 * 1024;
const MAX_WAL_BYTES = 1024 ** 4;
const GROWTH = 4;

/**
 * The window of a container's first peek: about a second's work on a small server.
 *
 * @param maxRows - BATCH_CHANGES
 */
export function initialLimits(maxRows: number): PeekLimits {
  return { rows: Math.min(250_000, maxRows), walBytes: 1024 ** 3 };
}

/** What a peek taught. */
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
 * After a peek whose first row came: grow what bound it while it is quick. When most of what it read was WAL that had
 * been read before (a transaction open since holds restart_lsn), a larger window makes that rarer: grow then too, as
 * far as time allows.
 *
 * @param window - what it was given
 * @param cost - what it taught
 * @param maxRows - BATCH_CHANGES
 */
export function grow(window: PeekLimits, cost: PeekObservation, maxRows: number): PeekLimits {
  if (cost.limitedBy === 'nothing') return window;
  let factor = Math.min(GROWTH, TARGET_FIRST_ROW_MS / Math.max(1, cost.firstRowMs));
  if (cost.rereadBytes > cost.readBytes && cost.firstRowMs < cost.budgetMs / 2) factor = Math.max(2, factor);
  // Slow, but in time: a time-out is the sign to ask for less, not this.
  if (factor <= 1) return window;
  return cost.limitedBy === 'rows'
    ? { ...window, rows: Math.min(maxRows, Math.ceil(window.rows * factor)) }
    : { ...window, walBytes: Math.min(MAX_WAL_BYTES, Math.ceil(window.walBytes * factor)) };
}

/**
 * After a peek that ran out of time, or of temporary disk space, before its first row.
 *
 * @param window - what it was given
 * @param spanBytes - how much WAL it was really asked for, which may be less than the window's
 * @returns a smaller window, or undefined when it was the smallest already
 */
export function shrink(window: PeekLimits, spanBytes: number): PeekLimits | undefined {
  if (window.rows <= MIN_ROWS && spanBytes <= MIN_WAL_BYTES) return undefined;
  return {
    rows: Math.max(Math.min(MIN_ROWS, window.rows), Math.floor(window.rows / 2)),
    walBytes: Math.max(MIN_WAL_BYTES, Math.floor(Math.min(window.walBytes, spanBytes) / 2)),
  };
}
