/**
 * A logical message in the format `json`:
 *
 * `{"id":…,"source":…,"op":"MESSAGE","prefix":…,["content":…,]["encoding":"base64",]["truncated":true,]"transactional":…,
 * "lsn":…[,"xid":…,"commitLsn":…,"ordinal":…,"commitTime":…]}`
 *
 * Knows no row.
 */
import { isUtf8 } from 'node:buffer';
import { formatLsn } from '../../decode/lsn.ts';
import type { ByteWriter } from '../byte-writer.ts';
import { logicalMessageId } from '../logical-message-id.ts';
import type { LogicalMessageRecord } from '../record.ts';
import { isoMicros } from '../temporal.ts';
import { writeJsonString } from '../text.ts';

/**
 * Appends a message. Its content is text where it is UTF-8, else base64.
 *
 * @param source - named in every record
 * @param record - the message
 * @param out - it is appended to this
 */
export function writeJsonLogicalMessage(source: string, record: LogicalMessageRecord, out: ByteWriter): void {
  const { prefix, bytes, start, end, lsn, transaction, ordinal } = record;
  out.utf8(
    `{"id":"${logicalMessageId(record)}","source":${JSON.stringify(source)},"op":"MESSAGE","prefix":${JSON.stringify(prefix)}`,
  );
  if (record.truncated) {
    out.ascii(',"truncated":true');
  } else if (isUtf8(bytes.subarray(start, end))) {
    out.ascii(',"content":');
    writeJsonString(out, bytes, start, end, false);
  } else {
    out.ascii(`,"content":"${bytes.toString('base64', start, end)}","encoding":"base64"`);
  }
  out.ascii(`,"transactional":${transaction !== undefined},"lsn":"${formatLsn(lsn)}"`);
  if (transaction !== undefined) {
    const { xid, commitLsn, commitTimeMicros } = transaction;
    out.ascii(
      `,"xid":${xid},"commitLsn":"${formatLsn(commitLsn)}","ordinal":${ordinal},"commitTime":"${isoMicros(commitTimeMicros)}"`,
    );
  }
  out.ascii('}');
}
