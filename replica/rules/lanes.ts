/**
 * All lanes of a stream: the cut up to which every lane was read, and the changes below it in commit order. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import { Copying, type CopyingTables } from './copying.ts';
import { forkAfter, Lane, type RecordPlace, type WaitingChange, type WaitingRecord } from './lane.ts';
import type { Fork, Mark } from './record.ts';

/** Where the lanes begin. */
export interface LanesStart {
  readonly count: number;
  /** What is applied. */
  readonly cut: Lsn;
  /** Each lane's timeline as of the position that is read from; empty: unknown. */
  readonly timelines: readonly (number | undefined)[];
  readonly forks: readonly Fork[];
  /** Tables whose rows are still to come. @default none */
  readonly copying?: CopyingTables;
  /** Where nothing was read yet: what is applied was loaded by then, milliseconds since 1970. @default 0 */
  readonly loadedMs?: number;
}

/** A consistent cut: a commit LSN at which the target is to equal the source. */
export interface Cut {
  readonly lsn: Lsn;
  /** When it was committed at the source, milliseconds since 1970; undefined: unknown. */
  readonly ms: number | undefined;
}

/** The lanes of one stream. */
export class Lanes<T extends WaitingChange> {
  readonly lanes: readonly Lane<T>[];
  /** What is applied. */
  applied: Lsn;
  /** Tables whose rows a snapshot brings. */
  readonly copying: Copying;
  #forks: readonly Fork[];
  /** See {@link doubtfulFork}. */
  #doubtfulFork: Lsn | undefined;
  /** The least LSN at which a lane came to another history since the batch began; undefined: none did. */
  #left: Lsn | undefined;

  constructor(
    start: LanesStart,
    makeLane = (cut: Lsn, timeline: number | undefined, loadedMs?: number) => new Lane<T>(cut, timeline, loadedMs),
  ) {
    this.applied = start.cut;
    this.#forks = start.forks;
    this.copying = new Copying(start.copying ?? [], start.cut);
    this.lanes = Array.from({ length: start.count }, (_, i) => makeLane(start.cut, start.timelines[i], start.loadedMs));
  }

  /** The longest history of timelines that a mark has brought. */
  get forks(): readonly Fork[] {
    return this.#forks;
  }

  /** @returns whether the change was kept: false for a repeat */
  take(lane: number, change: T, place: RecordPlace): boolean {
    return this.#lane(lane).take(change, place);
  }

