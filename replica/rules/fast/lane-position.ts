/**
 * How far one lane is applied, where changes are applied as they come. A lane is in commit order. Its records come again after
 * a failure of the producer, or of whoever reads the stream: a change that is not after the position is a repeat. Pure.
 */
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import { afterSnapshotMark, type CopyingTables } from '../copying.ts';
import { forkAfter } from '../lane.ts';
import type { Change, Mark } from '../record.ts';

/** A place in the commit order. */
export interface CommitPlace {
  readonly lsn: Lsn;
  readonly ordinal: number;
}

/** A lane's position, as the target keeps it. */
export interface LanePosition extends CommitPlace {
  /** All records of the lane up to this commit LSN have been read. */
  readonly readUpto: Lsn;
  /** The server's timeline by the lane's last mark; undefined: there was none. */
  readonly timeline: number | undefined;
  /** When the stream took the lane's first change, milliseconds since 1970, while no mark has come; undefined: one has, or no change. */
  readonly unmarkedSinceMs: number | undefined;
  /** Tables of which a snapshot is still to bring rows in this lane. */
  readonly copying: CopyingTables;
  /** Whether rows up to here were loaded in another way, and the lane itself was not read up to here. */
  readonly isLoaded: boolean;
}

/** A lane that has records for longer than this and no mark will get none: every run is shorter, and ends with marks. */
export const MARKS_WITHIN_MS = 20 * 60_000;

/**
 * @param start - everything up to this commit LSN is applied
 * @param copying - tables whose rows are still to come
 * @param timeline - the server's, where it is known
 * @param isLoaded - whether that was loaded in another way
 */
export function positionAt(start: Lsn, copying: CopyingTables = [], timeline?: number, isLoaded = false): LanePosition {
  return { lsn: start, ordinal: Infinity, readUpto: start, timeline, unmarkedSinceMs: undefined, copying, isLoaded };
}

/** Whether a place is before another one. */
export function isBefore(a: CommitPlace, b: CommitPlace): boolean {
  return a.lsn < b.lsn || (a.lsn === b.lsn && a.ordinal < b.ordinal);
}

/**
 * @param position - of the lane
 * @param change - the next change of the lane
 * @param arrivedMs - when the stream took it
 * @returns the position after it; undefined: it is a repeat
 */
export function afterChange(
  position: LanePosition,
  change: Pick<Change, 'lsn' | 'ordinal'>,
  arrivedMs: number,
): LanePosition | undefined {
  if (!isBefore(position, change)) return undefined;
  const { lsn, ordinal } = change;
  const { readUpto, timeline, unmarkedSinceMs } = position;
  return {
    ...position,
    lsn,
    ordinal,
    // More of its transaction may follow.
    readUpto: lsn - 1n > readUpto ? lsn - 1n : readUpto,
    unmarkedSinceMs: timeline === undefined ? (unmarkedSinceMs ?? arrivedMs) : undefined,
    isLoaded: false,
  };
}

/** Whether the lane had changes for longer than any run takes, and no mark. @param arrivedMs - when the stream took the newest change */
export function lacksMarks({ unmarkedSinceMs }: LanePosition, arrivedMs: number): boolean {
  return unmarkedSinceMs !== undefined && arrivedMs - unmarkedSinceMs > MARKS_WITHIN_MS;
}

/** Whether a record came so lately that a run which would mark it may be under way. @param arrivedMs - when the stream took it */
export function isNew(arrivedMs: number, nowMs: number): boolean {
  return nowMs - arrivedMs <= MARKS_WITHIN_MS;
}

/**
 * @param position - of the lane
 * @param mark - the next record of the lane
 * @param isOlder - whether the stream took it before the copy began
 * @returns the position after it, or `lost`: the fork after which the server has lost what is applied here
 */
export function afterMark(position: LanePosition, mark: Mark, isOlder: boolean): LanePosition | { readonly lost: Lsn } {
  const { timeline, isLoaded } = position;
  // A request from before a failover arrived late: its mark does not count.
  if (timeline !== undefined && mark.timeline < timeline) return position;
  let { readUpto } = position;
  if (mark.forks !== undefined && timeline !== undefined && mark.timeline !== timeline) {
    const fork = forkAfter(mark.forks, timeline);
    if (fork !== undefined && position.lsn > fork) {
      // Rows that were loaded after the server had left its history are of the one that follows.
      if (!isLoaded || !isOlder) return { lost: fork };
    } else if (fork !== undefined && readUpto > fork) {
      // What marks said of the lost history does not hold for the one that follows.
      readUpto = fork;
    }
  }
  // Older marks come again after a crash.
  const isNewest = mark.lsn >= readUpto;
  const { snapshot } = mark;
  return {
    ...position,
    readUpto: isNewest ? mark.lsn : readUpto,
    timeline: mark.timeline,
    unmarkedSinceMs: undefined,
    copying: isNewest && snapshot !== undefined ? afterSnapshotMark(position.copying, snapshot) : position.copying,
    isLoaded: isLoaded && mark.lsn < position.lsn,
  };
}

/** @returns up to where every lane was read; undefined: one was not read at all */
export function leastReadUpto(lanes: ReadonlyMap<number, LanePosition>, count: number): Lsn | undefined {
  let least: Lsn | undefined;
  for (let lane = 0; lane < count; lane++) {
    const readUpto = lanes.get(lane)?.readUpto;
    if (readUpto === undefined) return undefined;
    if (least === undefined || readUpto < least) least = readUpto;
  }
  return least;
}
