/**
 * A snapshot as one run sees it: what is under way, which rows of the chunk that is held are still true, what a consumer
 * would lack, and how far the slot may go. Pure: it is told what is read from the slot, in order, and what is acknowledged.
 *
 * Why it is right: what the chunk's MVCC snapshot sees is in the WAL before the watermark, and so was published before it. What
 * it does not see and is before the watermark is newer than the row, and takes it out of the chunk. What is behind the watermark is
 * newer, and comes later.
 */
import type { Lsn } from '../decode/lsn.ts';
import { type Chunk, keyText } from './chunk.ts';
import {
  addTables,
  begin,
  type CurrentTable,
  decodeMessage,
  encodeMessage,
  isDone,
  type KeyValues,
  removeTables,
  type SnapshotProgress,
} from './progress.ts';

/** More keys to be read again than this are not kept: the table is read from its beginning then. */
const MAX_AGAIN = 10_000;
/** How many of them one chunk reads. */
export const AGAIN_CHUNK = 500;

/** A row's change, as far as it matters here. */
export interface KeyChange {
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE';
  /** As the plugin prints it. */
  readonly table: string;
  /** Of its transaction, 32 bits. */
  readonly xid: number;
  /** The new row's; of a DELETE, the old one's. */
  readonly key: KeyValues;
  /** Given where an UPDATE moves the row to another key. */
  readonly oldKey: KeyValues | undefined;
  /** Whether the new row lacks values that did not change, and the change does not show them elsewhere. */
  readonly incomplete: boolean;
  /** Whether it becomes a record. */
  readonly published: boolean;
}

/** What is to be read next. */
export interface ChunkRequest {
  /** As the plugin prints it. */
  readonly table: string;
  /** The key that the cursor is of; undefined: nothing was read. */
  readonly key: string | undefined;
  /** Rows behind it; undefined: from the first. */
  readonly cursor: KeyValues | undefined;
  /** Rows of these keys instead; undefined: rows behind the cursor. */
  readonly asked: readonly KeyValues[] | undefined;
  /** Not before every transaction before this one (64 bits) is over. */
  readonly barrier: bigint | undefined;
}

/** A chunk that waits for its watermark. */
interface Held<Row> {
  readonly chunk: Chunk<Row>;
  readonly watermark: string;
  /** How many rows it had when it was read. */
  readonly count: number;
  /** Keys that came on the list after the chunk was read. */
  readonly fresh: Set<string>;
}

/** One run's view. */
export class SnapshotTracker<Row> {
  /** Undefined: none is under way. */
  #progress: SnapshotProgress | undefined;
  #finished: SnapshotProgress | undefined;
  #held: Held<Row> | undefined;
  /** The state has what the message that was emitted last does not say. */
  #hasUnsaved = false;
  /** The newest position right behind a COMMIT, or a message outside transactions. */
  #read: Lsn = 0n;
  /** Where the slot may stand. Meaningful while something is under way. */
  #slotLimit: Lsn = 0n;
  /** Where it may stand once everything that was taken is acknowledged. */
  #nextSlotLimit: Lsn | undefined;
  /** Nothing is under way any more, but not everything is acknowledged. */
  #ending = false;
  /** The watermark of a message without a chunk that is yet to be read: of the state alone, or of a chunk that was dropped. */
  #awaitedMessage: { readonly watermark: string; readonly isState: boolean } | undefined;
  #isAbandoned = false;
  /** Whether a message of state may still tell what is under way: only one that the slot stands right before does. */
  #mayAdopt = true;
  readonly #slot: string;

  /** @param slot - the slot's name: messages for others are none of ours */
  constructor(slot: string) {
    this.#slot = slot;
  }

  /** @param position - where the slot stands. Called once, before anything is read */
  begin(position: Lsn): void {
    this.#read = this.#slotLimit = position;
  }

  /** Undefined: none is under way. */
  get progress(): SnapshotProgress | undefined {
    return this.#progress;
  }

  /** What the last one had come to when it ended; undefined: none has. */
  get finished(): SnapshotProgress | undefined {
    return this.#finished;
  }

  /** Whether the state has what no message says: the slot cannot follow. */
  get hasUnsavedState(): boolean {
    return this.#hasUnsaved;
  }

  /** @param table - as printed @returns whether rows of it are held, or were read and others are not */
  isReading(table: string): boolean {
    return this.#progress?.current?.name === table || this.#held?.chunk.table === table;
  }

  /** The farthest position that the slot may be advanced to; undefined: there is no bound. */
  get bound(): Lsn | undefined {
    const isFree = this.#progress === undefined && !this.#ending && !this.#isAbandoned;
    return isFree ? undefined : this.#slotLimit;
  }

