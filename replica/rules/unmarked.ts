/**
 * Changes that were read while no mark was: whether a producer with `MARKS=on` can have written them. It marks at the first end
 * of a transaction after 8 MiB, at the end of each run, and before all else where it does not know that its last run did. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import { MARKS_WITHIN_MS } from './fast/lane-position.ts';
import type { Change } from './record.ts';

/** Twice as much as a producer puts between two marks, if transactions end in between: its records have other sizes than ours. */
const MAX_UNMARKED_CHARS = 16 * 1024 * 1024;
/** So long before a change its lane has a mark, at most: an hour without changes, and a run. */
const MARKED_BEFORE_MS = 3 * 3_600_000;

/** See the head of the file. */
export class Unmarked {
  #firstMs = Infinity;
  #lastMs = 0;
  #chars = 0;
  #newest: Lsn = 0n;
  #newestChars = 0;
  /** When the stream took the first change of the newest transaction. */
  #newestMs = 0;

  /** Takes a change. @param arrivedMs - when the stream took it, milliseconds since 1970 */
  take({ op, lsn, size }: Change, arrivedMs: number): void {
    this.#firstMs = Math.min(this.#firstMs, arrivedMs);
    this.#lastMs = Math.max(this.#lastMs, arrivedMs);
    // No transaction ends between the rows that a snapshot reads.
    if (op === 'READ') return;
    this.#chars += size;
    if (lsn > this.#newest) [this.#newest, this.#newestChars, this.#newestMs] = [lsn, 0, arrivedMs];
    if (lsn < this.#newest) return;
    this.#newestChars += size;
    this.#newestMs = Math.min(this.#newestMs, arrivedMs);
  }

  /**
   * Whether there are marks between them: so many bytes of transactions are over, or the newest one began so long after the first
   * change. It may itself be under way for however long.
   */
  get lacksMarks(): boolean {
    const ended = this.#chars - this.#newestChars;
    return ended >= MAX_UNMARKED_CHARS || (ended > 0 && this.#newestMs - this.#firstMs >= MARKS_WITHIN_MS);
  }

  /**
   * Whether a mark before the newest of them would still be in the stream: whoever has read it from its beginning would have
   * seen it.
   *
   * @param keptSinceMs - the stream has everything that it took since then
   */
  lacksMarksBefore(keptSinceMs: number): boolean {
    return this.#lastMs - keptSinceMs >= MARKED_BEFORE_MS;
  }
}
