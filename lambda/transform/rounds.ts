/**
 * Gathers written records into rounds, and says where the acknowledgement of each round takes the run.
 * Counts records, entries and bytes; knows no message, no table policy and no format.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { TableName } from '../decode/messages.ts';
import type { Packer } from '../pack/packer.ts';
import type { Round } from '../pack/round.ts';
import type { AckPosition, LargestRecord } from './ack-position.ts';
import { copyCounts, type Counts } from './counts.ts';
import type { TransactionCursor } from './transaction-cursor.ts';

/** A round that is full, and where its acknowledgement takes the run. */
export interface ClosedRound {
  readonly round: Round;
  readonly position: AckPosition;
}

/** The open round, and those that were closed. */
export class Rounds {
  /** Rounds that are full, oldest first. The caller sends and removes them. */
  readonly closed: ClosedRound[] = [];
  /** The newest commit LSN of which everything was taken; undefined: none yet. */
  boundary: Lsn | undefined;
  /** Bytes of all records so far, before anything is compressed, sent or not. */
  takenBytes = 0;

  readonly #packer: Packer;
  readonly #counts: Counts;
  readonly #cursor: TransactionCursor;
  #marked: AckPosition['marked'];
  /** Of the open round. */
  #largest: LargestRecord | undefined;

  /**
   * @param packer - fills the rounds
   * @param counts - of the transformation
   * @param cursor - where the transformation is inside a transaction
   */
  constructor(packer: Packer, counts: Counts, cursor: TransactionCursor) {
    this.#packer = packer;
    this.#counts = counts;
    this.#cursor = cursor;
  }

  /**
   * Adds a record. The position of a round that it does not fit in must not include the record.
   *
   * @param partitionKey - UTF-8, at most 256 characters
   * @param data - the record's data
   * @param barrier - if given, the record's round holds only records of the same barrier
   * @param table - undefined: it is a logical message
   * @param commitLsn - undefined: it is in no transaction
   */
  add(
    partitionKey: Buffer,
    data: Buffer,
    barrier: string | undefined,
    table: TableName | undefined,
    commitLsn: Lsn | undefined,
  ): void {
    const full = this.#packer.add(partitionKey, data, barrier);
    if (full !== undefined) this.#close(full);
    const bytes = data.length;
    if (bytes > (this.#largest?.bytes ?? 0)) this.#largest = { bytes, table: table?.printed, commitLsn };
    this.#counts.records++;
    this.takenBytes += bytes;
  }

  /**
   * Puts a mark into every lane. Marks are not counted as records.
   *
   * @param keys - a partition key of each lane
   * @param data - makes the mark of a lane
   * @returns what the position of an acknowledgement has once these marks are acknowledged
   */
  mark(keys: readonly Buffer[], data: (lane: number) => Buffer): AckPosition['marked'] {
    for (const [lane, key] of keys.entries()) {
      const full = this.#packer.add(key, data(lane));
      if (full !== undefined) this.#close(full);
    }
    this.#marked = { boundary: this.boundary, records: this.#counts.records };
    return this.#marked;
  }

  /** Closes the open round, if there is one. */
  flush(): void {
    const round = this.#packer.flush();
    if (round !== undefined) this.#close(round);
  }

  /** @returns where the run is once everything taken so far is acknowledged */
  ackPosition(): AckPosition {
    return {
      boundary: this.boundary,
      counts: copyCounts(this.#counts),
      progress: this.#cursor.progress,
      openTransaction: this.#cursor.transaction,
      marked: this.#marked,
      largest: this.#largest,
    };
  }

  #close(round: Round): void {
    this.#counts.kinesisRecords += round.entries.length;
    this.#counts.bytes += round.bytes;
    this.closed.push({ round, position: this.ackPosition() });
    this.#largest = undefined;
  }
}
