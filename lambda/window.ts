/**
 * How much to ask of one peek: at most so many rows (N) and so much WAL (W), learned from how long the last one took.
 * Pure. Every peek reads WAL again from restart_lsn, so many small peeks over a backlog cost quadratically, while one
 * that is too large does not finish in time: grow fast while peeks are quick, halve when one runs out of time.
 */

/** What the next peek may read. */
export interface Window {
  /** N: rows, 1 or more. */
  readonly rows: number;
  /** W: bytes of WAL behind the slot's position. */
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
export function initialWindow(maxRows: number): Window {
  return { rows: Math.min(250_000, maxRows), walBytes: 1024 ** 3 };
}

/**
 * After a peek whose first row came.
 *
 * Only what held the peek back is worth growing; growing both keeps the two in step and costs nothing, since the
 * smaller of them decides.
 *
 * @param window - what it was given
 * @param firstRowMs - how long the server worked before the first row
 * @param maxRows - BATCH_CHANGES
 */
export function grown(window: Window, firstRowMs: number, maxRows: number): Window {
  if (firstRowMs > TARGET_FIRST_ROW_MS) return window;
  const factor = Math.max(1, Math.min(GROWTH, TARGET_FIRST_ROW_MS / Math.max(1, firstRowMs)));
  return {
    rows: Math.min(maxRows, Math.ceil(window.rows * factor)),
    walBytes: Math.min(MAX_WAL_BYTES, Math.ceil(window.walBytes * factor)),
  };
}

/**
 * After a peek that ran out of time, or of temporary disk space, before its first row.
 *
 * @param window - what it was given
 * @param spanBytes - how much WAL it was really asked for, which may be less than the window's
 * @returns a smaller window, or undefined when it was the smallest already
 */
export function halved(window: Window, spanBytes: number): Window | undefined {
  if (window.rows <= MIN_ROWS && spanBytes <= MIN_WAL_BYTES) return undefined;
  return {
    rows: Math.max(Math.min(MIN_ROWS, window.rows), Math.floor(window.rows / 2)),
    walBytes: Math.max(MIN_WAL_BYTES, Math.floor(Math.min(window.walBytes, spanBytes) / 2)),
  };
}
