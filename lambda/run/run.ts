/**
 * The run loop: batches from the slot to the stream until caught up, out of time, or at a bound.
 * Ports in, an answer out; knows no SQL, no SDK and no environment.
 *
 * A batch is one peek. Its rounds are acknowledged one after the other, and the slot follows what is acknowledged,
 * never more (I1, I2). A crash anywhere repeats records; it loses and reorders none.
 */
import { formatLsn } from '../decode/lsn.ts';
import { isFurther, isSameTransaction, type ResumePosition } from '../decode/position.ts';
import {
  type Clock,
  type Log,
  type Metrics,
  type Publisher,
  ServerDecodingError,
  type Session,
  WindowTooLargeError,
} from '../ports.ts';
import { copyCounts } from '../transform/counts.ts';
import { Advancer } from './advancer.ts';
import { ageSeconds, type RunAnswer, type StopReason } from './answer.ts';
import { type BatchParts, BatchReader } from './batch.ts';
import { Heartbeat } from './heartbeat.ts';
import { noProgress, searchUnfinished, transactionTooLarge } from './no-progress-errors.ts';
import { type PeekPlan, PeekPlanner } from './peek-planner.ts';
import { describeStandbys, ReadBoundTracker } from './read-bound-tracker.ts';
import { ResumeKeeper } from './resume-keeper.ts';
import { addCountMetrics } from './run-metrics.ts';
import type { FailedPeek } from './undecodable-errors.ts';
import type { WarmState } from './warm-state.ts';

/** What a run works with. */
export interface RunPorts {
  readonly session: Session;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly memory: WarmState;
  /** Asks the run to finish its round, advance and answer. */
  readonly stop?: AbortSignal;
  /** Called after each round that was acknowledged. @param published - changes of this run so far */
  readonly onProgress?: (published: number, throttledEntries: number) => void;
}

/** What a run is to do. */
export interface RunOptions extends BatchParts {
  readonly action: 'run' | 'drain';
  /** The slot's name, for the answer. */
  readonly slotName: string;
  /** When the run began, milliseconds since 1970. */
  readonly startedAt: number;
  /** When it must have answered. */
  readonly deadline: number;
  /** When the function itself ends: used in place of `deadline` where not even the smallest peek finishes by then. */
  readonly functionDeadline: number;
  /** The most batches. */
  readonly maxBatches?: number;
  /** Where to go on inside a transaction; it wins over the memory's. */
  readonly resume?: ResumePosition;
  /** BATCH_CHANGES: the most rows of one peek. */
  readonly maxRows: number;
  /** For how long after a holder was ended its last request may be in flight. */
  readonly inFlightGraceMs: number;
}

/** Kept for the answer itself, the closing of a peek and what else is not measured. */
const ANSWER_MS = 500;

/**
 * Publishes what the slot holds.
 *
 * @param ports - the session, the stream, time, log, metrics and memory
 * @param options - settings and bounds
 * @returns what was done; cut short by its deadline it succeeds with that
 * @throws {PipelineError} what an operator can act on: the slot is then advanced over everything acknowledged before
 */
export async function run(ports: RunPorts, options: RunOptions): Promise<RunAnswer> {
  const loop = new RunLoop(ports, options);
  try {
    return await loop.execute();
  } catch (error) {
    // No answer will tell what was done before, and what was left out (I9).
    loop.recordCounts();
    throw error;
  }
}

/** One run's state. */
class RunLoop {
  readonly #ports: RunPorts;
  readonly #options: RunOptions;
  readonly #advancer: Advancer;
  readonly #batches: BatchReader;
  readonly #resumes: ResumeKeeper;
  readonly #planner: PeekPlanner;
  readonly #reach: ReadBoundTracker;
  #deadline: number;
  #batchCount = 0;
  #oldestUnpublishedMicros: bigint | undefined;
  #waitedInVain = false;

