/**
 * The run loop: batches from the slot to the stream until caught up, out of time, or at a bound.
 * Ports in, an answer out; knows no SQL, no SDK and no environment.
 *
 * A batch is one peek. Its rounds are acknowledged one after the other, and the slot follows what is acknowledged,
 * never more (I1, I2). A crash anywhere repeats records; it loses and reorders none.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import { isSameTransaction, type ResumePosition } from '../decode/position.ts';
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
import { ResumeKeeper } from './resume-keeper.ts';
import { addCountMetrics } from './run-metrics.ts';
import { type FailedPeek, verdictOf } from './undecodable-errors.ts';
import { UndecodableSearch } from './undecodable-search.ts';
import { grow, initialLimits, type PeekLimits, shrink } from './window.ts';

/** What a container remembers from run to run. Kept in module scope by the handler. */
export interface RunMemory {
  /** What the last peeks taught; undefined: nothing yet. */
  window: PeekLimits | undefined;
  /** Where the last run was cut short inside a transaction. */
  resume: ResumePosition | undefined;
  /** A position inside the commit record of the transaction that the server could not decode. */
  undecodable: Lsn | undefined;
  /** Tables whose changes are left out, as far as the log has named them: reason and printed name. */
  readonly named: Set<string>;
  /** When the run that is under way, or was last, had to have answered: later than asked for where it took more time. */
  deadline: number | undefined;
}

/** @returns a memory of nothing */
export function noMemory(): RunMemory {
  return { window: undefined, resume: undefined, undecodable: undefined, named: new Set(), deadline: undefined };
}

/** What a run works with. */
export interface RunPorts {
  readonly session: Session;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly memory: RunMemory;
  /** Asks the run to finish its round, advance and answer. */
  readonly stop?: AbortSignal;
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
    return await loop.run();
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
  #deadline: number;
  #window: PeekLimits;
  #batchCount = 0;
  #oldestUnpublishedMicros: bigint | undefined;
  #ignoreRowLimit = false;
  #waitedInVain = false;
  /** The most time that a peek had which ran out of it before its first row. */
  #undecodedMs: number | undefined;
  /** Where the server failed at a transaction: which one it is. */
  #search: UndecodableSearch | undefined;

