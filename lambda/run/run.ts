/**
 * The run loop: batches from the slot to the stream until caught up, out of time, or at a bound.
 * Ports in, an answer out; knows no SQL, no SDK and no environment.
 *
 * A batch is one peek. Its rounds are acknowledged one after the other, and the slot follows what is acknowledged,
 * never more (I1, I2). A crash anywhere repeats records; it loses and reorders none.
 *
 * When a run stops is decided here (`#readBatches`, `#hasTime`), in the middle of a batch by `batch.ts`, for standbys by
 * `read-bound-tracker.ts`, for a stream that refuses or does not answer by `publish-queue.ts`, and after it has caught up by
 * `linger.ts`. The reasons are in `answer.ts`; which of them are errors, in `run-outcome.ts`.
 */
import type { Lsn } from '../decode/lsn.ts';
import { type ErrorCode, PipelineError } from '../errors.ts';
import { PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import { copyCounts } from '../transform/counts.ts';
import { Advancer } from './advancer.ts';
import { ageSeconds, type RunAnswer, type StopReason } from './answer.ts';
import { BatchProcessor } from './batch.ts';
import { Heartbeat } from './heartbeat.ts';
import { hasNothingToRead, Linger } from './linger.ts';
import { RunMarks } from './marks.ts';
import { type PeekPlan, PeekPlanner } from './peek-planner.ts';
import { describeStandbys, ReadBoundTracker } from './read-bound-tracker.ts';
import { ResumeKeeper } from './resume-keeper.ts';
import { CountReporter, type ReportedCounts } from './run-metrics.ts';
import type { RunOptions, RunPorts } from './run-options.ts';
import { assertProgress, createAnswer, type RunOutcome } from './run-outcome.ts';
import { SnapshotRun } from './snapshot-run.ts';
import { TimedSlot } from './timed-slot.ts';
import type { FailedPeek } from './undecodable-errors.ts';

/** How often a run that lingers says that it is well where it finds no time to say more. */
const BUSY_HEARTBEAT_MS = 75_000;
/** Failures that skip-transaction gets past. */
const SKIPPABLE: ReadonlySet<ErrorCode> = new Set([
  'DECODE_FAILED',
  'TRANSACTION_UNDECODABLE',
  'KEY_UNRESOLVED',
  'FORMAT_FAILED',
  'RECORD_TOO_LARGE',
]);
/** Kept for the answer itself, the closing of a peek and what else is not measured. */
const ANSWER_MS = 500;

/**
 * Publishes what the slot holds.
 *
 * @param ports - the session, the stream, time, log, metrics and warm state
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
  readonly #batches: BatchProcessor;
  readonly #resumes: ResumeKeeper;
  readonly #planner: PeekPlanner;
  readonly #readBound: ReadBoundTracker;
  readonly #reporter: CountReporter;
  readonly #linger: Linger | undefined;
  readonly #marks: RunMarks | undefined;
  readonly #snapshots: SnapshotRun | undefined;
  /** Up to where everything was read: ahead of the slot's position only while a snapshot holds that. */
  #readUpto: Lsn = 0n;
  #deadline: number;
  #batchCount = 0;
  #oldestUnpublishedMicros: bigint | undefined;
  #graceCutShort = false;

  constructor(given: RunPorts, options: RunOptions) {
    this.#options = options;
    this.#reporter = given.reporter ?? new CountReporter(given.metrics);
    const lingers = options.lingerDutyPercent !== undefined;
    // A run that lingers tells more of each minute, unless it has too much to do.
    const heartbeat = new Heartbeat(given.clock, given.metrics, lingers ? BUSY_HEARTBEAT_MS : undefined);
    this.#linger = this.#createLinger(given, heartbeat);
    const ports = this.#linger === undefined ? given : { ...given, session: this.#linger.withTimedSlot(given.session) };
    this.#ports = ports;
    this.#deadline = ports.warmState.deadline = options.deadline;
    this.#planner = new PeekPlanner(ports, options.maxRows);
    this.#resumes = new ResumeKeeper(ports.session.slot, ports.log);
    this.#readBound = new ReadBoundTracker({
      ...ports,
      isDrain: options.action === 'drain',
      hasTime: () => this.#hasTime(),
    });
    this.#advancer = new Advancer(ports.session.slot, ports.clock, 0n);
    this.#snapshots = this.#createSnapshots(ports);
    const reading = (): readonly string[] => this.#snapshots?.tables ?? [];
    this.#marks = options.marks && new RunMarks(options.marks, { ...ports, lingers, reading });
    this.#batches = new BatchProcessor(options, {
      ...ports,
      advancer: this.#advancer,
      snapshots: this.#snapshots,
      marks: this.#marks,
      // What follows the last round must fit in: two advances by the cost measured, and the answer (I7).
      sendingDeadline: () => this.#deadline - ANSWER_MS - 2 * this.#advancer.costMs,
      shouldStop: () => this.#shouldStop(),
      shouldHandOver: () => this.#isAwaited(),
      onAcknowledged: () => {
        heartbeat.beat(this.#batches.counts.records);
        this.#tellProgress();
      },
    });
  }

  recordCounts(): void {
    const { counts, throttledEntries, oldestUnpublishedMicros } = this.#batches;
    const { clock, metrics } = this.#ports;
    this.#reporter.report(this.#reportedCounts());
    const lagSeconds = ageSeconds(oldestUnpublishedMicros, clock.now());
    if (lagSeconds !== undefined) metrics.add('LagSeconds', lagSeconds);
    this.#ports.log.info('Published before the failure.', { ...copyCounts(counts), throttledEntries });
  }

  async execute(): Promise<RunAnswer> {
    const { session, warmState } = this.#ports;
    await this.#awaitInFlightRequests();
    this.#advancer.position = (await session.slot.position()).confirmedFlush;
    this.#snapshots?.begin(this.#advancer.position);
    this.#batches.resume = await this.#resumes.validate(this.#options.resume ?? warmState.resume);
    warmState.resume = undefined;
    let stopped: StopReason;
    try {
      if (this.#marks?.mustOpen === true && this.#hasTime()) await this.#batches.openMarks(this.#advancer.position);
      stopped = await this.#loop();
      if (this.#linger !== undefined && this.#marks !== undefined) await this.#batches.sendMarks();
      await this.#releaseSlot(stopped);
      await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
      await this.#advancer.advanceAgain();
      if (this.#options.action === 'drain' && stopped === 'caught-up' && this.#hasTime())
        await this.#batches.sealMarks(this.#advancer.position);
    } catch (error) {
      await this.#afterFailure(error);
      throw error;
    } finally {
      this.#rememberReached();
    }
    warmState.resume = await this.#resumes.next(this.#batches);
    assertProgress(this.#ports, this.#options, this.#end(stopped));
    const interrupted = stopped === 'deadline' && this.#ports.stop?.aborted === true;
    const answer = await createAnswer(this.#ports, this.#options, this.#end(interrupted ? 'interrupted' : stopped));
    const snapshot = this.#snapshots?.answer();
    return snapshot === undefined ? answer : { ...answer, snapshot };
  }

  #reportedCounts(): ReportedCounts {
    const { counts, throttledEntries } = this.#batches;
    return { ...counts, throttledEntries, snapshot: this.#snapshots?.answer() };
  }

  #tellProgress(): void {
    const { counts, throttledEntries } = this.#batches;
    this.#ports.onProgress?.(counts.published, throttledEntries, this.#snapshots?.answer());
  }

  /** Undefined where tables cannot be read beside the slot. */
  #createSnapshots({ session, clock, log, warmState, stop }: RunPorts): SnapshotRun | undefined {
    const { snapshots: source } = session;
    if (source === undefined) return undefined;
    const { action, slotName, startedAt, isSnapshot, snapshotSharePercent = 50 } = this.#options;
    const snapshots = new SnapshotRun({
      source,
      clock,
      log,
      warmState,
      slotName,
      isPatient: isSnapshot === true,
      isHeldBack: () => (this.#batches.boundary ?? 0n) > this.#advancer.position,
      onWaiting: () => this.#tellProgress(),
      ...(stop === undefined ? {} : { stop }),
      hasTime: (ms) => this.#hasTime() && clock.now() + ms < this.#batches.readingDeadline(),
      budgetMs: () => {
        if (action === 'drain') return Infinity;
        const whole = this.#linger === undefined ? this.#deadline : clock.now();
        return ((whole - startedAt) * snapshotSharePercent) / 100;
      },
    });
    this.#advancer.bound = () => snapshots.tracker.bound;
    return snapshots;
  }

  /**
   * Before the end of a run that published and could not move the slot, because it did not get as far as the next message of
   * the snapshot: the next run would do the same again, and so would every run after it.
   */
  async #releaseSlot(stopped: StopReason): Promise<void> {
    if (this.#snapshots === undefined || this.#advancer.hasAdvanced) return;
    // A run that waits for something else reads on from there once that is over, and no table has to begin anew for it.
    if (stopped !== 'deadline' && stopped !== 'throttled' && stopped !== 'caught-up') return;
    // Rows of a chunk that took too long come again, and fewer of them.
    if (this.#snapshots.tracker.isAbandoned) return;
    if ((this.#batches.boundary ?? 0n) > this.#advancer.position) await this.#snapshots.restartLater();
  }

  /** The holder that was ended may have sent a request last, which must not arrive after one of ours (I3, I6). */
  async #awaitInFlightRequests(): Promise<void> {
    const { session, clock, stop } = this.#ports;
    if (!session.tookOver) return;
    const left = Math.max(0, this.#batches.readingDeadline() - clock.now());
    // It may have been ended while this run still waited for the lock behind another.
    const since = session.tookOverAt ?? clock.now();
    const graceMs = Math.max(0, since + this.#options.inFlightGraceMs - clock.now());
    // Where the time is over first, or a stop is asked for, nothing is sent at all.
    this.#graceCutShort = left < graceMs;
    await clock.sleep(Math.min(graceMs, left), stop);
  }

  /** Sent and acknowledged, whether or not the slot could be advanced over it; and where the slot is. */
  #rememberReached(): void {
    const { warmState } = this.#ports;
    warmState.position = this.#advancer.position;
    const { boundary, progress } = this.#batches;
    for (const lsn of [this.#advancer.position, boundary, progress?.transaction.commitLsn])
      if (lsn !== undefined && lsn > (warmState.reached ?? 0n)) warmState.reached = lsn;
  }

  /** Only a run that lingers has one. */
  #createLinger({ session, clock, log, metrics, stop }: RunPorts, heartbeat: Heartbeat): Linger | undefined {
    const { lingerDutyPercent } = this.#options;
    if (lingerDutyPercent === undefined) return undefined;
    return new Linger({
      slot: new TimedSlot(session.slot, clock),
      clock,
      log,
      metrics,
      dutyPercent: lingerDutyPercent,
      ...(stop === undefined ? {} : { stop }),
      hasTime: () => this.#hasTime(),
      isAwaited: () => this.#isAwaited(),
      state: () => ({
        counts: this.#reportedCounts(),
        position: this.#readPosition,
        catalogMs: this.#batches.catalogMs,
        oldestUnpublishedMicros: this.#oldestUnpublishedMicros,
        standbys: describeStandbys(this.#readBound.awaited),
      }),
      reporter: this.#reporter,
      heartbeat,
      isDue: () => this.#snapshots?.isDue() === true || this.#marks?.isDue === true,
    });
  }

  /** Up to where there is nothing left to be read. */
  get #readPosition(): Lsn {
    const { position } = this.#advancer;
    return position > this.#readUpto ? position : this.#readUpto;
  }

  /** Batch after batch; a run that lingers goes on when there is something new. */
  async #loop(): Promise<StopReason> {
    for (;;) {
      // Marks may have been refused: a run that stayed would find them due again and again.
      if (this.#batches.refused !== undefined) return this.#batches.refused;
      const stopped = await this.#readBatches();
      if (this.#linger === undefined || !hasNothingToRead(stopped)) return stopped;
      const ended = await this.#linger.wait(stopped);
      if (ended === 'awaited') return 'handed-over';
      if (ended === 'over') return stopped;
      if (this.#marks?.isDue === true) await this.#batches.sendMarks();
      this.#readBound.renew();
    }
  }

  /** Batch after batch, and what a snapshot has to do, until there is nothing more to read for now. */
  async #readBatches(): Promise<StopReason> {
    for (;;) {
      const stopped = await this.#readToEnd();
      if (stopped !== 'caught-up' || this.#snapshots === undefined) return stopped;
      const readsOn = await this.#snapshots.step();
      // One that has ended holds the slot no more.
      await this.#advancer.advanceTo(this.#readPosition);
      if (!readsOn) return stopped;
      await this.#linger?.workedOnSnapshot(stopped);
      this.#readBound.restart();
    }
  }

  async #readToEnd(): Promise<StopReason> {
    const { session } = this.#ports;
    for (;;) {
      // Not before anything is read: after an outage several may wait, and each would give the slot to the next at once.
      if (this.#batchCount > 0 && this.#isAwaited()) return 'handed-over';
      const searching = this.#planner.search !== undefined;
      if (!searching && this.#batchCount >= (this.#options.maxBatches ?? Infinity)) return 'max-batches';
      if (!this.#hasTime()) return 'deadline';
      const slot = await session.slot.position();
      const reach = await this.#readBound.next(this.#readPosition);
      if (typeof reach === 'string') return reach;
      // Where the slot cannot follow, each peek has to reach the end: a smaller one would read the same again.
      const isHeld = this.#snapshots?.holdsSlot === true && !searching;
      const plan: PeekPlan = isHeld
        ? { position: this.#advancer.position, upto: reach.bound, rows: undefined }
        : this.#planner.next(this.#advancer.position, reach.bound);
      const { upto, rows } = plan;
      const budgetMs = this.#peekBudgetMs();
      const batch = await this.#batches.process(upto, rows, budgetMs, reach.confirmed);
      if (batch instanceof PeekTooLargeError || batch instanceof ServerDecodingError) {
        this.#onFailedPeek(plan, batch, budgetMs);
        if (isHeld) await this.#snapshots.restartLater();
        // Whole transactions may have come before a cancellation took effect: the next peek must not give them again.
        await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
        continue;
      }
      this.#planner.onPeekRead();
      if (!searching || batch.rows > 0) this.#batchCount++;
      this.#oldestUnpublishedMicros = batch.oldestUnpublishedMicros;
      if (batch.ended === 'beyond-bound') {
        await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
        this.#readBound.exhaust(reach.bound);
        continue;
      }
      if (batch.ended !== 'whole') return batch.ended;
      const full = rows !== undefined && batch.rows >= rows;
      // Only a boundary of this batch counts: an earlier one is at or before the position where it began.
      const boundary =
        batch.boundary !== undefined && batch.boundary > slot.confirmedFlush ? batch.boundary : undefined;
      // A peek that was not full saw everything up to `upto`, and all of it is acknowledged or counted: I2.
      const done = full ? boundary : upto;
      if (done !== undefined && done > this.#readUpto) this.#readUpto = done;
      if (isHeld) {
        await this.#advancer.advanceTo(upto);
        if (upto >= reach.caughtUpAt) return 'caught-up';
        continue;
      }
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
      if (!searching && !full && upto >= reach.caughtUpAt) return 'caught-up';
      if (full || upto < reach.bound) this.#readBound.restart();
    }
  }

  /** Whether this run is to give the slot to somebody who waits for it: only one that lingers would keep it for long. */
  #isAwaited(): boolean {
    return this.#linger !== undefined && this.#ports.session.isLockAwaited();
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
    const started = this.#batches.boundary === undefined && !this.#advancer.hasAdvanced;
    if (!started || this.#resumes.canResumeLater || this.#ports.stop?.aborted === true) return true;
    // Cut here, the next run would begin the same transaction again, and every run after it.
    return !this.#useFunctionDeadline(
      'The first transaction is larger than a run, and nothing says that the next run may go on with it',
    );
  }

  /** Takes the function's own deadline. The schedule's is there so that runs do not overlap, which the lock sees to as well. */
  #useFunctionDeadline(why: string): boolean {
    if (this.#deadline >= this.#options.functionDeadline) return false;
    this.#deadline = this.#ports.warmState.deadline = this.#options.functionDeadline;
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
  async #afterFailure(error: unknown): Promise<void> {
    const { session, warmState, log } = this.#ports;
    if (session.lost.aborted) return;
    try {
      // What is to be skipped has to be the first that is left.
      if (error instanceof PipelineError && SKIPPABLE.has(error.code)) await this.#snapshots?.restartLater();
      await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
      warmState.resume = await this.#resumes.next(this.#batches);
    } catch (failure) {
      log.warn(
        'After the failure the slot could not be advanced over what was acknowledged; it will be published again.',
        {
          reason: failure instanceof Error ? failure.message : String(failure),
        },
      );
    }
  }

  /** What the run's end is decided by. */
  #end(stopped: StopReason): RunOutcome {
    return {
      stopped,
      batches: this.#batches,
      planner: this.#planner,
      readBound: this.#readBound,
      batchCount: this.#batchCount,
      position: this.#advancer.position,
      advanced: this.#advancer.hasAdvanced,
      graceCutShort: this.#graceCutShort,
      usedFunctionDeadline: this.#deadline >= this.#options.functionDeadline,
      oldestUnpublishedMicros: this.#oldestUnpublishedMicros,
    };
  }
}
