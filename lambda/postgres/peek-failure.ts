/**
 * What an error that ended a peek means to the run: that a smaller peek is needed, at which transaction the server failed, or
 * what the session says of it. Sends nothing itself.
 */
import { formatLsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import { transactionUndecodable } from '../errors.ts';
import { PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import {
  isDecodingFailure,
  isInconvertible,
  isSpilling,
  isUnreadableWal,
  lsnNear,
  shownReport,
} from './decoding-failure.ts';
import { codeOf } from './error-context.ts';

/** How far a peek had come when it failed. */
export interface PeekReach {
  /** When its first row came: milliseconds since it was sent; undefined: none has come. */
  readonly firstRowMs: number | undefined;
  /** Whether it was cancelled from here. */
  readonly cancelled: boolean;
  /** The transaction that it was in; undefined: none. */
  readonly transaction: Transaction | undefined;
}

/** The statement ran out of time, of temporary files, of disk or memory: a smaller peek needs less of each. */
const OUT_OF_TIME = '57014';
const TOO_LARGE = new Set([OUT_OF_TIME, '53400', '53100', '53200']);

/**
 * @param error - of the server or the connection, once the connection is free for other statements
 * @param reach - how far the peek had come
 * @param translateError - puts an error of the server in the operator's words
 * @returns what is to be thrown: `PeekTooLargeError`, `ServerDecodingError`, or what an operator can act on
 */
export async function peekFailure(
  error: unknown,
  { firstRowMs, cancelled, transaction }: PeekReach,
  translateError: (error: unknown) => Promise<unknown>,
): Promise<unknown> {
  const code = codeOf(error);
  // A cancellation sent just before the first row arrived may end the statement behind it.
  if (TOO_LARGE.has(code) && (firstRowMs === undefined || cancelled)) {
    return new PeekTooLargeError('the peek did not finish before its first row', {
      cause: error,
      resourceSqlState: code === OUT_OF_TIME ? undefined : code,
      near: lsnNear(error),
      spilling: isSpilling(error),
    });
  }
  const explained = await translateError(error);
  // What is missing may be needed only further on: what is before it can be published.
  const mayBeFurtherOn = explained === error || code === '58P01' || isUnreadableWal(error) || isInconvertible(error);
  if (!mayBeFurtherOn || !isDecodingFailure(error)) return explained;
  if (firstRowMs === undefined) {
    return new ServerDecodingError('the server failed while it decoded', {
      cause: explained,
      sqlState: code,
      report: shownReport(error),
      near: lsnNear(error),
    });
  }
  return transaction === undefined
    ? explained
    : transactionUndecodable(formatLsn(transaction.commitLsn), shownReport(error), error);
}
