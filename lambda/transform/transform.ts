/**
 * Turns messages into user records and hands them to the packer: filter, key, format, pack, and count.
 * Pure but for its counts; knows no SQL, no SDK and no plugin. What it leaves out it counts (I9).
 */
import type { Lsn } from '../decode/lsn.ts';
import type { LogicalMessage, Message, RowChange, TableName, Transaction, Truncate } from '../decode/messages.ts';
import type { ResumePosition } from '../decode/resume-position.ts';
import type { ChangeRecord } from '../format/record.ts';
import type { Packer, Round } from '../pack/round.ts';
import type { LeftOutChanges, MessageBlock } from '../ports.ts';
import type { Operation } from '../settings/setting-schemas.ts';
import type { HeldRow } from '../snapshot/row-set.ts';
import type { AckPosition, LargestRecord } from './ack-position.ts';
import type { AlterationOrder } from './alterations.ts';
import { ChangeKeys } from './change-keys.ts';
import { copyCounts, type Counts, noCounts, type Skipped } from './counts.ts';
import type { KeyHistoryCache } from './key-history-cache.ts';
import { type MessagePlace, MessageWriter, type MessageWriterParts } from './message-writer.ts';
import { RecordWriter, type RecordWriterParts } from './record-writer.ts';
import { emptyKey, locateKey } from './row-key.ts';
import type { SkippedLog } from './skipped-log.ts';
import type { SnapshotRows } from './snapshot-rows.ts';
import { isSkippedInDoubt, skipReason, type TablePolicies, type TablePolicy } from './table-policies.ts';
import { TransactionCursor } from './transaction-cursor.ts';
import { asOperatorError, keyUnresolved, recordTooLarge } from './transform-errors.ts';

/** What a transformation is made of. */
export interface TransformerParts extends RecordWriterParts, MessageWriterParts {
  readonly packer: Packer;
  readonly policies: TablePolicies;
  /** Primary keys at write time, where the WAL was asked for them. */
  readonly keyHistory: KeyHistoryCache;
  /** Where transactions that altered tables committed, as far as the WAL was asked. */
  readonly alterations: AlterationOrder;
  /** Where the tables are named whose changes are left out. */
  readonly skippedLog: SkippedLog;
  /** What to do with a change that does not show its table's current key, when no other is known. */
  readonly unknownKey: 'skip' | 'fail';
  /** Operations that are published. */
  readonly operations: ReadonlySet<Operation>;
  /** Where to go on inside the first transaction. */
  readonly resume: ResumePosition | undefined;
  /** Told of changes while a snapshot is under way. */
  readonly snapshots?: SnapshotRows | undefined;
}

/** What became of a record. */
export type Outcome = 'published' | 'keyTooLarge' | 'formatter';

/** Messages in, rounds out. */
export class Transformer {
  /** What was done with every message so far, sent or not. */
  readonly counts: Counts = noCounts();
  /** Rounds that are full, oldest first, with where each takes the run. The caller sends and removes them. */
  readonly closed: { readonly round: Round; readonly position: AckPosition }[] = [];

  /** The newest place up to which everything was taken: a transaction's, or that of rows which a snapshot read. */
  newestPlace: Transaction | undefined;

  readonly #parts: TransformerParts;
  readonly #writer: RecordWriter;
  readonly #messages: MessageWriter;
  readonly #keys = new ChangeKeys();
  /** The key of a row that was read. */
  readonly #readKey = emptyKey();
  readonly #record: ChangeRecord;
  readonly #cursor: TransactionCursor;
  /** The position of the last message outside transactions. */
  #lastMessage: Lsn = -1n;
  #boundary: Lsn | undefined;
  #marked: AckPosition['marked'];
  /** Of the open round. */
  #largest: LargestRecord | undefined;
  /** Whether the change under way is left out only because its table may have been a partition of another. */
  #inDoubt = false;

