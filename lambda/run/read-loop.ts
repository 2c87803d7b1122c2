/**
 * Peek after peek, until there is nothing more to read for now: how much each may hold, what became of it, and how far the slot
 * may follow (I2). Knows no SQL; the rows of a peek are published by the batch processor.
 */
import type { Lsn } from '../decode/lsn.ts';
import { PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import type { Slot } from '../ports/slot.ts';
import type { Advancer } from './advancer.ts';
import type { BatchProcessor } from './batch.ts';
import type { PeekPlan, PeekPlanner } from './peek-planner.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { RunDeadline } from './run-deadline.ts';
import type { SnapshotRun } from './snapshot-run.ts';
import type { StandbyBoundTracker } from './standby-bound-tracker.ts';
import type { StopReason } from './stop-reason.ts';
import type { FailedPeek } from './undecodable-errors.ts';

/** What reading works with. */
export interface ReadLoopParts {
  readonly slot: Pick<Slot, 'position'>;
  readonly planner: PeekPlanner;
  readonly batches: Pick<BatchProcessor, 'process' | 'boundary'>;
  readonly advancer: Pick<Advancer, 'position' | 'advanceTo'>;
  readonly standbyBound: Pick<StandbyBoundTracker, 'next' | 'exhaust' | 'restart'>;
  readonly deadline: Pick<RunDeadline, 'hasTime' | 'peekBudgetMs' | 'useFunctionDeadline'>;
  /** Undefined: tables cannot be read beside the slot. */
  readonly snapshots: Pick<SnapshotRun, 'holdsSlot' | 'restartLater'> | undefined;
  /** Undefined: nothing is read ahead. */
  readonly ahead?: Pick<ReadAhead, 'weigh' | 'mostRows' | 'begin' | 'hasBegun' | 'take' | 'close'> | undefined;
  /** @returns whether somebody waits for the slot */
  readonly isAwaited: () => boolean;
  /** The most batches. @default no limit */
  readonly maxBatches?: number | undefined;
}

/** One run's reading. */
export class ReadLoop {
  /** How many peeks were read. */
  batchCount = 0;
  /** Commit time of the first transaction that is not published whole; undefined where there is none. */
  oldestUnpublishedMicros: bigint | undefined;
  readonly #parts: ReadLoopParts;
  /** Up to where everything was read: ahead of the slot's position only while a snapshot holds that. */
  #readUpto: Lsn = 0n;
  /** Where the slot was not moved to at once, as the next peek reads a copy of it. */
  #unfollowed: Lsn | undefined;

  /** @param parts - what it works with */
  constructor(parts: ReadLoopParts) {
    this.#parts = parts;
  }

  /** Up to where there is nothing left to be read. */
  get position(): Lsn {
    const { position } = this.#parts.advancer;
    return position > this.#readUpto ? position : this.#readUpto;
  }

  /** Reads until there is nothing more. @returns why it ended */
  async readToEnd(): Promise<StopReason> {
    const {
      slot,
      planner,
      batches,
      advancer,
      snapshots,
      standbyBound,
      deadline,
      ahead,
      maxBatches = Infinity,
    } = this.#parts;
    for (;;) {
      // Not before anything is read: after an outage several may wait, and each would give the slot to the next at once.
      if (this.batchCount > 0 && this.#parts.isAwaited()) return 'handed-over';
      const searching = planner.search !== undefined;
      if (!searching && this.batchCount >= maxBatches) return 'max-batches';
      if (!deadline.hasTime()) return 'deadline';
      const slotPosition = await slot.position();
      const range = await standbyBound.next(this.position);
      if (typeof range === 'string') return range;
      // Where the slot cannot follow, each peek has to reach the end: a smaller one would read the same again.
      const isHeld = snapshots?.holdsSlot === true && !searching;
      // A held slot is not followed, and a search is by smaller and smaller steps.
      if (isHeld || searching) await ahead?.close();
      const ready = await ahead?.take(this.position);
      if (ready === undefined) await this.#followAhead();
      ahead?.weigh(range.bound - this.position);
      const plan: PeekPlan = isHeld
        ? { position: advancer.position, upto: range.bound, rows: undefined }
        : (ready?.plan ?? planner.next(advancer.position, range.bound, ahead?.mostRows));
      const { upto, rows } = plan;
      const budgetMs = deadline.peekBudgetMs();
      const isLast = this.batchCount + 1 >= maxBatches;
      const batch = await batches.process({
        upto,
        rows,
        timeoutMs: budgetMs,
        confirmed: range.confirmed,
        peek: ready?.peek,
        onBlock: ({ lastCommit, rows: read, firstRowMs = 0 }) => {
          if (lastCommit === undefined || rows === undefined || isLast) return;
          // It may be all that there is, and only the WAL of others lie behind it. Behind a full peek that is unlikely.
          if (ready === undefined && read < rows / 4) return;
          const planFor = (mostRows: number) => planner.next(lastCommit, range.bound, mostRows);
          ahead?.begin(planFor, firstRowMs, deadline.peekBudgetMs());
        },
      });
      if (batch instanceof PeekTooLargeError || batch instanceof ServerDecodingError) {
        await this.#followAhead();
        this.#onFailedPeek(plan, batch, budgetMs);
        if (isHeld) await snapshots.restartLater();
        // Whole transactions may have come before a cancellation took effect: the next peek must not give them again.
        await advancer.advanceTo(batches.boundary ?? advancer.position);
        continue;
      }
      planner.onPeekRead();
      if (!searching || batch.rows > 0) this.batchCount++;
      this.oldestUnpublishedMicros = batch.oldestUnpublishedMicros;
      if (batch.ended === 'beyond-bound') {
        await advancer.advanceTo(batches.boundary ?? advancer.position);
        standbyBound.exhaust(range.bound);
        continue;
      }
      if (batch.ended !== 'whole') return batch.ended;
      const full = rows !== undefined && batch.rows >= rows;
      // Only a boundary of this batch counts: an earlier one is at or before the position where it began.
      const boundary = batch.boundary !== undefined && batch.boundary > plan.position ? batch.boundary : undefined;
      // A peek that was not full saw everything up to `upto`, and all of it is acknowledged or counted: I2.
      const done = full ? boundary : upto;
      if (done !== undefined && done > this.#readUpto) this.#readUpto = done;
      planner.succeeded(plan, {
        done,
        rowsRead: batch.rows,
        limitedBy: full ? 'rows' : upto < range.bound ? 'wal' : 'nothing',
        firstRowMs: batch.firstRowMs,
        budgetMs,
        slot: slotPosition,
      });
      // A step of a search without rows is followed by another: one advance after the last of them is enough.
      if (done !== undefined && ahead?.hasBegun(done) === true) this.#unfollowed = done;
      else if (done !== undefined && (!searching || batch.rows > 0)) await advancer.advanceTo(done);
      if (!searching && !full && upto >= range.caughtUpAt) return 'caught-up';
      if (full || upto < range.bound) standbyBound.restart();
    }
  }

  /** The slot itself is read next: it has to be where everything was read. */
  async #followAhead(): Promise<void> {
    if (this.#unfollowed !== undefined) await this.#parts.advancer.advanceTo(this.#unfollowed);
    this.#unfollowed = undefined;
  }

  /** A peek did not reach its first row. The next is smaller, or a step of a search: makes sure that there is time for it. */
  #onFailedPeek(plan: PeekPlan, error: FailedPeek, budgetMs: number): void {
    const { planner, advancer, deadline } = this.#parts;
    // The slot may have followed what came before the failure.
    const next = planner.failed({ ...plan, position: advancer.position }, error, budgetMs);
    if (next === 'first-step') {
      deadline.useFunctionDeadline('Finding the transaction takes a peek a step');
    } else if (this.batchCount === 0 && (next === 'same' || !deadline.hasTime())) {
      // Reading again from restart_lsn takes longer than this run may: the schedule would never get past it.
      deadline.useFunctionDeadline('Not even a small peek finishes in maxSeconds');
    }
  }
}
