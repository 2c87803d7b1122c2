/**
 * Applies changes up to the commit LSN that every lane was read to. A batch is a number of whole transactions of the source; it is
 * written in one transaction of the target, together with the position. Target and store of waiting changes are ports.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import type { CopyingTables } from './copying.ts';
import { Fold, type FoldedTable } from './fold.ts';
import type { Intake } from './intake.ts';
import { KeyColumns } from './key-columns.ts';
import type { WaitingRecord } from './lane.ts';
import type { Cut } from './lanes.ts';
import type { Change, Fork } from './record.ts';
import type { ShardPosition } from './shards.ts';

/** How far a replica is: what the target keeps. */
export interface Position {
  /** The target equals the source at this commit LSN. */
  readonly cut: Lsn;
  readonly cutMs: number | undefined;
  readonly source: string | undefined;
  readonly system: string | undefined;
  /** Each lane's timeline as of the position. */
  readonly timelines: readonly (number | undefined)[];
  readonly forks: readonly Fork[];
  readonly shards: ReadonlyMap<string, ShardPosition>;
  /** Tables whose rows a snapshot has not brought yet. As long as there are any, the target equals no state of the source. */
  readonly copying: CopyingTables;
}

/** @returns whether rows of a table may be missing at the target, because a snapshot brings them later */
export type AwaitsRows = (schema: string, table: string) => boolean;

/** A transaction of the target. */
export interface TargetTransaction {
  /** The batch may not go beyond this; undefined: as far as it can. */
  readonly stopAt?: Lsn | undefined;
  /**
   * Writes the changes of some tables. May be called several times.
   *
   * @param awaits - whether rows of a table may be missing, because they come later
   */
  write(tables: readonly FoldedTable[], awaits: AwaitsRows): Promise<void>;
  /** Saves the position, and commits rows and position together. */
  commit(position: Position): Promise<void>;
  /** Rolls everything back. */
  rollback(): Promise<void>;
}

/** Where changes are applied. */
export interface Target {
  /** Begins a transaction. @throws {ReplicaError} TAKEN_OVER where another replica has begun since */
  begin(): Promise<TargetTransaction>;
}

/** Where changes wait until they are applied. */
export interface WaitingStore {
  load(record: WaitingRecord<Change>): Iterable<Change>;
  release(records: readonly WaitingRecord<Change>[]): void;
}

/** What an {@link Applier} works on. */
export interface ApplierOptions {
  readonly intake: Intake;
  readonly target: Target;
  readonly store: WaitingStore;
  /** A batch ends after the transaction that brings it to this number of changes, or before one where a table's key has other columns. @default 50,000 */
  readonly batchChanges?: number;
  /** Leaves out changes that were too large for a record, instead of refusing them. @default false */
  readonly skipTruncated?: boolean;
  /** Lets other work of the process go on. @default not at all: a batch is folded in one go */
  readonly turn?: () => Promise<void>;
}

/** What a batch did. */
export interface Applied {
  readonly cut: Lsn;
  /** When it was committed at the source; undefined: unknown. */
  readonly cutMs: number | undefined;
  readonly changes: number;
  /** Changes that were left out, because they were too large for a record. */
  readonly truncated: number;
}

const BATCH_CHANGES = 50_000;
/** How many changes are folded at a time. It bounds the memory, and keeps statements small. */
const PART_CHANGES = 5_000;
/** The same in characters of records: rows may be large. Two parts are in memory: one is written while the next is folded. */
const PART_CHARS = 4 * 1024 * 1024;
/** After so many changes whatever else waits for the process is let in: the part that is being written. */
const TURN_CHANGES = 250;

/** Why nothing is applied though there is something: a row that is missing, unless a mark explains it; or a session that wants a stop. */
export type Withheld = ReplicaError | 'stop' | undefined;

/** Applies batch after batch. */
export class Applier {
  readonly #options: ApplierOptions;
  /** Nothing is applied before a mark of the first lane has come up to here. */
  #awaitedMark: Lsn = 0n;
  #withheld: Withheld;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** What the last step left, and why. */
  get withheld(): Withheld {
    return this.#withheld;
  }

  /**
   * Applies one batch. Records are taken meanwhile.
   *
   * @returns what was done; undefined: nothing, for now
   */
  async step(): Promise<Applied | undefined> {
    const { target, intake } = this.#options;
    const { lsn } = intake.lanes.cut;
    // After a failover the cut may be before the awaited mark.
    const awaited = this.#awaitedMark < lsn ? this.#awaitedMark : lsn;
    if (lsn <= intake.lanes.applied && intake.shards.hasNewTips) return await this.#saveTips();
    if (lsn <= intake.lanes.applied || intake.lanes.snapshotsKnownUpto < awaited) return undefined;
    this.#withheld = undefined;
    const transaction = await target.begin();
    // More may have come meanwhile.
    const { lanes } = intake;
    const { cut } = lanes;
    lanes.beginBatch();
    try {
      return await this.#apply(transaction, cut);
    } catch (error) {
      await transaction.rollback().catch(() => undefined);
      // What was written may have lacked changes that were taken away meanwhile.
      if (error instanceof ReplicaError && lanes.hasLost(cut.lsn)) return undefined;
      const isMissing = error instanceof ReplicaError && error.code === 'MISSING_ROW';
      if (!isMissing || lanes.snapshotsKnownUpto >= cut.lsn) throw error;
      // The next mark may say that a snapshot brings the row.
      this.#awaitedMark = cut.lsn;
      this.#withheld = error;
      return undefined;
    }
  }

