/**
 * One lane as it is read: what waits in it, how far it reaches, and its timeline. A lane is in commit order; its records come
 * again after a crash of the producer. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import type { Fork, Mark } from './record.ts';

/** A Kinesis record that was read. */
export interface Place {
  readonly shard: string;
  /** Its number among those read of the shard since this process began, from 1. */
  readonly n: number;
  readonly sequence: string;
  readonly arrivedMs: number;
  /** The one before it in the shard: undefined where there is none. */
  readonly before: Omit<Place, 'before'> | undefined;
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
  readonly place: Place;
  /** In order; undefined while they are in a file. */
  entries: T[] | undefined;
  /** Where they are then: a handle of whoever wrote the file. */
  stored: unknown;
  readonly first: Lsn;
  last: Lsn;
  /** The sizes of its changes. */
  size: number;
}

/** A timeline that began in the lane. */
interface Opening {
  readonly place: Place;
  readonly timelineBefore: number | undefined;
}

/** Ordinals are below it. */
const AFTER_ALL = Infinity;

/** See the head of the file. */
export class Lane<T extends WaitingChange> {
  readonly waitingRecords: WaitingRecord<T>[] = [];
  /** All records of the lane up to this commit LSN have been read. */
  readUpto: Lsn;
  /** When that was committed, milliseconds since 1970; undefined: nothing was read yet. */
  readUptoMs: number | undefined;
  /** The commit LSN of the greatest mark read. */
  marked: Lsn;
  /** Marks above what is applied: one that is not read again after a restart is lost to the lane. */
  marks: { readonly lsn: Lsn; readonly place: Place }[] = [];
  /** The server's timeline, by the lane's last mark; undefined before the first. */
  timeline: number | undefined;
  /** The greatest change read. What is not above it is a repeat. */
  #last: { readonly lsn: Lsn; readonly ordinal: number };
  #openings: Opening[] = [];

  /**
   * @param cut - what is applied
   * @param timeline - the lane's, as of the position that is read from
   */
  constructor(cut: Lsn, timeline: number | undefined) {
    this.readUpto = cut;
    this.marked = cut;
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
  take(change: T, place: Place): boolean {
    if (this.isRepeat(change)) return false;
    this.#last = { lsn: change.lsn, ordinal: change.ordinal };
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
    return true;
  }

  /** Whether a change is not above what was read of the lane. */
  isRepeat({ lsn, ordinal }: WaitingChange): boolean {
    return lsn < this.#last.lsn || (lsn === this.#last.lsn && ordinal <= this.#last.ordinal);
  }

  /** How far a change shows that the lane was read. Its transaction may go on, so not up to its own commit LSN. */
  readUptoAfter({ lsn }: WaitingChange): Lsn {
    return lsn - 1n;
  }

  /**
   * Takes a mark.
   *
   * @param mark - the next record of the lane
   * @param place - the Kinesis record that it is in
   * @param applied - the cut that is applied
   * @returns the fork, where the target holds changes from behind it, which the source has lost
   */
  mark(mark: Mark, place: Place, applied: Lsn): Lsn | undefined {
    // A request of before a failover that came late: nothing of it counts.
    if (this.timeline !== undefined && mark.timeline < this.timeline) return undefined;
    if (mark.forks !== undefined && mark.timeline !== this.timeline) {
      const fork = forkAfter(mark.forks, this.timeline);
      // Without a timeline nothing was read before that could be of a lost history.
      if (fork !== undefined && this.timeline !== undefined) {
        if (applied > fork) return fork;
        this.#forget(fork);
      }
      this.#openings.push({ place, timelineBefore: this.timeline });
    }
    this.timeline = mark.timeline;
    this.#advanceReadUpto(mark.lsn, mark.commitMs);
    if (mark.lsn > this.marked) this.marked = mark.lsn;
    if (mark.lsn > applied) this.#keepMark(mark, place);
    return undefined;
  }

  /** Forgets what is applied. @returns what is not needed any more */
  release(applied: Lsn): WaitingRecord<T>[] {
    this.marks = this.marks.filter(({ lsn }) => lsn > applied);
    const end = this.waitingRecords.findIndex(({ last }) => last > applied);
    return this.waitingRecords.splice(0, end < 0 ? this.waitingRecords.length : end);
  }

  /**
   * The lane's timeline at a position: the one before the first opening that is read again from there.
   *
   * @param saved - the number of the saved Kinesis record of a shard
   */
  timelineAt(saved: (shard: string) => number): number | undefined {
    const again = this.#openings.find(({ place }) => saved(place.shard) < place.n);
    return again === undefined ? this.timeline : again.timelineBefore;
  }

  /** Drops what is above a fork: the source has lost it. */
  #forget(fork: Lsn): void {
    while ((this.waitingRecords.at(-1)?.first ?? fork) > fork) this.waitingRecords.pop();
    const tail = this.waitingRecords.at(-1);
    if (tail !== undefined && tail.last > fork) {
      tail.entries = tail.entries?.filter(({ lsn }) => lsn <= fork);
      // What is in a file is left out when it is read.
      tail.last = fork;
    }
    if (this.#last.lsn > fork) this.#last = { lsn: fork, ordinal: AFTER_ALL };
    if (this.readUpto > fork) this.readUpto = fork;
    if (this.marked > fork) this.marked = fork;
    this.marks = this.marks.filter(({ lsn }) => lsn <= fork);
  }

  /** Of all lanes the greatest tells how far they were read. Those of the first lane tell of snapshots, too: each counts. */
  #keepMark({ lane, lsn }: Mark, place: Place): void {
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
 * @returns where the history first left that timeline; undefined: it did not
 */
export function forkAfter(forks: readonly Fork[], timeline: number | undefined): Lsn | undefined {
  let least: Lsn | undefined;
  for (const [began, lsn] of forks) {
    if ((timeline === undefined || began > timeline) && (least === undefined || lsn < least)) least = lsn;
  }
  return least;
}
