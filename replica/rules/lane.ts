/**
 * One lane: the changes that wait in it, the commit LSN up to which it was read, and its timeline. A lane is in commit order; after
 * a crash of the producer its records come again. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import type { Fork, Mark } from './record.ts';

/** A Kinesis record that was read. */
export interface RecordPlace {
  readonly shard: string;
  /** Its number among those read of the shard since this process began, from 1. */
  readonly n: number;
  readonly sequence: string;
  readonly arrivedMs: number;
  /** The one before it in the shard: undefined where there is none. */
  readonly before: (Omit<RecordPlace, 'before'> & { readonly tipMs?: number | undefined }) | undefined;
}

/** What is kept of a change until it is applied. */
export interface WaitingChange {
  readonly lsn: Lsn;
  readonly ordinal: number;
  readonly commitMs: number;
  /** About how much memory it takes, in characters. */
  readonly size: number;
}

/** The waiting changes of one Kinesis record. */
export interface WaitingRecord<T extends WaitingChange> {
  readonly place: RecordPlace;
  /** In order; undefined while they are in a file. */
  entries: T[] | undefined;
  /** Where they are in a file: the store's own value. */
  stored: unknown;
  readonly first: Lsn;
  last: Lsn;
  /** The sizes of its changes. */
  size: number;
}

/** The place in the lane where a timeline began. */
interface TimelineStart {
  readonly place: RecordPlace;
  readonly timelineBefore: number | undefined;
}

/** Greater than every ordinal. */
const AFTER_ALL = Infinity;

/** One lane. */
export class Lane<T extends WaitingChange> {
  readonly waitingRecords: WaitingRecord<T>[] = [];
  /** All records of the lane up to this commit LSN have been read. */
  readUpto: Lsn;
  /** When that was committed, milliseconds since 1970; undefined: nothing was read yet. */
  readUptoMs: number | undefined;
  /** Up to where changes or marks of this timeline were read; 0 where rows were loaded otherwise, and nothing was read. */
  reached: Lsn;
  /** Marks above what is applied. A restart has to read them again, so they hold back the saved position of their shard. */
  marks: { readonly lsn: Lsn; readonly place: RecordPlace }[] = [];
  /** The server's timeline, by the lane's last mark; undefined before the first. */
  timeline: number | undefined;
  /** The commit LSNs of changes that were read before the first mark, and the history that this mark brought. */
  unmarked: { readonly first: Lsn; readonly last: Lsn; readonly forks: readonly Fork[] } | undefined;
  /** The last change read, in commit order. A change that is not after it is a repeat. */
  #last: { readonly lsn: Lsn; readonly ordinal: number };
  #timelineStarts: TimelineStart[] = [];
  readonly #loadedMs: number;

  /**
   * @param cut - what is applied
   * @param timeline - the lane's, as of the position that is read from
   * @param loadedMs - what is applied was loaded by then, milliseconds since 1970, if nothing was read yet
   */
  constructor(cut: Lsn, timeline: number | undefined, loadedMs = 0) {
    this.readUpto = cut;
    this.reached = timeline === undefined ? 0n : cut;
    this.#loadedMs = loadedMs;
    this.timeline = timeline;
    this.#last = { lsn: cut, ordinal: AFTER_ALL };
  }

  /**
   * Takes a change.
   *
   * @param change - the next of the lane
   * @param place - the Kinesis record that it is in
   * @returns false: a repeat, which was dropped
   */
  take(change: T, place: RecordPlace): boolean {
    if (this.isRepeat(change)) return false;
    this.#last = { lsn: change.lsn, ordinal: change.ordinal };
    if (this.timeline === undefined) {
      const { lsn } = change;
      this.unmarked = { first: this.unmarked?.first ?? lsn, last: lsn, forks: [] };
    }
    const tail = this.waitingRecords.at(-1);
    if (tail?.place === place && tail.entries !== undefined) {
      tail.entries.push(change);
      tail.last = change.lsn;
      tail.size += change.size;
    } else {
      const { lsn, size } = change;
      this.waitingRecords.push({ place, entries: [change], stored: undefined, first: lsn, last: lsn, size });
    }
    this.#advanceReadUpto(this.readUptoAfter(change), change.commitMs);
    if (change.lsn > this.reached) this.reached = change.lsn;
    return true;
  }

  /** Whether a change was read before. */
  isRepeat({ lsn, ordinal }: WaitingChange): boolean {
    return lsn < this.#last.lsn || (lsn === this.#last.lsn && ordinal <= this.#last.ordinal);
  }

