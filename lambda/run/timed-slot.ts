/**
 * A slot that measures how long the server works for it: all of its statements, and a peek to its last row, but not the
 * time in which a peek waits for Kinesis. What a lingering run costs the server is kept within a share by it.
 * Decides nothing, and is not there in a run that does not linger.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Clock } from '../ports/runtime.ts';
import type { LeftOutChanges, MessageBlock, Peek, Slot, StandbyBound } from '../ports/slot.ts';

/** The slot, measured. */
export class TimedSlot implements Slot {
  /** Milliseconds for which statements were under way. */
  busyMs = 0;
  /** The slowest peek since it was set to 0, in milliseconds. */
  slowestPeekMs = 0;

  readonly #slot: Slot;
  readonly #clock: Clock;

  /**
   * @param slot - the slot that does the work
   * @param clock - measures it
   */
  constructor(slot: Slot, clock: Clock) {
    this.#slot = slot;
    this.#clock = clock;
  }

  flushLsn(): Promise<Lsn> {
    return this.timed(() => this.#slot.flushLsn());
  }

  standbyBound(): Promise<StandbyBound> {
    return this.timed(() => this.#slot.standbyBound());
  }

  position(): Promise<{ confirmedFlush: Lsn; restart: Lsn }> {
    return this.timed(() => this.#slot.position());
  }

  advance(lsn: Lsn): Promise<Lsn> {
    return this.timed(() => this.#slot.advance(lsn));
  }

  skip(lsn: Lsn): Promise<Lsn> {
    return this.timed(() => this.#slot.skip(lsn));
  }

  slotStatsFingerprint(): Promise<string | undefined> {
    return this.timed(() => this.#slot.slotStatsFingerprint());
  }

  retainedWalBytes(): Promise<number> {
    return this.timed(() => this.#slot.retainedWalBytes());
  }

  oldestTransaction(): Promise<string | undefined> {
    return this.timed(() => this.#slot.oldestTransaction());
  }

  peek(upto: Lsn, limit: number | undefined, timeoutMs: number): Peek {
    const begun = this.#clock.now();
    const peek = this.#slot.peek(upto, limit, timeoutMs);
    return new TimedPeek(peek, begun, this.#clock, (ms) => {
      this.busyMs += ms;
      this.slowestPeekMs = Math.max(this.slowestPeekMs, ms);
    });
  }

  /**
   * Measures work of the server that is not asked for here.
   *
   * @param work - one or more statements
   */
  async timed<T>(work: () => Promise<T>): Promise<T> {
    const begun = this.#clock.now();
    try {
      return await work();
    } finally {
      this.busyMs += this.#clock.now() - begun;
    }
  }
}

class TimedPeek implements Peek {
  readonly #peek: Peek;
  readonly #clock: Clock;
  readonly #report: (ms: number) => void;
  #waitingSince: number;

  constructor(peek: Peek, begun: number, clock: Clock, report: (ms: number) => void) {
    this.#peek = peek;
    this.#waitingSince = begun;
    this.#clock = clock;
    this.#report = report;
  }

  get rows(): number {
    return this.#peek.rows;
  }

  get transactions(): number {
    return this.#peek.transactions;
  }

  get lastCommit(): Lsn | undefined {
    return this.#peek.lastCommit;
  }

  get leftOut(): readonly LeftOutChanges[] {
    return this.#peek.leftOut;
  }

  get firstRowMs(): number | undefined {
    return this.#peek.firstRowMs;
  }

  close(): Promise<void> {
    return this.#peek.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<MessageBlock> {
    let waitedMs = 0;
    let isWaiting = true;
    const stopWaiting = () => {
      if (isWaiting) waitedMs += this.#clock.now() - this.#waitingSince;
      isWaiting = false;
    };
    try {
      for await (const block of this.#peek) {
        stopWaiting();
        yield block;
        isWaiting = true;
        this.#waitingSince = this.#clock.now();
      }
    } finally {
      stopWaiting();
      this.#report(waitedMs);
    }
  }
}