  constructor(ports: RunPorts, options: RunOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#deadline = ports.memory.deadline = options.deadline;
    this.#window = ports.memory.window ?? initialLimits(options.maxRows);
    this.#resumes = new ResumeKeeper(ports.session.slot, ports.log);
    this.#advancer = new Advancer(ports.session.slot, ports.clock, 0n);
    const heartbeat = new Heartbeat(ports.clock, ports.metrics);
    this.#batches = new BatchReader(options, {
      ...ports,
      advancer: this.#advancer,
      // What follows the last round must fit in: two advances by the cost measured, and the answer (I7).
      sendingDeadline: () => this.#deadline - ANSWER_MS - 2 * this.#advancer.costMs,
      shouldStop: () => this.#shouldStop(),
      onAcknowledged: () => heartbeat.beat(this.#batches.counts.records),
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

  async run(): Promise<RunAnswer> {
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

  /** Batch after batch. */
  async #loop(): Promise<StopReason> {
    const { session, memory } = this.#ports;
    for (;;) {
      const search = this.#search;
      if (search === undefined && this.#batchCount >= (this.#options.maxBatches ?? Infinity)) return 'max-batches';
      if (!this.#hasTime()) return 'deadline';
      const begun = await session.slot.position();
      const flushed = await session.slot.flushLsn();
      if (flushed <= this.#advancer.position) return 'caught-up';
      const upto = search?.next ?? min(flushed, this.#advancer.position + BigInt(this.#window.walBytes));
      const rows = this.#ignoreRowLimit ? undefined : this.#window.rows;
      const budgetMs = this.#peekBudgetMs();
      const batch = await this.#batches.read(upto, rows, budgetMs);
      if (batch instanceof WindowTooLargeError || batch instanceof ServerDecodingError) {
        this.#onFailedPeek(upto, batch, budgetMs);
        // Whole transactions may have come before a cancellation took effect: the next peek must not give them again.
        await this.#advancer.advanceTo(this.#batches.boundary ?? this.#advancer.position);
        continue;
      }
      if (search === undefined || batch.rows > 0) this.#batchCount++;
      this.#ignoreRowLimit = false;
      this.#oldestUnpublishedMicros = batch.oldestUnpublishedMicros;
      if (batch.ended !== 'whole') return batch.ended;
      const full = rows !== undefined && batch.rows >= rows;
      // Only a boundary of this batch counts: an earlier one is at or before the position where it began.
      const boundary =
        batch.boundary !== undefined && batch.boundary > begun.confirmedFlush ? batch.boundary : undefined;
      if (search !== undefined) {
        await this.#onSearched(search, full ? (boundary ?? this.#advancer.position) : upto, batch.rows);
        this.#ignoreRowLimit = full && boundary === undefined;
        continue;
      }
      this.#window = memory.window = grow(
        this.#window,
        {
          limitedBy: full ? 'rows' : upto < flushed ? 'wal' : 'nothing',
          firstRowMs: batch.firstRowMs,
          budgetMs,
          rereadBytes: Number(begun.confirmedFlush - begun.restart),
          readBytes: Number((full ? (boundary ?? upto) : upto) - begun.confirmedFlush),
        },
        this.#options.maxRows,
      );
      if (!full) {
        // The peek saw everything up to `upto`, and all of it is acknowledged or counted: I2.
        await this.#advancer.advanceTo(upto);
        if (upto === flushed) return 'caught-up';
      } else if (boundary !== undefined) {
        await this.#advancer.advanceTo(boundary);
      } else {
        // Full, and not one COMMIT: logical messages only. A limit by WAL alone gets past them.
        this.#ignoreRowLimit = true;
        const smaller = shrink(this.#window, Number(upto - this.#advancer.position));
        this.#window = { ...this.#window, walBytes: smaller?.walBytes ?? this.#window.walBytes };
      }
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

  /** A peek did not reach its first row: ask for less, or look for the transaction at which the server fails. */
  #onFailedPeek(upto: Lsn, error: FailedPeek, budgetMs: number): void {
    const spanBytes = Number(upto - this.#advancer.position);
    const noTime = error instanceof WindowTooLargeError && error.resourceSqlState === undefined;
    const noRoom = error instanceof WindowTooLargeError && !noTime;
    if (noTime) this.#undecodedMs = Math.max(this.#undecodedMs ?? 0, budgetMs);
    if (noTime || (noRoom && this.#search === undefined && shrink(this.#window, spanBytes) !== undefined)) {
      this.#shrink(spanBytes);
      return;
    }
    if (this.#search === undefined) {
      const { memory, log } = this.#ports;
      this.#search = new UndecodableSearch(this.#advancer.position, upto, error, memory.undecodable);
      log.warn('PostgreSQL failed while it decoded: looking for the transaction, and publishing what is before it.', {
        sqlState: error instanceof ServerDecodingError ? error.sqlState : error.resourceSqlState,
      });
      this.#useFunctionDeadline('Finding the transaction takes a peek a step');
      return;
    }
    this.#search.failed(upto, error);
    const verdict = verdictOf(this.#search, error);
    if (verdict === undefined) return;
    if (!this.#search.blameless) this.#ports.memory.undecodable = this.#search.inside;
    throw verdict;
  }

  /** A peek of the search succeeded, and what it held is acknowledged. */
  async #onSearched(search: UndecodableSearch, good: Lsn, rows: number): Promise<void> {
    // Behind a step without rows there is another: the last position is enough.
    if (rows > 0) await this.#advancer.advanceTo(good);
    search.succeeded(good, rows);
    if (!search.over) return;
    this.#search = undefined;
    // They were too much together: the next peek takes fewer.
    this.#window = { ...this.#window, rows: Math.max(1, Math.floor(this.#window.rows / 4)) };
  }

  /** A peek did not reach its first row in time, or for want of room. */
  #shrink(spanBytes: number): void {
    const { log, memory } = this.#ports;
    const smaller = shrink(this.#window, spanBytes);
    if (smaller !== undefined) {
      this.#window = smaller;
      memory.window = smaller;
      log.info('The peek ran out of time or temporary space before its first row; the next asks for less.', {
        ...smaller,
      });
    }
    // Reading again from restart_lsn takes longer than this run may: the schedule would never get past it.
    if (this.#batchCount === 0 && (smaller === undefined || !this.#hasTime())) {
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
    const { counts, resume, lastFailure, within, boundary, pendingCommit, catalogMs } = this.#batches;
    const { stop, memory } = this.#ports;
    if (stop?.aborted === true) return;
    if (stopped === 'deadline' && this.#search !== undefined) {
      const [after, before] = this.#search.range;
      throw searchUnfinished(formatLsn(after), formatLsn(before), this.#search.error);
    }
    const endless =
      stopped === 'deadline' && within !== undefined && boundary === undefined && memory.resume === undefined;
    if (endless && !this.#advancer.moved && this.#deadline >= this.#options.functionDeadline) {
      throw transactionTooLarge(formatLsn(within.transaction.commitLsn), counts.records);
    }
    // Rows that were only counted are progress, too, if the next run goes on after them.
    const from = within && resume && isSameTransaction(resume, within.transaction) ? resume.rows : 0;
    const further = memory.resume !== undefined && within !== undefined && within.rows > from;
    if (this.#advancer.moved || counts.records > 0 || further) return;
    if (stopped === 'caught-up' || stopped === 'max-batches') return;
    const durationMs = this.#ports.clock.now() - this.#options.startedAt;
    const [waitedInVain, undecodedMs] = [this.#waitedInVain, this.#undecodedMs];
    throw noProgress({ stopped, lastFailure, pendingCommit, catalogMs, undecodedMs, durationMs, waitedInVain });
  }

  async #answer(stopped: StopReason): Promise<RunAnswer> {
    const { session, clock, memory } = this.#ports;
    const { counts, throttledEntries } = this.#batches;
    const caughtUp = stopped === 'caught-up';
    const lagBytes = caughtUp ? 0 : Math.max(0, Number((await session.slot.flushLsn()) - this.#advancer.position));
    const lagSeconds = caughtUp || lagBytes === 0 ? 0 : ageSeconds(this.#oldestUnpublishedMicros, clock.now());
    return {
      action: this.#options.action,
      slot: this.#options.slotName,
      caughtUp,
      stopped,
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

function min(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b;
}
