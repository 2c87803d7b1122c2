/**
 * Rows with values that are no UTF-8, written again: see `raw-bytes.ts` for where they come from. Each value's length
 * stands before it, so it is written again, too.
 * Pure. Such rows are rare, so nothing here is fast.
 */
import { isUtf8 } from 'node:buffer';
import { type Tuple, ValueKind } from '../messages.ts';
import { repairValue } from '../raw-bytes.ts';

const LENGTH_BYTES = 4;

/**
 * Writes a row's message again without values that are no UTF-8.
 *
 * @param bytes - what holds the message
 * @param start - its first byte
 * @param end - the index after its last byte
 * @param tuples - its tuples, in the order of the message
 * @returns the message, to be decoded again
 */
export function repairMessage(
  bytes: Buffer,
  start: number,
  end: number,
  tuples: readonly (Tuple | undefined)[],
): Buffer {
  const parts: Buffer[] = [];
  let at = start;
  for (const tuple of tuples) {
    for (let i = 0; i < (tuple?.count ?? 0); i++) {
      if (tuple?.kinds[i] !== ValueKind.quoted) continue;
      const [from, to] = [tuple.starts[i] ?? 0, tuple.ends[i] ?? 0];
      const value = bytes.subarray(from, to);
      if (isUtf8(value)) continue;
      const repaired = repairValue(value);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32BE(repaired.length);
      parts.push(bytes.subarray(at, from - LENGTH_BYTES), length, repaired);
      at = to;
    }
  }
  return Buffer.concat([...parts, bytes.subarray(at, end)]);
}
