/**
 * Takes the messages of one peek, in their order, and says where its batch ends: with the peek, before a transaction that has to
 * wait, or out of time. What a message depends on is asked for before it is taken. Knows no request and no acknowledgement.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Message, Transaction } from '../decode/messages.ts';
import type { MessageBlock, Peek } from '../ports/slot.ts';
import { SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import type { KeyHistoryCache } from '../transform/key-history-cache.ts';
import type { TablePolicies } from '../transform/table-policies.ts';
import type { Transformer } from '../transform/transform.ts';
import type { Batch, BatchPorts, PeekRequest } from './batch-ports.ts';
import type { CatalogWaits } from './catalog-waits.ts';
import { latestEnd } from './logical-message-end.ts';
import { publishRows } from './publish-rows.ts';
import type { RowsToPublish, SnapshotRun } from './snapshot-run.ts';

/** One for all messages that depend on none: there are many. */
const NONE: readonly number[] = [];

/** What a batch is read with. */
export interface BatchReaderParts extends Pick<
  BatchPorts,
  'session' | 'clock' | 'snapshots' | 'marks' | 'shouldStop' | 'shouldHandOver'
> {
  readonly transformer: Transformer;
  readonly policies: TablePolicies;
  readonly keyHistory: KeyHistoryCache;
  readonly waits: CatalogWaits;
  /** The newest boundary before this batch. */
  readonly boundary: Lsn | undefined;
  /** Called with each transaction that begins. */
  readonly onBegin: (transaction: Transaction) => void;
  /** Sends the rounds that are full. @returns false when no more can be sent */
  readonly send: () => Promise<boolean>;
  /** Sends everything that was taken, and waits for it. @returns false when not all of it is acknowledged */
  readonly sendAll: () => Promise<boolean>;
}

/** Reads one batch. */
export class BatchReader {
  /** The transaction before which the batch ended, because it is not over (I11). */
  pendingCommit: Transaction | undefined;

  readonly #parts: BatchReaderParts;
  readonly #peek: Peek;
  readonly #request: PeekRequest;
  /** Transactions up to it are acknowledged, and come again: only while a snapshot holds the slot. */
  readonly #done: Lsn | undefined;
  #isPassing = false;
  #transaction: Transaction | undefined;
  /** How many changes there were before the transaction. */
  #changesBefore = 0;
  #isStopRequested = false;

  /**
   * @param parts - what it works with
   * @param peek - its rows
   * @param request - which peek it is
   */
  constructor(parts: BatchReaderParts, peek: Peek, request: PeekRequest) {
    this.#parts = parts;
    this.#peek = peek;
    this.#request = request;
    this.#done = parts.snapshots?.holdsSlot === true ? parts.boundary : undefined;
  }

