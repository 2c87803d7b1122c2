/**
 * What a run's answer says of a snapshot. Pure; the shape is part of the interface (docs/snapshot.md).
 */
import { isDone, rowsRead, type SnapshotProgress, tablesLeft } from '../snapshot/progress.ts';

/** What the answer says of a snapshot. */
export interface SnapshotAnswer {
  readonly id: string;
  /** Whether nothing is left to be read, or to be read once more. */
  readonly done: boolean;
  /** The table that is being read, as printed. */
  readonly table?: string;
  readonly tablesLeft: number;
  /** Of all tables, since it was asked for. */
  readonly rowsRead: number;
  /** By this run, and acknowledged. */
  readonly rowsPublished: number;
  /** Rows that this run left out: their key is larger than a record may be, or the formatter leaves them out. */
  readonly rowsLeftOut?: number;
  /** Why no rows are being read. */
  readonly waitsFor?: string;
  /** Tables that this run has ended before their last row, and why. */
  readonly givenUp?: readonly { readonly table: string; readonly why: string }[];
}

/** What one run has done for a snapshot. */
export interface SnapshotWork {
  /** How far the snapshot is. */
  readonly progress: SnapshotProgress;
  /** Whether it holds the slot: something of it is yet to be read or acknowledged. */
  readonly holdsSlot: boolean;
  /** Rows that are acknowledged. */
  readonly rowsPublished: number;
  readonly rowsLeftOut: number;
  readonly waitsFor: string | undefined;
  readonly givenUp: NonNullable<SnapshotAnswer['givenUp']>;
}

/** @param work - of one run @returns what to answer */
export function createSnapshotAnswer(work: SnapshotWork): SnapshotAnswer {
  const { progress, holdsSlot, rowsPublished, rowsLeftOut, waitsFor, givenUp } = work;
  return {
    id: progress.id,
    // Rows of the last chunk may be refused, or not acknowledged yet: the next run reads them once more.
    done: isDone(progress) && !holdsSlot,
    ...(progress.current === undefined ? {} : { table: progress.current.name }),
    tablesLeft: Math.max(holdsSlot ? 1 : 0, tablesLeft(progress)),
    rowsRead: rowsRead(progress),
    rowsPublished,
    ...(rowsLeftOut === 0 ? {} : { rowsLeftOut }),
    ...(waitsFor === undefined ? {} : { waitsFor }),
    ...(givenUp.length === 0 ? {} : { givenUp }),
  };
}
