/**
 * Where the WAL record of a logical message ends. The server tells where it begins, and a standby may have confirmed only
 * the first part of it. Pure.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { LogicalMessage } from '../decode/messages.ts';

/** Of a logical message's record: all of its headers, and what it is padded with. */
const MESSAGE_HEADERS = 72;
/** A page of WAL, and the largest header that it begins with. */
const PAGE_BYTES = 8_192;
const PAGE_HEADER = 40;

/**
 * Where a logical message's record ends at the latest. Where it begins and how long it is says so but for a few bytes.
 *
 * @param lsn - where it begins
 * @param message - its prefix and its size
 */
export function latestEnd(lsn: Lsn, { prefix, size }: LogicalMessage): Lsn {
  const bytes = MESSAGE_HEADERS + Buffer.byteLength(prefix ?? '') + 1 + size;
  const pages = Math.floor((Number(lsn % BigInt(PAGE_BYTES)) + bytes) / (PAGE_BYTES - PAGE_HEADER));
  return lsn + BigInt(bytes + PAGE_HEADER * pages);
}
