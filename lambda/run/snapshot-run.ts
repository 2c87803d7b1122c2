/**
 * A run's work on a snapshot: when to read the next chunk, what to write into the WAL behind it, and what to do where that
 * is not possible now. What is read from the slot, and how far it may go, the tracker knows. Ports in; knows no SQL.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { LogicalMessage, Transaction } from '../decode/messages.ts';
import type { PipelineError } from '../errors.ts';
import type { Log } from '../ports/runtime.ts';
import type { SnapshotSource, WrittenMessage } from '../ports/snapshot-source.ts';
import type { Chunk } from '../snapshot/chunk.ts';
import { begin, type SnapshotProgress, tablesUnderWay } from '../snapshot/progress.ts';
import type { HeldRow } from '../snapshot/row-set.ts';
import { SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import { SnapshotTracker } from '../snapshot/tracker.ts';
import { SnapshotRows } from '../transform/snapshot-rows.ts';
import { ChunkBudget, type ChunkBudgetParts } from './chunk-budget.ts';
import { createSnapshotAnswer, type SnapshotAnswer } from './snapshot-answer.ts';

/** What a run's work on a snapshot is made of. */
export interface SnapshotRunParts extends ChunkBudgetParts {
  readonly source: SnapshotSource;
  readonly log: Log;
  readonly slotName: string;
  /** Whether something was published that the slot could not follow: it would come again with the next run. @default false */
  readonly isHeldBack?: () => boolean;
  /** @returns how long the server may work for a chunk's first row: the rest is for what it finds. @default as long as at most */
  readonly firstRowMs?: () => number;
  /** Whether to wait for what has to end first: else the next run looks again. */
  readonly isPatient: boolean;
  readonly stop?: AbortSignal;
  /** Called while nothing can be read, as no round tells how far it is. */
  readonly onWaiting: () => void;
}

/** Rows to be published at the place that was read last. */
export interface RowsToPublish {
  readonly chunk: Chunk<HeldRow>;
  /** The place in the WAL, in the shape of a transaction. */
  readonly place: Transaction;
}

/** How long a patient run pauses where something has to end first. */
const PAUSE_MS = 500;
/** How often the state is saved alone before a chunk is read all the same: keys may change so often that each message lacks some. */
const MAX_SAVES = 5;
/** While no rows can be read, the slot follows what is published this often. */
const SAVE_EVERY_MS = 10_000;
/** How soon a run that lingers looks again. */
const RETRY_MS = 1_000;
/** How long the server may work for the first row of a chunk at most. */
const FIRST_ROW_MS = 30_000;
/** A larger message of ours would not be read back whole. */
const MAX_MESSAGE_BYTES = 512 * 1024;

/** One run's work. */
export class SnapshotRun {
  readonly tracker: SnapshotTracker<HeldRow>;
  /** Told of changes by the transformation. */
  readonly rows: SnapshotRows;
  /** What was taken of the rows that this run has read, whether it is acknowledged or not. */
  readonly #taken = { published: 0, leftOut: 0 };
  /** The same, of what is acknowledged. */
  #acknowledged = { published: 0, leftOut: 0 };

  readonly #parts: SnapshotRunParts;
  /** The message that was written behind the chunk that is held. */
  #written: WrittenMessage | undefined;
  #watermarks = 0;
  #waitsFor: string | undefined;
  #isBarrierSaved = false;
  #saves = 0;
  /** When the state was last written without a chunk. */
  #savedAt: number | undefined;
  #notBefore = 0;
  readonly #budget: ChunkBudget;
  readonly #givenUp: { readonly table: string; readonly why: string }[] = [];

  /** The table whose last chunk was not published whole. */
  #abandonedTable: string | undefined;
  /** What is requested anew by a message that is yet to be read. */
  #requestedAnew: SnapshotProgress | undefined;
  /** Whether this run has written such a message. */
  wasRequestedAnew = false;

  /** @param parts - what it is made of */
  constructor(parts: SnapshotRunParts) {
    this.#parts = parts;
    this.#budget = new ChunkBudget(parts);
    this.tracker = new SnapshotTracker(parts.slotName, parts.source.publications);
    this.rows = new SnapshotRows(this.tracker.changes);
  }