  constructor(ports: RunPorts, options: RunOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#deadline = ports.memory.deadline = options.deadline;
    this.#planner = new PeekPlanner(ports, options.maxRows);
    this.#resumes = new ResumeKeeper(ports.session.slot, ports.log);
    this.#reach = new ReadBoundTracker({
      ...ports,
      isDrain: options.action === 'drain',
      hasTime: () => this.#hasTime(),
    });
    this.#advancer = new Advancer(ports.session.slot, ports.clock, 0n);
    const heartbeat = new Heartbeat(ports.clock, ports.metrics);
    this.#batches = new BatchReader(options, {
      ...ports,
      advancer: this.#advancer,
      // What follows the last round must fit in: two advances by the cost measured, and the answer (I7).
      sendingDeadline: () => this.#deadline - ANSWER_MS - 2 * this.#advancer.costMs,
      shouldStop: () => this.#shouldStop(),
      onAcknowledged: () => {
        const { counts, throttledEntries } = this.#batches;
        heartbeat.beat(counts.records);
        ports.onProgress?.(counts.published, throttledEntries);
      },
    });
  }

  recordCounts(): void {
    const { counts, throttledEntries, oldestUnpublishedMicros } = this.#batches;
    const { clock, metrics } = this.#ports;
    addCountMetrics(metrics, { ...counts, throttledEntries });
    const lagSeconds = ageSeconds(oldestUnpublishedMicros, clock.now());
    if (lagSeconds !== undefined) metrics.add('LagSeconds', lagSeconds);
    this.#ports.log.info('Done before the failure.', { ...copyCounts(counts), throttledEntries });
  }

  async execute(): Promise<RunAnswer> {
    const { session, memory } = this.#ports;
    await this.#awaitInFlightRequests();
    this.#advancer.position = (await session.slot.position()).confirmedFlush;
    this.#batches.resume = await this.#resumes.validate(this.#options.resume ?? memory.resume);
    memory.resume = undefined;
    let stopped: StopReason;
    try {
      stopped = await this.#loop();
      await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
      await this.#advancer.advanceAgain();
    } catch (error) {
      await this.#afterFailure();
      throw error;
    } finally {
      this.#rememberReached();
    }
    memory.resume = await this.#resumes.next(this.#batches);
    this.#assertProgress(stopped);
    const interrupted = stopped === 'deadline' && this.#ports.stop?.aborted === true;
    return await this.#answer(interrupted ? 'interrupted' : stopped);
  }

  /** The holder that was ended may have sent a request last, which must not arrive after one of ours (I3, I6). */
  async #awaitInFlightRequests(): Promise<void> {
    const { session, clock, stop } = this.#ports;
    if (!session.tookOver) return;
    const left = Math.max(0, this.#batches.readingDeadline() - clock.now());
    // Where the time is over first, or a stop is asked for, nothing is sent at all.
    this.#waitedInVain = left < this.#options.inFlightGraceMs;
    await clock.sleep(Math.min(this.#options.inFlightGraceMs, left), stop);
  }

  /** Sent and acknowledged, whether or not the slot could be advanced over it; and where the slot is. */
  #rememberReached(): void {
    const { memory } = this.#ports;
    memory.position = this.#advancer.position;
    const { boundary, progress } = this.#batches;
    for (const lsn of [this.#advancer.position, boundary, progress?.transaction.commitLsn])
      if (lsn !== undefined && lsn > (memory.reached ?? 0n)) memory.reached = lsn;
  }

  /** Batch after batch. */
  async #loop(): Promise<StopReason> {
    const { session } = this.#ports;
    for (;;) {
      const searching = this.#planner.search !== undefined;
      if (!searching && this.#batchCount >= (this.#options.maxBatches ?? Infinity)) return 'max-batches';
      if (!this.#hasTime()) return 'deadline';
      const slot = await session.slot.position();
      const reach = await this.#reach.next(this.#advancer.position);
      if (typeof reach === 'string') return reach;
      const plan = this.#planner.next(this.#advancer.position, reach.bound);
      const { upto, rows } = plan;
      const budgetMs = this.#peekBudgetMs();
      const batch = await this.#batches.read(upto, rows, budgetMs, reach.confirmed);
      if (batch instanceof WindowTooLargeError || batch instanceof ServerDecodingError) {
        this.#onFailedPeek(plan, batch, budgetMs);
        // Whole transactions may have come before a cancellation took effect: the next peek must not give them again.
        await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
        continue;
      }
      this.#planner.read();
      if (!searching || batch.rows > 0) this.#batchCount++;
      this.#oldestUnpublishedMicros = batch.oldestUnpublishedMicros;
      if (batch.ended === 'beyond-bound') {
        await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
        this.#reach.exhaust(reach.bound);
        continue;
      }
      if (batch.ended !== 'whole') return batch.ended;
      const full = rows !== undefined && batch.rows >= rows;
      // Only a boundary of this batch counts: an earlier one is at or before the position where it began.
      const boundary =
        batch.boundary !== undefined && batch.boundary > slot.confirmedFlush ? batch.boundary : undefined;
      // A peek that was not full saw everything up to `upto`, and all of it is acknowledged or counted: I2.
      const done = full ? boundary : upto;
      this.#planner.succeeded(plan, {
        done,
        rowsRead: batch.rows,
        limitedBy: full ? 'rows' : upto < reach.bound ? 'wal' : 'nothing',
        firstRowMs: batch.firstRowMs,
        budgetMs,
        slot,
      });
      // A step of a search without rows is followed by another: one advance after the last of them is enough.
      if (done !== undefined && (!searching || batch.rows > 0)) await this.#advancer.advanceTo(done);
      if (!searching && !full && upto >= reach.goal) return 'caught-up';
      if (full || upto < reach.bound) this.#reach.restart();
    }
  }

  /** Whether a batch is still worth beginning. */
  #hasTime(): boolean {
    const { clock, stop, session } = this.#ports;
    if (session.lost.aborted) throw session.lost.reason;
    return stop?.aborted !== true && clock.now() < this.#batches.readingDeadline();
  }

  /** Whether to take on no more of a batch. */
  #shouldStop(): boolean {
    if (this.#hasTime()) return false;
    const started = this.#batches.boundary === undefined && !this.#advancer.moved;
    if (!started || this.#resumes.canResumeLater || this.#ports.stop?.aborted === true) return true;
    // Cut here, the next run would begin the same transaction again, and every run after it.
    return !this.#useFunctionDeadline(
      'The first transaction is larger than a run, and nothing says that the next run may go on with it',
    );
  }

  /** Takes the function's own deadline. The schedule's is there so that runs do not overlap, which the lock sees to as well. */
  #useFunctionDeadline(why: string): boolean {
    if (this.#deadline >= this.#options.functionDeadline) return false;
    this.#deadline = this.#ports.memory.deadline = this.#options.functionDeadline;
    this.#ports.log.warn(`${why}: this run goes on until the deadline of the function.`, {
      remainingMs: this.#deadline - this.#ports.clock.now(),
    });
    return true;
  }

  /** How long the server may work before the first row: what is left, less a share for what it finds. */
  #peekBudgetMs(): number {
    const left = this.#batches.readingDeadline() - this.#ports.clock.now();
    return Math.max(1, Math.floor(left * 0.7));
  }

  /** A peek did not reach its first row. The next is smaller, or a step of a search: see that there is time for it. */
  #onFailedPeek(plan: PeekPlan, error: FailedPeek, budgetMs: number): void {
    // The slot may have followed what came before the failure.
    const next = this.#planner.failed({ ...plan, position: this.#advancer.position }, error, budgetMs);
    if (next === 'first-step') {
      this.#useFunctionDeadline('Finding the transaction takes a peek a step');
    } else if (this.#batchCount === 0 && (next === 'same' || (next === 'smaller' && !this.#hasTime()))) {
      // Reading again from restart_lsn takes longer than this run may: the schedule would never get past it.
      this.#useFunctionDeadline('Not even a small peek finishes in maxSeconds');
    }
  }

  /** After an error: keep what is acknowledged, and let nothing hide the error itself. */
  async #afterFailure(): Promise<void> {
    const { session, memory, log } = this.#ports;
    if (session.lost.aborted) return;
    try {
      await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
      memory.resume = await this.#resumes.next(this.#batches);
    } catch (error) {
      log.warn(
        'After the failure the slot could not be advanced over what was acknowledged; it will be published again.',
        {
          reason: error instanceof Error ? error.message : String(error),
        },
      );
    }
  }

  /** A run that did nothing at all fails, so that an alarm sees it (I7). */
  #assertProgress(stopped: StopReason): void {
    const { counts, resume, lastFailure, progress, boundary, pendingCommit, catalogMs } = this.#batches;
    const { stop, memory } = this.#ports;
    if (stop?.aborted === true) return;
    if (stopped === 'deadline' && this.#planner.search !== undefined) {
      const [after, before] = this.#planner.search.range;
      throw searchUnfinished(formatLsn(after), formatLsn(before), this.#planner.search.error);
    }
    const endless =
      stopped === 'deadline' && progress !== undefined && boundary === undefined && memory.resume === undefined;
    if (endless && !this.#advancer.moved && this.#deadline >= this.#options.functionDeadline) {
      throw transactionTooLarge(formatLsn(progress.transaction.commitLsn), counts.records);
    }
    // Rows that were only counted are progress, too, if the next run goes on after them.
    const from = progress && resume && isSameTransaction(resume, progress.transaction) ? resume : undefined;
    const further = memory.resume !== undefined && progress !== undefined && isFurther(progress, from);
    if (this.#advancer.moved || counts.records > 0 || further) return;
    if (stopped === 'caught-up' || stopped === 'max-batches' || stopped.startsWith('waiting-')) return;
    const durationMs = this.#ports.clock.now() - this.#options.startedAt;
    const [waitedInVain, undecodedMs] = [this.#waitedInVain, this.#planner.undecodedMs];
    throw noProgress({ stopped, lastFailure, pendingCommit, catalogMs, undecodedMs, durationMs, waitedInVain });
  }

  async #answer(stopped: StopReason): Promise<RunAnswer> {
    const { session, clock, memory } = this.#ports;
    const { counts, throttledEntries } = this.#batches;
    const caughtUp = stopped === 'caught-up';
    if (stopped === 'waiting-for-standby') {
      const { awaited } = this.#reach;
      const text = `Nothing more is published before these standbys have confirmed it: ${describeStandbys(awaited)}.`;
      // Under load a standby that is well may be a little behind.
      if (this.#advancer.moved && awaited.every(({ active }) => active)) this.#ports.log.info(text);
      else
        this.#ports.log.warn(
          `${text} If one is gone for good, take it out of synchronized_standby_slots and STANDBY_SLOTS.`,
        );
    }
    // A run that waits has just looked.
    const isKnown = caughtUp || stopped.startsWith('waiting-');
    const flush = isKnown ? this.#reach.flush : await session.slot.flushLsn();
    const lagBytes = caughtUp ? 0 : Math.max(0, Number(flush - this.#advancer.position));
    const lagSeconds = caughtUp || lagBytes === 0 ? 0 : ageSeconds(this.#oldestUnpublishedMicros, clock.now());
    return {
      action: this.#options.action,
      slot: this.#options.slotName,
      caughtUp,
      stopped,
      ...(stopped === 'waiting-for-standby' ? { waitsFor: this.#reach.awaited.map(({ name }) => name) } : {}),
      batches: this.#batchCount,
      ...copyCounts(counts),
      advancedTo: formatLsn(this.#advancer.position),
      lagBytes,
      ...(lagSeconds === undefined ? {} : { lagSeconds }),
      throttledEntries,
      ...(memory.resume === undefined ? {} : { resume: memory.resume }),
      durationMs: clock.now() - this.#options.startedAt,
    };
  }
}
