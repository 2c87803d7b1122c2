/**
 * Whether a table's key may have been another one when a row was written. Pure: by what a reading of the catalogs says of
 * its own age.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import type { EarlierEntry, TableEntry } from '../ports/catalogs.ts';
import { isBefore } from './transaction-order.ts';

/** How old what the catalogs say of a table's key is. */
export interface KeyDoubt {
  /** The newest transaction that may have changed the key; undefined: any may have. */
  readonly since: number | undefined;
  /** What began with this transaction, or later, is not in doubt; undefined: everything is. */
  readonly until: number | undefined;
  /** The table is gone. What was committed up to this position is not in doubt, and everything else is. */
  readonly knownUntil: Lsn | undefined;
}

/**
 * @param current - what the newest reading says of the table; undefined: it does not know it
 * @param earlier - what the newest of the others says
 */
export function keyDoubtOf(current: TableEntry | undefined, earlier: EarlierEntry | undefined): KeyDoubt {
  // Since the last reading that saw it, another table may have had its name, and be gone, too.
  const knownUntil = current === undefined ? earlier?.knownUntil : undefined;
  return { since: current?.keySince, until: current?.seenFrom, knownUntil };
}

/**
 * Whether the key may have been another one when a transaction wrote to the table.
 *
 * @param doubt - the table's
 * @param transaction - the row's
 * @param overBefore - transactions before this one were over before anything unread was written; undefined: not known
 */
export function isInDoubt(
  { since, until, knownUntil }: KeyDoubt,
  { xid, commitLsn }: Transaction,
  overBefore: number | undefined,
): boolean {
  if (knownUntil !== undefined) return commitLsn > knownUntil;
  if (until !== undefined && !isBefore(xid, until)) return false;
  return since === undefined || overBefore === undefined || !isBefore(since, overBefore);
}