  /** @param parts - what it is made of */
  constructor(parts: TransformerParts) {
    this.#parts = parts;
    this.#writer = new RecordWriter(parts);
    this.#messages = new MessageWriter(parts);
    this.#cursor = new TransactionCursor(parts.resume);
    this.#record = {
      operation: 'INSERT',
      table: { printed: '', schema: '', name: '' },
      transaction: { xid: 0, commitLsn: 0n, commitTimeMicros: 0n },
      ordinal: 0,
      lsn: 0n,
      change: undefined,
      key: undefined,
      otherKey: undefined,
      omitted: new Set(),
      truncated: false,
    };
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
        this.#boundary = message.transaction.commitLsn;
        this.newestPlace = message.transaction;
        this.#cursor.transaction = undefined;
        this.counts.transactions++;
        return;
      case 'change':
      case 'truncate':
      case 'message':
        try {
          if (message.kind === 'message') return this.#message(message, row.rowLsn());
          if (this.#parts.format.usesRowLsn === true) this.#record.lsn = row.rowLsn();
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
    const { policies, keyHistory, alterations } = this.#parts;
    const transaction = this.#cursor.transaction;
    if (transaction === undefined) return [];
    const isChange = message.kind === 'change';
    return (isChange ? [message.table] : message.tables).flatMap((table) => {
      const known = policies.of(table);
      if (known.overlaps.length === 0) return [];
      const policy = isChange ? keyHistory.policy(known, message, transaction, () => row.rowLsn()) : known;
      const reason = this.#knownReason(policy, isChange ? message.historicKey : undefined);
      return reason === undefined ? alterations.unknown(policy.overlaps, transaction) : [];
    });
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
    const record = this.#record;
    record.change = change;
    record.table = rows.table;
    record.omitted = policy.omitted;
    record.lsn = place.commitLsn;
    if (change.newTuple === undefined || locateKey(rows.key, change.newTuple, undefined, this.#readKey) !== 'found')
      return 'keyTooLarge';
    return this.#write('READ', { transaction: place, ordinal, key: this.#readKey, otherKey: undefined }, undefined);
  }

  /**
   * Counts changes that the plugin itself has left out.
   *
   * @param changes - of which table, and how many
   */
  leaveOut({ schema, name, changes }: LeftOutChanges): void {
    const { policies, skippedLog } = this.#parts;
    const table = policies.named(schema, name);
    const reason = policies.of(table).skip ?? 'noReplicaIdentity';
    this.counts.changes += changes;
    this.counts.skipped[reason] += changes;
    if (reason !== 'filtered' && reason !== 'formatter') skippedLog.note(reason, table.printed, this.#boundary ?? 0n);
  }

  /**
   * Puts a mark into every lane. May close rounds. Marks are not counted as records.
   *
   * @param keys - a partition key of each lane
   * @param data - makes the mark of a lane
   */
  mark(keys: readonly Buffer[], data: (lane: number) => Buffer): void {
    for (const [lane, key] of keys.entries()) {
      const full = this.#parts.packer.add(key, data(lane));
      if (full !== undefined) this.#close(full);
    }
    this.#marked = { boundary: this.#boundary, records: this.counts.records };
  }

  /** Closes the open round, so that everything taken is in `closed` or was sent. */
  flush(): void {
    const round = this.#parts.packer.flush();
    if (round !== undefined) this.#close(round);
  }

  /**
   * Tells that the peek broke off. The next one gives the transaction under way again from its BEGIN: its rows that are
   * done, and sent, are skipped then.
   */
  breakOff(): void {
    this.#cursor.startOver();
  }

  /** @returns where the run is once everything taken so far is acknowledged */
  ackPosition(): AckPosition {
    return {
      boundary: this.#boundary,
      counts: copyCounts(this.counts),
      progress: this.#cursor.progress,
      openTransaction: this.#cursor.transaction,
      marked: this.#marked,
      largest: this.#largest,
    };
  }

  /** One row as the server sends it. */
  #row(message: RowChange | Truncate, row: Pick<MessageBlock, 'rowLsn'>): void {
    if (this.#cursor.skipsRow()) return;
    if (message.kind === 'change') this.#change(message, row);
    else this.#truncate(message, row);
    this.#cursor.rowDone();
  }

  /** A logical message. One outside transactions that stands behind the last COMMIT of a peek comes again in the next. */
  #message(message: LogicalMessage, lsn: Lsn): void {
    // Read for their own sake, by a plugin that sends all or none.
    if (this.#parts.messages === undefined) return;
    const transaction = message.transactional ? this.#cursor.transaction : undefined;
    if (transaction === undefined) {
      if (lsn <= this.#lastMessage) return;
    } else if (this.#cursor.skipsMessage()) {
      return;
    }
    const { ordinal, place } = this.#cursor;
    this.#publishMessage(message, { lsn, transaction, ordinal, place });
    if (transaction === undefined) this.#lastMessage = lsn;
    else this.#cursor.messageDone();
  }

  #publishMessage(message: LogicalMessage, at: MessagePlace): void {
    const { packer, skippedLog } = this.#parts;
    const written = this.#messages.write(message, at);
    if (written === 'left-out') {
      this.counts.messagesSkipped++;
      return;
    }
    const { data, partitionKey } = this.#messages;
    this.#add(packer.add(partitionKey, data, undefined), data.length, undefined, at.transaction?.commitLsn);
    if (written === 'shortened') {
      this.counts.truncated++;
      skippedLog.noteWithoutContent(at.lsn);
    }
    this.counts.messages++;
  }

  #change(sent: RowChange, row: Pick<MessageBlock, 'rowLsn'>): void {
    const { policies, keyHistory, operations, oversize, snapshots } = this.#parts;
    const keys = this.#keys;
    const known = policies.of(sent.table);
    const transaction = this.#cursor.transaction;
    const policy = transaction === undefined ? known : keyHistory.policy(known, sent, transaction, () => row.rowLsn());
    const skip = this.#skipReason(policy, row, sent.historicKey);
    const isWanted = skip === undefined && operations.has(sent.operation);
    const change =
      snapshots?.isUnderWay === true ? snapshots.observe(sent, policy, transaction?.xid ?? 0, isWanted) : sent;
    if (skip !== undefined || !operations.has(change.operation)) {
      this.#skipChange(change.table, policy, skip, keys.moves(change, policy.keys[0]) ? 2 : 1);
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
    const record = this.#record;
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
      this.#parts.snapshots?.truncated(table.printed, this.#cursor.transaction?.xid ?? 0);
      const policy = this.#parts.policies.of(table);
      const skip = this.#skipReason(policy, row);
      if (skip !== undefined || !this.#parts.operations.has('TRUNCATE')) {
        this.#skipChange(table, policy, skip, 1);
        continue;
      }
      this.#record.change = undefined;
      this.#record.table = table;
      this.#record.omitted = policy.omitted;
      this.#countOf(table, policy, this.#publish('TRUNCATE', undefined, undefined, table.printed));
    }
  }

  #skipReason(
    policy: TablePolicy,
    row: Pick<MessageBlock, 'rowLsn'>,
    historicKey?: readonly string[],
  ): keyof Skipped | undefined {
    const transaction = this.#cursor.transaction;
    const reason = this.#knownReason(policy, historicKey);
    this.#inDoubt = transaction !== undefined && reason === 'filtered' && isSkippedInDoubt(policy, transaction);
    if (reason !== undefined || policy.overlaps.length === 0 || transaction === undefined) return reason;
    this.#inDoubt = this.#parts.alterations.isInDoubt(policy.overlaps, transaction, () => row.rowLsn());
    return this.#inDoubt ? 'filtered' : undefined;
  }

  /** @param historicKey - which shows what the catalogs no longer do @returns why a change is left out, by its transaction */
  #knownReason(policy: TablePolicy, historicKey: readonly string[] | undefined): keyof Skipped | undefined {
    const reason = this.#cursor.transaction === undefined ? policy.skip : skipReason(policy, this.#cursor.transaction);
    const shown = reason === 'noPrimaryKey' || (reason === 'droppedTable' && !policy.hidden);
    return historicKey !== undefined && shown ? undefined : reason;
  }

  /** Writes and packs one record under the next ordinal. @returns why it was not, where it was not */
  #publish(
    operation: ChangeRecord['operation'],
    key: ChangeRecord['key'],
    otherKey: ChangeRecord['key'],
    barrier: string | undefined,
  ): Outcome {
    const ordinal = ++this.#cursor.ordinal;
    const transaction = this.#cursor.transaction ?? this.#record.transaction;
    return this.#write(operation, { transaction, ordinal, key, otherKey }, barrier);
  }

