/**
 * What to do with the changes of one table, as its policy says: published by which key, or left out for which reason.
 * Pure; knows no catalog. The policies are made in `table-policies.ts`.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import type { Overlap } from './alterations.ts';
import type { Skipped } from './counts.ts';
import type { KeyDoubt } from './key-doubt.ts';
import { isBefore } from './transaction-order.ts';

/** What to do with a table's changes. */
export interface TablePolicy {
  /** Why they are left out; undefined: they are published. */
  readonly skip: keyof Skipped | undefined;
  /** Only earlier readings let the filters take the table: what was committed after this position is filtered. */
  readonly includedUntil: Lsn | undefined;
  /** Earlier readings make the filters refuse the table: what was committed up to this position is filtered. */
  readonly excludedUntil: Lsn | undefined;
  /** Which changes may have been a partition's of a table that the filters name. */
  readonly doubts: readonly Doubt[];
  /** Which changes may be, where only positions in the WAL tell. */
  readonly overlaps: readonly Overlap[];
  /** Why its current key may not be the one at write time; undefined: that does not matter. */
  readonly keyDoubt: KeyDoubt | undefined;
  /** Whether it may have been a partition of a table that must not be seen: nothing tells that it was not. */
  readonly hidden: boolean;
  /** The columns of its keys, as printed: the newest reading's first, then those of earlier ones. */
  readonly keys: readonly (readonly string[])[];
  /** Whether an earlier reading saw it without a key. */
  readonly wasKeyless: boolean;
  /** Whether the server sends the key of a DELETE. */
  readonly identityHoldsKey: boolean;
  /** Columns to leave out, as printed; grows as rows show new ones. */
  readonly omitted: Set<string>;
  /** Columns that the filters were asked about already, as printed. */
  readonly evaluatedColumns: Set<string>;
  /** The table's names, those of its ancestors and of earlier readings too. */
  readonly names: readonly string[];
  /** The reading of the catalogs that it was made from. */
  readonly version: number;
  /** The reason that was told to the log last: it is not told again with every row. */
  noted: keyof Skipped | undefined;
}

/** Changes that no reading of the catalogs tells of: their table may have had other ancestors, or been another. */
export interface Doubt {
  /** What was written before this transaction (32 bits); undefined: by any. */
  readonly before: number | undefined;
  /** And committed after this position, up to which an earlier reading knows. */
  readonly after: Lsn;
}

/**
 * Why a change is left out. Also looks at the names that its table had at write time.
 *
 * @param policy - the policy of the change's table
 * @param transaction - that it is part of
 */
export function skipReason(policy: TablePolicy, transaction: Transaction): keyof Skipped | undefined {
  if (isSkippedInDoubt(policy, transaction)) return 'filtered';
  const { commitLsn } = transaction;
  if (policy.includedUntil !== undefined && commitLsn > policy.includedUntil) return 'filtered';
  if (policy.excludedUntil !== undefined && commitLsn <= policy.excludedUntil) return 'filtered';
  return policy.skip;
}

/**
 * Whether a change is left out only because its table may have been a partition of another then. Such tables are named.
 *
 * @param policy - the policy of the change's table
 * @param transaction - that it is part of
 */
export function isSkippedInDoubt({ doubts }: TablePolicy, { xid, commitLsn }: Transaction): boolean {
  for (const { before, after } of doubts)
    if ((before === undefined || isBefore(xid, before)) && commitLsn > after) return true;
  return false;
}
