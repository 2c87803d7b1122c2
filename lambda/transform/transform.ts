/**
 * Turns messages into user records and hands them to the packer: filter, key, format, pack, and count.
 * Pure but for its counts; knows no SQL, no SDK and no plugin. What it leaves out it counts (I9).
 */
import type { Message, RowChange, TableName, Transaction, Truncate } from '../decode/messages.ts';
import type { ResumePosition } from '../decode/resume-position.ts';
import type { ChangeRecord } from '../format/record.ts';
import type { Packer } from '../pack/packer.ts';
import type { LeftOutChanges, MessageBlock } from '../ports/slot.ts';
import type { Operation } from '../settings/setting-schemas.ts';
import type { HeldRow } from '../snapshot/row-set.ts';
import type { AckPosition } from './ack-position.ts';
import { ChangeKeys } from './change-keys.ts';
import { type Counts, noCounts, type Skipped } from './counts.ts';
import { LogicalMessages, type LogicalMessagesParts } from './logical-messages.ts';
import { type Outcome, RecordPublisher, type RecordPublisherParts } from './record-publisher.ts';
import { type ClosedRound, Rounds } from './rounds.ts';
import { emptyKey, locateKey } from './row-key.ts';
import { SkippedChanges, type SkippedChangesParts } from './skipped-changes.ts';
import type { SnapshotRows } from './snapshot-rows.ts';
import type { TablePolicy } from './table-policy.ts';
import { TransactionCursor } from './transaction-cursor.ts';
import { asOperatorError, keyUnresolved, recordTooLarge } from './transform-errors.ts';

/** What a transformation is made of. */
export interface TransformerParts extends RecordPublisherParts, LogicalMessagesParts, SkippedChangesParts {
  readonly packer: Packer;
  /** What to do with a change that does not show its table's current key, when no other is known. */
  readonly unknownKey: 'skip' | 'fail';
  /** Operations that are published. */
  readonly operations: ReadonlySet<Operation>;
  /** Where to go on inside the first transaction. */
  readonly resume: ResumePosition | undefined;
  /** Told of changes while a snapshot is under way. */
  readonly snapshots?: SnapshotRows | undefined;
}

/** Messages in, rounds out. */
export class Transformer {
  /** What was done with every message so far, sent or not. */
  readonly counts: Counts = noCounts();
  /** Rounds that are full, oldest first, with where each takes the run. The caller sends and removes them. */
  readonly closed: ClosedRound[];

  /** The newest place up to which everything was taken: a transaction's, or that of rows which a snapshot read. */
  newestPlace: Transaction | undefined;

  readonly #parts: TransformerParts;
  readonly #cursor: TransactionCursor;
  readonly #rounds: Rounds;
  readonly #publisher: RecordPublisher;
  readonly #skipped: SkippedChanges;
  readonly #messages: LogicalMessages;
  readonly #keys = new ChangeKeys();
  /** The key of a row that was read. */
  readonly #readKey = emptyKey();

  /** @param parts - what it is made of */
  constructor(parts: TransformerParts) {
    this.#parts = parts;
    this.#cursor = new TransactionCursor(parts.resume);
    this.#rounds = new Rounds(parts.packer, this.counts, this.#cursor);
    this.closed = this.#rounds.closed;
    this.#publisher = new RecordPublisher(parts, this.counts, this.#rounds);
    this.#skipped = new SkippedChanges(parts, this.counts);
    this.#messages = new LogicalMessages(parts, this.counts, this.#cursor, this.#rounds);
  }

  /** Bytes of all records so far, before anything is compressed, sent or not. */
  get takenBytes(): number {
    return this.#rounds.takenBytes;
  }

