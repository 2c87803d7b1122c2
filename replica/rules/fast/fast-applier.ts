/**
 * Applies Kinesis records as they come, shard by shard, without waiting for other lanes. What reaches from one lane into
 * another is seen to here: the two halves of a move, and TRUNCATE. So the copy ends equal to the source, though in between it
 * may be any mixture. Knows the target as a port.
 */
import { formatLsn, type Lsn } from '../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../errors.ts';
import { Fold, refuseUnusable } from '../fold.ts';
import {
  inNoLane,
  type KinesisRecord,
  laneOf,
  lostHistory,
  otherServer,
  otherSource,
  renamedSource,
} from '../intake.ts';
import { type Change, type Mark, readRecord } from '../record.ts';
import type { ShardPosition } from '../shards.ts';
import { type CarriedRow, type FastTarget, type FastTransaction, keyName, type TableName } from './fast-target.ts';
import {
  afterChange,
  afterMark,
  isBefore,
  lacksMarks,
  type LanePosition,
  leastReach,
  positionAt,
} from './lane-position.ts';

/** A Kinesis record, and the partition keys of its user records where they have their own. */
export interface FastRecord extends KinesisRecord {
  readonly userKeys?: readonly string[];
}

/** What a {@link FastApplier} works on. */
export interface FastApplierOptions {
  readonly target: FastTarget;
  /** The source to copy, where the stream has several. @default that of the first record */
  readonly source?: string | undefined;
  /** Leaves out moves whose old row is not there, and counts them. */
  readonly skipMissing: boolean;
}

/** What was done with records. */
export interface FastCounts {
  /** Changes that were applied, or that wait for the other half of a move. */
  changes: number;
  repeats: number;
  /** Changes older than a TRUNCATE that was applied already. */
  truncated: number;
  /** Changes that wait for the other half of a move. */
  deferred: number;
  /** Moves left out because their old row was not there. */
  missing: number;
  /** Changes and marks of other sources. */
  foreign: number;
  /** When the newest of them was committed at the source; undefined: none. */
  commitMs: number | undefined;
}

/** What became of a batch. */
export interface FastOutcome {
  readonly counts: FastCounts;
  /** How many records of it are done with. */
  readonly done: number;
  /** Why the next one is not. */
  readonly failure: ReplicaError | undefined;
  /** Keys whose changes wait for the other half of a move. */
  readonly waiting: number;
  /** Everything up to this commit LSN is applied; undefined: some lane was never read. */
  readonly appliedUpto: Lsn | undefined;
}

/** A Kinesis record, read. */
interface ReadRecord {
  readonly record: FastRecord;
  readonly items: readonly ReturnType<typeof readRecord>[];
}

/** A batch needs to be alone, and did not know. */
const ALONE = Symbol('alone');

/** See the head of the file. */
export class FastApplier {
  readonly #options: FastApplierOptions;

  constructor(options: FastApplierOptions) {
    this.#options = options;
  }

  /**
   * Applies records of one shard, in one transaction. Where one cannot be applied, those before it are.
   *
   * @param records - the next of the shard, some of which may have been applied before
   * @param shards - what is read with them
   * @throws {unknown} where nothing was applied: the target, or its connection
   */
  async apply(
    records: readonly FastRecord[],
    shards: ReadonlyMap<string, ShardPosition> = new Map(),
  ): Promise<FastOutcome> {
    const read: ReadRecord[] = [];
    let failure: ReplicaError | undefined;
    try {
      for (const record of records) read.push({ record, items: record.texts.map(readRecord) });
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error;
      failure = error;
    }
    const lanes = [...new Set(read.flatMap(({ record }) => laneOf(record.partitionKey)?.lane ?? []))];
    const reaches = read.some(({ items }) => items.some((item) => item.kind === 'change' && isAcrossLanes(item)));
    try {
      return await this.#attempt({ read, lanes, alone: reaches, failure, shards });
    } catch (error) {
      if (error !== ALONE) throw error;
      return await this.#attempt({ read, lanes, alone: true, failure, shards });
    }
  }

  async #attempt(batch: {
    readonly read: readonly ReadRecord[];
    readonly lanes: readonly number[];
    readonly alone: boolean;
    readonly failure: ReplicaError | undefined;
    readonly shards: ReadonlyMap<string, ShardPosition>;
  }): Promise<FastOutcome> {
    const { read, lanes, alone, shards } = batch;
    let { failure } = batch;
    const transaction = await this.#options.target.begin(lanes, alone);
    try {
      const work = new Work(transaction, this.#options, alone);
      let done = 0;
      for (const each of read) {
        await transaction.begin();
        try {
          await work.take(each);
        } catch (error) {
          if (!(error instanceof ReplicaError)) throw error;
          failure = error;
          await transaction.undo();
          break;
        }
        await transaction.end();
        work.keep();
        done++;
      }
      await transaction.commit(failure === undefined ? shards : new Map());
      const { waiting, lanes: positions, laneCount = 0 } = transaction.state;
      const appliedUpto = laneCount === 0 ? undefined : leastReach(positions, laneCount);
      return { counts: work.counts, done, failure, waiting: waiting.size, appliedUpto };
    } catch (error) {
      await transaction.rollback().catch(() => undefined);
      throw error;
    }
  }
}

