/**
 * One run: it reads and publishes what the slot holds until it is caught up, out of time, or at a bound, and answers.
 * Ports in, an answer out; knows no SQL, no SDK and no environment.
 *
 * A batch is one peek. Its rounds are acknowledged one after the other, and the slot follows what is acknowledged,
 * never more (I1, I2). A crash anywhere repeats records; it loses and reorders none.
 *
 * When a run stops is decided by `read-loop.ts` and `run-deadline.ts`, in the middle of a batch by `batch.ts`, for standbys by
 * `standby-bound-tracker.ts`, for a stream that refuses or does not answer by `publish-queue.ts`, and after it has caught up by
 * `linger.ts`. Where another one has the lock, `actions/run-and-drain.ts` answers without a run. The reasons are in `stop-reason.ts`; which
 * of them are errors, in `run-outcome.ts`.
 */
import { PipelineError, SKIPPABLE_ERRORS } from '../errors.ts';
import { copyCounts } from '../transform/counts.ts';
import { Advancer } from './advancer.ts';
import { ageSeconds, type RunAnswer } from './answer.ts';
import { BatchProcessor } from './batch.ts';
import { awaitLastHolder } from './in-flight-grace.ts';
import { hasNothingToRead, type Linger } from './linger.ts';
import { MarkSender } from './mark-sender.ts';
import type { RunMarks } from './marks.ts';
import { PeekPlanner } from './peek-planner.ts';
import type { ReadAhead } from './read-ahead.ts';
import { ReadLoop } from './read-loop.ts';
import { ResumeKeeper } from './resume-keeper.ts';
import { RunDeadline } from './run-deadline.ts';
import { CountReporter, type ReportedCounts } from './run-metrics.ts';
import type { RunOptions, RunPorts } from './run-options.ts';
import { assertProgress, createAnswer, type RunOutcome } from './run-outcome.ts';
import { createHeartbeat, createLinger, createMarks, createReadAhead, createSnapshotRun } from './run-parts.ts';
import type { SnapshotRun } from './snapshot-run.ts';
import { describeStandbys, StandbyBoundTracker } from './standby-bound-tracker.ts';
import type { StopReason } from './stop-reason.ts';
import { rememberPosition } from './warm-state.ts';

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
  readonly #standbyBound: StandbyBoundTracker;
  readonly #reporter: CountReporter;
  readonly #linger: Linger | undefined;
  readonly #marks: RunMarks | undefined;
  readonly #markSender: MarkSender | undefined;
  readonly #snapshots: SnapshotRun | undefined;
  readonly #deadline: RunDeadline;
  readonly #readLoop: ReadLoop;
  readonly #ahead: ReadAhead | undefined;
  #graceCutShort = false;

  constructor(given: RunPorts, options: RunOptions) {
    this.#options = options;
    this.#reporter = given.reporter ?? new CountReporter(given.metrics);
    const heartbeat = createHeartbeat(given, options);
    this.#linger = createLinger(given, options, heartbeat, {
      hasTime: () => this.#deadline.hasTime(),
      isAwaited: () => this.#isAwaited(),
      state: () => ({
        counts: this.#reportedCounts(),
        position: this.#readLoop.position,
        catalogMs: this.#batches.catalogMs,
        oldestUnpublishedMicros: this.#readLoop.oldestUnpublishedMicros,
        standbys: describeStandbys(this.#standbyBound.awaited),
      }),
      reporter: this.#reporter,
      isDue: () => this.#snapshots?.isDue() === true || this.#marks?.isDue === true,
    });
    const ports = this.#linger === undefined ? given : { ...given, session: this.#linger.withTimedSlot(given.session) };
    this.#ports = ports;
    this.#advancer = new Advancer(ports.session.slot, ports.clock, 0n, ports.session.lost);
    this.#deadline = new RunDeadline(options, {
      ...ports,
      advancer: this.#advancer,
      readingDeadline: () => this.#batches.readingDeadline(),
    });
    this.#planner = new PeekPlanner(ports, options.maxRows);
    this.#resumes = new ResumeKeeper(ports.session.slot, ports.log);
    this.#standbyBound = new StandbyBoundTracker({
      ...ports,
      isDrain: options.action === 'drain',
      hasTime: () => this.#deadline.hasTime(),
    });
    this.#snapshots = createSnapshotRun(ports, options, {
      advancer: this.#advancer,
      deadline: this.#deadline,
      batches: () => this.#batches,
      tellProgress: () => this.#tellProgress(),
    });
    this.#marks = createMarks(ports, options, { snapshots: this.#snapshots, flush: () => this.#standbyBound.flush });
    this.#batches = new BatchProcessor(options, {
      ...ports,
      advancer: this.#advancer,
      snapshots: this.#snapshots,
      marks: this.#marks,
      sendingDeadline: () => this.#deadline.sendingDeadline(),
      shouldStop: () => this.#shouldStop(),
      shouldHandOver: () => this.#isAwaited(),
      onAcknowledged: () => {
        heartbeat.beat(this.#batches.counts.records);
        this.#tellProgress();
        this.#ahead?.endIfThrottled();
      },
    });
    this.#ahead = createReadAhead(ports, options, () => this.#batches.throttledEntries);
    this.#readLoop = new ReadLoop({
      slot: ports.session.slot,
      planner: this.#planner,
      batches: this.#batches,
      advancer: this.#advancer,
      standbyBound: this.#standbyBound,
      deadline: this.#deadline,
      snapshots: this.#snapshots,
      ahead: this.#ahead,
      isAwaited: () => this.#isAwaited(),
      maxBatches: options.maxBatches,
    });
    this.#markSender = this.#marks && new MarkSender(this.#marks, this.#batches, this.#deadline);
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
    this.#graceCutShort = await awaitLastHolder({
      ...this.#ports,
      graceMs: this.#options.inFlightGraceMs,
      readingDeadline: this.#batches.readingDeadline(),
    });
    this.#advancer.position = (await session.slot.position()).confirmedFlush;
    this.#snapshots?.begin(this.#advancer.position);
    this.#marks?.begin(this.#advancer.position);
    this.#batches.resume = await this.#resumes.validate(this.#options.resume ?? warmState.resume);
    warmState.resume = undefined;
    let stopped: StopReason;
    try {
      await this.#markSender?.open(this.#advancer.position);
      stopped = await this.#loop().finally(() => void this.#ahead?.close());
      await this.#markSender?.sendLast();
      await this.#releaseSlot(stopped);
      await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
      await this.#advancer.advanceAgain();
      const isDrained = this.#options.action === 'drain' && stopped === 'caught-up';
      await this.#markSender?.settle(this.#readLoop.position, isDrained);
    } catch (error) {
      await this.#afterFailure(error);
      throw error;
    } finally {
      const { boundary, progress } = this.#batches;
      rememberPosition(warmState, this.#advancer.position, boundary, progress?.transaction.commitLsn);
      this.#marks?.end(this.#advancer.position);
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

  /**
   * Lets the slot go: the next run reads the snapshot's chunk once more. It is for a run that published and could not move the
   * slot, because it did not get as far as the snapshot's next message. Every run after it would do the same again.
   */
  async #releaseSlot(stopped: StopReason): Promise<void> {
    if (this.#snapshots === undefined || this.#advancer.hasAdvanced) return;
    // A run that waits for something else reads on from there once that is over, and no table has to begin anew for it.
    if (stopped !== 'deadline' && stopped !== 'throttled' && stopped !== 'caught-up') return;
    // Rows of a chunk that took too long come again, and fewer of them.
    if (this.#snapshots.tracker.isAbandoned) return;
    if ((this.#batches.boundary ?? 0n) > this.#advancer.position) await this.#snapshots.restartLater();
  }

  /** Batch after batch; a run that lingers goes on when there is something new. */
  async #loop(): Promise<StopReason> {
    for (;;) {
      // Marks may have been refused: a run that stayed would find them due again and again.
      if (this.#batches.refused !== undefined) return this.#batches.refused;
      const stopped = await this.#readBatches();
      this.#marks?.readTo(this.#readLoop.position);
      if (this.#linger === undefined || !hasNothingToRead(stopped)) return stopped;
      // It may wait for long.
      if ((await this.#markSender?.settle(this.#readLoop.position)) === false) continue;
      const ended = await this.#linger.wait(stopped);
      if (ended === 'awaited') return 'handed-over';
      if (ended === 'over') return stopped;
      await this.#markSender?.sendDue();
      this.#standbyBound.renew();
    }
  }

  /** Batch after batch, and what a snapshot has to do, until there is nothing more to read for now. */
  async #readBatches(): Promise<StopReason> {
    for (;;) {
      const stopped = await this.#readLoop.readToEnd();
      if (stopped !== 'caught-up' || this.#snapshots === undefined) return stopped;
      const readsOn = await this.#snapshots.step();
      // One that has ended holds the slot no more.
      await this.#advancer.advanceTo(this.#readLoop.position);
      if (!readsOn) return stopped;
      await this.#linger?.workedOnSnapshot(stopped);
      this.#standbyBound.restart();
    }
  }

  /** Whether this run is to give the slot to somebody who waits for it: only one that lingers would keep it for long. */
  #isAwaited(): boolean {
    return this.#linger !== undefined && this.#ports.session.isLockAwaited();
  }

  /** Whether to take on no more of a batch. */
  #shouldStop(): boolean {
    if (this.#deadline.hasTime()) return false;
    const started = this.#batches.boundary === undefined && !this.#advancer.hasAdvanced;
    if (!started || this.#resumes.canResumeLater || this.#ports.stop?.aborted === true) return true;
    // Cut here, the next run would begin the same transaction again, and every run after it.
    return !this.#deadline.useFunctionDeadline(
      'The first transaction is larger than a run, and nothing says that the next run may go on with it',
    );
  }

  /** After an error: keep what is acknowledged, and let nothing hide the error itself. */
  async #afterFailure(error: unknown): Promise<void> {
    const { session, warmState, log } = this.#ports;
    if (session.lost.aborted) return;
    try {
      // What is to be skipped has to be the first that is left.
      if (error instanceof PipelineError && SKIPPABLE_ERRORS.has(error.code)) await this.#snapshots?.restartLater();
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
      standbyBound: this.#standbyBound,
      batchCount: this.#readLoop.batchCount,
      position: this.#advancer.position,
      advanced: this.#advancer.hasAdvanced,
      graceCutShort: this.#graceCutShort,
      usedFunctionDeadline: this.#deadline.isFunctionDeadline,
      oldestUnpublishedMicros: this.#readLoop.oldestUnpublishedMicros,
    };
  }
}