  /** @returns the LSN of the fork, where the target already holds changes that the source has lost */
  mark(mark: Mark, place: RecordPlace): Lsn | undefined {
    const lane = this.#lane(mark.lane);
    const { timeline } = lane;
    const lost = lane.mark(mark, place, this.applied);
    if (lost === undefined && lane.timeline === mark.timeline) {
      const fork = timeline === undefined ? undefined : forkAfter(mark.forks ?? [], timeline);
      if (fork !== undefined && fork < (this.#left ?? fork + 1n)) this.#left = fork;
      if (mark.lane === 0) {
        if (fork !== undefined) this.copying.forget(fork);
        if (mark.snapshot !== undefined) this.copying.take(mark.lsn, mark.snapshot, this.applied);
      }
    }
    if (mark.forks !== undefined && mark.forks.length > this.#forks.length) this.#forks = mark.forks;
    if (timeline === undefined && this.#isMarked) this.#lookBack();
    return lost;
  }

  /**
   * Where the server went to another timeline while no marks were written, and changes from before and after are there: nobody
   * can tell which of them it has lost. Undefined: nowhere.
   */
  get doubtfulFork(): Lsn | undefined {
    return this.#doubtfulFork;
  }

  /** Whether each lane had a mark. What came before may be of a history that the server has lost. */
  get #isMarked(): boolean {
    return this.lanes.every(({ timeline }) => timeline !== undefined);
  }

  /** Looks at what was read before the first marks, once each lane has one. */
  #lookBack(): void {
    const unmarked = this.lanes.flatMap((lane) => lane.unmarked ?? []);
    const first = unmarked.map((each) => each.first).reduce((a, b) => (a < b ? a : b), unmarked[0]?.first ?? 0n);
    for (const { last, forks } of unmarked)
      for (const [, lsn] of forks) if (first <= lsn && lsn < last) this.#doubtfulFork ??= lsn;
    for (const lane of this.lanes) lane.unmarked = undefined;
  }

  /** A batch begins: it has what all histories that were heard of have in common. */
  beginBatch(): void {
    this.#left = undefined;
  }

  /** @param cut - the end of the batch @returns whether a mark has said since it began that the source has lost some of it */
  hasLost(cut: Lsn): boolean {
    return this.#left !== undefined && this.#left < cut;
  }

  /** The LSN up to which every lane was read: whole transactions. Nothing before each lane had a mark. */
  get cut(): Cut {
    const [first, ...others] = this.lanes;
    if (first === undefined || !this.#isMarked) return { lsn: this.applied, ms: undefined };
    const least = others.reduce<Lane<T>>((a, b) => (this.readUptoOf(b) < this.readUptoOf(a) ? b : a), first);
    return { lsn: this.readUptoOf(least), ms: least.readUptoMs };
  }

  /** The greatest LSN that was read of any lane. */
  get reached(): Lsn {
    return this.lanes.reduce((most, { reached }) => (reached > most ? reached : most), this.applied);
  }

  /** Up to where it is known what a snapshot brings: the greatest mark of the first lane that tells of all its tables. */
  get snapshotsKnownUpto(): Lsn {
    return this.copying.knownUpto;
  }

  /**
   * How far a lane was read. Where the server left the lane's timeline, other changes may follow: then it counts only up to
   * there.
   */
  readUptoOf(lane: Lane<T>): Lsn {
    const fork = forkAfter(this.#forks, lane.timeline);
    return fork !== undefined && fork < lane.readUpto ? fork : lane.readUpto;
  }

  /** Everything up to a cut is applied. @returns the records that are not needed any more */
  release(applied: Lsn): WaitingRecord<T>[] {
    this.applied = applied;
    this.copying.release(applied);
    return this.lanes.flatMap((lane) => lane.release(applied));
  }

  /** Each lane's timeline at a position. @param saved - the number of the saved Kinesis record of a shard */
  timelinesAt(saved: (shard: string) => number): (number | undefined)[] {
    return this.lanes.map((lane) => lane.timelineAt(saved));
  }

  /** For each shard the first Kinesis record with a change that is not applied, or with a mark after what is applied. */
  firstWaiting(): Map<string, RecordPlace> {
    const first = new Map<string, RecordPlace>();
    for (const { waitingRecords, marks } of this.lanes) {
      for (const { place } of [...waitingRecords, ...marks]) {
        const known = first.get(place.shard);
        if (known === undefined || place.n < known.n) first.set(place.shard, place);
      }
    }
    return first;
  }

  /** The sizes of what waits: in memory, and in files. */
  get waiting(): { readonly memory: number; readonly stored: number } {
    const sizes = { memory: 0, stored: 0 };
    for (const { waitingRecords } of this.lanes) {
      for (const { size, entries } of waitingRecords) sizes[entries === undefined ? 'stored' : 'memory'] += size;
    }
    return sizes;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.lanes.every(({ waitingRecords }) => waitingRecords.length === 0);
  }

  /**
   * The changes that are not applied, up to a cut, in commit order, whatever lane they are in.
   *
   * @param upto - the cut
   * @param load - gets a record's changes, from wherever they are
   */
  *merged(upto: Lsn, load: (record: WaitingRecord<T>) => Iterable<T>): Generator<T, void> {
    const heads: Head<T>[] = [];
    for (const lane of this.lanes) {
      const head = new Head(lane.waitingRecords, this.applied, upto, load);
      if (head.next()) heads.push(head);
    }
    // A sorted array is a heap.
    heads.sort(before);
    while (heads.length > 0) {
      const [head] = heads;
      if (head?.at === undefined) return;
      yield head.at;
      if (!(head.step() || head.next())) {
        const last = heads.pop();
        if (last !== undefined && last !== head) heads[0] = last;
      }
      sink(heads);
    }
  }

  #lane(index: number): Lane<T> {
    const lane = this.lanes[index];
    if (lane === undefined) throw new RangeError(`There is no lane ${index} of ${this.lanes.length}.`);
    return lane;
  }
}

/** Compares two heads by the commit order. */
function before<T extends WaitingChange>({ at: a }: Head<T>, { at: b }: Head<T>): number {
  if (a === undefined || b === undefined) return 0;
  return a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : a.ordinal - b.ordinal;
}

/** Puts the first head of a heap where it belongs. */
function sink<T extends WaitingChange>(heads: Head<T>[]): void {
  const [moved] = heads;
  if (moved === undefined) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    let least = heads[child];
    const right = heads[child + 1];
    if (least === undefined) break;
    if (right !== undefined && before(right, least) < 0) {
      least = right;
      child++;
    }
    if (before(least, moved) >= 0) break;
    heads[at] = least;
    at = child;
  }
  heads[at] = moved;
}

/** A lane's next change, while lanes are merged. */
class Head<T extends WaitingChange> {
  at: T | undefined;
  readonly #records: readonly WaitingRecord<T>[];
  readonly #after: Lsn;
  readonly #upto: Lsn;
  readonly #load: (record: WaitingRecord<T>) => Iterable<T>;
  #recordIndex = -1;
  #entries: Iterator<T> | undefined;
  #last = 0n;

  constructor(
    records: readonly WaitingRecord<T>[],
    after: Lsn,
    upto: Lsn,
    load: (record: WaitingRecord<T>) => Iterable<T>,
  ) {
    // A copy: more records are read while this is applied.
    this.#records = records.filter(({ first }) => first <= upto);
    this.#after = after;
    this.#upto = upto;
    this.#load = load;
  }

  /** Goes on within the record. @returns false: it has no more */
  step(): boolean {
    this.at = undefined;
    for (let entry = this.#entries?.next(); entry?.done === false; entry = this.#entries?.next()) {
      const { lsn } = entry.value;
      if (lsn <= this.#after) continue;
      if (lsn > this.#upto || lsn > this.#last) break;
      this.at = entry.value;
      return true;
    }
    return false;
  }

  /** Goes on to the next record. @returns false: the lane has no more */
  next(): boolean {
    for (;;) {
      const record = this.#records[++this.#recordIndex];
      if (record === undefined) return false;
      this.#entries = this.#load(record)[Symbol.iterator]();
      this.#last = record.last;
      if (this.step()) return true;
    }
  }
}