  /** Nothing is to be applied. A position that is not saved meanwhile would look as if the stream had outrun it. */
  async #saveTips(): Promise<undefined> {
    const { target, intake } = this.#options;
    const transaction = await target.begin();
    try {
      const { unbegun, shards, lanes } = intake;
      // Rows that a snapshot is to bring are newer than what waits.
      const needed = unbegun?.copying === 'awaited' ? new Map<string, never>() : lanes.firstWaiting();
      await transaction.commit(
        unbegun === undefined
          ? this.#position({ lsn: lanes.applied, ms: undefined })
          : { ...unbegun, cutMs: undefined, shards: shards.unapplied(needed) },
      );
    } catch (error) {
      await transaction.rollback().catch(() => undefined);
      throw error;
    }
  }

  #position({ lsn, ms }: Cut): Position {
    const { intake } = this.#options;
    const { lanes } = intake;
    const shards = intake.shards.positions(lanes.firstWaiting());
    return {
      cut: lsn,
      cutMs: ms,
      source: intake.source,
      system: intake.system,
      timelines: lanes.timelinesAt((shard) => shards.get(shard)?.n ?? 0),
      forks: lanes.forks,
      shards,
      copying: lanes.copying.at(lsn),
    };
  }

  async #apply(transaction: TargetTransaction, most: Cut): Promise<Applied | undefined> {
    const { intake, store, batchChanges = BATCH_CHANGES, skipTruncated = false, turn } = this.#options;
    const { lanes } = intake;
    let cut = most;
    const { stopAt } = transaction;
    if (stopAt !== undefined && stopAt < cut.lsn) cut = { lsn: stopAt, ms: undefined };
    if (cut.lsn <= lanes.applied) {
      if (stopAt !== undefined) this.#withheld = 'stop';
      await transaction.rollback();
      return undefined;
    }
    const awaits = lanes.copying.until(cut.lsn);
    let changes = 0;
    let truncated = 0;
    let last: Change | undefined;
    const keys = new KeyColumns();
    const parts = new Parts((tables) => transaction.write(tables, awaits), Math.min(PART_CHANGES, batchChanges));
    try {
      for (const change of lanes.merged(cut.lsn, (record) => store.load(record))) {
        const isLeftOut = skipTruncated && change.truncated;
        // The target's key has to be changed, too. It may be as it was until here, so here is where the position has to be.
        const hasOtherKey = !isLeftOut && keys.areOther(change);
        if (last !== undefined && last.lsn !== change.lsn && (changes >= batchChanges || hasOtherKey)) {
          cut = { lsn: last.lsn, ms: last.commitMs };
          break;
        }
        last = change;
        if (isLeftOut) {
          truncated++;
          continue;
        }
        if (hasOtherKey || parts.isFull(change)) await parts.write();
        parts.add(change);
        if (++changes % TURN_CHANGES === 0) await turn?.();
      }
      await parts.write();
    } finally {
      // Also where folding failed: nothing is rolled back in the middle of a statement.
      await parts.written();
    }
    if (lanes.cut.lsn < cut.lsn || lanes.hasLost(cut.lsn)) {
      // While this was written, a mark said that the source has lost some of these changes.
      await transaction.rollback();
      return undefined;
    }
    store.release(lanes.release(cut.lsn));
    await transaction.commit(this.#position(cut));
    return { cut: cut.lsn, cutMs: cut.ms, changes, truncated };
  }
}

/** Folds changes part by part. While a part is written, the next one is folded. */
class Parts {
  readonly #write: (tables: readonly FoldedTable[]) => Promise<void>;
  readonly #most: number;
  #fold = new Fold();
  #chars = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(write: (tables: readonly FoldedTable[]) => Promise<void>, most: number) {
    this.#write = write;
    this.#most = most;
  }

  /** Whether a change begins a new part. The two halves of a key change are written together: the second takes its values from the first. */
  isFull({ oldKey }: Change): boolean {
    return oldKey === undefined && (this.#fold.changes >= this.#most || this.#chars >= PART_CHARS);
  }

  add(change: Change): void {
    this.#fold.add(change);
    this.#chars += change.size;
  }

  /** Begins to write what is folded, once the part before is written. */
  async write(): Promise<void> {
    const { tables, changes } = this.#fold;
    this.#fold = new Fold();
    this.#chars = 0;
    await this.#writing;
    if (changes === 0) return;
    this.#writing = this.#write(tables);
    // Awaited by whoever comes next. Handled here already, so that a failure before that is not an unhandled rejection.
    this.#writing.catch(() => undefined);
  }

  /** Waits for the last part. */
  async written(): Promise<void> {
    await this.#writing;
  }
}
