/**
 * How much the next peek asks for: what the limits learned so far allow, or the next step of a search for the
 * transaction at which the server fails. It learns from each peek. Pure but for the warm state and the log: it knows no slot
 * and no clock, and moves nothing.
 */
import type { Lsn } from '../decode/lsn.ts';
import { PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import type { Log } from '../ports/runtime.ts';
import { grow, initialLimits, type PeekLimits, shrink } from './peek-limits.ts';
import { endOfSearch, type FailedPeek } from './undecodable-errors.ts';
import { UndecodableSearch } from './undecodable-search.ts';
import type { WarmState } from './warm-state.ts';

/** What a planner works with. */
export interface PlannerPorts {
  readonly log: Log;
  readonly warmState: Pick<WarmState, 'peekLimits' | 'undecodable'>;
}

/** What one peek asks for. */
export interface PeekPlan {
  /** How far the slot is consumed. */
  readonly position: Lsn;
  /** Where the peek ends (upto_lsn). */
  readonly upto: Lsn;
  /** The most rows (upto_nchanges); undefined: no limit. */
  readonly rows: number | undefined;
}

/** What became of a peek that was read whole. */
export interface PeekOutcome {
  /** Up to where everything is acknowledged or counted; undefined: it was full, and held not one COMMIT. */
  readonly done: Lsn | undefined;
  readonly rowsRead: number;
  /** What ended it. */
  readonly limitedBy: 'rows' | 'wal' | 'nothing';
  readonly firstRowMs: number;
  readonly budgetMs: number;
  /** The slot, before the peek. */
  readonly slot: { readonly confirmedFlush: Lsn; readonly restart: Lsn };
}

/** One run's choice of peeks. */
export class PeekPlanner {
  /** Under way where the server failed at a transaction: which one is it? */
  search: UndecodableSearch | undefined;
  /** The longest time-out of a peek that timed out before its first row; undefined: none did. */
  undecodedMs: number | undefined;

  readonly #ports: PlannerPorts;
  readonly #maxRows: number;
  #limits: PeekLimits;
  #ignoreRowLimit = false;

  /**
   * @param ports - the log and what earlier runs learned
   * @param maxRows - BATCH_CHANGES, the most rows of one peek
   */
  constructor(ports: PlannerPorts, maxRows: number) {
    this.#ports = ports;
    this.#maxRows = maxRows;
    this.#limits = ports.warmState.peekLimits ?? initialLimits(maxRows);
  }

  /**
   * @param position - how far the slot is consumed
   * @param bound - the farthest position that a peek may read up to
   * @param mostRows - no more rows than that @default what was learned alone decides
   * @returns what the next peek asks for
   */
  next(position: Lsn, bound: Lsn, mostRows = Infinity): PeekPlan {
    const limit = position + BigInt(this.#limits.walBytes);
    return {
      position,
      upto: this.search?.next ?? (limit < bound ? limit : bound),
      rows: this.#ignoreRowLimit ? undefined : Math.min(this.#limits.rows, mostRows),
    };
  }

  /** A peek gave rows: its row limit holds again for the next. */
  onPeekRead(): void {
    this.#ignoreRowLimit = false;
  }

  /**
   * A peek was read whole.
   *
   * @param plan - what it asked for
   * @param outcome - what became of it
   */
  succeeded(plan: PeekPlan, outcome: PeekOutcome): void {
    const { done, rowsRead, slot } = outcome;
    // Logical messages only, for example. A limit by WAL alone gets past them.
    if (done === undefined) this.#ignoreRowLimit = true;
    if (this.search !== undefined) {
      this.search.succeeded(done ?? plan.position, rowsRead);
      if (!this.search.over) return;
      this.search = undefined;
      // They were too much together: the next peek takes fewer.
      this.#limits = { ...this.#limits, rows: Math.max(1, Math.floor(this.#limits.rows / 4)) };
      return;
    }
    // One that asked for less than was learned says nothing of more.
    const wasAsked = outcome.limitedBy !== 'rows' || plan.rows === undefined || plan.rows >= this.#limits.rows;
    this.#limits = this.#ports.warmState.peekLimits = grow(
      this.#limits,
      {
        limitedBy: wasAsked ? outcome.limitedBy : 'nothing',
        firstRowMs: outcome.firstRowMs,
        budgetMs: outcome.budgetMs,
        rereadBytes: Number(slot.confirmedFlush - slot.restart),
        readBytes: Number((done ?? plan.upto) - slot.confirmedFlush),
      },
      this.#maxRows,
    );
    if (done !== undefined) return;
    const smaller = shrink(this.#limits, Number(plan.upto - plan.position));
    this.#limits = { ...this.#limits, walBytes: smaller?.walBytes ?? this.#limits.walBytes };
  }

  /**
   * A peek did not reach its first row: ask for less, or look for the transaction at which the server fails.
   *
   * @param plan - what it asked for
   * @param error - why it failed
   * @param budgetMs - the time it had
   * @returns what the next peek is: one that asks for less, the same where less is not possible, or a step of a search
   * @throws {PipelineError} where the search is over, and what it found
   */
  failed(plan: PeekPlan, error: FailedPeek, budgetMs: number): 'smaller' | 'same' | 'first-step' | 'next-step' {
    const { log, warmState } = this.#ports;
    const spanBytes = Number(plan.upto - plan.position);
    const noTime = error instanceof PeekTooLargeError && error.resourceSqlState === undefined;
    const outOfResources = error instanceof PeekTooLargeError && !noTime;
    if (noTime) this.undecodedMs = Math.max(this.undecodedMs ?? 0, budgetMs);
    // It may have asked for less than was learned.
    const asked = { ...this.#limits, rows: Math.min(this.#limits.rows, plan.rows ?? Infinity) };
    if (noTime || (outOfResources && this.search === undefined && shrink(asked, spanBytes) !== undefined)) {
      return this.#shrink(asked, spanBytes);
    }
    if (this.search === undefined) {
      this.search = new UndecodableSearch(plan.position, plan.upto, error, warmState.undecodable);
      log.warn('PostgreSQL failed while it decoded: looking for the transaction, and publishing what is before it.', {
        sqlState: error instanceof ServerDecodingError ? error.sqlState : error.resourceSqlState,
      });
      return 'first-step';
    }
    this.search.failed(plan.upto, error);
    const end = endOfSearch(this.search, error);
    if (end === undefined) return 'next-step';
    if (!this.search.blameless) warmState.undecodable = this.search.inside;
    throw end;
  }

  /** A peek did not reach its first row in time, or the server had too little space for it. */
  #shrink(asked: PeekLimits, spanBytes: number): 'smaller' | 'same' {
    const { log, warmState } = this.#ports;
    const smaller = shrink(asked, spanBytes);
    if (smaller === undefined) return 'same';
    this.#limits = warmState.peekLimits = smaller;
    log.info('The peek ran out of time or temporary space before its first row; the next asks for less.', {
      ...smaller,
    });
    return 'smaller';
  }
}
