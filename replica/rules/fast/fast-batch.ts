/**
 * One batch of Kinesis records under way: which of their changes are applied, which are repeats, and which wait for the other
 * half of a move. Knows the target as a transaction, and no stream.
 */
import type { AwaitsRows } from '../applier.ts';
import { isCopied } from '../copying.ts';
import { Fold, refuseUnusable } from '../fold.ts';
import { type KinesisRecord, laneOf } from '../intake.ts';
import { inNoLane, lostHistory, otherServer, otherSource, renamedSource } from '../intake-errors.ts';
import { KeyColumns } from '../key-columns.ts';
import type { Change, Mark, readRecord } from '../record.ts';
import { marksMissing, missingRow, refuseByTransaction } from './fast-errors.ts';
import {
  type CarriedRow,
  type DeferredChange,
  type FastTarget,
  type FastTransaction,
  keyName,
  laneStart,
  type TableName,
} from './fast-target.ts';
import { isOfLanes, settled } from './lane-count.ts';
import { afterChange, afterMark, isBefore, isNew, lacksMarks, type LanePosition } from './lane-position.ts';

/** A Kinesis record, and the partition keys of its user records where they have their own. */
export interface FastRecord extends KinesisRecord {
  readonly userKeys?: readonly string[];
}

/** What records are applied to, and how. */
export interface FastApplierOptions {
  readonly target: FastTarget;
  /** The source to copy, where the stream has several. @default that of the first record */
  readonly source?: string | undefined;
  /** Leaves out updates whose old row is not there, and counts them. */
  readonly skipMissing: boolean;
  /** Leaves out changes that were too large for a record, and counts them. @default false */
  readonly skipTruncated?: boolean;
  /** @returns milliseconds since 1970 @default every record is as new as can be */
  readonly now?: () => number;
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
  /** Updates left out because their old row was not there. */
  missing: number;
  /** The same, where a snapshot is to bring the row. */
  awaitingRead: number;
  /** Changes left out because they were too large for a record. */
  tooLarge: number;
  /** Changes and marks of other sources. */
  foreign: number;
  /** When the newest of them was committed at the source; undefined: none. */
  commitMs: number | undefined;
}

/** A Kinesis record, read. */
export interface ReadRecord {
  readonly record: FastRecord;
  readonly items: readonly ReturnType<typeof readRecord>[];
}

const noCounts = (): FastCounts => ({
  changes: 0,
  repeats: 0,
  truncated: 0,
  deferred: 0,
  missing: 0,
  awaitingRead: 0,
  tooLarge: 0,
  foreign: 0,
  commitMs: undefined,
});

/** One batch under way, in one transaction of the target. */
export class FastBatch {
  /** What was done with the records that are kept. */
  counts = noCounts();
  readonly #transaction: FastTransaction;
  readonly #options: FastApplierOptions;
  readonly #alone: boolean;
  readonly #marked: ReadonlySet<number>;
  #fold = new Fold();
  readonly #keys = new KeyColumns();
  /** The same, with the record that is being applied, which may be undone. */
  #drafts = noCounts();
  readonly #positions = new Map<number, LanePosition>();
  /** Whether rows of a table may be missing in the lane, because a snapshot brings them later. */
  #awaits: AwaitsRows = () => false;
  /** Whether the place of the record's changes is noted at the target. */
  #isNoted = false;

  /**
   * @param transaction - of the target
   * @param options - what records are applied to, and how
   * @param alone - whether no other batch is under way
   * @param marked - lanes of which the batch has a mark
   */
  constructor(
    transaction: FastTransaction,
    options: FastApplierOptions,
    alone: boolean,
    marked: ReadonlySet<number> = new Set(),
  ) {
    this.#marked = marked;
    this.#transaction = transaction;
    this.#options = options;
    this.#alone = alone;
  }

