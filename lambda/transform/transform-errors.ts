/**
 * What a transformation says of a change that it can neither publish nor leave out. Pure: facts in, errors out.
 */
import { formatLsn } from '../decode/lsn.ts';
import type { TableName, Transaction } from '../decode/messages.ts';
import { PipelineError } from '../errors.ts';
import type { ChangeRecord } from '../format/record.ts';

/** Which change it is about. */
export interface FailedChange {
  readonly operation: ChangeRecord['operation'];
  readonly table: TableName;
  /** The transaction that it is part of. */
  readonly transaction: Transaction | undefined;
}

/**
 * A change that does not show its row's primary key.
 *
 * @param change - the change
 * @param key - the names of the key's columns
 */
export function keyUnresolved(change: FailedChange, key: readonly string[]): PipelineError {
  return new PipelineError(
    'KEY_UNRESOLVED',
    `The ${change.operation} of a row of ${change.table.printed} does not show the table's primary key (${key.join(', ')}), ${notPublished(change)}`,
  );
}

/**
 * A change whose record is larger than a record may be.
 *
 * @param change - the change
 * @param size - the record's size in bytes
 */
export function recordTooLarge(change: FailedChange, size: number): PipelineError {
  return new PipelineError(
    'RECORD_TOO_LARGE',
    `The record of the ${change.operation} of a row of ${change.table.printed} has ${size} bytes, more than a Kinesis record may, ${notPublished(change)}`,
  );
}

function notPublished({ transaction }: FailedChange): string {
  const commitLsn = transaction === undefined ? 'unknown' : formatLsn(transaction.commitLsn);
  return `in the transaction with commit LSN ${commitLsn}. It was not published, and the slot was not advanced past it.`;
}
