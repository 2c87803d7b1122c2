/**
 * A COPY ... TO STDOUT under way on the connection that holds the lock: its data as it streams, its time-out before the
 * first row, its end, its cancellation by the control connection. Knows nothing of what is in the rows.
 */
import type { Clock } from '../ports/runtime.ts';
import { destroy } from './close-connection.ts';
import type { Connection } from './connection.ts';
import { CopyOutQuery } from './copy-out-query.ts';
import type { Notice } from './notices.ts';
import { CANCEL_BACKEND } from './signal-backend.ts';

/** What a statement works with. */
export interface CopyParts {
  /** The connection that holds the lock: the statement runs on it. */
  readonly main: Connection;
  /** Another, to end the statement from. */
  readonly control: Connection;
  readonly clock: Clock;
}

/** How long after a cancellation that has had no effect another is sent. */
const CANCEL_AGAIN_MS = 1_000;

/** A statement under way: it is sent when it is made. */
export class CopyToStdout {
  /** How long the server worked before the first row; undefined: none has come. */
  firstRowMs: number | undefined;

  readonly #parts: CopyParts;
  readonly #query: CopyOutQuery;
  /** The data, its first piece asked for already: then the time until it came is the server's, whenever it is taken. */
  readonly #blocks: AsyncGenerator<Buffer>;
  readonly #first: Promise<IteratorResult<Buffer>>;
  readonly #firstRow = new AbortController();
  readonly #over = new AbortController();
  #cancelled: Promise<void> | undefined;

  /**
   * @param parts - the connections and time
   * @param sql - the statement
   * @param timeoutMs - how long the server may work before the first row
   */
  constructor(parts: CopyParts, sql: string, timeoutMs: number) {
    this.#parts = parts;
    const sentAt = parts.clock.now();
    this.#query = parts.main.client.query(new CopyOutQuery(sql));
    this.#blocks = this.#query.blocks();
    this.#first = this.#blocks.next();
    this.#first.then(
      ({ done }) => {
        if (done === true) return;
        this.firstRowMs = parts.clock.now() - sentAt;
        this.#firstRow.abort();
      },
      () => undefined,
    );
    void this.#query.finished.then(() => {
      this.#firstRow.abort();
      this.#over.abort();
    });
    void parts.clock.sleep(timeoutMs, this.#firstRow.signal).then(() => {
      if (!this.#firstRow.signal.aborted) this.#cancel();
    });
  }

  /** What the server, or the connection, ended it with. */
  get failure(): unknown {
    return this.#query.failure;
  }

  /** Whether it was cancelled from here. */
  get cancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  /** @returns whether its first piece has come, once that is known; false: it has ended before */
  async begun(): Promise<boolean> {
    await this.#first.catch(() => undefined);
    return this.firstRowMs !== undefined;
  }

  /** The data as it comes, each block valid until the next is asked for. Iterate once. */
  async *chunks(): AsyncGenerator<Buffer> {
    const first = await this.#first;
    if (first.done === true) return;
    yield first.value;
    yield* this.#blocks;
  }

  /** What the server warned of before the first row. */
  get notices(): readonly Notice[] {
    return this.#query.notices;
  }

  /** Ends it where it is not over, and waits until the connection is free for the next statement. */
  async close(): Promise<void> {
    this.#firstRow.abort();
    if (!this.#query.isOver) {
      this.#cancel();
      // The server sees the cancellation only when its writing goes on: take what it still sends, and forget it.
      await this.#query.discard();
    }
    await this.waitUntilIdle();
  }

  /** Waits until the server is out of the statement, and no cancellation is under way that could hit the next. */
  async waitUntilIdle(): Promise<void> {
    await this.#query.finished;
    await this.#cancelled;
    // After an error the server still clears up; it answers when it is ready.
    if (this.failure !== undefined) await this.#parts.main.query('').catch(() => undefined);
  }

  /**
   * Ends the statement on the server. A connection that is lost has ended it, or will. A cancellation that comes before
   * the server has begun the statement is lost: it is sent again until the statement is over. Where it cannot be sent,
   * because the control connection is lost, this one is given up, and the statement with it.
   */
  #cancel(): void {
    const { control, main, clock } = this.#parts;
    const cancel = async (): Promise<void> => {
      while (!this.#over.signal.aborted) {
        await control.query(CANCEL_BACKEND, [main.pid]);
        await clock.sleep(CANCEL_AGAIN_MS, this.#over.signal);
      }
    };
    this.#cancelled ??= cancel().catch(() => (this.#query.isOver ? undefined : destroy(main.client)));
  }
}
