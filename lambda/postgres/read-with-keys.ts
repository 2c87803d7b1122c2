/**
 * Reads other things from the catalogs together with the primary keys, once per batch: whatever a batch holds was committed
 * before. Does not know what these things are.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { PrimaryKeys } from '../ports/catalogs.ts';

/**
 * The keys; when they are read from the catalogs, so is the other.
 *
 * @param keys - the run's cache of primary keys
 * @param read - the other reading of the catalogs; given the slot's position
 */
export function readWithKeys(keys: PrimaryKeys, read: (consumed: Lsn) => Promise<void>): PrimaryKeys {
  return {
    get version() {
      return keys.version;
    },
    get overBefore() {
      return keys.overBefore;
    },
    current: (table) => keys.current(table),
    earlier: (table) => keys.earlier(table),
    tables: () => keys.tables(),
    byOid: (oid) => keys.byOid(oid),
    isOver: (xid) => keys.isOver(xid),
    reload: () => keys.reload(),
    refreshIfStale: async (consumed) => {
      // In this order: the snapshot that isOver() speaks of is the older one.
      await Promise.all([keys.refreshIfStale(consumed), read(consumed)]);
    },
  };
}
