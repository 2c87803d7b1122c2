/**
 * Which rows were written before a table was altered, where transaction ids do not tell: the transaction that altered it
 * had begun before the row's own, and may have committed after the row was written. Only its position in the WAL decides.
 * Pure: the batch asks the server. What is not known is a doubt, and in doubt a row stays out.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import type { TableEntry } from '../ports/catalogs.ts';
import { isBefore } from './transaction-order.ts';

/** Transactions that may have written to a table before it was altered as a reading of the catalogs saw it. */
export interface Overlap {
  /** The first of them, 32 bits. Those before are in doubt in any case. */
  readonly from: number;
  /** The first behind them, 32 bits: it began after the reading. */
  readonly until: number;
  /** Those committed up to this position are not among them. */
  readonly after: Lsn;
  /** The transactions that altered the table, 32 bits. */
  readonly alteredBy: readonly number[];
}

/**
 * @param entry - what a reading says of a table
 * @param after - up to this position an earlier reading knows
 * @param overBefore - transactions before this one were over before anything unread was written; undefined: not known
 * @returns undefined: transaction ids tell all of it
 */
export function overlapOf(
  { ancestorsSince: from, seenFrom: until, alteredBy: all }: TableEntry,
  after: Lsn,
  overBefore: number | undefined,
): Overlap | undefined {
  const alteredBy = all.filter((xid) => overBefore === undefined || !isBefore(xid, overBefore));
  if (from === undefined || alteredBy.length === 0 || !isBefore(from, until)) return undefined;
  return { from, until, after, alteredBy };
}

/** What a run knows of where transactions that altered tables committed. */
export class AlterationOrder {
  readonly #commits = new Map<number, Lsn>();

  /**
   * @param overlaps - of a table
   * @param transaction - that has written to it
   * @returns transactions whose commit decides, and is not known
   */
  unknown(overlaps: readonly Overlap[], transaction: Transaction): number[] {
    return overlaps
      .filter((overlap) => concerns(overlap, transaction))
      .flatMap(({ alteredBy }) => alteredBy.filter((xid) => xid !== transaction.xid && !this.#commits.has(xid)));
  }

  /** Takes an answer. @param commits - up to where each transaction had committed for certain */
  take(commits: ReadonlyMap<number, Lsn>): void {
    for (const [xid, lsn] of commits) this.#commits.set(xid, lsn);
  }

  /** @returns whether the commit of that transaction is known */
  knows(xid: number): boolean {
    return this.#commits.has(xid);
  }

  /**
   * Whether a row may have been written before its table was altered.
   *
   * @param overlaps - of its table
   * @param transaction - that it is part of
   * @param written - tells its own position
   */
  isInDoubt(overlaps: readonly Overlap[], transaction: Transaction, written: () => Lsn): boolean {
    for (const overlap of overlaps)
      if (concerns(overlap, transaction) && this.#isOlder(overlap, transaction.xid, written())) return true;
    return false;
  }

  /** What a transaction itself has made it knows. */
  #isOlder({ alteredBy }: Overlap, own: number, position: Lsn): boolean {
    return alteredBy.some((xid) => xid !== own && this.#isBehind(xid, position));
  }

  #isBehind(xid: number, position: Lsn): boolean {
    const commit = this.#commits.get(xid);
    return commit === undefined || commit > position;
  }
}

function concerns({ from, until, after }: Overlap, { xid, commitLsn }: Transaction): boolean {
  return commitLsn > after && !isBefore(xid, from) && isBefore(xid, until);
}
