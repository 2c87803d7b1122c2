/**
 * What a transformation says of a change that it can neither publish nor leave out. Pure: facts in, errors out.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import type { LogicalMessage, RowChange, TableName, Transaction, Truncate } from '../decode/messages.ts';
import { PipelineError } from '../errors.ts';
import type { ChangeRecord } from '../format/record.ts';

const OUTSIDE = 'outside a transaction. It was not published, and the slot was not advanced past it.';

/** Which change it is about. */
export interface FailedChange {
  readonly operation: ChangeRecord['operation'];
  readonly table: TableName;
  /** The transaction that it is part of. */
  readonly transaction: Transaction | undefined;
}

/**
 * A column of the key that is to be left out. A record without its key would be of no use, and one with it would show what
 * must not be shown.
 *
 * @param table - `schema.table`
 * @param column - its name
 */
export function keyExcluded(table: string, column: string): PipelineError {
  return new PipelineError(
    'CONFIG_INVALID',
    `COLUMN_EXCLUDE_LIST names the column ${table}.${column}, which is part of the primary key, and every record holds the key. The change was not published, and the slot was not advanced past it.`,
    { remedy: `Take the column out of COLUMN_EXCLUDE_LIST, or leave out the table: TABLE_EXCLUDE_LIST.` },
  );
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
    `The ${change.operation} of a row of ${change.table.printed} does not show the table's primary key (${key.join(', ')}), ${notPublished(change.transaction)}`,
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
    `The record of the ${change.operation} of a row of ${change.table.printed} has ${size} bytes, more than a Kinesis record may, ${notPublished(change.transaction)}`,
  );
}

/** Which logical message it is about. Its prefix may name anything, and is not shown (I10). */
export interface FailedMessage {
  /** The message's own position. */
  readonly lsn: Lsn;
  /** Undefined: it is part of none. */
  readonly transaction: Transaction | undefined;
}

/**
 * A logical message whose record is larger than a record may be.
 *
 * @param message - the message
 * @param size - the record's size in bytes
 */
export function logicalMessageTooLarge(message: FailedMessage, size: number): PipelineError {
  return new PipelineError(
    'RECORD_TOO_LARGE',
    `The record of the logical message at ${formatLsn(message.lsn)} has ${size} bytes, more than a Kinesis record may, ${messageNotPublished(message)}`,
    message.transaction === undefined
      ? {
          remedy:
            'Raise MAX_RECORD_KIB (and the limit of the stream), set OVERSIZE=key-only, or take its prefix out of MESSAGES.',
        }
      : {},
  );
}

/**
 * A formatter of the user's own that failed at a logical message.
 *
 * @param message - the message
 * @param how - what it did, without anything of the message
 */
export function logicalMessageFormatFailed(message: FailedMessage, how: string): PipelineError {
  return new PipelineError(
    'FORMAT_FAILED',
    `The formatter ${how}, for the logical message at ${formatLsn(message.lsn)}, ${messageNotPublished(message)}`,
    message.transaction === undefined
      ? { remedy: 'Correct the formatter and deploy it, or take the prefix of that message out of MESSAGES.' }
      : {},
  );
}

function messageNotPublished({ transaction }: FailedMessage): string {
  return transaction === undefined ? OUTSIDE : notPublished(transaction);
}

/**
 * A formatter of the user's own that failed at a change.
 *
 * @param change - the change
 * @param how - what it did, without a value of the row
 */
export function formatFailed(change: FailedChange, how: string): PipelineError {
  return new PipelineError(
    'FORMAT_FAILED',
    `The formatter ${how}, for the ${change.operation} of ${change.operation === 'TRUNCATE' ? '' : 'a row of '}${change.table.printed} ${notPublished(change.transaction)}`,
  );
}

/**
 * A row at which the code itself failed, for example a fault of the format. It would fail again in each run: so the
 * transaction is named, which can be skipped.
 *
 * @param row - the row
 * @param transaction - that it is part of
 * @param error - what was caught, of any type; its text may quote a value and is not repeated (I10)
 * @returns what an operator can act on, which may be the error itself
 */
export function asOperatorError(
  row: RowChange | Truncate | LogicalMessage,
  transaction: Transaction | undefined,
  error: unknown,
): PipelineError {
  if (error instanceof PipelineError) return error;
  const what =
    row.kind === 'change'
      ? `The ${row.operation} of a row of ${row.table.printed}`
      : row.kind === 'message'
        ? 'A logical message'
        : `The TRUNCATE of ${row.tables.map(({ printed }) => printed).join(', ')}`;
  const isOutside = row.kind === 'message' && !row.transactional;
  const kind = error instanceof Error ? error.name : typeof error;
  return new PipelineError(
    'DECODE_FAILED',
    `${what} could not be written as a record (${kind}), ${isOutside ? OUTSIDE : notPublished(transaction)}`,
    {
      cause: error,
    },
  );
}

function notPublished(transaction: Transaction | undefined): string {
  const commitLsn = transaction === undefined ? 'unknown' : formatLsn(transaction.commitLsn);
  return `in the transaction with commit LSN ${commitLsn}. It was not published, and the slot was not advanced past it.`;
}