  /**
   * A transaction was read to its end.
   *
   * @param lsn - the position right behind its COMMIT
   * @param isEmpty - it changed nothing
   */
  committed(lsn: Lsn, isEmpty: boolean): void {
    if (lsn > this.#read) this.#read = lsn;
    if (!isEmpty) this.#mayAdopt = false;
  }

  /**
   * A message outside transactions was read. Where it is the watermark of the chunk that is held, what is left of that is to be
   * published here.
   *
   * @param content - its content; undefined: it is not ours
   * @param lsn - the position right behind it
   * @returns the chunk, where this is its watermark
   */
  message(content: string | undefined, lsn: Lsn): Chunk<Row> | undefined {
    // Read again, from where the slot stands.
    if (lsn <= this.#read) return undefined;
    const before = this.#read;
    this.#read = lsn;
    const message = content === undefined ? undefined : decodeMessage(this.#slot, content);
    switch (message?.kind) {
      case 'begin':
        if (this.#progress === undefined) this.#adopt(begin(message), before);
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
        // The first message tells everything. Others are leftovers, of this run or of one that failed.
        if (this.#mayAdopt) this.#adopt(message.progress, before);
        return undefined;
      default:
        return undefined;
    }
  }

  /**
   * A change was read.
   *
   * @param change - its keys
   * @returns the row that it was made from, where values that it lacks are to be taken from that
   */
  changed(change: KeyChange): Row | undefined {
    const { table, key, oldKey, incomplete } = change;
    if (this.#progress === undefined) return undefined;
    const row = this.#strike(change);
    const isMove = oldKey !== undefined;
    // A consumer that never got the old row has no other source. And whoever gets no change at all needs the row.
    if ((isMove && incomplete && row === undefined) || (row !== undefined && !change.published)) {
      if (change.operation !== 'DELETE') this.#readAgain(table, key);
    }
    return incomplete ? row : undefined;
  }

  /**
   * A table was truncated.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  truncated(table: string, xid: number): void {
    const chunk = this.#held?.chunk;
    if (chunk?.table === table && !chunk.sees(xid)) chunk.rows.clear();
  }

  /**
   * A change was read that does not show its key.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  changedUnknown(table: string, xid: number): void {
    const chunk = this.#held?.chunk;
    // It may be any row's: the chunk is read once more.
    if (chunk?.table === table && !chunk.sees(xid)) this.drop();
  }

  /** Everything that was taken so far is acknowledged. */
  acknowledged(): void {
    if (this.#isAbandoned) return;
    if (this.#nextSlotLimit !== undefined) this.#slotLimit = this.#nextSlotLimit;
    this.#nextSlotLimit = undefined;
    if (this.#awaitedMessage === undefined) this.#ending = false;
  }

  /** @param xid - 64 bits: all before it have to be over before a chunk is read */
  setBarrier(xid: bigint): void {
    if (this.#progress !== undefined) this.#progress = { ...this.#progress, barrier: xid };
  }

  /** @returns what is to be read next; undefined: nothing is under way, or a message is yet to be read */
  next(): ChunkRequest | undefined {
    const progress = this.#progress;
    if (progress === undefined || this.#held !== undefined || this.#awaitedMessage !== undefined) return undefined;
    if (this.#isAbandoned) return undefined;
    const { current, pending, barrier } = progress;
    if (current === undefined) {
      return { table: pending[0] ?? '', key: undefined, cursor: undefined, asked: undefined, barrier };
    }
    const { name, key, cursor, again, atEnd } = current;
    const asked = atEnd || again.length >= AGAIN_CHUNK ? again.slice(0, AGAIN_CHUNK) : undefined;
    return { table: name, key, cursor, asked, barrier };
  }

  /**
   * Holds what was read until its watermark is.
   *
   * @param chunk - as {@link next} asked for
   * @param watermark - a text that no other message has
   * @returns the content of the message that is to be emitted now: it is the watermark, and says what is so behind it
   */
  hold(chunk: Chunk<Row>, watermark: string): string {
    const held = { chunk, watermark, count: chunk.rows.size, fresh: new Set<string>() };
    this.#held = held;
    this.#hasUnsaved = false;
    const progress = afterChunk(this.#require(), held);
    return encodeMessage(this.#slot, { kind: 'state', mark: watermark, progress });
  }

  /**
   * The state as it is, so that the slot may follow, or so that what was waited for is known to the next run.
   *
   * @param watermark - a text that no other message has
   * @returns the content of the message that is to be emitted now. Not while a chunk is held
   */
  save(watermark: string): string {
    this.#awaitedMessage = { watermark, isState: true };
    this.#hasUnsaved = false;
    return encodeMessage(this.#slot, { kind: 'state', mark: watermark, progress: this.#require() });
  }

  /** The chunk that is held is not to be published. */
  drop(): void {
    if (this.#held !== undefined) this.#awaitedMessage = { watermark: this.#held.watermark, isState: false };
    this.#held = undefined;
  }

  /**
   * The table that is read is to be read no further.
   *
   * @param table - as printed
   */
  giveUp(table: string): void {
    if (this.#progress !== undefined) this.#change(removeTables(this.#progress, [table]));
  }

  /**
   * What is left, as a new request: for a run that cannot read on to the next message of state, so that the slot may go on.
   * The table that is being read begins anew then.
   *
   * @returns the content of the message that is to be emitted, before {@link release} is called
   */
  restartRequest(): string {
    const { id, begunAt, current, pending } = this.#require();
    const tables = [...(current === undefined ? [] : [current.name]), ...pending];
    // A run that begins right before a message of this one takes that for true, and comes here before it does anything.
    return encodeMessage(this.#slot, { kind: 'begin', id, begunAt, tables, anew: true });
  }

  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** Not all rows of a chunk were published: the run ends, and the slot stays where it is. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** What is under way is left to a message further on. */
  release(): void {
    this.#progress = this.#held = this.#nextSlotLimit = this.#awaitedMessage = undefined;
    this.#ending = this.#hasUnsaved = this.#isAbandoned = false;
  }

  #adopt(progress: SnapshotProgress, before: Lsn): void {
    if (isDone(progress)) return;
    this.#progress = progress;
    this.#mayAdopt = this.#hasUnsaved = false;
    // What came before it in this reading is acknowledged only later.
    this.#nextSlotLimit = before;
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
    this.#ending = true;
  }

  #reachState(isState: boolean, before: Lsn): undefined {
    this.#awaitedMessage = undefined;
    if (isState && this.#progress !== undefined && !this.#hasUnsaved) this.#nextSlotLimit = before;
  }

  #reachWatermark(held: Held<Row>, before: Lsn): Chunk<Row> {
    this.#held = undefined;
    this.#take(afterChunk(this.#require(), held));
    // A message that does not say everything is none to stand before.
    if (!this.#hasUnsaved) this.#nextSlotLimit = before;
    return held.chunk;
  }

  /** Takes the rows that a change touches out of the chunk. @returns the row that it was made from, if that was there */
  #strike({ table, xid, key, oldKey }: KeyChange): Row | undefined {
    const chunk = this.#held?.chunk;
    if (chunk?.table !== table || chunk.sees(xid)) return undefined;
    const from = keyText(oldKey ?? key);
    const row = chunk.rows.get(from);
    // A row that it is moved onto is not there: whoever made room for it came before.
    chunk.rows.delete(from);
    return row;
  }

  #readAgain(table: string, key: KeyValues): void {
    const progress = this.#require();
    const held = this.#held;
    if (!this.isReading(table)) return;
    const current: CurrentTable = progress.current ?? {
      name: table,
      key: held?.chunk.key ?? '',
      cursor: undefined,
      atEnd: false,
      again: [],
      rows: 0,
    };
    const text = keyText(key);
    const isListed = current.again.some((listed) => keyText(listed) === text);
    if (isListed && (held === undefined || held.fresh.has(text))) return;
    held?.fresh.add(text);
    this.#hasUnsaved = true;
    if (isListed) return;
    const pending = progress.pending.filter((name) => name !== table);
    if (current.again.length < MAX_AGAIN) {
      this.#progress = { ...progress, pending, current: { ...current, again: [...current.again, key] } };
    } else {
      this.drop();
      this.#progress = { ...progress, pending, current: { ...current, cursor: undefined, atEnd: false, again: [] } };
    }
  }

  #require(): SnapshotProgress {
    if (this.#progress === undefined) throw new Error('no snapshot is under way');
    return this.#progress;
  }
}

/** The state behind a chunk's watermark. */
function afterChunk<Row>(progress: SnapshotProgress, { chunk, count, fresh }: Held<Row>): SnapshotProgress {
  const { table, key, last, asked } = chunk;
  const current = progress.current ?? { name: table, key, cursor: undefined, atEnd: false, again: [], rows: 0 };
  const done = new Set((asked ?? []).map(keyText));
  const again = current.again.filter((listed) => !done.has(keyText(listed)) || fresh.has(keyText(listed)));
  const atEnd = asked === undefined ? chunk.atEnd : current.atEnd;
  const pending = progress.pending.filter((name) => name !== table);
  const read = current.rows + count;
  if (atEnd && again.length === 0) {
    const { doneTables, doneRows } = progress;
    return { ...progress, pending, current: undefined, doneTables: doneTables + 1, doneRows: doneRows + read };
  }
  const cursor = asked === undefined ? (last ?? current.cursor) : current.cursor;
  return { ...progress, pending, current: { name: table, key, cursor, atEnd, again, rows: read } };
}
