/**
 * The id of a logical message. Messages take no ordinal: so rows have the same ids whether messages are read or not, and
 * whatever the plugin.
 */
import { formatLsn } from '../decode/lsn.ts';
import type { LogicalMessageRecord } from './record.ts';

/**
 * @param record - the message
 * @returns `<commit LSN>@<commit time in microseconds>#<ordinal of the change before it>.<place behind that>`; for one outside
 *   a transaction, of which the server tells neither time nor xid, `<its own LSN>#m`
 */
export function logicalMessageId({ transaction, lsn, ordinal, place }: LogicalMessageRecord): string {
  if (transaction === undefined) return `${formatLsn(lsn)}#m`;
  return `${formatLsn(transaction.commitLsn)}@${transaction.commitTimeMicros}#${ordinal}.${place}`;
}
