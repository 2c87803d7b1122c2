/**
 * Where the transformation is inside a transaction: which rows and logical messages are done, which an earlier run has done
 * and are skipped, and the ordinal of the next change. Knows no record and no format.
 */
import type { Transaction } from '../decode/messages.ts';
import {
  isSameTransaction,
  type ResumePosition,
  resumePosition,
  type TransactionProgress,
} from '../decode/resume-position.ts';

/** A position that moves on from row to row. */
export class TransactionCursor {
  /** The transaction under way; undefined: none is. */
  transaction: Transaction | undefined;
  /** The ordinal of the last change. */
  ordinal = 0;
  /** How many messages came after the last row. */
  place = 0;

  #resume: ResumePosition | undefined;
  /** How many rows are done with, and the ordinal the last of them ended with. */
  #doneRows = 0;
  #doneOrdinal = 0;
  /** How many rows are yet to be skipped: an earlier run has done with them. */
  #rowsToSkip = 0;
  /** Of the messages after the last row, how many are done with. */
  #doneMessages = 0;
  /** How many messages after the last row that is skipped are yet to be skipped, too. */
  #messagesToSkip = 0;

  /** @param resume - where to go on inside the first transaction */
  constructor(resume: ResumePosition | undefined) {
    this.#resume = resume;
  }

  /** How far inside the transaction everything is done; undefined: nothing of it is. */
  get progress(): TransactionProgress | undefined {
    const { transaction } = this;
    if (transaction === undefined || this.#doneRows + this.#doneMessages === 0) return undefined;
    return { transaction, ordinal: this.#doneOrdinal, rows: this.#doneRows, messages: this.#doneMessages };
  }

  /** A transaction begins. The first one may be the one that an earlier run was cut short in. */
  begin(transaction: Transaction): void {
    this.transaction = transaction;
    this.#doneRows = this.#doneOrdinal = this.#rowsToSkip = 0;
    this.place = this.#doneMessages = this.#messagesToSkip = 0;
    if (this.#resume !== undefined) {
      if (isSameTransaction(this.#resume, transaction)) {
        this.#doneRows = this.#rowsToSkip = this.#resume.rows;
        this.#doneOrdinal = this.#resume.ordinal;
        this.#doneMessages = this.#messagesToSkip = this.#resume.messages ?? 0;
      }
      this.#resume = undefined;
    }
    this.ordinal = this.#doneOrdinal;
  }

  /** The next row comes. @returns whether an earlier run has done with it */
  skipsRow(): boolean {
    this.place = 0;
    if (this.#rowsToSkip === 0) return false;
    this.#rowsToSkip--;
    return true;
  }

  /** All of the row's records are packed, or it was left out and counted. */
  rowDone(): void {
    this.#doneRows++;
    this.#doneOrdinal = this.ordinal;
    this.#doneMessages = 0;
  }

  /** The next logical message of the transaction comes. @returns whether an earlier run has done with it */
  skipsMessage(): boolean {
    this.place++;
    return this.#rowsToSkip > 0 || this.#messagesToSkip-- > 0;
  }

  /** As {@link rowDone}, for a message. */
  messageDone(): void {
    this.#doneMessages = this.place;
  }

  /** The transaction is to come again from its BEGIN: skip then what is done with. */
  startOver(): void {
    const { progress } = this;
    if (progress !== undefined) this.#resume = resumePosition(progress, '');
  }
}
