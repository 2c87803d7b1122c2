/**
 * Publishes one record: writes it, adds it to a round, and counts it where it had to be shortened. The caller fills the
 * record in. Knows no message, no table policy and no order.
 */
import type { ChangeRecord } from '../format/record.ts';
import type { Counts } from './counts.ts';
import { RecordWriter, type RecordWriterParts } from './record-writer.ts';
import type { Rounds } from './rounds.ts';
import type { SkippedLog } from './skipped-log.ts';

/** What records are written with, and where those are logged that are too large. */
export interface RecordPublisherParts extends RecordWriterParts {
  readonly skippedLog: SkippedLog;
}

/** What became of a record. */
export type Outcome = 'published' | 'keyTooLarge' | 'formatter';

/** Publishes record after record. */
export class RecordPublisher {
  /** The record to be published next. One object for all of them: a new one for each change would cost time. */
  readonly record: ChangeRecord = {
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

  readonly #writer: RecordWriter;
  readonly #skippedLog: SkippedLog;
  readonly #counts: Counts;
  readonly #rounds: Rounds;

  /**
   * @param parts - what records are written with
   * @param counts - of the transformation
   * @param rounds - take the records
   */
  constructor(parts: RecordPublisherParts, counts: Counts, rounds: Rounds) {
    this.#writer = new RecordWriter(parts);
    this.#skippedLog = parts.skippedLog;
    this.#counts = counts;
    this.#rounds = rounds;
  }

  /**
   * Publishes {@link record}.
   *
   * @param barrier - if given, its round holds only records of the same barrier
   * @returns why it was not published, where it was not
   * @throws {PipelineError} RECORD_TOO_LARGE, FORMAT_FAILED
   */
  publish(barrier: string | undefined): Outcome {
    const { record } = this;
    const written = this.#writer.write(record);
    if (written === 'key-too-large') return 'keyTooLarge';
    if (written === 'left-out') return 'formatter';
    const { data, partitionKey } = this.#writer;
    this.#rounds.add(partitionKey, data, barrier, record.table, record.transaction.commitLsn);
    if (written === 'shortened') {
      this.#counts.truncated++;
      this.#skippedLog.noteWithoutRow(record);
    }
    return 'published';
  }
}
