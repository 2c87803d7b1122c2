/**
 * Reading ahead: while a peek is published, the next is under way already, on a copy of the slot. Decides when that is worth it,
 * and whether what was read ahead is what comes next. Ports in; knows no SQL. It moves nothing, and never more than one peek
 * is ahead.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { AheadSource } from '../ports/read-ahead.ts';
import type { Peek } from '../ports/slot.ts';
import type { PeekPlan } from './peek-planner.ts';

/** What reading ahead works with. */
export interface ReadAheadParts {
  readonly source: AheadSource;
  /** @returns entries that Kinesis has throttled so far: where the stream is the limit nothing is gained, and the server holds twice as much */
  readonly throttledEntries: () => number;
}

/** A peek that was read ahead, in its turn. */
export interface ReadyPeek {
  readonly plan: PeekPlan;
  readonly peek: Peek;
}

/** With less WAL to read nothing is read ahead: one or two peeks are enough. */
export const MIN_BACKLOG_BYTES = 64n * 1024n * 1024n;
/** With less WAL left, a peek of it takes no longer than moving a copy of the slot. */
export const MIN_AHEAD_BYTES = 16n * 1024n * 1024n;
/** The most rows of the first peek, for which the run has to wait. Each next peek may ask for {@link GROWTH} times as many, */
export const FIRST_ROWS = 25_000;
const GROWTH = 3;
/**
 * up to so many: moving a copy and reading WAL again from `restart_lsn` then cost little, and most of a backlog is still worked out
 * while the peek before it is published.
 */
export const AHEAD_ROWS = 225_000;
/** Where a peek takes longer, most of what it reads was read before: copies would read it as often again. */
const MAX_FIRST_ROW_MS = 5_000;

/** One run's reading ahead. */
export class ReadAhead {
  readonly #parts: ReadAheadParts;
  #isOver = false;
  #isWorthIt = false;
  #rows = FIRST_ROWS;
  #next: { readonly plan: PeekPlan; readonly peek: Promise<Peek | undefined>; readonly throttled: number } | undefined;

  /** @param parts - the copies, time, and what tells that the stream is the limit */
  constructor(parts: ReadAheadParts) {
    this.#parts = parts;
  }

  /** The most rows that a peek should ask for, so that the next can be read meanwhile; undefined: nothing is read ahead. */
  get mostRows(): number | undefined {
    return this.#isWorthIt && !this.#isOver && !this.#parts.source.isOver ? this.#rows : undefined;
  }

  /** Decides whether it is worth it. Once it is, it stays so. @param unreadBytes - the WAL that is left to read */
  weigh(unreadBytes: bigint): void {
    if (unreadBytes >= MIN_BACKLOG_BYTES) this.#isWorthIt = true;
  }

  /**
   * Begins a peek, if it is worth it.
   *
   * @param planFor - what it asks for with so many rows at most: its position is where the peek ends that is published just now
   * @param firstRowMs - how long that one took to its first row
   * @param timeoutMs - how long the server may work before the first row
   */
  begin(planFor: (mostRows: number) => PeekPlan, firstRowMs: number, timeoutMs: number): void {
    const { source, throttledEntries } = this.#parts;
    if (this.mostRows === undefined || this.#next !== undefined) return;
    const mostRows = Math.min(AHEAD_ROWS, this.#rows * GROWTH);
    const { position, upto, rows } = planFor(mostRows);
    if (rows === undefined) return;
    if (upto - position < MIN_AHEAD_BYTES) return;
    if (firstRowMs > MAX_FIRST_ROW_MS) {
      void this.close();
      return;
    }
    this.#rows = mostRows;
    const peek = source.begin(position, upto, rows, timeoutMs);
    this.#next = { plan: { position, upto, rows }, peek, throttled: throttledEntries() };
  }

  /** @param position - where a peek ends. @returns whether the next has begun there */
  hasBegun(position: Lsn): boolean {
    return this.#next?.plan.position === position;
  }

  /** Ends it where Kinesis throttles. Asked whenever something was acknowledged. */
  endIfThrottled(): void {
    if (this.#next !== undefined && this.#parts.throttledEntries() > this.#next.throttled) void this.close();
  }

  /**
   * @param position - how far everything was read
   * @returns the peek that begins there, its first row at hand; undefined: none does
   */
  async take(position: Lsn): Promise<ReadyPeek | undefined> {
    const next = this.#next;
    if (next === undefined) return undefined;
    const peek = next.plan.position === position ? await next.peek : undefined;
    // The peek before it ended elsewhere, at a message or by its WAL, and so would the next. Or it cannot be had.
    if (peek === undefined || this.#isOver) {
      await this.close();
      return undefined;
    }
    this.#next = undefined;
    return { plan: next.plan, peek };
  }

  /** Ends it for this run, and the peek that nobody took. */
  async close(): Promise<void> {
    this.#isOver = true;
    const next = this.#next;
    this.#next = undefined;
    void next?.peek.then((peek) => peek?.close()).catch(() => undefined);
    await this.#parts.source.close();
  }
}
