/**
 * When a run has to be over: by its own deadline, or by the function's, where its own is too short for any progress.
 * Reads nothing and sends nothing.
 */
import type { Clock, Log } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';
import type { Advancer } from './advancer.ts';
import type { RunOptions } from './run-options.ts';
import type { WarmState } from './warm-state.ts';

/** What a deadline is kept with. */
export interface RunDeadlinePorts {
  readonly session: Pick<Session, 'lost'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly warmState: Pick<WarmState, 'deadline'>;
  readonly stop?: AbortSignal;
  readonly advancer: Pick<Advancer, 'costMs'>;
  /** @returns milliseconds since 1970: when to take on no more work */
  readonly readingDeadline: () => number;
}

/** Kept for the answer itself, the closing of a peek and what else is not measured. */
const ANSWER_MS = 500;
/** Of the time that is left for reading, the share that the server may take before the first row. */
const FIRST_ROW_SHARE = 0.7;

/** One run's deadline. */
export class RunDeadline {
  /** When the run must have answered, milliseconds since 1970. */
  at: number;
  readonly #functionDeadline: number;
  readonly #ports: RunDeadlinePorts;

  /**
   * @param options - the run's deadline, and the function's
   * @param ports - time, and what ends a run early
   */
  constructor(options: Pick<RunOptions, 'deadline' | 'functionDeadline'>, ports: RunDeadlinePorts) {
    this.#ports = ports;
    this.#functionDeadline = options.functionDeadline;
    this.at = ports.warmState.deadline = options.deadline;
  }

  /** Whether the run has as long as the function. */
  get isFunctionDeadline(): boolean {
    return this.at >= this.#functionDeadline;
  }

  /** @returns milliseconds since 1970: no request may end after it. Two advances and the answer have to fit in behind it (I7) */
  sendingDeadline(): number {
    return this.at - ANSWER_MS - 2 * this.#ports.advancer.costMs;
  }

  /** @returns whether a batch is still worth beginning @throws what the lock was lost by */
  hasTime(): boolean {
    const { clock, stop, session, readingDeadline } = this.#ports;
    if (session.lost.aborted) throw session.lost.reason;
    return stop?.aborted !== true && clock.now() < readingDeadline();
  }

  /** @returns how long the server may work before a peek's first row, in milliseconds: the rest is for what it finds */
  peekBudgetMs(): number {
    const left = this.#ports.readingDeadline() - this.#ports.clock.now();
    return Math.max(1, Math.floor(left * FIRST_ROW_SHARE));
  }

  /**
   * Takes the function's own deadline. The run's own is only there so that runs do not overlap, and the lock prevents that, too.
   *
   * @param why - for the log: the beginning of a sentence
   * @returns false: the run has it already
   */
  useFunctionDeadline(why: string): boolean {
    if (this.isFunctionDeadline) return false;
    const { clock, log, warmState } = this.#ports;
    this.at = warmState.deadline = this.#functionDeadline;
    log.warn(`${why}: this run goes on until the deadline of the function.`, { remainingMs: this.at - clock.now() });
    return true;
  }
}