  /**
   * Applies a record.
   *
   * @param record - the next of its shard
   * @throws {ReplicaError} where it cannot be applied: its part of the transaction is to be undone
   * @throws {MustBeAloneError} where the batch has to be begun again
   */
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
    if (!isOfLanes(state, at.count, items, this.#alone)) return;
    for (const [i, item] of items.entries()) {
      if (ours[i] !== true || item.kind === 'other') continue;
      const position = this.#positions.get(at.lane) ?? state.lanes.get(at.lane) ?? laneStart(state);
      if (item.kind === 'mark') {
        const after = this.#afterMark(position, item, record.arrivedMs);
        // What was told before it may lack other rows than what comes behind it.
        if (after.copying !== position.copying) await this.#flush();
        this.#positions.set(at.lane, after);
        continue;
      }
      this.#awaits = (schema, table) => isCopied(position.copying, schema, table);
      refuseByTransaction(record.userKeys?.[i], item);
      const next = afterChange(position, item, record.arrivedMs);
      if (next === undefined) {
        this.#drafts.repeats++;
        continue;
      }
      // Old records may have marks after them: MARKS was set later. Without any, this comes back as soon as the records are new.
      const { now = () => record.arrivedMs } = this.#options;
      if (!this.#marked.has(at.lane) && isNew(record.arrivedMs, now()) && lacksMarks(next, record.arrivedMs)) {
        throw marksMissing(at.lane, position.lsn);
      }
      this.#positions.set(at.lane, next);
      await this.#change(item);
    }
    await this.#flush();
  }

  /** Counts the record that was taken last: its part of the transaction is kept. */
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

  #afterMark(position: LanePosition, mark: Mark, arrivedMs: number): LanePosition {
    const { state } = this.#transaction;
    state.system = settled(state.system, mark.system, this.#alone);
    if (state.system !== mark.system) throw otherServer(mark.system, state.system, position.lsn);
    const after = afterMark(position, mark, arrivedMs < state.begunMs);
    if ('lost' in after) {
      const { lsn, readUpto } = position;
      throw lostHistory(after.lost, mark.timeline, lsn, lsn > readUpto ? lsn : readUpto);
    }
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
    const isLeftOut = change.truncated && this.#options.skipTruncated === true;
    if (isLeftOut && change.oldKey === undefined) {
      this.#drafts.tooLarge++;
      return;
    }
    this.#drafts.changes++;
    if (!this.#isNoted) await this.#transaction.note(change);
    this.#isNoted = true;
    if (change.op === 'TRUNCATE') {
      await this.#truncate(change);
      return;
    }
    if (!isLeftOut) refuseUnusable(change);
    const { schema, table, key = '', newKey, oldKey } = change;
    const awaitsRead = this.#awaits(schema, table);
    if (state.waiting.has(keyName(change, key))) {
      await this.#defer({ change, awaitsRead });
    } else if (newKey !== undefined) {
      await this.#flush();
      await this.#transaction.park(change);
      await this.#goOn(change, [newKey]);
    } else if (oldKey !== undefined) {
      await this.#flush();
      const parked = await this.#transaction.unpark(change);
      if (parked === undefined) await this.#defer({ change, awaitsRead });
      else this.#arrive(this.#fold, { change, awaitsRead }, parked.row);
    } else {
      if (this.#keys.areOther(change)) await this.#flush();
      this.#fold.add(change);
    }
  }

  async #defer(deferred: DeferredChange): Promise<void> {
    const { change } = deferred;
    this.#drafts.deferred++;
    this.#transaction.state.isWaiting = true;
    this.#transaction.state.waiting.add(keyName(change, change.key ?? ''));
    await this.#transaction.defer(deferred);
  }

  /** The second half of a move, with the row of the first. */
  #arrive(fold: Fold, { change, awaitsRead }: DeferredChange, row: CarriedRow): void {
    if (change.truncated && this.#options.skipTruncated === true) {
      this.#drafts.tooLarge++;
      return;
    }
    if (row === undefined && change.unchanged.length > 0) {
      if (awaitsRead) this.#drafts.awaitingRead++;
      else if (this.#options.skipMissing) this.#drafts.missing++;
      else throw missingRow(change);
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

  /** Applies the waiting changes of some keys, each key's up to the first one that waits for another row. */
  async #goOn(table: TableName, keys: readonly string[]): Promise<void> {
    const transaction = this.#transaction;
    const left = [...keys];
    for (let key = left.shift(); key !== undefined; key = left.shift()) {
      const name = keyName(table, key);
      if (!transaction.state.isWaiting) return;
      const changes = await transaction.deferred(table, key);
      let last: DeferredChange | undefined;
      for (const deferred of changes) {
        const { change, awaitsRead } = deferred;
        const parked = change.oldKey === undefined ? undefined : await transaction.unpark(change);
        if (change.oldKey !== undefined && parked === undefined) break;
        // Each has its own place in the commit order, so it is a part of its own.
        await transaction.begin();
        await transaction.note(change);
        if (change.newKey !== undefined) {
          await transaction.park(change);
          left.push(change.newKey);
        } else {
          const fold = new Fold();
          if (parked === undefined) fold.add(change);
          else this.#arrive(fold, deferred, parked.row);
          await this.#write(fold, () => awaitsRead);
        }
        await transaction.end();
        last = deferred;
      }
      if (last !== undefined) await transaction.forget(table, key, last.change);
      if (last === changes.at(-1)) transaction.state.waiting.delete(name);
    }
  }

  async #flush(): Promise<void> {
    if (this.#fold.changes > 0) await this.#write(this.#fold, this.#awaits);
    this.#fold = new Fold();
  }

  async #write(fold: Fold, awaits: AwaitsRows): Promise<void> {
    const { missing, awaitingRead } = await this.#transaction.write(fold.tables, awaits);
    this.#drafts.missing += missing;
    this.#drafts.awaitingRead += awaitingRead;
  }
}