  /** Up to where the lane was certainly read, by a change. More of its transaction may follow: its own commit LSN does not count. */
  readUptoAfter({ lsn }: WaitingChange): Lsn {
    return lsn - 1n;
  }

  /**
   * Takes a mark.
   *
   * @param mark - the next record of the lane
   * @param place - the Kinesis record that it is in
   * @param applied - the cut that is applied
   * @returns the LSN of the fork, where the target already holds changes after it, which the source has lost
   */
  mark(mark: Mark, place: RecordPlace, applied: Lsn): Lsn | undefined {
    // A request from before a failover arrived late: its mark does not count.
    if (this.timeline !== undefined && mark.timeline < this.timeline) return undefined;
    if (mark.forks !== undefined && mark.timeline !== this.timeline) {
      const fork = forkAfter(mark.forks, this.timeline);
      // Without a timeline nothing was read yet, so nothing can belong to a lost history.
      if (fork !== undefined && this.timeline !== undefined) {
        if (applied <= fork) this.#forget(fork);
        else if (!this.#wasLoadedAfter(place, applied)) return fork;
      }
      this.#timelineStarts.push({ place, timelineBefore: this.timeline });
    }
    if (this.timeline === undefined && this.unmarked !== undefined)
      this.unmarked = { ...this.unmarked, forks: mark.forks ?? [] };
    this.timeline = mark.timeline;
    this.#advanceReadUpto(mark.lsn, mark.commitMs);
    if (mark.lsn > this.reached) this.reached = mark.lsn;
    if (mark.lsn > applied) this.#keepMark(mark, place);
    return undefined;
  }

  /** Whether a timeline began before rows were loaded that are beyond all that was read of the one before: they are of the new one. */
  #wasLoadedAfter({ arrivedMs }: RecordPlace, applied: Lsn): boolean {
    return this.reached < applied && arrivedMs < this.#loadedMs;
  }

  /** Removes what is applied. @returns what was removed */
  release(applied: Lsn): WaitingRecord<T>[] {
    this.marks = this.marks.filter(({ lsn }) => lsn > applied);
    const end = this.waitingRecords.findIndex(({ last }) => last > applied);
    return this.waitingRecords.splice(0, end < 0 ? this.waitingRecords.length : end);
  }

  /**
   * The lane's timeline at a position: the one before the first timeline whose beginning is read again from there.
   *
   * @param saved - the number of the saved Kinesis record of a shard
   */
  timelineAt(saved: (shard: string) => number): number | undefined {
    const again = this.#timelineStarts.find(({ place }) => saved(place.shard) < place.n);
    return again === undefined ? this.timeline : again.timelineBefore;
  }

  /** Drops the changes after a fork: the source has lost them. */
  #forget(fork: Lsn): void {
    while ((this.waitingRecords.at(-1)?.first ?? fork) > fork) this.waitingRecords.pop();
    const tail = this.waitingRecords.at(-1);
    if (tail !== undefined && tail.last > fork) {
      tail.entries = tail.entries?.filter(({ lsn }) => lsn <= fork);
      // Changes in a file are left out when they are read back.
      tail.last = fork;
    }
    if (this.#last.lsn > fork) this.#last = { lsn: fork, ordinal: AFTER_ALL };
    if (this.readUpto > fork) this.readUpto = fork;
    this.marks = this.marks.filter(({ lsn }) => lsn <= fork);
  }

  /** Only the greatest mark tells how far a lane was read. Marks of the first lane also tell of snapshots: all are kept. */
  #keepMark({ lane, lsn }: Mark, place: RecordPlace): void {
    if (lane === 0) this.marks.push({ lsn, place });
    else if (lsn >= (this.marks[0]?.lsn ?? 0n)) this.marks = [{ lsn, place }];
  }

  #advanceReadUpto(lsn: Lsn, ms: number): void {
    if (lsn < this.readUpto) return;
    this.readUpto = lsn;
    this.readUptoMs = ms;
  }
}

/**
 * @param forks - a server's history
 * @param timeline - one of it; undefined: before all
 * @returns the LSN at which the history first left that timeline; undefined: it did not
 */
export function forkAfter(forks: readonly Fork[], timeline: number | undefined): Lsn | undefined {
  let least: Lsn | undefined;
  for (const [began, lsn] of forks) {
    if ((timeline === undefined || began > timeline) && (least === undefined || lsn < least)) least = lsn;
  }
  return least;
}
