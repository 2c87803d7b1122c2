/**
 * A snapshot as one run sees it: what is requested, what is to be read next, and how far the slot may go. Pure: it is told what
 * is read from the slot, in order, and what is acknowledged. What the changes do to the rows that it holds is in `row-changes.ts`.
 *
 * Why it is right: a change that the chunk's MVCC snapshot sees is in the WAL before the watermark, so it was published before the
 * chunk's rows. A change before the watermark that the snapshot does not see is newer than the row, and takes the row out of the
 * chunk. A change after the watermark is newer, too, and is published later.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Chunk, ChunkRequest } from './chunk.ts';
import { FirstMessage } from './first-message.ts';
import type { HeldChunk } from './held-chunk.ts';
import {
  addTables,
  begin,
  isDone,
  removeTables,
  requestFor,
  type SnapshotProgress,
  tablesUnderWay,
} from './progress.ts';
import { RowChanges } from './row-changes.ts';
import { type AwaitedMessage, RunState } from './run-state.ts';
import { SlotPosition } from './slot-position.ts';
import { decodeSnapshotMessage, encodeSnapshotMessage } from './snapshot-message.ts';

/** One run's view. */
export class SnapshotTracker<Row> {
  readonly #state = new RunState<Row>();
  /** Is told of what changes the tables that are being read. */
  readonly changes = new RowChanges(this.#state);
  readonly #position = new SlotPosition();
  readonly #first: FirstMessage;
  /** What a stop has ended that is to be repeated. */
  #stopped: SnapshotProgress | undefined;
  readonly #slot: string;
  readonly #publications: readonly string[];

  /**
   * @param slot - the slot's name: messages for other slots are ignored
   * @param publications - those that it is read by @default its plugin reads none
   */
  constructor(slot: string, publications: readonly string[] = []) {
    this.#slot = slot;
    this.#publications = publications;
    this.#first = new FirstMessage(publications);
  }

  /** @param position - the slot's position. Called once, before anything is read */
  begin(position: Lsn): void {
    this.#position.begin(position);
  }

  /** Undefined: none is under way. */
  get progress(): SnapshotProgress | undefined {
    return this.#state.progress;
  }

  /** The state of the last snapshot when it ended; undefined: none has ended. */
  get finished(): SnapshotProgress | undefined {
    return this.#state.finished;
  }

  /** Whether the state has changes that no message in the WAL holds yet: then the slot cannot be advanced. */
  get hasUnsavedState(): boolean {
    return this.#state.hasUnsaved;
  }

  /** The farthest position that the slot may be advanced to; undefined: there is no bound. */
  get bound(): Lsn | undefined {
    return this.#position.bound(this.progress !== undefined);
  }

  /**
   * A transaction was read to its end.
   *
   * @param lsn - the position right behind its COMMIT
   * @param isEmpty - it changed nothing
   */
  committed(lsn: Lsn, isEmpty: boolean): void {
    this.#position.passCommit(lsn);
    if (!isEmpty) this.#first.passChange();
  }

  /**
   * A message outside transactions was read. If it is the watermark of the held chunk, the rows that are left of the chunk are
   * published at this place.
   *
   * @param content - its content; undefined: it is not ours
   * @param lsn - the position right behind it
   * @returns the chunk, where this is its watermark
   */
  message(content: string | undefined, lsn: Lsn): Chunk<Row> | undefined {
    const before = this.#position.passMessage(lsn);
    if (before === undefined) return undefined;
    const message = content === undefined ? undefined : decodeSnapshotMessage(this.#slot, content);
    const { progress } = this;
    switch (message?.kind) {
      case 'begin':
        if (progress === undefined) this.#takeUp(begin(message), before);
        else {
          if (message.anew) this.#state.drop();
          this.#change(addTables(progress, message));
        }
        return undefined;
      case 'stop':
        if (progress === undefined || (message.id ?? progress.id) !== progress.id) return undefined;
        this.#change(removeTables(progress, message.tables));
        if (this.progress === undefined && message.id === undefined) this.#stopped = progress;
        return undefined;
      case 'state': {
        const { held, awaited } = this.#state;
        if (held?.watermark === message.mark) return this.#reachWatermark(held, before);
        if (awaited?.watermark === message.mark) this.#reachAwaited(awaited, before);
        else if (this.#first.isToBeTaken(message.publications)) this.#takeUp(message.progress, before);
        return undefined;
      }
      default:
        return undefined;
    }
  }

  /** Everything that was taken so far is acknowledged. */
  acknowledged(): void {
    this.#position.acknowledged(this.#state.awaited !== undefined || this.#stopped !== undefined);
  }

  /** @param xid - 64 bits: all before it have to be over before a chunk is read */
  setBarrier(xid: bigint): void {
    this.#state.setBarrier(xid);
  }

  /** @returns what is to be read next; undefined: nothing is under way, or a message is yet to be read */
  next(): ChunkRequest | undefined {
    const { progress, held, awaited } = this.#state;
    if (progress === undefined || held !== undefined || awaited !== undefined) return undefined;
    return this.isAbandoned ? undefined : requestFor(progress);
  }

  /**
   * Holds a chunk until its watermark is read.
   *
   * @param chunk - as {@link next} asked for
   * @param watermark - a text that no other message has
   * @returns the content of the message to be emitted now: it is the watermark, and holds the state after the chunk
   */
  hold(chunk: Chunk<Row>, watermark: string): string {
    return this.#stateMessage(watermark, this.#state.hold(chunk, watermark));
  }

  /**
   * Saves the state without a chunk: so that the slot can be advanced, or so that the next run knows what was waited for.
   *
   * @param watermark - a text that no other message has
   * @returns the content of the message to be emitted now. Not to be called while a chunk is held
   */
  save(watermark: string): string {
    return this.#stateMessage(watermark, this.#state.save(watermark));
  }

  /** Forgets the chunk that {@link hold} was given: its message was not written. */
  discard(): void {
    this.#state.discard();
  }

  /**
   * Ends the reading of a table.
   *
   * @param table - as printed
   */
  giveUp(table: string): void {
    if (this.progress !== undefined) this.#change(removeTables(this.progress, [table]));
  }

  /**
   * Requests what is left as a new snapshot, for a run that cannot read up to the next message of state: so the slot can be
   * advanced. The table that is being read starts from its beginning.
   *
   * @returns the content of the message that is to be emitted, before {@link release} is called
   */
  restartRequest(): string {
    const progress = this.#state.require();
    const { id, begunAt } = progress;
    const tables = tablesUnderWay(progress);
    // A run that begins right before an older message adopts that first, and then reads this one before it does anything.
    return encodeSnapshotMessage(this.#slot, { kind: 'begin', id, begunAt, tables, anew: true });
  }

  /**
   * Repeats a stop that ended everything. A message of state by a run that failed may lie behind the stop, and be the first that
   * the next run reads; this ends what it takes up from there.
   *
   * @returns the content of the message that is to be emitted, before {@link stopRepeated} is called; undefined: nothing was ended
   */
  repeatedStop(): string | undefined {
    const stopped = this.#stopped;
    if (stopped === undefined) return undefined;
    const message = { kind: 'stop', id: stopped.id, tables: tablesUnderWay(stopped) } as const;
    return encodeSnapshotMessage(this.#slot, message);
  }

  /** What {@link repeatedStop} gave is written: the slot may go on, once everything is acknowledged. */
  stopRepeated(): void {
    this.#stopped = undefined;
  }

  /** Whether not all rows of a chunk were published: then the slot stays where it is. */
  get isAbandoned(): boolean {
    return this.#position.isAbandoned;
  }

  /** Not all rows of a chunk were published: the run ends, and the slot stays where it is. */
  abandon(): void {
    this.#position.abandon();
  }

  /** Forgets the current snapshot: a later message in the WAL requests it again. */
  release(): void {
    this.#state.release();
    this.#position.release();
  }

  #stateMessage(mark: string, progress: SnapshotProgress): string {
    return encodeSnapshotMessage(this.#slot, { kind: 'state', mark, publications: this.#publications, progress });
  }

  #takeUp(progress: SnapshotProgress, before: Lsn): void {
    if (isDone(progress)) return;
    this.#state.takeUp(progress);
    this.#first.told();
    // What was read before it is acknowledged only later.
    this.#position.allowOnceAcknowledged(before);
  }

  #change(progress: SnapshotProgress): void {
    this.#state.change(progress);
    this.#endIfDone();
  }

  #reachWatermark(held: HeldChunk<Row>, before: Lsn): Chunk<Row> {
    const chunk = this.#state.reachWatermark(held);
    this.#endIfDone();
    // The slot may only be advanced to right before a message that holds the whole state.
    if (!this.hasUnsavedState) this.#position.allowOnceAcknowledged(before);
    return chunk;
  }

  #reachAwaited({ isState }: AwaitedMessage, before: Lsn): void {
    this.#state.reachAwaited();
    if (isState && this.progress !== undefined && !this.hasUnsavedState) this.#position.allowOnceAcknowledged(before);
  }

  #endIfDone(): void {
    if (this.progress === undefined) this.#position.end();
  }
}