  #write(
    operation: ChangeRecord['operation'],
    { transaction, ordinal, key, otherKey }: Pick<ChangeRecord, 'transaction' | 'ordinal' | 'key' | 'otherKey'>,
    barrier: string | undefined,
  ): Outcome {
    const record = this.#record;
    record.operation = operation;
    record.transaction = transaction;
    record.ordinal = ordinal;
    record.key = key;
    record.otherKey = otherKey;
    const written = this.#writer.write(record);
    if (written === 'key-too-large') return 'keyTooLarge';
    if (written === 'left-out') return 'formatter';
    const { data, partitionKey } = this.#writer;
    const full = this.#parts.packer.add(partitionKey, data, barrier);
    this.#add(full, data.length, record.table, record.transaction.commitLsn);
    if (written === 'shortened') {
      this.counts.truncated++;
      this.#parts.skippedLog.noteWithoutRow(record);
    }
    return 'published';
  }

  /** A record was packed. @param full - the round that it did not fit in; its position must not include the record */
  #add(full: Round | undefined, bytes: number, table: TableName | undefined, commitLsn: Lsn | undefined): void {
    if (full !== undefined) this.#close(full);
    if (bytes > (this.#largest?.bytes ?? 0)) this.#largest = { bytes, table: table?.printed, commitLsn };
    this.counts.records++;
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
    this.counts.changes++;
    this.counts.skipped[reason ?? 'filtered']++;
    if (reason === undefined || reason === 'formatter' || policy.noted === reason) return;
    const transaction = this.#cursor.transaction;
    // What a filter takes out is the user's wish, and told only where it is a doubt.
    if (reason === 'filtered' && !this.#inDoubt) return;
    policy.noted = reason;
    this.#parts.skippedLog.note(reason, table.printed, transaction?.commitLsn ?? 0n);
  }

  #close(round: Round): void {
    this.counts.kinesisRecords += round.entries.length;
    this.counts.bytes += round.bytes;
    this.closed.push({ round, position: this.ackPosition() });
    this.#largest = undefined;
  }
}
