/**
 * For which tables a snapshot still brings rows. Until it is finished with a table, rows of it may be missing at the target, and
 * the target equals no state of the source. The marks of the first lane say how far the snapshot is. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';

/** Tables, each as {@link tableId} has it; `all`: any. */
export type TableIds = readonly string[] | 'all';

/** What a mark of the first lane says of a snapshot. */
export interface MarkedSnapshot {
  /** Tables that are not read to their end. */
  readonly reading: TableIds;
  /** Tables that were read to their end since the last mark. */
  readonly read: TableIds;
}

/** Tables whose rows are still to come; `awaited`: any, until the first snapshot is over. */
export type CopyingTables = TableIds | 'awaited';

/** @returns a table's name for comparisons */
export function tableId(schema: string, table: string): string {
  return JSON.stringify([schema, table]);
}

/** Follows the snapshots of one source. */
export class Copying {
  /** As of what is applied. */
  #tables: CopyingTables;
  /** What marks beyond that say, by their commit LSN. */
  #marked: { readonly lsn: Lsn; readonly snapshot: MarkedSnapshot }[] = [];

  /** @param tables - as of what is applied */
  constructor(tables: CopyingTables) {
    this.#tables = tables;
  }

  /** Takes what a mark of the first lane says. @param applied - the cut that is applied */
  take(lsn: Lsn, snapshot: MarkedSnapshot, applied: Lsn): void {
    if (lsn <= applied) return;
    const at = this.#marked.findLastIndex((each) => each.lsn <= lsn);
    this.#marked.splice(at + 1, 0, { lsn, snapshot });
  }

  /** Forgets what marks after a fork said. */
  forget(fork: Lsn): void {
    this.#marked = this.#marked.filter(({ lsn }) => lsn <= fork);
  }

  /**
   * @param cut - the end of a batch that begins at what is applied
   * @returns tells whether rows of a table may be missing somewhere in the batch: they come later
   */
  until(cut: Lsn): (schema: string, table: string) => boolean {
    const lists: CopyingTables[] = [this.#tables];
    for (const { lsn, snapshot } of this.#marked) {
      lists.push(snapshot.reading, snapshot.read);
      if (lsn >= cut) break;
    }
    if (lists.some((list) => list === 'all' || list === 'awaited')) return () => true;
    const ids = new Set(lists.flat());
    return (schema, table) => ids.size > 0 && ids.has(tableId(schema, table));
  }

  /** @param cut - the end of a batch @returns the tables whose rows are still to come then */
  at(cut: Lsn): CopyingTables {
    let tables = this.#tables;
    for (const { lsn, snapshot } of this.#marked) {
      if (lsn > cut) break;
      const isNone = snapshot.reading.length === 0;
      // A snapshot that is awaited has not begun as long as no mark names a table.
      if (tables !== 'awaited' || !isNone || snapshot.read.length > 0) tables = snapshot.reading;
    }
    return tables;
  }

  /** Tells that everything up to a cut is applied. */
  release(cut: Lsn): void {
    this.#tables = this.at(cut);
    this.#marked = this.#marked.filter(({ lsn }) => lsn > cut);
  }
}
