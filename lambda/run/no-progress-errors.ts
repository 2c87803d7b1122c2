/**
 * The errors of a run that made no progress. Pure: facts in, errors out.
 */
import { formatLsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import { PipelineError } from '../errors.ts';
import type { PeekTooLargeError } from '../peek-errors.ts';
import type { StopReason } from './stop-reason.ts';

/** What a run that did nothing knows of itself. */
export interface NoProgressFacts {
  /** Why it ended. */
  readonly stopped: StopReason;
  /** What the last refusal of a request or entry was. */
  readonly lastFailure: string | undefined;
  /** The transaction that it waited for. */
  readonly pendingCommit: Transaction | undefined;
  /** How long it waited for the catalogs. */
  readonly catalogMs: number;
  /** The longest time-out of a peek that timed out before its first row; undefined: none did. */
  readonly undecodedMs: number | undefined;
  /** How long it took. */
  readonly durationMs: number;
  /** Whether its time was over while it waited for the last request of a run that it had to end. */
  readonly graceCutShort: boolean;
}

/** How Kinesis says that it is the key that encrypts the stream, and not the stream, that takes no more. */
const KEY_THROTTLED = 'KMSThrottlingException';

/**
 * A run that did nothing at all.
 *
 * @param facts - what the run knows of itself
 */
export function noProgress(facts: NoProgressFacts): PipelineError {
  const { stopped, lastFailure, pendingCommit, catalogMs, undecodedMs, durationMs, graceCutShort } = facts;
  if (graceCutShort) {
    return new PipelineError(
      'NO_PROGRESS',
      'An earlier run had lost the lock or had to be ended. Its last request to Kinesis may still have been in flight, and the time of this run was over before that could be ruled out. Nothing was sent, and the slot was not advanced. The next run need not wait.',
    );
  }
  if (stopped === 'throttled' && lastFailure?.includes(KEY_THROTTLED) === true) {
    return new PipelineError(
      'STREAM_THROTTLED',
      'AWS KMS refused to encrypt records for the whole run, because more is asked of it than it allows the account (KMSThrottlingException). Nothing was published, and the slot was not advanced.',
      {
        remedy:
          "Raise the account's quota of cryptographic operations of KMS in the stream's region, or find what else uses it up. More shards would change nothing.",
      },
    );
  }
  if (stopped === 'throttled') {
    return new PipelineError(
      'STREAM_THROTTLED',
      'Kinesis refused records for the whole run, because the stream lacks capacity. Nothing was published, and the slot was not advanced.',
    );
  }
  if (pendingCommit !== undefined) {
    return new PipelineError(
      'NO_PROGRESS',
      `The transaction with xid ${pendingCommit.xid} and commit LSN ${formatLsn(pendingCommit.commitLsn)} is in the WAL, and is not over: its commit waits, most often for a standby of synchronous_standby_names that does not answer (pg_stat_activity: wait_event SyncRep). Until it is over, the catalogs say nothing of the tables that it may have made or altered. Nothing was published, and the slot was not advanced.`,
    );
  }
  if (lastFailure === undefined && catalogMs * 2 > durationMs) {
    return new PipelineError(
      'NO_PROGRESS',
      `The run had no time to publish anything: reading the catalogs took ${(catalogMs / 1000).toFixed(1)} of ${(durationMs / 1000).toFixed(1)} seconds. Look for locks on pg_class or pg_constraint, and for a server that is short of processor time. The slot was not advanced.`,
    );
  }
  if (lastFailure === undefined && undecodedMs !== undefined) {
    return new PipelineError(
      'NO_PROGRESS',
      `PostgreSQL decoded not even one transaction in the ${(undecodedMs / 1000).toFixed(0)} seconds that the run had for it: the first one is large, or much WAL has to be read again because a transaction stays open (status names it). The slot was not advanced.`,
      {
        remedy:
          'Invoke drain by hand, which has the whole time-out of the function. If that is too short, too, run pg2kinesis drain --max-seconds 14400 on the command line, which gives it four hours.',
      },
    );
  }
  if (lastFailure !== undefined) {
    return new PipelineError(
      'NO_PROGRESS',
      `Kinesis took nothing for the whole run. The last request failed: ${lastFailure}. The slot was not advanced.`,
      {
        remedy:
          'If it never answers: correct the region or the endpoint, or give the function a way to Kinesis (a NAT gateway, or an interface endpoint and its security group). If it answers with errors, see the AWS Health Dashboard. The next run tries again.',
      },
    );
  }
  return new PipelineError('NO_PROGRESS', 'The run had no time to publish anything. The slot was not advanced.');
}

/**
 * A transaction that would be published from its beginning again and again: it is larger than the whole time-out of the
 * function allows, and nothing shows where the next run may go on.
 *
 * @param commitLsn - the transaction's, as PostgreSQL prints it
 * @param records - how many of its records were published, for nothing
 */
export function transactionTooLarge(commitLsn: string, records: number): PipelineError {
  return new PipelineError(
    'NO_PROGRESS',
    `The transaction with commit LSN ${commitLsn} is larger than what could be published in the whole time-out of the function (${records} records were), and only from PostgreSQL 15 on can the server show where the next run may go on. The slot was not advanced, and the next run publishes it from its beginning.`,
    {
      remedy:
        'Run pg2kinesis drain --max-seconds 14400 on the command line, which gives it four hours. Or give the stream more capacity and the function more memory, or leave the transaction out: invoke skip-transaction with this commit LSN.',
    },
  );
}

/**
 * A peek for which the server has no room, however little is asked for: asked again at once, it would fail again.
 *
 * @param error - what the peek said; 53400 is temp_file_limit, 53100 the disk, 53200 memory
 * @param commitLsn - the transaction's that is too large, as PostgreSQL prints it; undefined: the slot has passed it
 */
export function serverOutOfSpace(error: PeekTooLargeError, commitLsn?: string): PipelineError {
  const { resourceSqlState: sqlState = '', spilling } = error;
  const lack =
    sqlState === '53100' ? 'disk space' : sqlState === '53200' ? 'memory' : 'temporary files, by its temp_file_limit,';
  const failed = `PostgreSQL has not enough ${lack} to decode even the smallest batch (SQLSTATE ${sqlState})`;
  // The search then finds the change at which the space ran out.
  if (spilling) {
    return new PipelineError(
      'NO_PROGRESS',
      `${failed}: it collects the changes of each transaction on disk, also of those that the slot has passed, and one transaction is too large for that. The slot was not advanced over it.`,
      {
        cause: error,
        remedy: 'Give the server more disk space. Neither more time nor skip-transaction helps against this.',
      },
    );
  }
  if (commitLsn === undefined) {
    return new PipelineError('NO_PROGRESS', `${failed}. The slot was not advanced.`, {
      cause: error,
      remedy: 'Give the server more; more time would change nothing.',
    });
  }
  return new PipelineError(
    'NO_PROGRESS',
    `${failed}: the transaction with commit LSN ${commitLsn} is larger. The slot was not advanced over it.`,
    {
      cause: error,
      remedy:
        'Give the server more; more time would change nothing. Or leave the transaction out: invoke skip-transaction with this commit LSN, and reload the rows it wrote.',
    },
  );
}

/**
 * A run that was over before it had found which transaction the server cannot decode.
 *
 * @param after - as PostgreSQL prints it: the transaction was committed after this position
 * @param before - and before this one
 * @param cause - what the server said
 */
export function searchUnfinished(after: string, before: string, cause: unknown): PipelineError {
  return new PipelineError(
    'NO_PROGRESS',
    `PostgreSQL cannot decode a transaction that was committed between ${after} and ${before}, and the time was over before the run had found which. What was committed before is published; the slot was not advanced over it.`,
    {
      cause,
      remedy:
        'Invoke drain by hand, which has the whole time-out of the function. If that is too short, too, run pg2kinesis drain --max-seconds 14400 on the command line, which gives it four hours.',
    },
  );
}