  /**
   * Takes one message. May close rounds: see {@link closed}.
   *
   * @param message - valid during the call
   * @param row - tells the position of the row it came in
   * @throws {PipelineError} KEY_UNRESOLVED, RECORD_TOO_LARGE, DECODE_FAILED
   */
  take(message: Message, row: Pick<MessageBlock, 'rowLsn'>): void {
    switch (message.kind) {
      case 'begin':
        return this.#cursor.begin(message.transaction);
      case 'commit':
        this.#rounds.boundary = message.transaction.commitLsn;
        this.newestPlace = message.transaction;
        this.#cursor.transaction = undefined;
        this.counts.transactions++;
        return;
      case 'change':
      case 'truncate':
      case 'message':
        try {
          if (message.kind === 'message') return this.#messages.take(message, row.rowLsn());
          if (this.#parts.format.usesRowLsn === true) this.#publisher.record.lsn = row.rowLsn();
          this.#row(message, row);
        } catch (error) {
          throw asOperatorError(message, this.#cursor.transaction, error);
        }
        return;
      case 'ignored':
        return;
    }
  }

  /**
   * Which transactions' commits have to be known before a message is taken: they altered its table, and transaction ids do
   * not tell whether that was before.
   *
   * @param message - valid during the call
   * @param row - tells the position of the row it came in
   * @returns 32 bits each; empty: none
   */
  unknownAlterations(message: RowChange | Truncate, row: Pick<MessageBlock, 'rowLsn'>): number[] {
    const { transaction } = this.#cursor;
    return transaction === undefined ? [] : this.#skipped.unknownAlterations(message, transaction, row);
  }

  /**
   * Publishes a row that a snapshot has read. Counted by the caller.
   *
   * @param row - the row
   * @param place - where it is true, in the shape of a transaction
   * @param ordinal - its place among the rows that are read there
   * @throws {PipelineError} RECORD_TOO_LARGE, FORMAT_FAILED
   */
  publishSnapshotRow({ rows, index }: HeldRow, place: Transaction, ordinal: number): Outcome | 'filtered' {
    const { policies } = this.#parts;
    const policy = policies.of(rows.table);
    if (policy.skip === 'filtered') return 'filtered';
    const change = rows.asChange(index);
    policies.excludeColumns(policy, change.newTuple);
    const { record } = this.#publisher;
    record.change = change;
    record.table = rows.table;
    record.omitted = policy.omitted;
    record.lsn = place.commitLsn;
    if (change.newTuple === undefined || locateKey(rows.key, change.newTuple, undefined, this.#readKey) !== 'found')
      return 'keyTooLarge';
    record.operation = 'READ';
    record.transaction = place;
    record.ordinal = ordinal;
    record.key = this.#readKey;
    record.otherKey = undefined;
    return this.#publisher.publish(undefined);
  }

  /**
   * Counts changes that the plugin itself has left out.
   *
   * @param changes - of which table, and how many
   */
  leaveOut(changes: LeftOutChanges): void {
    this.#skipped.countByPlugin(changes, this.#rounds.boundary);
  }

  /**
   * Puts a mark into every lane. May close rounds. Marks are not counted as records.
   *
   * @param keys - a partition key of each lane
   * @param data - makes the mark of a lane
   * @returns what the position of an acknowledgement has once these marks are acknowledged
   */
  mark(keys: readonly Buffer[], data: (lane: number) => Buffer): AckPosition['marked'] {
    return this.#rounds.mark(keys, data);
  }

  /** Closes the open round, so that everything taken is in `closed` or was sent. */
  flush(): void {
    this.#rounds.flush();
  }

  /**
   * The peek broke off. The next one gives the transaction under way again from its BEGIN: its rows that are done, and sent,
   * are skipped then.
   */
  breakOff(): void {
    this.#cursor.startOver();
  }

  /** @returns where the run is once everything taken so far is acknowledged */
  ackPosition(): AckPosition {
    return this.#rounds.ackPosition();
  }

  /** One row as the server sends it. */
  #row(message: RowChange | Truncate, row: Pick<MessageBlock, 'rowLsn'>): void {
    if (this.#cursor.skipsRow()) return;
    if (message.kind === 'change') this.#change(message, row);
    else this.#truncate(message, row);
    this.#cursor.rowDone();
  }

  #change(sent: RowChange, row: Pick<MessageBlock, 'rowLsn'>): void {
    const { policies, keyHistory, operations, oversize, snapshots } = this.#parts;
    const keys = this.#keys;
    const known = policies.of(sent.table);
    const transaction = this.#cursor.transaction;
    const policy = transaction === undefined ? known : keyHistory.policy(known, sent, transaction, () => row.rowLsn());
    const skip = this.#skipped.reason(policy, transaction, row, sent.historicKey);
    const isWanted = skip === undefined && operations.has(sent.operation);
    const change =
      snapshots?.isUnderWay === true ? snapshots.observe(sent, policy, transaction?.xid ?? 0, isWanted) : sent;
    if (!isWanted) {
      this.#skipChange(change.table, policy, skip, keys.moves(change, policy.keys[0] ?? []) ? 2 : 1);
      return;
    }
    const search = keys.find(change, policy);
    if (search === 'too-large') {
      if (oversize === 'fail') {
        throw recordTooLarge({ ...change, transaction: this.#cursor.transaction }, change.oversizeBytes ?? 0);
      }
      this.#skipChange(change.table, policy, 'keyTooLarge', 1);
      return;
    }
    policies.excludeColumns(policy, change.newTuple);
    policies.excludeColumns(policy, change.oldTuple);
    const { record } = this.#publisher;
    record.change = change;
    record.table = change.table;
    record.omitted = policy.omitted;
    if (search === 'found') {
      if (keys.moves(change)) {
        const gone = this.#publish('DELETE', keys.oldKey, keys.key, undefined);
        this.#countOf(change.table, policy, this.#publish('INSERT', keys.key, keys.oldKey, undefined), gone);
      } else {
        this.#countOf(change.table, policy, this.#publish(change.operation, keys.key, undefined, undefined));
      }
    } else {
      this.#changeWithoutKey(change, policy, search);
    }
  }

  /** A change whose key is not to be had. A DELETE can be told without, where the format can. */
  #changeWithoutKey(
    change: RowChange,
    policy: TablePolicy,
    search: 'key-not-sent' | 'no-primary-key' | 'unknown',
  ): void {
    const { format, unknownKey } = this.#parts;
    if (search === 'no-primary-key') {
      this.#skipChange(change.table, policy, 'noPrimaryKey', 1);
    } else if (change.operation === 'DELETE' && format.supportsDeleteWithoutKey) {
      this.#countOf(change.table, policy, this.#publish('DELETE', undefined, undefined, change.table.printed));
    } else if (search === 'key-not-sent') {
      this.#skipChange(change.table, policy, 'noReplicaIdentity', 1);
    } else {
      if (unknownKey === 'fail')
        throw keyUnresolved({ ...change, transaction: this.#cursor.transaction }, policy.keys[0] ?? []);
      this.#skipChange(change.table, policy, 'keyUnknown', 1);
    }
  }

  #truncate(message: Truncate, row: Pick<MessageBlock, 'rowLsn'>): void {
    for (const table of message.tables) {
      this.#parts.snapshots?.tableTruncated(table.printed, this.#cursor.transaction?.xid ?? 0);
      const policy = this.#parts.policies.of(table);
      const skip = this.#skipped.reason(policy, this.#cursor.transaction, row);
      if (skip !== undefined || !this.#parts.operations.has('TRUNCATE')) {
        this.#skipChange(table, policy, skip, 1);
        continue;
      }
      const { record } = this.#publisher;
      record.change = undefined;
      record.table = table;
      record.omitted = policy.omitted;
      this.#countOf(table, policy, this.#publish('TRUNCATE', undefined, undefined, table.printed));
    }
  }

  /** Writes and packs one record under the next ordinal. @returns why it was not, where it was not */
  #publish(
    operation: ChangeRecord['operation'],
    key: ChangeRecord['key'],
    otherKey: ChangeRecord['key'],
    barrier: string | undefined,
  ): Outcome {
    const { record } = this.#publisher;
    record.operation = operation;
    record.transaction = this.#cursor.transaction ?? record.transaction;
    record.ordinal = ++this.#cursor.ordinal;
    record.key = key;
    record.otherKey = otherKey;
    return this.#publisher.publish(barrier);
  }

  /** Counts a change by what became of its record, or of its two. */
  #countOf(table: TableName, policy: TablePolicy, one: Outcome, other: Outcome = one): void {
    if (one === 'keyTooLarge' || other === 'keyTooLarge') return this.#skipChange(table, policy, 'keyTooLarge', 0);
    if (one === 'formatter' && other === 'formatter') return this.#skipChange(table, policy, 'formatter', 0);
    this.counts.changes++;
    this.counts.published++;
  }

  /** @param reason - undefined: by its operation, which is the user's own wish */
  #skipChange(table: TableName, policy: TablePolicy, reason: keyof Skipped | undefined, ordinals: number): void {
    this.#cursor.ordinal += ordinals;
    this.#skipped.count(table, policy, reason, this.#cursor.transaction);
  }
}
