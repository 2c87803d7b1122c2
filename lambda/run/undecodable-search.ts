/**
 * The search for the one transaction that the server cannot decode. It is known by its commit record alone: a peek up to
 * a position before that record succeeds, a peek up to one after it fails. Each step halves what lies between, until a
 * single record is left. Pure: says where to peek next, and is told what came of it.
 */
import type { Lsn } from '../decode/lsn.ts';

/** Records begin at multiples of this. */
const ALIGNMENT = 8n;
/** How far after the change at which the server failed its commit record is searched first. */
const FIRST_REACH_BYTES = 128n;
/** A page of WAL begins with a header of 24 bytes, a segment with one of 40; both begin at multiples of these. */
const PAGE_BYTES = 1024n;
const SEGMENT_BYTES = 1024n * 1024n;

/**
 * A position inside the commit record that begins at `start`: to advance to it consumes that transaction and no other,
 * as a commit record has 40 bytes at the least. Where a page begins at `start`, the record is after the page's header.
 *
 * @param start - a multiple of 8: a peek up to here does not read the record, and one up to 8 bytes further does
 */
export function insideCommitRecord(start: Lsn): Lsn {
  return start + (start % SEGMENT_BYTES === 0n ? 48n : start % PAGE_BYTES === 0n ? 32n : 8n);
}

/**
 * The reverse of {@link insideCommitRecord}.
 *
 * @param inside - as it gave it
 * @returns a position up to which a peek does not read the record
 */
export function beforeCommitRecord(inside: Lsn): Lsn {
  for (const start of [inside - 48n, inside - 32n]) if (insideCommitRecord(start) === inside) return start;
  return inside - 8n;
}

/** A search under way. */
export class UndecodableSearch {
  /** What the last failing peek said. */
  error: Error;
  /** Whether peeks fail even where they read no transaction: then none is to blame. */
  blameless = false;
  /** Whether what failed does not fail any more: the transactions before it were too much together. */
  over = false;

  /** Peeks up to here succeed, or everything before it is consumed. */
  #good: Lsn;
  /** Peeks up to here fail. */
  #bad: Lsn;
  /** Whether a peek has succeeded in this search. */
  #proven = false;
  /** Whether the transaction has failed alone, with nothing left before it. */
  #confirmed = false;
  /** The LSN of a change of the transaction, where the server has told one. */
  #near: Lsn | undefined;
  #reach = FIRST_REACH_BYTES;
  readonly #remembered: Lsn | undefined;

  /**
   * @param position - how far the slot is consumed
   * @param upto - where the peek that failed ended
   * @param error - what it said
   * @param remembered - what an earlier search found, by {@link UndecodableSearch.inside}
   */
  constructor(
    position: Lsn,
    upto: Lsn,
    error: Error & { readonly near: Lsn | undefined },
    remembered: Lsn | undefined,
  ) {
    this.#good = position;
    this.#bad = upto;
    this.error = error;
    this.#near = error.near;
    this.#remembered = remembered === undefined ? undefined : beforeCommitRecord(remembered);
  }

  /** A position inside the commit record, once it is found. */
  get inside(): Lsn {
    return insideCommitRecord(this.#start);
  }

  /** The positions between which the commit record begins. */
  get range(): readonly [after: Lsn, before: Lsn] {
    return [this.#good, this.#bad];
  }

  /** Where to peek up to next; undefined: the transaction is found. */
  get next(): Lsn | undefined {
    if (!this.#isSingle) return this.#halve();
    if (!this.#proven) return this.#start;
    return this.#confirmed ? undefined : this.inside;
  }

  /**
   * A peek failed.
   *
   * @param upto - where it ended
   * @param error - what it said
   */
  failed(upto: Lsn, error: Error & { readonly near: Lsn | undefined }): void {
    this.error = error;
    if (upto <= this.#start) {
      this.blameless = true;
    } else if (this.#isSingle) {
      this.#confirmed = true;
    } else {
      this.#bad = upto;
      this.#near = error.near ?? this.#near;
    }
  }

  /**
   * A peek succeeded.
   *
   * @param upto - up to where everything is known to be good
   * @param rows - how many rows it had, which were published
   */
  succeeded(upto: Lsn, rows: number): void {
    this.#proven = true;
    if (rows > 0) this.#confirmed = false;
    if (upto >= this.#bad) this.over = true;
    else if (upto > this.#good) this.#good = upto;
    this.#reach *= 4n;
  }

  /** The first position at which the record may begin. */
  get #start(): Lsn {
    return ((this.#good + ALIGNMENT - 1n) / ALIGNMENT) * ALIGNMENT;
  }

  get #isSingle(): boolean {
    return this.#start + ALIGNMENT >= this.#bad;
  }

  /** A position between the two, where the record is likely to be first. */
  #halve(): Lsn {
    const start = this.#start;
    const known = this.#remembered;
    if (known !== undefined && known > this.#good && known < this.#bad) return known;
    if (known !== undefined && known === start) return start + ALIGNMENT;
    const half = ((this.#bad - start) / 2n / ALIGNMENT) * ALIGNMENT;
    const middle = start + (half === 0n ? ALIGNMENT : half);
    if (this.#near === undefined) return middle;
    const near = (this.#near / ALIGNMENT) * ALIGNMENT;
    const reached = (near > start ? near : start) + this.#reach;
    return reached < middle ? reached : middle;
  }
}
