/**
 * Takes Kinesis records as they are read, of any shard: its changes wait in their lane, its marks tell how far the lane was
 * read. Refuses what belongs to another copy. Pure.
 */
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import type { CopyingTables } from './copying.ts';
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
  /** One a lane; empty: nothing was read yet. */
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

/** The failure where a record that is in no lane is of our source: it is of AGGREGATION=none. */
export function inNoLane(): ReplicaError {
  return new ReplicaError(
    'RECORD_UNUSABLE',
    'The stream holds changes that are in no lane, as AGGREGATION=none writes them. Nothing of them was applied.',
  );
}

/** The failure where a stream has records of another source, and nobody said which to copy. */
export function otherSource(source: string, ours: string): ReplicaError {
  return new ReplicaError(
    'STREAM_CHANGED',
    `The stream holds changes of "${source}" besides those of "${ours}", which this copy is of. Nothing of them was applied.`,
    { remedy: 'Start with --source, and a --name for each source.' },
  );
}

/** The failure where another source is asked for than the copy is of: what is asked for would be dropped as another's. */
export function renamedSource(wanted: string, ours: string): ReplicaError {
  return new ReplicaError(
    'STREAM_CHANGED',
    `The copy is of the source "${ours}", and "${wanted}" is asked for. Nothing of "${wanted}" was applied.`,
    {
      remedy: `Ask for "${ours}". Or, if it is the same database under a new name: when every shard has come to this failure, run UPDATE pg2kinesis.replica SET source = '${wanted.replaceAll("'", "''")}' with the copy's name at the target.`,
    },
  );
}

/** The failure where a copy is to go on with another source than it is of: its own would be applied as the other's. */
function otherThanCopied(wanted: string, ours: string): ReplicaError {
  return new ReplicaError(
    'STREAM_CHANGED',
    `The copy is of the source "${ours}", and "${wanted}" is asked for. Nothing was applied.`,
    {
      remedy: `Start with --source ${ours}, or with another --name for a copy of "${wanted}". Or, if it is the same database under a new name: start with --source ${ours} until everything of it is applied, run UPDATE pg2kinesis.replica SET source = '${wanted.replaceAll("'", "''")}' WHERE name = '<its name>' at the target, then start with --source ${wanted}.`,
    },
  );
}

/** The failure where the source is another server. @param applied - up to where it was copied */
export function otherServer(system: string, ours: string, applied: Lsn): ReplicaError {
  return new ReplicaError(
    'HISTORY_CHANGED',
    `The source is now another server (system identifier ${system}; this copy is of ${ours}, up to ${formatLsn(applied)}). Nothing of it was applied.`,
  );
}

/** The failure where the source has lost what is applied. @param fork - where its history left the one that was copied */
export function lostHistory(fork: Lsn, timeline: number, applied: Lsn): ReplicaError {
  return new ReplicaError(
    'HISTORY_CHANGED',
    `The source went on from ${formatLsn(fork)} on timeline ${timeline}, as after a failover to a standby that was behind, and this copy has what was committed up to ${formatLsn(applied)}. Nothing more was applied.`,
  );
}

/** The failure where nobody can tell what of the stream the source has lost, as there were no marks. @param fork - where its history left the former one */
export function doubtfulHistory(fork: Lsn, applied: Lsn): ReplicaError {
  return new ReplicaError(
    'HISTORY_CHANGED',
    `The source went to another timeline at ${formatLsn(fork)} while no marks were written, and the stream holds changes from before and after. Which of them it has lost cannot be told. What was committed after ${formatLsn(applied)} was not applied.`,
    {
      remedy:
        'Make the copy anew: load it with pg_dump, and begin with --start-after at the position of that dump (docs/replica.md).',
    },
  );
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
    if (fork !== undefined) throw lostHistory(fork, timeline, applied);
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
