/**
 * How many records a reader asks of a shard at a time. An answer may hold 10 MiB, and takes five times as much memory while it is
 * read; a shard gives 2 MB a second at most, so small answers lose nothing. Pure.
 */

/** An answer is to hold about so much. */
const PAGE_BYTES = 1024 * 1024;
/** What a call may ask for at most. */
const MOST = 10_000;
/** What is asked for where nothing is known of the records: with aggregates of 256 KiB these are 2 MiB. */
const FIRST = 8;
/** By how much it grows at most from one answer to the next: larger records may follow. */
const GROWTH = 4;
/** A shard's tip takes 1 MB a second: after a longer wait there may be much more. */
const TIP_MS = 2_000;

/** Follows one shard. */
export class PageSize {
  #limit = FIRST;
  #atTipMs: number | undefined;

  /** @param nowMs - any clock's @returns how many records to ask for */
  limit(nowMs: number): number {
    if (this.#atTipMs === undefined) return this.#limit;
    return nowMs - this.#atTipMs < TIP_MS ? MOST : FIRST;
  }

  /** Takes an answer. @param behindMs - how far behind the shard's tip it ends */
  take({
    records,
    bytes,
    behindMs,
    nowMs,
  }: Readonly<Record<'records' | 'bytes' | 'behindMs' | 'nowMs', number>>): void {
    this.#atTipMs = behindMs === 0 ? nowMs : undefined;
    if (records === 0) return;
    const fitting = Math.floor((PAGE_BYTES * records) / Math.max(1, bytes));
    const most = Math.max(FIRST, records) * GROWTH;
    this.#limit = Math.max(1, Math.min(MOST, fitting, most));
  }
}