  /** @param position - where the slot stands */
  begin(position: Lsn): void {
    this.tracker.begin(position);
  }

  /** Tables of which not all rows are published, as printed. */
  get tables(): readonly string[] {
    const progress = this.tracker.progress ?? this.#requestedAnew;
    const left = progress === undefined ? [] : tablesUnderWay(progress);
    // As far as the state goes it may be read to its end: but the rows of its last chunk are still to come.
    const again = this.#abandonedTable;
    return again === undefined || left.includes(again) ? left : [again, ...left];
  }

  /** Whether the snapshot decides how far the slot may advance: not up to everything that is acknowledged. */
  get holdsSlot(): boolean {
    return this.tracker.bound !== undefined;
  }

  /**
   * A message outside transactions was read.
   *
   * @param message - any
   * @param lsn - the position right behind it
   * @returns the rows that are to be published here
   */
  message(message: LogicalMessage, lsn: Lsn): RowsToPublish | undefined {
    const { prefix, bytes, start, end } = message;
    const isOurs = prefix === SNAPSHOT_MESSAGE_PREFIX;
    const chunk = this.tracker.message(isOurs ? bytes.toString('utf8', start, end) : undefined, lsn);
    if (this.tracker.progress !== undefined) this.#requestedAnew = undefined;
    if (chunk === undefined || this.#written === undefined) return undefined;
    const { xid, micros } = this.#written;
    return { chunk, place: { xid, commitLsn: lsn, commitTimeMicros: micros } };
  }

  /** Writes what is to follow from the message that was read: see {@link SnapshotTracker.repeatedStop}. */
  async settleMessage(): Promise<void> {
    const content = this.tracker.repeatedStop();
    if (content === undefined) return;
    await this.#parts.source.write(content);
    this.tracker.stopRepeated();
  }

  /** A row was taken by the transformation. */
  rowTaken(outcome: 'published' | 'leftOut'): void {
    this.#taken[outcome]++;
  }

  /** Everything that was taken so far is acknowledged. */
  acknowledged(): void {
    this.#acknowledged = { ...this.#taken };
    this.tracker.acknowledged();
  }

  /** @param ms - what the publishing of rows took */
  addWorkMs(ms: number): void {
    this.#budget.addMs(ms);
  }

  /** Not all rows of a chunk could be published: the next run reads them again, in smaller chunks. @param table - whose, as printed */
  abandon(table: string): void {
    this.#abandonedTable = table;
    this.tracker.abandon();
    this.#budget.abandon();
  }

  /**
   * A filter leaves the table out since the snapshot was requested: its rows are not published.
   *
   * @param table - as printed
   */
  leaveOut(table: string): void {
    this.#giveUp(table, 'TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST leaves it out now');
  }

  /**
   * Rows could not be published.
   *
   * @param table - as printed
   * @param error - why
   */
  refuseRow(table: string, error: PipelineError): void {
    this.#giveUp(table, `a row cannot be published: ${error.code}`);
    this.#parts.log.warn(`The snapshot reads ${table} no further: ${error.message}`);
  }

  /**
   * The slot is read to its end: works on the snapshot, if there is one and there is time for it.
   *
   * @returns whether to read on: something was written that is yet to be read
   */
  async step(): Promise<boolean> {
    const { tracker } = this;
    const { clock, source } = this.#parts;
    this.#budget.end();
    while (tracker.progress !== undefined) {
      if (!this.#budget.isTime()) {
        if (!this.#mustSave() || tracker.next() === undefined || !this.#parts.hasTime(0)) return false;
        await this.#setBarrier();
        await this.#save();
        return true;
      }
      this.#budget.begin();
      await this.#setBarrier();
      const request = tracker.next();
      // A message of this run is yet to be read.
      if (request === undefined) return true;
      if (!tracker.hasUnsavedState) this.#saves = 0;
      else if (this.#saves < MAX_SAVES) {
        // The last message lacks a part of the state, so the slot could not follow. The next message has all of it.
        this.#saves++;
        await this.#save();
        this.#budget.addElapsed();
        return true;
      }
      const firstRowMs = Math.min(FIRST_ROW_MS, this.#parts.firstRowMs?.() ?? FIRST_ROW_MS);
      const read = await source.read(request, this.#budget.chunkBytes, firstRowMs);
      switch (read.kind) {
        case 'chunk': {
          this.#waitsFor = undefined;
          const watermark = this.#newWatermark();
          const content = tracker.hold(read.chunk, watermark);
          if (content.length > MAX_MESSAGE_BYTES) {
            tracker.discard();
            this.#giveUp(request.table, 'its keys are too large to be named in a message');
            this.acknowledged();
            break;
          }
          this.#written = await source.write(content);
          this.#budget.addElapsed();
          return true;
        }
        case 'refused':
          this.#giveUp(request.table, read.why);
          // Everything that was taken is acknowledged by now.
          this.acknowledged();
          break;
        case 'waiting':
          this.#waitsFor = read.what;
          // Once the barrier is saved, the next run does not wait for transactions that begin meanwhile.
          if (!this.#isBarrierSaved || this.#mustSave()) {
            await this.#save();
            return true;
          }
          this.#notBefore = clock.now() + RETRY_MS;
          this.#parts.onWaiting();
          if (!this.#parts.isPatient) return false;
          await clock.sleep(PAUSE_MS, this.#parts.stop);
          return true;
      }
    }
    return false;
  }

  /** Whether there is something to do now, and time for it: else a run that lingers would look again at once, for nothing. */
  isDue(): boolean {
    return this.tracker.progress !== undefined && this.#parts.clock.now() >= this.#notBefore && this.#budget.isTime();
  }

  /** Whether the slot has not followed for a while what was published: the next run would publish that again. */
  #mustSave(): boolean {
    const isSoon = this.#savedAt !== undefined && this.#parts.clock.now() < this.#savedAt + SAVE_EVERY_MS;
    return !isSoon && this.#parts.isHeldBack?.() === true;
  }

  async #save(): Promise<void> {
    this.#savedAt = this.#parts.clock.now();
    this.#isBarrierSaved = true;
    await this.#parts.source.write(this.tracker.save(this.#newWatermark()));
  }

  async #setBarrier(): Promise<void> {
    if (this.tracker.progress?.barrier !== undefined) return;
    this.tracker.setBarrier(await this.#parts.source.nextXid());
    this.#isBarrierSaved = false;
  }

  /** Requests what is left anew, by a message further on in the WAL, so that the slot may advance up to there. */
  async restartLater(): Promise<void> {
    const { progress } = this.tracker;
    if (progress === undefined) return;
    this.#parts.log.warn(
      'What has to be read before the snapshot can go on is more than one run can publish. The table that it was reading begins anew behind that.',
      { table: progress.current?.name },
    );
    await this.#parts.source.write(this.tracker.restartRequest());
    this.wasRequestedAnew = true;
    this.#requestedAnew = begin({ ...progress, tables: tablesUnderWay(progress) });
    this.tracker.release();
  }

  /** @returns what to answer; undefined: there was none */
  answer(): SnapshotAnswer | undefined {
    const progress = this.tracker.progress ?? this.#requestedAnew ?? this.tracker.finished;
    if (progress === undefined) return undefined;
    const { published, leftOut } = this.#acknowledged;
    const waitsFor = this.#waitsFor;
    return createSnapshotAnswer({
      progress,
      holdsSlot: this.holdsSlot,
      rowsPublished: published,
      rowsLeftOut: leftOut,
      waitsFor,
      givenUp: this.#givenUp,
    });
  }

  #newWatermark(): string {
    const { clock } = this.#parts;
    return `${clock.now().toString(36)}-${Math.floor(clock.random() * 2 ** 48).toString(36)}-${this.#watermarks++}`;
  }

  #giveUp(table: string, why: string): void {
    this.#givenUp.push({ table, why });
    this.#parts.log.warn(`The snapshot reads ${table} no further: ${why}.`);
    this.tracker.giveUp(table);
  }
}
