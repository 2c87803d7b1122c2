/**
 * A snapshot as one run sees it: what is under way, which rows of the chunk that is held are still true, what a consumer
 * would lack, and how far the slot may go. Pure: it is told what is read from the slot, in order, and what is acknowledged.
 *
 * Why it is right: a change that the chunk's MVCC snapshot sees is in the WAL before the watermark, so it was published before the
 * chunk's rows. A change before the watermark that the snapshot does not see is newer than the row, and takes the row out of the
 * chunk. A change after the watermark is newer, too, and is published later.
 */
import type { Lsn } from '../decode/lsn.ts';
import { type Chunk, type ChunkRequest, keyText, type KeyValues } from './chunk.ts';
import { FirstMessage } from './first-message.ts';
import { HeldChunk, type KeyChange } from './held-chunk.ts';
import { ListedKeys } from './listed-keys.ts';
import {
  addTables,
  afterChunk,
  begin,
  currentOf,
  isDone,
  removeTables,
  requestFor,
  type SnapshotProgress,
  tablesUnderWay,
  withAgain,
  withCurrent,
} from './progress.ts';
import { SlotPosition } from './slot-position.ts';
import { decodeSnapshotMessage, encodeSnapshotMessage } from './snapshot-message.ts';

/** One run's view. */
export class SnapshotTracker<Row> {
  /** Undefined: none is under way. */
  #progress: SnapshotProgress | undefined;
  #finished: SnapshotProgress | undefined;
  #held: HeldChunk<Row> | undefined;
  /** The state has changes that the last written message does not hold. */
  #hasUnsaved = false;
  readonly #position = new SlotPosition();
  /** A message without a chunk that was written and is yet to be read, by its watermark: of the state alone, or of a chunk that was dropped. */
  #awaitedMessage: { readonly watermark: string; readonly isState: boolean } | undefined;
  readonly #first: FirstMessage;
  readonly #listed = new ListedKeys();
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
    return this.#progress;
  }

  /** The state of the last snapshot when it ended; undefined: none has ended. */
  get finished(): SnapshotProgress | undefined {
    return this.#finished;
  }

  /** Whether the state has changes that no message in the WAL holds yet: then the slot cannot be advanced. */
  get hasUnsavedState(): boolean {
    return this.#hasUnsaved;
  }

  /** @param table - as printed @returns whether rows of it are held, or were read and others are not */
  isReading(table: string): boolean {
    return this.#progress?.current?.name === table || this.#held?.chunk.table === table;
  }

  /** The farthest position that the slot may be advanced to; undefined: there is no bound. */
  get bound(): Lsn | undefined {
    return this.#position.bound(this.#progress !== undefined);
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
    switch (message?.kind) {
      case 'begin':
        if (this.#progress === undefined) this.#takeUp(begin(message), before);
        else {
          if (message.anew) this.drop();
          this.#change(addTables(this.#progress, message));
        }
        return undefined;
      case 'stop':
        if (this.#progress !== undefined) this.#change(removeTables(this.#progress, message.tables));
        return undefined;
      case 'state':
        if (this.#held?.watermark === message.mark) return this.#reachWatermark(this.#held, before);
        if (this.#awaitedMessage?.watermark === message.mark)
          return this.#reachState(this.#awaitedMessage.isState, before);
        if (this.#first.isToBeTaken(message.publications)) this.#takeUp(message.progress, before);
        return undefined;
      default:
        return undefined;
    }
  }

  /**
   * A change was read.
   *
   * @param change - its keys
   * @returns the row before the change, if the change lacks values that are to be taken from that row
   */
  changed(change: KeyChange): Row | undefined {
    const { table, xid, key, oldKey, incomplete } = change;
    if (this.#progress === undefined) return undefined;
    const row = this.#held?.removeRow(table, xid, oldKey ?? key);
    const isMove = oldKey !== undefined;
    // A consumer that never got the old row cannot know the missing values. One that does not get the change needs the whole row.
    if ((isMove && incomplete && row === undefined) || (row !== undefined && !change.published)) {
      if (change.operation !== 'DELETE') this.readAgain(table, key);
    }
    return incomplete ? row : undefined;
  }

  /**
   * A table was truncated.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  tableTruncated(table: string, xid: number): void {
    if (this.#held?.isOlderThan(table, xid) === true) this.#held.chunk.rows.clear();
  }

  /**
   * A row is to be read once more: what a consumer got of it lacks values.
   *
   * @param table - as printed
   * @param key - the row's
   */
  readAgain(table: string, key: KeyValues): void {
    if (!this.isReading(table)) return;
    const held = this.#held;
    const text = keyText(key);
    const current = currentOf(this.#require(), table, held?.chunk.key ?? '');
    // All of the table is read after this.
    if (held === undefined && current.cursor === undefined && !current.atEnd) return;
    const isListed = this.#listed.has(current.again, text);
    if (isListed && (held === undefined || held.fresh.has(text))) return;
    held?.fresh.add(text);
    this.#hasUnsaved = true;
    if (isListed) return;
    const next = withAgain(current, key);
    if (next.again.length > current.again.length) this.#listed.added(next.again, text);
    if (next.cursor === undefined && next.again.length === 0) this.drop();
    this.#progress = withCurrent(this.#require(), next);
  }

  /**
   * A change was read that does not show its key.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  changedUnknown(table: string, xid: number): void {
    // It may belong to any row: the chunk is read once more.
    if (this.#held?.isOlderThan(table, xid) === true) this.drop();
  }

  /** Everything that was taken so far is acknowledged. */
  acknowledged(): void {
    this.#position.acknowledged(this.#awaitedMessage !== undefined);
  }

  /** @param xid - 64 bits: all before it have to be over before a chunk is read */
  setBarrier(xid: bigint): void {
    if (this.#progress !== undefined) this.#progress = { ...this.#progress, barrier: xid };
  }

  /** @returns what is to be read next; undefined: nothing is under way, or a message is yet to be read */
  next(): ChunkRequest | undefined {
    const progress = this.#progress;
    if (progress === undefined || this.#held !== undefined || this.#awaitedMessage !== undefined) return undefined;
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
    const held = new HeldChunk(chunk, watermark);
    this.#held = held;
    this.#hasUnsaved = false;
    const progress = afterChunk(this.#require(), held);
    return this.#stateMessage(watermark, progress);
  }

  /**
   * Saves the state without a chunk: so that the slot can be advanced, or so that the next run knows what was waited for.
   *
   * @param watermark - a text that no other message has
   * @returns the content of the message to be emitted now. Not to be called while a chunk is held
   */
  save(watermark: string): string {
    this.#awaitedMessage = { watermark, isState: true };
    this.#hasUnsaved = false;
    return this.#stateMessage(watermark, this.#require());
  }

  /** Forgets the chunk that {@link hold} was given: its message was not written. */
  discard(): void {
    this.#held = undefined;
    this.#hasUnsaved = true;
  }

  /** Drops the held chunk: it is not published. */
  drop(): void {
    if (this.#held !== undefined) this.#awaitedMessage = { watermark: this.#held.watermark, isState: false };
    this.#held = undefined;
  }

  /**
   * Ends the reading of a table.
   *
   * @param table - as printed
   */
  giveUp(table: string): void {
    if (this.#progress !== undefined) this.#change(removeTables(this.#progress, [table]));
  }

  /**
   * Requests what is left as a new snapshot, for a run that cannot read up to the next message of state: so the slot can be
   * advanced. The table that is being read starts from its beginning.
   *
   * @returns the content of the message that is to be emitted, before {@link release} is called
   */
  restartRequest(): string {
    const progress = this.#require();
    const { id, begunAt } = progress;
    const tables = tablesUnderWay(progress);
    // A run that begins right before an older message adopts that first, and then reads this one before it does anything.
    return encodeSnapshotMessage(this.#slot, { kind: 'begin', id, begunAt, tables, anew: true });
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
    this.#progress = this.#held = this.#awaitedMessage = undefined;
    this.#hasUnsaved = false;
    this.#position.release();
  }

  #stateMessage(mark: string, progress: SnapshotProgress): string {
    return encodeSnapshotMessage(this.#slot, { kind: 'state', mark, publications: this.#publications, progress });
  }

  #takeUp(progress: SnapshotProgress, before: Lsn): void {
    if (isDone(progress)) return;
    this.#progress = progress;
    this.#hasUnsaved = false;
    this.#first.told();
    // What was read before it is acknowledged only later.
    this.#position.allowOnceAcknowledged(before);
  }

  #change(progress: SnapshotProgress): void {
    if (progress === this.#progress) return;
    const { chunk } = this.#held ?? {};
    if (chunk !== undefined && progress.current?.name !== chunk.table && progress.pending[0] !== chunk.table)
      this.drop();
    this.#hasUnsaved = true;
    this.#take(progress);
  }

  #take(progress: SnapshotProgress): void {
    this.#progress = progress;
    if (!isDone(progress)) return;
    this.#finished = progress;
    this.#progress = undefined;
    this.#hasUnsaved = false;
    this.#position.end();
  }

  #reachState(isState: boolean, before: Lsn): undefined {
    this.#awaitedMessage = undefined;
    if (isState && this.#progress !== undefined && !this.#hasUnsaved) this.#position.allowOnceAcknowledged(before);
  }

  #reachWatermark(held: HeldChunk<Row>, before: Lsn): Chunk<Row> {
    this.#held = undefined;
    this.#take(afterChunk(this.#require(), held));
    // The slot may only be advanced to right before a message that holds the whole state.
    if (!this.#hasUnsaved) this.#position.allowOnceAcknowledged(before);
    return held.chunk;
  }

  #require(): SnapshotProgress {
    if (this.#progress === undefined) throw new Error('no snapshot is under way');
    return this.#progress;
  }
}
