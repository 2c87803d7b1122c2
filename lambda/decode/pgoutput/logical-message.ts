/**
 * A logical message, as pgoutput sends it. Pure; knows no row.
 *
 * @see https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import type { LogicalMessage } from '../messages.ts';
import type { MessageReader } from './reader.ts';

/** Flag: it is part of a transaction. */
const IN_TRANSACTION = 1;
/** Behind the prefix. */
const SIZE_BYTES = 4;

/**
 * @param reader - behind the message's kind
 * @param start - the message's first byte
 * @param end - the index after its last byte
 * @param oversizeBytes - its size before it was shortened, which leaves its beginning; undefined: it is as it was sent
 * @returns what it says
 */
export function readLogicalMessage(
  reader: MessageReader,
  start: number,
  end: number,
  oversizeBytes: number | undefined,
): LogicalMessage {
  const { bytes } = reader;
  const transactional = (reader.byte('flags') & IN_TRANSACTION) !== 0;
  reader.int64("a message's LSN");
  if (oversizeBytes !== undefined) {
    const zero = bytes.indexOf(0, reader.at);
    const isKept = zero >= 0 && zero + SIZE_BYTES < end;
    const prefix = isKept ? reader.text('a prefix') : undefined;
    const size = isKept ? reader.uint32('a size') : start + oversizeBytes - reader.at;
    if (isKept && reader.offset + size !== oversizeBytes) throw reader.expected("a message's content");
    return { kind: 'message', transactional, prefix, bytes, start: end, end, size };
  }
  const prefix = reader.text('a prefix');
  const size = reader.uint32('a size');
  const from = reader.skip(size, "a message's content");
  reader.end();
  return { kind: 'message', transactional, prefix, bytes, start: from, end: from + size, size };
}
