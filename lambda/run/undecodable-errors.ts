/**
 * What a run says of a transaction at which the server fails. Pure: facts in, errors out.
 */
import { formatLsn } from '../decode/lsn.ts';
import { PipelineError, transactionUndecodable } from '../errors.ts';
import { type PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import { serverOutOfSpace } from './no-progress-errors.ts';
import type { UndecodableSearch } from './undecodable-search.ts';

/** A peek that ended before its first row, because the server had no room for it, or at something that the server cannot decode. */
export type FailedPeek = PeekTooLargeError | ServerDecodingError;

/**
 * What to throw once a search is over without success.
 *
 * @param search - the search
 * @param error - what its last peek said
 * @returns undefined: it goes on
 */
export function endOfSearch(search: UndecodableSearch, error: FailedPeek): Error | undefined {
  const isServers = error instanceof ServerDecodingError;
  const serversOwn = isServers && error.cause instanceof Error ? error.cause : error;
  // The server fails whatever it reads: its own error says more than the name of a transaction.
  if (search.blameless) {
    return isServers ? serversOwn : serverOutOfSpace(error);
  }
  if (search.next !== undefined) return undefined;
  // No transaction is to blame for WAL that is missing, and none can be skipped to get past it.
  if (serversOwn instanceof PipelineError && serversOwn.code === 'SLOT_LOST') return serversOwn;
  const commitLsn = formatLsn(search.inside);
  return isServers ? transactionUndecodable(commitLsn, error.report, error.cause) : serverOutOfSpace(error, commitLsn);
}
