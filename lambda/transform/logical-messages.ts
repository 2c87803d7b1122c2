/**
 * Publishes logical messages (`pg_logical_emit_message`): which of them are done already, in which order they come, and
 * how they are counted. Knows no row.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { LogicalMessage } from '../decode/messages.ts';
import type { Counts } from './counts.ts';
import { LogicalMessageWriter, type LogicalMessageWriterParts } from './logical-message-writer.ts';
import type { Rounds } from './rounds.ts';
import type { SkippedLog } from './skipped-log.ts';
import type { TransactionCursor } from './transaction-cursor.ts';

/** What they are written with, and where those are logged that are too large. */
export interface LogicalMessagesParts extends LogicalMessageWriterParts {
  readonly skippedLog: SkippedLog;
}

/** Takes message after message. */
export class LogicalMessages {
  readonly #parts: LogicalMessagesParts;
  readonly #writer: LogicalMessageWriter;
  readonly #counts: Counts;
  readonly #cursor: TransactionCursor;
  readonly #rounds: Rounds;
  /** The position of the last message outside transactions. */
  #last: Lsn = -1n;

  /**
   * @param parts - what they are written with
   * @param counts - of the transformation
   * @param cursor - where the transformation is inside a transaction
   * @param rounds - take the records
   */
  constructor(parts: LogicalMessagesParts, counts: Counts, cursor: TransactionCursor, rounds: Rounds) {
    this.#parts = parts;
    this.#writer = new LogicalMessageWriter(parts);
    this.#counts = counts;
    this.#cursor = cursor;
    this.#rounds = rounds;
  }

  /**
   * Takes one message. One outside transactions that stands behind the last COMMIT of a peek comes again in the next.
   *
   * @param message - valid during the call
   * @param lsn - its position
   */
  take(message: LogicalMessage, lsn: Lsn): void {
    // Read for their own sake, by a plugin that sends all or none.
    if (this.#parts.messages === undefined) return;
    const transaction = message.transactional ? this.#cursor.transaction : undefined;
    if (transaction === undefined) {
      if (lsn <= this.#last) return;
    } else if (this.#cursor.skipsMessage()) {
      return;
    }
    this.#publish(message, lsn);
    if (transaction === undefined) this.#last = lsn;
    else this.#cursor.messageDone();
  }

  #publish(message: LogicalMessage, lsn: Lsn): void {
    const { ordinal, place } = this.#cursor;
    const transaction = message.transactional ? this.#cursor.transaction : undefined;
    const written = this.#writer.write(message, { lsn, transaction, ordinal, place });
    if (written === 'left-out') {
      this.#counts.messagesSkipped++;
      return;
    }
    const { data, partitionKey } = this.#writer;
    this.#rounds.add(partitionKey, data, undefined, undefined, transaction?.commitLsn);
    if (written === 'shortened') {
      this.#counts.truncated++;
      this.#parts.skippedLog.noteWithoutContent(lsn);
    }
    this.#counts.messages++;
  }
}