  /**
   * @param catalogs - settles once the catalogs are as new as the peek: nothing is taken before
   * @returns why no more was taken
   * @throws {PipelineError} what an operator can act on; everything before it was taken
   */
  async read(catalogs: Promise<void>): Promise<Batch['ended']> {
    const { transformer, shouldStop } = this.#parts;
    let isFirst = true;
    for await (const block of this.#peek) {
      this.#request.onBlock?.(this.#peek);
      if (isFirst) {
        isFirst = false;
        await catalogs;
        if (shouldStop()) return 'deadline';
      }
      const ended = await this.#takeBlock(block);
      if (ended !== undefined) return ended;
      if (shouldStop()) return 'deadline';
    }
    await catalogs;
    for (const changes of this.#peek.leftOut) transformer.leaveOut(changes);
    return 'whole';
  }

  /** @returns why the batch ends inside of the block; undefined: it does not */
  async #takeBlock(block: MessageBlock): Promise<Batch['ended'] | undefined> {
    const { session, snapshots, marks, shouldStop, transformer, keyHistory, waits } = this.#parts;
    for (let message = block.next(); message !== undefined; message = block.next()) {
      if (this.#done !== undefined && this.#isPassed(message, this.#done)) continue;
      const refused = this.#refuses(message, block);
      if (refused !== undefined) return refused;
      if (message.kind === 'begin') {
        const { transaction } = message;
        if (!session.keys.isOver(transaction.xid) && !(await waits.untilOver(transaction))) {
          this.pendingCommit = transaction;
          return 'commit-pending';
        }
      }
      if (message.kind === 'change' && session.keyHistory !== undefined && this.#transaction !== undefined) {
        const question =
          message.historicKey === undefined ? keyHistory.question(message, this.#transaction) : undefined;
        if (question !== undefined) await waits.askWal(session.keyHistory, question, this.#end);
      }
      const unknown = this.#unknownAlterations(message, block);
      if (unknown.length > 0) await waits.askForCommits(unknown, this.#end);
      if (snapshots !== undefined && message.kind === 'message' && !message.transactional) {
        const rows = snapshots.message(message, block.rowLsn());
        if (rows !== undefined && !(await this.#publishChunk(rows, snapshots))) return 'deadline';
        if (message.prefix === SNAPSHOT_MESSAGE_PREFIX) {
          await snapshots.settleMessage();
          marks?.snapshotRead(transformer, block.rowLsn());
          continue;
        }
      }
      transformer.take(message, block);
      if (message.kind === 'commit') {
        snapshots?.tracker.committed(message.transaction.commitLsn, transformer.counts.changes === this.#changesBefore);
        marks?.committed(transformer);
      }
      if (transformer.closed.length > 0) {
        if (!(await this.#parts.send()) || this.#isStopRequested) return 'deadline';
        // Asked after each round, too: a block can hold many, and this is where a run takes the function's deadline if it may.
        this.#isStopRequested = shouldStop();
      }
      // When it is time to stop, finish the transaction, unless a round must be sent before: a whole transaction needs no
      // resuming. So stop at the next BEGIN. Its commit time is the age of the lag.
      if (this.#isStopRequested && message.kind === 'begin') return 'deadline';
    }
    return undefined;
  }

  /** How far what is asked for a message is to look. */
  get #end(): Lsn {
    return this.#peek.lastCommit ?? this.#request.upto;
  }

  /** @returns whether the message is of a transaction that is acknowledged, up to `done` */
  #isPassed(message: Message, done: Lsn): boolean {
    if (message.kind === 'begin') this.#isPassing = message.transaction.commitLsn <= done;
    const isPassed = this.#isPassing;
    if (message.kind === 'commit') this.#isPassing = false;
    return isPassed;
  }

  /** @returns why the batch ends before a message, whatever the catalogs say; undefined: it does not */
  #refuses(message: Message, block: MessageBlock): 'handed-over' | 'beyond-bound' | undefined {
    const { confirmed } = this.#request;
    if (message.kind === 'begin') {
      const { transformer, onBegin, shouldHandOver } = this.#parts;
      const isFirst = this.#transaction === undefined;
      this.#transaction = message.transaction;
      this.#changesBefore = transformer.counts.changes;
      onBegin(message.transaction);
      if (!isFirst && shouldHandOver()) return 'handed-over';
      // A standby may have flushed the first part of a commit record: promoted now, it would not have the commit.
      if (confirmed !== undefined && message.transaction.commitLsn > confirmed) return 'beyond-bound';
    } else if (confirmed !== undefined && message.kind === 'message' && !message.transactional) {
      // As a commit record: a standby may lack the end of it.
      if (latestEnd(block.rowLsn(), message) > confirmed) return 'beyond-bound';
    }
    return undefined;
  }

  /** Transactions that altered the message's tables, of which nobody knows where they committed. */
  #unknownAlterations(message: Message, block: MessageBlock): readonly number[] {
    const { transformer, policies } = this.#parts;
    if (!policies.hasExclusions || (message.kind !== 'change' && message.kind !== 'truncate')) return NONE;
    return transformer.unknownAlterations(message, block);
  }

  /** Publishes the rows of a snapshot's chunk. @returns false when no more can be sent */
  async #publishChunk(rows: RowsToPublish, snapshots: SnapshotRun): Promise<boolean> {
    const { clock, marks, transformer, send, sendAll, shouldStop } = this.#parts;
    const { table } = rows.chunk;
    const begun = clock.now();
    const isWhole = await publishRows(rows, snapshots, transformer, { send, shouldStop });
    snapshots.addWorkMs(clock.now() - begun);
    marks?.rowsRead(table);
    if (!isWhole) return false;
    transformer.newestPlace = rows.place;
    // Marks say that a table is read to its end, and of a round one lane may arrive without the others: so its rows go first.
    return marks === undefined || snapshots.tables.includes(table) || (await sendAll());
  }
}