/** Whether a change reaches into other lanes than its own. */
function isAcrossLanes({ op, oldKey, newKey }: Change): boolean {
  return op === 'TRUNCATE' || oldKey !== undefined || newKey !== undefined;
}

const noCounts = (): FastCounts => ({
  changes: 0,
  repeats: 0,
  truncated: 0,
  deferred: 0,
  missing: 0,
  foreign: 0,
  commitMs: undefined,
});

/** One batch under way. */
class Work {
  counts = noCounts();
  readonly #transaction: FastTransaction;
  readonly #options: FastApplierOptions;
  readonly #alone: boolean;
  #fold = new Fold();
  /** Of the record under way, which may be undone. */
  #drafts = noCounts();
  readonly #positions = new Map<number, LanePosition>();
  #isNoted = false;

  constructor(transaction: FastTransaction, options: FastApplierOptions, alone: boolean) {
    this.#transaction = transaction;
    this.#options = options;
    this.#alone = alone;
  }

  /** Applies a record. */
  async take({ record, items }: ReadRecord): Promise<void> {
    const { state } = this.#transaction;
    this.#fold = new Fold();
    this.#drafts = { ...this.counts };
    this.#positions.clear();
    this.#isNoted = false;
    const at = laneOf(record.partitionKey);
    const ours = items.map((item) => this.#isOurs(item.source));
    this.#drafts.foreign += ours.filter((each) => !each).length;
    if (!ours.includes(true)) return;
    if (at === undefined) throw inNoLane();
    if (!this.#isLane(at.count, items)) return;
    for (const [i, item] of items.entries()) {
      if (ours[i] !== true || item.kind === 'other') continue;
      const position = this.#positions.get(at.lane) ?? state.lanes.get(at.lane) ?? positionAt(state.start);
      if (item.kind === 'mark') {
        this.#positions.set(at.lane, this.#afterMark(position, item));
        continue;
      }
      refuseByTransaction(record.userKeys?.[i], item);
      const next = afterChange(position, item, record.arrivedMs);
      if (next === undefined) {
        this.#drafts.repeats++;
        continue;
      }
      if (lacksMarks(next, record.arrivedMs)) {
        throw new ReplicaError(
          'MARKS_MISSING',
          `The stream holds changes of more than 20 minutes in lane ${at.lane} and no marks. What comes after ${formatLsn(position.lsn)} in that lane was not applied.`,
          {
            remedy:
              'Set MARKS=on (marks in the stack). If it was set only after these changes: load the target by pg_dump, and begin the copy with START_AFTER, or --start-after, behind them (docs/replica.md).',
          },
        );
      }
      this.#positions.set(at.lane, next);
      await this.#change(item);
    }
    await this.#flush();
  }

  /** Tells that the record's part was not undone. */
  keep(): void {
    for (const [lane, position] of this.#positions) this.#transaction.state.lanes.set(lane, position);
    this.counts = this.#drafts;
  }

  #isOurs(source: string): boolean {
    const { state } = this.#transaction;
    const wanted = this.#options.source;
    state.source ??= wanted ?? source;
    if (source === state.source) return true;
    if (wanted === undefined) throw otherSource(source, state.source);
    if (source === wanted) throw renamedSource(wanted, state.source);
    return false;
  }

  /** Whether a record is of the lanes that are read; false: it was applied when there were other ones. */
  #isLane(count: number, items: ReadRecord['items']): boolean {
    const { state } = this.#transaction;
    state.laneCount ??= count;
    if (state.laneCount === count) return true;
    const changes = items.filter((item) => item.kind === 'change');
    if (changes.length > 0 && changes.every(({ lsn }) => lsn <= state.start)) return false;
    if (!this.#alone) throw ALONE as unknown as Error;
    const reaches = Array.from({ length: state.laneCount }, (_, lane) => state.lanes.get(lane)?.reach);
    const [reach] = reaches;
    if (reach === undefined || reaches.some((each) => each !== reach)) {
      throw new ReplicaError(
        'LANES_CHANGED',
        `LANES was changed from ${state.laneCount} to ${count}, and not all of the old lanes are applied up to the same mark. Nothing of the new ones was applied yet.`,
        {
          remedy:
            'After a drain this ends by itself, as soon as the other shards are read. Else make the copy anew (docs/replica.md).',
        },
      );
    }
    const timeline = state.lanes.get(0)?.timeline;
    state.start = reach;
    state.laneCount = count;
    state.lanes.clear();
    for (let lane = 0; lane < count; lane++) state.lanes.set(lane, positionAt(reach, timeline));
    return true;
  }

  #afterMark(position: LanePosition, mark: Mark): LanePosition {
    const { state } = this.#transaction;
    state.system ??= mark.system;
    if (state.system !== mark.system) throw otherServer(mark.system, state.system, position.lsn);
    const after = afterMark(position, mark);
    if ('lost' in after) throw lostHistory(after.lost, mark.timeline, position.lsn);
    return after;
  }

  async #change(change: Change): Promise<void> {
    const { state } = this.#transaction;
    this.#drafts.commitMs = Math.max(this.#drafts.commitMs ?? 0, change.commitMs);
    const isOlder = (truncation: FastTransaction['state']['truncations'][number]): boolean =>
      truncation.schema === change.schema && truncation.table === change.table && isBefore(change, truncation);
    if (state.truncations.some(isOlder)) {
      this.#drafts.truncated++;
      return;
    }
    this.#drafts.changes++;
    if (!this.#isNoted) await this.#transaction.note(change);
    this.#isNoted = true;
    if (change.op === 'TRUNCATE') {
      await this.#truncate(change);
      return;
    }
    refuseUnusable(change);
    const { key = '', newKey, oldKey } = change;
    if (state.waiting.has(keyName(change, key))) {
      await this.#defer(change);
    } else if (newKey !== undefined) {
      await this.#flush();
      await this.#transaction.park(change);
      await this.#goOn(change, [newKey]);
    } else if (oldKey !== undefined) {
      await this.#flush();
      const parked = await this.#transaction.unpark(change);
      if (parked === undefined) await this.#defer(change);
      else this.#arrive(this.#fold, change, parked.row);
    } else {
      this.#fold.add(change);
    }
  }

  async #defer(change: Change): Promise<void> {
    this.#drafts.deferred++;
    this.#transaction.state.waiting.add(keyName(change, change.key ?? ''));
    await this.#transaction.defer(change);
  }

