/**
 * A COPY ... TO STDOUT on node-postgres's connection: while it lasts, the socket's bytes are read here, and only as the one
 * who iterates asks for them. node-postgres itself would make an object of every row, and could not be slowed down.
 * Knows frames of the protocol, and nothing of what is in the rows.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type { Socket } from 'node:net';
import type pg from 'pg';
import { type Notice, parseNotice } from './notices.ts';

const COPY_DATA = 0x64;
const COPY_OUT_RESPONSE = 0x48;
const NOTICE = 0x4e;
const NOTIFICATION = 0x41;
const PARAMETER_STATUS = 0x53;
/** What may stand between rows, besides notices, and says nothing here. */
const IGNORED = new Set([COPY_OUT_RESPONSE, NOTIFICATION, PARAMETER_STATUS]);

/** A frame's type and length. */
const HEADER_BYTES = 5;
/** The length counts itself. */
const LENGTH_BYTES = 4;
/** It is not worth while for less. */
const MIN_FREED_BYTES = 4_096;
/** More different notices are not kept. */
const MAX_NOTICES = 10_000;

/** What node-postgres has between a client and its socket, which its types do not tell. */
interface Wire {
  readonly stream: Socket;
  query(text: string): void;
}

type OnData = (bytes: Buffer) => void;

/** A statement that gives rows as COPY's bytes: give it to `client.query`, and iterate {@link CopyOutQuery.blocks}. */
export class CopyOutQuery implements pg.Submittable {
  /** Resolves when the server is done with the statement, or the connection is lost. */
  readonly finished: Promise<void>;
  /** What it ended with; undefined: it is under way, or has ended well. */
  failure: Error | undefined;

  /** By its text. */
  readonly #notices = new Map<string, Notice>();
  readonly #text: string;
  #socket: Socket | undefined;
  /** node-postgres's reader of the socket, which gets the rest. */
  #rest: OnData = () => undefined;
  /** The beginning of a frame that did not end in its chunk. */
  #carried: Buffer | undefined;
  /** How many bytes of a row are yet to come. */
  #left = 0;
  #sawRow = false;
  #over = false;
  #finish: () => void = () => undefined;
  /** Who waits for data: while one iterates, another may forget what still comes. */
  #waiting: (() => void)[] = [];

  /** @param text - the statement */
  constructor(text: string) {
    this.#text = text;
    this.finished = new Promise((resolve) => {
      this.#finish = () => {
        this.#over = true;
        resolve();
        this.#wakeAll();
      };
    });
  }

  /** What the server warned of before the first row, each text once. */
  get notices(): readonly Notice[] {
    return [...this.#notices.values()];
  }

  /** Whether the server is done with the statement, or the connection is lost. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Called by node-postgres when it is the statement's turn. @param connection - node-postgres's */
  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire;
    const { stream } = wire;
    const readers = stream.listeners('data') as OnData[];
    const [rest] = readers;
    if (rest === undefined || readers.length > 1) throw new Error('not the one reader of a connection');
    this.#rest = rest;
    this.#socket = stream;
    stream.removeListener('data', rest);
    stream.pause();
    stream.on('readable', this.#onReadable);
    wire.query(this.#text);
  }

  /** Called by node-postgres. @param error - the server's, or that the connection is lost */
  handleError(error: Error): void {
    this.failure ??= error;
    this.#giveBack(undefined);
    this.#finish();
  }

  /** Called by node-postgres. */
  handleCommandComplete(): void {
    this.#finish();
  }

  /** Called by node-postgres. */
  handleReadyForQuery(): void {
    this.#finish();
  }

  /**
   * The rows as they come: COPY's bytes in blocks of any length. Each is valid until the next is asked for.
   *
   * @throws what the statement failed with, after what came before
   */
  async *blocks(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = this.#read();
      if (chunk !== undefined) {
        const block = this.#takeFrames(chunk);
        if (block.length > 0) yield block;
        // What is behind the rows went to node-postgres, with its chunk.
        if (this.#socket !== undefined) freeMemory(chunk);
        continue;
      }
      if (this.#over) break;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** Takes what still comes and forgets it, until the server is done. */
  async discard(): Promise<void> {
    try {
      const blocks = this.blocks();
      while ((await blocks.next()).done !== true);
    } catch {
      // It is in `failure`.
    }
  }

  readonly #onReadable = (): void => {
    this.#wakeAll();
  };

  #wakeAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** @returns what came next, with what was carried before it; undefined: there is nothing yet, or no more */
  #read(): Buffer | undefined {
    const chunk = this.#socket?.read() as Buffer | null | undefined;
    if (chunk === null || chunk === undefined) return undefined;
    return this.#carried === undefined ? chunk : this.#joined(this.#carried, chunk);
  }

  #joined(carried: Buffer, chunk: Buffer): Buffer {
    this.#carried = undefined;
    return Buffer.concat([carried, chunk]);
  }

  /** Moves the rows in a chunk together, to its beginning. @returns them */
  #takeFrames(chunk: Buffer): Buffer {
    let to = Math.min(this.#left, chunk.length);
    let at = to;
    this.#left -= to;
    while (at < chunk.length) {
      const rest = chunk.length - at;
      const type = chunk[at];
      if (type !== COPY_DATA && type !== NOTICE && !IGNORED.has(type ?? 0)) {
        this.#giveBack(chunk.subarray(at));
        break;
      }
      const length = rest < HEADER_BYTES ? Infinity : chunk.readUInt32BE(at + 1) - LENGTH_BYTES;
      if (type === COPY_DATA && rest >= HEADER_BYTES) {
        this.#sawRow = true;
        const from = at + HEADER_BYTES;
        at = Math.min(chunk.length, from + length);
        chunk.copy(chunk, to, from, at);
        to += at - from;
        this.#left = length - (at - from);
      } else if (rest < HEADER_BYTES + length) {
        // A copy: what is before it is given away.
        this.#carried = Buffer.from(chunk.subarray(at));
        break;
      } else {
        at += HEADER_BYTES + length;
        if (type === NOTICE) this.#note(chunk.subarray(at - length, at));
      }
    }
    return chunk.subarray(0, to);
  }

  /** Each is kept once: wal2json says the same of every row that it leaves out. */
  #note(body: Buffer): void {
    if (this.#sawRow) return;
    const notice = parseNotice(body);
    const known = this.#notices.get(notice.message);
    if (known === undefined && this.#notices.size >= MAX_NOTICES) return;
    this.#notices.set(notice.message, { ...notice, count: (known?.count ?? 0) + 1 });
  }

  /** Lets node-postgres read the socket again. @param rest - what is left for it of what was read */
  #giveBack(rest: Buffer | undefined): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.removeListener('readable', this.#onReadable);
    socket.on('data', this.#rest);
    if (rest !== undefined) this.#rest(rest);
    // The listener for "readable" is gone only in the next turn.
    process.nextTick(() => socket.resume());
  }
}

/**
 * Frees a chunk's memory now, unless others may share it, and not when V8 collects it: V8 counts such memory, and would look
 * through its whole heap for each 16 MB that came, which took an eighth of the processor time of a drain as csv-payload. Node.js 20 cannot.
 */
function freeMemory({ buffer, length }: Buffer): void {
  if (length < MIN_FREED_BYTES || length !== buffer.byteLength) return;
  (buffer as { transfer?: (bytes: number) => unknown }).transfer?.(0);
}
