/**
 * Takes Kinesis records as they are read, of any shard: its changes wait in their lane, its marks tell how far the lane was
 * read. Refuses what belongs to another copy. Pure.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import type { CopyingTables } from './copying.ts';
import { doubtfulHistory, inNoLane, lostHistory, otherServer, otherSource, otherThanCopied } from './intake-errors.ts';
import { forkAfter } from './lane.ts';
import { Lanes } from './lanes.ts';
import { type Change, type Mark, type Other, readRecord } from './record.ts';
import type { ShardPosition, Shards } from './shards.ts';
import { Unmarked } from './unmarked.ts';

/** A Kinesis record, unpacked. */
export interface KinesisRecord {
  readonly shard: string;
  readonly sequence: string;
  readonly arrivedMs: number;
  /** Its partition key: the lane's name. */
  readonly partitionKey: string;
  /** Its user records. */
  readonly texts: readonly string[];
}

/** How far a replica is, as the target keeps it. */
export interface SavedPosition {
  readonly cut: Lsn;
  readonly source: string | undefined;
  /** The server's system identifier. */
  readonly system: string | undefined;
  /** One a lane; empty: nothing was applied yet. */
  readonly timelines: readonly (number | undefined)[];
  readonly forks: readonly (readonly [number, Lsn])[];
  readonly shards: ReadonlyMap<string, ShardPosition>;
  /** Tables whose rows are still to come. @default none */
  readonly copying?: CopyingTables;
  /** When it was saved, milliseconds since 1970: by then rows were loaded that come from elsewhere. @default 0 */
  readonly savedAtMs?: number;
}

/** What was read since this process began. */
export interface IntakeCounts {
  changes: number;
  marks: number;
  repeats: number;
  /** Logical messages, and records of other sources. */
  leftOut: number;
}

/** The name of a lane: the partition key of its Kinesis records. */
const LANE_NAME = /^lane-(\d{1,3})-of-(\d{1,3})$/;

/** @param partitionKey - a Kinesis record's @returns its lane; undefined where it is in none */
export function laneOf(partitionKey: string): { readonly lane: number; readonly count: number } | undefined {
  const [, lane, count] = LANE_NAME.exec(partitionKey) ?? [];
  return lane === undefined ? undefined : { lane: Number(lane), count: Number(count) };
}

/** Takes the records of all shards. */
export class Intake {
  readonly shards: Shards;
  readonly counts: IntakeCounts = { changes: 0, marks: 0, repeats: 0, leftOut: 0 };
  lanes: Lanes<Change>;
  /** The source that is copied; undefined: that of the first record. */
  source: string | undefined;
  system: string | undefined;
  /** What was read before the first mark. */
  readonly unmarked = new Unmarked();
  /** By lane, what was read after its last mark. */
  readonly #afterMark = new Map<number, Unmarked>();
  readonly #onlySource: boolean;
  readonly #saved: SavedPosition;
  readonly #loadedMs: number;
  readonly #makeLanes: (start: ConstructorParameters<typeof Lanes<Change>>[0]) => Lanes<Change>;

  /**
   * @param saved - where to continue
   * @param shards - of the stream
   * @param source - the source to copy, where the stream has several; others are left out
   * @throws {ReplicaError} STREAM_CHANGED where the copy is of another source
   */
  constructor(
    saved: SavedPosition,
    shards: Shards,
    source?: string,
    makeLanes = (start: ConstructorParameters<typeof Lanes<Change>>[0]) => new Lanes<Change>(start),
  ) {
    this.shards = shards;
    this.#saved = saved;
    if (source !== undefined && saved.source !== undefined && source !== saved.source)
      throw otherThanCopied(source, saved.source);
    this.source = source ?? saved.source;
    this.#onlySource = source !== undefined;
    this.system = saved.system;
    this.#makeLanes = makeLanes;
    const { cut, timelines, forks, copying = [], savedAtMs = 0 } = saved;
    this.#loadedMs = timelines.length === 0 ? savedAtMs : 0;
    this.lanes = makeLanes({ count: timelines.length, cut, timelines, forks, copying });
  }