  /** The second half of a move, with the row of the first. */
  #arrive(fold: Fold, change: Change, row: CarriedRow): void {
    if (row === undefined && change.unchanged.length > 0) {
      if (!this.#options.skipMissing) {
        throw new ReplicaError(
          'MISSING_ROW',
          `A row of ${change.schema}.${change.table} that the source gave another key without sending all columns is not at the target. Nothing of that record was applied.`,
        );
      }
      this.#drafts.missing++;
      return;
    }
    fold.carry(change, row);
    fold.add(change);
  }

  async #truncate({ schema, table, lsn, ordinal }: Change): Promise<void> {
    await this.#flush();
    const truncation = { schema, table, lsn, ordinal };
    const keys = await this.#transaction.truncate(truncation);
    this.#transaction.state.truncations.push(truncation);
    await this.#goOn(truncation, keys);
  }

  /** Applies what waits of keys, as far as it does not wait for something else. */
  async #goOn(table: TableName, keys: readonly string[]): Promise<void> {
    const transaction = this.#transaction;
    const left = [...keys];
    for (let key = left.shift(); key !== undefined; key = left.shift()) {
      const name = keyName(table, key);
      if (!transaction.state.waiting.has(name)) continue;
      const changes = await transaction.deferred(table, key);
      let last: Change | undefined;
      for (const change of changes) {
        const parked = change.oldKey === undefined ? undefined : await transaction.unpark(change);
        if (change.oldKey !== undefined && parked === undefined) break;
        // Each is of a place of its own.
        await transaction.begin();
        await transaction.note(change);
        if (change.newKey !== undefined) {
          await transaction.park(change);
          left.push(change.newKey);
        } else {
          const fold = new Fold();
          if (parked === undefined) fold.add(change);
          else this.#arrive(fold, change, parked.row);
          await transaction.write(fold.tables);
        }
        await transaction.end();
        last = change;
      }
      if (last !== undefined) await transaction.forget(table, key, last);
      if (last === changes.at(-1)) transaction.state.waiting.delete(name);
    }
  }

  async #flush(): Promise<void> {
    if (this.#fold.changes > 0) await this.#transaction.write(this.#fold.tables);
    this.#fold = new Fold();
  }
}

/** A transaction id as a partition key says that a key's records are in many lanes: then they have no order. */
function refuseByTransaction(userKey: string | undefined, { source }: Change): void {
  if (userKey === undefined || userKey === source || !/^\d+$/.test(userKey)) return;
  throw new ReplicaError(
    'RECORD_UNUSABLE',
    'The stream is written with PARTITION_BY=transaction, which puts the changes of one row into many lanes. They cannot be applied lane by lane. Nothing of them was applied.',
    { remedy: 'Publish with PARTITION_BY=primary-key, or copy without --fast.' },
  );
}
