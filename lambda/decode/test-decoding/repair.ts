/**
 * Lines with bytes that are no UTF-8, written again: see `raw-bytes.ts` for where they come from.
 * Pure. Such lines are rare, so nothing here is fast.
 */
import { isUtf8 } from 'node:buffer';
import { type Tuple, ValueKind } from '../messages.ts';
import type { DecodedMessage } from '../plugin-decoder.ts';
import { repairValue } from '../raw-bytes.ts';

/**
 * Writes a line again without bytes that are no UTF-8.
 *
 * @param bytes - what holds the line
 * @param start - its first byte
 * @param end - the index after its last byte
 * @param line - what the decoder makes of it
 * @returns the line in UTF-8, to be decoded again
 */
export function repairLine(bytes: Buffer, start: number, end: number, line: DecodedMessage): Buffer {
  const parts: Buffer[] = [];
  let at = start;
  if (line.kind === 'change') {
    // In the order of the line: an UPDATE's old key comes first.
    for (const tuple of [line.oldTuple, line.newTuple]) {
      for (const [from, to] of rangesOf(tuple)) {
        const value = bytes.subarray(from, to);
        if (isUtf8(value)) continue;
        parts.push(bytes.subarray(at, from), repairValue(value));
        at = to;
      }
    }
  }
  const repaired = Buffer.concat([...parts, bytes.subarray(at, end)]);
  // Decoding puts U+FFFD in place of what is left.
  return isUtf8(repaired) ? repaired : Buffer.from(repaired.toString('utf8'), 'utf8');
}

function* rangesOf(tuple: Tuple | undefined): Generator<[number, number]> {
  for (let i = 0; i < (tuple?.count ?? 0); i++) {
    const kind = tuple?.kinds[i];
    if (kind === ValueKind.quoted || kind === ValueKind.escaped) yield [tuple?.starts[i] ?? 0, tuple?.ends[i] ?? 0];
  }
}