  /**
   * Takes a Kinesis record.
   *
   * @param record - the next of its shard
   * @returns false: it cannot be taken yet. Give it again when more was applied; its shard waits until then
   * @throws {ReplicaError} HISTORY_CHANGED, STREAM_CHANGED, RECORD_UNUSABLE
   */
  take(record: KinesisRecord): boolean {
    const at = laneOf(record.partitionKey);
    if (at === undefined) return this.#takeUnlaned(record);
    const { lane, count } = at;
    const changes: Change[] = [];
    const records = record.texts.map(readRecord).filter((each) => this.#isOurs(each.source));
    for (const each of records) if (each.kind === 'change') changes.push(each);
    if (count !== this.lanes.lanes.length && records.length > 0) {
      if (this.#saysNothingNew(records)) return this.#pass(record);
      if (!this.#changeLanes(count)) return false;
    }
    const place = this.shards.addRecord(record.shard, record.sequence, record.arrivedMs);
    let afterMark = this.#afterMark.get(lane);
    for (const each of records) {
      if (each.kind === 'mark') {
        this.#refuseDoubtful(each);
        this.#mark(each, () => this.lanes.mark(each, place));
        this.#afterMark.delete(each.lane);
        if (each.lane === lane) afterMark = undefined;
      } else if (each.kind === 'change') {
        if (this.counts.marks === 0) this.unmarked.take(each, record.arrivedMs);
        if (this.lanes.take(lane, each, place)) {
          this.counts.changes++;
          if (afterMark === undefined) this.#afterMark.set(lane, (afterMark = new Unmarked()));
          afterMark.take(each, record.arrivedMs);
        } else this.counts.repeats++;
      } else this.counts.leftOut++;
    }
    return true;
  }

  /** Where a copy began of which nothing is applied yet: all that is known besides is read again. Undefined: something is. */
  get unbegun(): (SavedPosition & { readonly copying: CopyingTables }) | undefined {
    const { timelines, cut, copying = [] } = this.#saved;
    return timelines.length === 0 && this.lanes.applied === cut ? { ...this.#saved, copying } : undefined;
  }

  /** Whether a lane has changes behind its last mark. */
  get isUnmarked(): boolean {
    return this.#afterMark.size > 0;
  }

  /** Whether a lane has changes behind its last mark that a producer with `MARKS=on` would have marked by now. */
  get lacksNextMark(): boolean {
    return [...this.#afterMark.values()].some((lane) => lane.lacksMarks);
  }

  /**
   * Whether records of another number of lanes are about what is applied. They are read again, from a position before LANES was
   * changed, or begin the new lanes: neither is a reason to change to them.
   */
  #saysNothingNew(records: readonly (Change | Mark | Other)[]): boolean {
    const { applied, lanes } = this.lanes;
    if (lanes.length === 0) return false;
    const timelines = lanes.flatMap(({ timeline }) => timeline ?? []);
    const isKnown = ({ system, timeline }: Mark): boolean =>
      system === this.system && (timelines.length === 0 || timelines.some((known) => timeline <= known));
    return records.every((each) => {
      if (each.kind === 'mark') return each.lsn <= applied && isKnown(each);
      return each.kind !== 'change' || each.lsn <= applied;
    });
  }

  /** A record that is in no lane is of another publisher, or of AGGREGATION=none. */
  #takeUnlaned(record: KinesisRecord): boolean {
    const ours = record.texts.map(readRecord).filter(({ source }) => this.#isOurs(source));
    if (ours.length > 0) throw inNoLane();
    return this.#pass(record);
  }

  #pass({ shard, sequence, arrivedMs }: KinesisRecord): true {
    this.shards.addRecord(shard, sequence, arrivedMs);
    return true;
  }

  #isOurs(source: string): boolean {
    this.source ??= source;
    if (source === this.source) return true;
    if (!this.#onlySource) throw otherSource(source, this.source);
    this.counts.leftOut++;
    return false;
  }

  /**
   * A mark of another timeline takes away what its lane holds behind the fork. If no marks were written for long, that may as well
   * be of this timeline.
   */
  #refuseDoubtful({ lane: index, timeline, forks }: Mark): void {
    const { applied, lanes } = this.lanes;
    const lane = lanes[index];
    if (lane?.timeline === undefined || timeline <= lane.timeline) return;
    const fork = forkAfter(forks ?? [], lane.timeline);
    const isBehind = fork !== undefined && applied <= fork && (lane.waitingRecords.at(-1)?.last ?? fork) > fork;
    if (isBehind && this.#afterMark.get(index)?.lacksMarks === true) throw doubtfulHistory(fork, applied);
  }

  #mark(mark: Mark, take: () => Lsn | undefined): void {
    this.counts.marks++;
    const { system, timeline } = mark;
    this.system ??= system;
    const { applied } = this.lanes;
    if (this.system !== system) throw otherServer(system, this.system, applied);
    const fork = take();
    if (fork !== undefined) throw lostHistory(fork, timeline, applied, this.lanes.reached);
    const { doubtfulFork } = this.lanes;
    if (doubtfulFork !== undefined) throw doubtfulHistory(doubtfulFork, applied);
  }

  /**
   * Changes to another number of lanes: once all old ones were read and applied up to the same mark. A drain's last marks
   * are before all records of the new lanes, in each shard.
   */
  #changeLanes(count: number): boolean {
    const { lanes, applied, forks, copying } = this.lanes;
    const [first] = lanes;
    if (!this.lanes.isEmpty || lanes.some(({ readUpto }) => readUpto !== applied)) return false;
    const timelines = Array.from({ length: count }, () => first?.timeline);
    this.#afterMark.clear();
    this.lanes = this.#makeLanes({
      count,
      cut: applied,
      timelines,
      forks,
      copying: copying.at(applied),
      loadedMs: this.#loadedMs,
    });
    return true;
  }
}
