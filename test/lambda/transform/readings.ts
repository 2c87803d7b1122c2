/** What readings of the catalogs say of one table, and the policies that are made of them, for tests. */
import type { TableName, Transaction } from '../../../lambda/decode/messages.ts';
import type { EarlierEntry, PrimaryKeys, TableEntry } from '../../../lambda/ports/catalogs.ts';
import { compilePatterns, type Filters, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';

/** The table. */
export const T: TableName = { printed: 'public.t', schema: 'public', name: 't' };

/** What a reading of the catalogs says of the table; the rest is as of a table with a key and no ancestors. */
export function entry(said: Partial<TableEntry> = {}): TableEntry {
  return {
    oid: 1,
    printed: 'public.t',
    schema: 'public',
    name: 'public.t',
    isTable: true,
    key: ['id'],
    ancestors: [],
    ancestorsSince: undefined,
    alteredBy: [],
    keySince: undefined,
    seenFrom: 0,
    virtualColumns: [],
    identityHoldsKey: true,
    ...said,
  };
}
/** An earlier reading, true of all that was committed up to a position. */
export const earlier = (until: bigint, said: Partial<EarlierEntry> = {}): EarlierEntry => ({
  until,
  knownUntil: until,
  ...entry(said),
});

/** @returns policies by these readings of the catalogs, the newest first */
export function policiesOf(
  current: TableEntry | undefined,
  before: readonly EarlierEntry[] = [],
  filters: Partial<Filters> = {},
  more: Partial<PrimaryKeys> = {},
): TablePolicies {
  const keys: PrimaryKeys = {
    version: 1,
    overBefore: 500,
    current: () => current,
    earlier: () => before,
    tables: () => (current === undefined ? [] : [current]),
    byOid: () => undefined,
    isOver: () => true,
    reload: () => Promise.resolve(1),
    refreshIfStale: () => Promise.resolve(),
    ...more,
  };
  return new TablePolicies(keys, { ...NO_FILTERS, ...filters });
}
/** @returns the table's policy, of the same */
export const policyOf = (...args: Parameters<typeof policiesOf>) => policiesOf(...args).of(T);
/** A transaction that wrote to it. */
export const transaction = (xid: number, commitLsn = 100n): Transaction => ({ xid, commitLsn, commitTimeMicros: 0n });
/** One of the settings' lists. */
export const list = (pattern: string) => compilePatterns(pattern);
