/**
 * For which tables a snapshot still brings rows. Until it is finished with a table, rows of it may be missing at the target, and
 * the target equals no state of the source. Marks say how far the snapshot is. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';

/** Tables, each as {@link tableId} has it; `all`: any. */
export type TableIds = readonly string[] | 'all';

/** What a mark says of a snapshot. */
export interface MarkedSnapshot {
  /** Tables that are not read to their end. */
  readonly reading: TableIds;
  /** Tables that were read to their end since the last mark. */
  readonly read: TableIds;
  /** Whether there may be other tables that are not read to their end. @default false */
  readonly isPartial?: boolean;
}

/** Tables whose rows are still to come; `awaited`: any, until the first snapshot is over. */
export type CopyingTables = TableIds | 'awaited';

/** @returns a table's name for comparisons */
export function tableId(schema: string, table: string): string {
  return JSON.stringify([schema, table]);
}

/**
 * @param tables - whose rows are still to come, before a mark
 * @param snapshot - what the mark says
 * @returns the same after it
 */
export function afterSnapshotMark(tables: CopyingTables, { reading, read, isPartial }: MarkedSnapshot): CopyingTables {
  if (isPartial === true) {
    if (reading.length === 0) return tables;
    // One that is awaited has begun; whatever else it reads is not known.
    return tables === 'awaited' ? 'all' : unionOf([tables, reading]);
  }
  // A snapshot that is awaited has not begun as long as no mark names a table.
  return tables === 'awaited' && reading.length === 0 && read.length === 0 ? tables : reading;
}

/** Whether rows of a table may be missing. */
export function isCopied(tables: CopyingTables, schema: string, table: string): boolean {
  return typeof tables === 'string' || (tables.length > 0 && tables.includes(tableId(schema, table)));
}

/** @returns tables that are in any of the lists */
export function unionOf(lists: readonly CopyingTables[]): CopyingTables {
  if (lists.includes('awaited')) return 'awaited';
  if (lists.includes('all')) return 'all';
  return [...new Set(lists.flat())].sort();
}

/** Follows the snapshots of one source, by the marks of the first lane. */
export class Copying {
  /** As of what is applied. */
  #tables: CopyingTables;
  /** What marks beyond that say, by their commit LSN. */
  #marked: { readonly lsn: Lsn; readonly snapshot: MarkedSnapshot }[] = [];
  /** Up to where marks have told of every table. */
  #knownUpto: Lsn;

  /** @param tables - as of what is applied @param applied - the cut that is applied */
  constructor(tables: CopyingTables, applied: Lsn = 0n) {
    this.#tables = tables;
    this.#knownUpto = applied;
  }

  /** Up to where it is known of which tables rows may be missing. */
  get knownUpto(): Lsn {
    return this.#knownUpto;
  }

  /** Takes what a mark of the first lane says. @param applied - the cut that is applied */
  take(lsn: Lsn, snapshot: MarkedSnapshot, applied: Lsn): void {
    if (snapshot.isPartial !== true && lsn > this.#knownUpto) this.#knownUpto = lsn;
    if (lsn <= applied) return;
    const at = this.#marked.findLastIndex((each) => each.lsn <= lsn);
    this.#marked.splice(at + 1, 0, { lsn, snapshot });
  }

  /** Forgets what marks after a fork said. */
  forget(fork: Lsn): void {
    this.#marked = this.#marked.filter(({ lsn }) => lsn <= fork);
    if (this.#knownUpto > fork) this.#knownUpto = fork;
  }

  /**
   * @param cut - the end of a batch that begins at what is applied
   * @returns tells whether rows of a table may be missing somewhere in the batch: they come later
   */
  until(cut: Lsn): (schema: string, table: string) => boolean {
    const lists: CopyingTables[] = [this.#tables];
    for (const { lsn, snapshot } of this.#marked) {
      lists.push(snapshot.reading, snapshot.read);
      if (lsn >= cut && snapshot.isPartial !== true) break;
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
      tables = afterSnapshotMark(tables, snapshot);
    }
    return tables;
  }

  /** Tells that everything up to a cut is applied. */
  release(cut: Lsn): void {
    this.#tables = this.at(cut);
    this.#marked = this.#marked.filter(({ lsn }) => lsn > cut);
  }
}
