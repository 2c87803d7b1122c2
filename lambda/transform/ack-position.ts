/**
 * How far the acknowledgement of a round takes a run. Types only.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import type { TransactionProgress } from '../decode/resume-position.ts';
import type { Counts } from './counts.ts';

/** Where a round's acknowledgement takes the run. */
export interface AckPosition {
  /** The newest commit LSN of which nothing is left to be sent; undefined: none in this batch. */
  readonly boundary: Lsn | undefined;
  /** What is done once it is acknowledged. */
  readonly counts: Counts;
  /** The transaction in which the round ends, and the last row all of whose records are acknowledged then; undefined at a boundary. */
  readonly progress: TransactionProgress | undefined;
  /** The transaction that is under way, of which something is left to be done. */
  readonly openTransaction: Transaction | undefined;
  /** The marks that are acknowledged with it: the newest boundary before them, and how many records were. */
  readonly marked?: { readonly boundary: Lsn | undefined; readonly records: number } | undefined;
  /** The largest user record in the round, for the message where Kinesis refuses it. */
  readonly largest: LargestRecord | undefined;
}

/** What made the largest record of a round. */
export interface LargestRecord {
  readonly bytes: number;
  /** As printed; undefined: it was a logical message. */
  readonly table: string | undefined;
  /** Undefined: it was in no transaction. */
  readonly commitLsn: Lsn | undefined;
}
