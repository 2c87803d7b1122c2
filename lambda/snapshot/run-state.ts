/**
 * What is under way, as one run knows it: how far it is, the chunk that is held, and the message that was written and is yet to be
 * read. What is read from the slot changes it by way of `tracker.ts` and `row-changes.ts`. Pure; knows no position.
 */
import type { Chunk } from './chunk.ts';
import { HeldChunk } from './held-chunk.ts';
import { afterChunk, isDone, type SnapshotProgress } from './progress.ts';

/** A message without a chunk that was written and is yet to be read: of the state alone, or of a chunk that was dropped. */
export interface AwaitedMessage {
  readonly watermark: string;
  readonly isState: boolean;
}

/** One run's state. */
export class RunState<Row> {
  #progress: SnapshotProgress | undefined;
  #finished: SnapshotProgress | undefined;
  #held: HeldChunk<Row> | undefined;
  #awaited: AwaitedMessage | undefined;
  #hasUnsaved = false;

  /** Undefined: nothing is under way. */
  get progress(): SnapshotProgress | undefined {
    return this.#progress;
  }

  /** The state of the last snapshot when it ended; undefined: none has ended. */
  get finished(): SnapshotProgress | undefined {
    return this.#finished;
  }

  /** The chunk whose watermark is yet to be read; undefined: none is held. */
  get held(): HeldChunk<Row> | undefined {
    return this.#held;
  }

  /** Undefined: none is yet to be read, or that of the chunk that is held. */
  get awaited(): AwaitedMessage | undefined {
    return this.#awaited;
  }

  /** Whether the state has changes that the last written message does not hold. */
  get hasUnsaved(): boolean {
    return this.#hasUnsaved;
  }

  /** @param progress - what a message says that was read: nothing was under way */
  takeUp(progress: SnapshotProgress): void {
    this.#progress = progress;
    this.#hasUnsaved = false;
  }

  /**
   * The state changes, and no message holds that yet. A chunk is dropped whose table is no longer the one that is read.
   *
   * @param progress - as it is now
   */
  change(progress: SnapshotProgress): void {
    if (progress === this.#progress) return;
    const { chunk } = this.#held ?? {};
    if (chunk !== undefined && progress.current?.name !== chunk.table && progress.pending[0] !== chunk.table)
      this.drop();
    this.#hasUnsaved = true;
    this.#take(progress);
  }

  /** The message that is awaited holds no longer all that is to be known. */
  markUnsaved(): void {
    this.#hasUnsaved = true;
  }

  /** @param xid - 64 bits: all before it have to be over before a chunk is read. Saved with the next message */
  setBarrier(xid: bigint): void {
    if (this.#progress !== undefined) this.#progress = { ...this.#progress, barrier: xid };
  }

  /**
   * @param chunk - that is held from now on
   * @param watermark - of the message that is written behind it
   * @returns the state that the message is to hold
   */
  hold(chunk: Chunk<Row>, watermark: string): SnapshotProgress {
    this.#held = new HeldChunk(chunk, watermark);
    this.#hasUnsaved = false;
    return afterChunk(this.require(), this.#held);
  }

  /**
   * @param watermark - of a message of the state alone
   * @returns the state that the message is to hold
   */
  save(watermark: string): SnapshotProgress {
    this.#awaited = { watermark, isState: true };
    this.#hasUnsaved = false;
    return this.require();
  }

  /** The held chunk's watermark was read. @returns the chunk, of which what is left is published */
  reachWatermark(held: HeldChunk<Row>): Chunk<Row> {
    this.#held = undefined;
    this.#take(afterChunk(this.require(), held));
    return held.chunk;
  }

  /** The message that was awaited was read. */
  reachAwaited(): void {
    this.#awaited = undefined;
  }

  /** Drops the held chunk: it is not published. */
  drop(): void {
    if (this.#held !== undefined) this.#awaited = { watermark: this.#held.watermark, isState: false };
    this.#held = undefined;
  }

  /** Forgets the held chunk: its message was not written. */
  discard(): void {
    this.#held = undefined;
    this.#hasUnsaved = true;
  }

  /** Forgets what is under way. */
  release(): void {
    this.#progress = this.#held = this.#awaited = undefined;
    this.#hasUnsaved = false;
  }

  /** @returns the progress @throws {Error} nothing is under way */
  require(): SnapshotProgress {
    if (this.#progress === undefined) throw new Error('no snapshot is under way');
    return this.#progress;
  }

  #take(progress: SnapshotProgress): void {
    this.#progress = progress;
    if (!isDone(progress)) return;
    this.#finished = progress;
    this.#progress = undefined;
    this.#hasUnsaved = false;
  }
}
