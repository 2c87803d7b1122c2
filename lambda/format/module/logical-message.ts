/**
 * The logical message that a formatter of the user's own is given: an ordinary object, made for each call.
 * Knows no formatter.
 */
import type { FormatterMessage } from '../../../lib/formatter/formatter.ts';
import { formatLsn } from '../../decode/lsn.ts';
import { logicalMessageId } from '../logical-message-id.ts';
import type { LogicalMessageRecord } from '../record.ts';
import { isoMicros } from '../temporal.ts';

/**
 * @param source - SOURCE_NAME
 * @param record - what was decoded
 * @returns all that FORMAT=json has of it, its content as bytes
 */
export function logicalMessageOf(source: string, record: LogicalMessageRecord): FormatterMessage {
  const { prefix, bytes, start, end, lsn, transaction, ordinal, truncated } = record;
  return {
    id: logicalMessageId(record),
    source,
    op: 'MESSAGE',
    prefix,
    // A copy: the bytes are used again for what is read next.
    ...(truncated ? { truncated } : { content: Buffer.from(bytes.subarray(start, end)) }),
    transactional: transaction !== undefined,
    lsn: formatLsn(lsn),
    ...(transaction === undefined
      ? {}
      : {
          xid: transaction.xid,
          commitLsn: formatLsn(transaction.commitLsn),
          ordinal,
          commitTime: isoMicros(transaction.commitTimeMicros),
        }),
  };
}
