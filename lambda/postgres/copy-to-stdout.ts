/**
 * A COPY ... TO STDOUT under way on the connection that holds the lock: its data as it streams, its time-out before the
 * first row, its end, its cancellation from another connection. Knows nothing of what is in the rows.
 */
import type pg from 'pg';
import { type CopyToStreamQuery, to as copyTo } from 'pg-copy-streams';
import type { Clock } from '../ports.ts';
import type { Connection } from './connection.ts';
import { NoticeReader } from './notices.ts';

/** What a statement works with. */
export interface CopyParts {
  /** The connection that holds the lock: the statement runs on it. */
  readonly reader: Connection;
  /** Another, to end the statement from. */
  readonly control: Connection;
  readonly clock: Clock;
}

/** Bytes that may wait here for the one who takes them, besides what the socket holds. */
const READ_AHEAD_BYTES = 256 * 1024;

/** How long after a cancellation that has had no effect another is sent. */
const CANCEL_AGAIN_MS = 1_000;

/** A statement under way: it is sent when it is made. */
export class CopyToStdout {
  /** How long the server worked before the first row; undefined: none has come. */
  firstRowMs: number | undefined;
  /** What the server, or the connection, ended it with. */
  failure: unknown;

  readonly #parts: CopyParts;
  readonly #stream: CopyToStreamQuery;
  readonly #notices: NoticeReader;
  readonly #sentAt: number;
  readonly #finished: Promise<void>;
  readonly #firstRow = new AbortController();
  readonly #over = new AbortController();
  #cancelled: Promise<void> | undefined;
  #ended = false;
  #iterated = false;

  /**
   * @param parts - the connections and time
   * @param sql - the statement
   * @param timeoutMs - how long the server may work before the first row
   */
  constructor(parts: CopyParts, sql: string, timeoutMs: number) {
    this.#parts = parts;
    const { client } = parts.reader;
    this.#sentAt = parts.clock.now();
    this.#stream = client.query(copyTo(sql, { highWaterMark: READ_AHEAD_BYTES }));
    this.#notices = readNotices(this.#stream);
    this.#finished = new Promise((resolve) => {
      const finish = () => {
        this.#ended = true;
        this.#firstRow.abort();
        this.#over.abort();
        resolve();
      };
      this.#stream.once('end', finish);
      this.#stream.once('error', (error) => {
        this.failure = error;
        detachFromSocket(this.#stream, client);
        // Iterated, it first gives the rows that came before the error.
        if (!this.#iterated) this.#stream.destroy();
        finish();
      });
    });
    void parts.clock.sleep(timeoutMs, this.#firstRow.signal).then(() => {
      if (!this.#firstRow.signal.aborted) this.#cancel();
    });
  }

  /** Whether it was cancelled from here. */
  get cancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  /** The data as it comes. For {@link firstRowMs}, call {@link took} with each piece. */
  chunks(): AsyncIterable<Buffer> {
    this.#iterated = !this.#ended;
    // Destroyed with the statement still running, the stream would leave the connection's data untaken for ever.
    return this.#stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  }

  /** @returns whether the piece of data that came is the first: the time-out is over then */
  took(): boolean {
    if (this.firstRowMs !== undefined) return false;
    this.firstRowMs = this.#parts.clock.now() - this.#sentAt;
    this.#firstRow.abort();
    return true;
  }

  /** What the server warned of before the first row. */
  get notices(): NoticeReader['notices'] {
    return this.#notices.notices;
  }

  /** Ends it where it is not over, and waits until the connection is free for the next statement. */
  async close(): Promise<void> {
    this.#firstRow.abort();
    if (!this.#ended) {
      this.#cancel();
      // The server sees the cancellation only when its writing goes on: take what it still sends, and forget it.
      this.#stream.removeAllListeners('readable');
      this.#stream.resume();
    }
    await this.waitUntilIdle();
  }

  /** Waits until the server is out of the statement, and no cancellation is under way that could hit the next. */
  async waitUntilIdle(): Promise<void> {
    await this.#finished;
    await this.#cancelled;
    // After an error the server still clears up; it answers when it is ready.
    if (this.failure !== undefined) await this.#parts.reader.query('').catch(() => undefined);
  }

  /**
   * Ends the statement on the server. A connection that is lost has ended it, or will. A cancellation that comes before
   * the server has begun the statement is lost: it is sent again until the statement is over.
   */
  #cancel(): void {
    const { control, reader, clock } = this.#parts;
    const cancel = async (): Promise<void> => {
      while (!this.#over.signal.aborted) {
        await control.query('SELECT pg_cancel_backend($1)', [reader.pid]);
        await clock.sleep(CANCEL_AGAIN_MS, this.#over.signal);
      }
    };
    this.#cancelled ??= cancel().catch(() => undefined);
  }
}

/**
 * After an error pg-copy-streams would still read from the socket, into nothing; and what arrived in one packet with the
 * error it would keep to itself, which are up to 8 KB of rows: whole transactions, and the BEGIN of the one that failed.
 */
function detachFromSocket(stream: CopyToStreamQuery, client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: NodeJS.ReadableStream } };
  connection.stream.removeAllListeners('readable');
  const copy = stream as unknown as {
    connection: unknown;
    _copyDataChunks: { readonly size: number; take(bytes: number): Buffer } | null;
  };
  copy.connection = undefined;
  const rest = copy._copyDataChunks;
  if (rest !== null && rest.size > 0) stream.push(rest.take(rest.size));
}

/** Reads the notices that come before the first row, from the chunks that pg-copy-streams is given. */
function readNotices(stream: CopyToStreamQuery): NoticeReader {
  const notices = new NoticeReader();
  const copy = stream as unknown as { _parse(chunk: Buffer): boolean };
  const parse = copy._parse.bind(stream);
  copy._parse = (chunk) => {
    if (notices.done) copy._parse = parse;
    else notices.push(chunk);
    return parse(chunk);
  };
  return notices;
}
