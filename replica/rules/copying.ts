/**
 * For which tables a snapshot still brings rows. Until it is finished with a table, rows of it may be missing at the target, and
 * the target equals no state of the source. The marks of the first lane say how far the snapshot is. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';

/** Tables, each as {@link tableId} has it; `all`: any. */
export type TableIds = readonly string[] | 'all';

/** What a mark says of a snapshot. */
export interface SnapshotWord {
  /** Tables that it is not finished with. */
  readonly reading: TableIds;
  /** Tables that it finished since the last mark. */
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
  /** What marks say above that, by their commit LSN. */
  #words: { readonly lsn: Lsn; readonly word: SnapshotWord }[] = [];

  /** @param tables - as of what is applied */
  constructor(tables: CopyingTables) {
    this.#tables = tables;
  }

  /** Takes what a mark of the first lane says. @param applied - the cut that is applied */
  take(lsn: Lsn, word: SnapshotWord, applied: Lsn): void {
    if (lsn <= applied) return;
    const at = this.#words.findLastIndex((each) => each.lsn <= lsn);
    this.#words.splice(at + 1, 0, { lsn, word });
  }

  /** Drops what was said above a fork. */
  forget(fork: Lsn): void {
    this.#words = this.#words.filter(({ lsn }) => lsn <= fork);
  }

  /**
   * @param cut - the end of a batch that begins at what is applied
   * @returns tells whether rows of a table may be missing somewhere in the batch: they come later
   */
  until(cut: Lsn): (schema: string, table: string) => boolean {
    const lists: CopyingTables[] = [this.#tables];
    for (const { lsn, word } of this.#words) {
      lists.push(word.reading, word.read);
      if (lsn >= cut) break;
    }
    if (lists.some((list) => list === 'all' || list === 'awaited')) return () => true;
    const ids = new Set(lists.flat());
    return (schema, table) => ids.size > 0 && ids.has(tableId(schema, table));
  }

  /** @param cut - the end of a batch @returns the tables whose rows are still to come then */
  at(cut: Lsn): CopyingTables {
    let tables = this.#tables;
    for (const { lsn, word } of this.#words) {
      if (lsn > cut) break;
      const isNone = word.reading.length === 0;
      // One that is awaited has not begun while no mark names a table.
      if (tables !== 'awaited' || !isNone || word.read.length > 0) tables = word.reading;
    }
    return tables;
  }

  /** Tells that everything up to a cut is applied. */
  release(cut: Lsn): void {
    this.#tables = this.at(cut);
    this.#words = this.#words.filter(({ lsn }) => lsn > cut);
  }
}
