/**
 * Bytes that are no UTF-8, put in ASCII. A server of encoding UTF8 sends them where a type's output function prints raw
 * bytes: `"char"` above 127 on PostgreSQL 10 to 14, or a type of a user's own.
 * Pure. Such lines are rare, so nothing here is fast.
 */
import { isUtf8 } from 'node:buffer';
import type { Line } from '../line.ts';
import { type Tuple, ValueKind } from '../messages.ts';

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
/** What comes before and after an element of an array, or a field of a composite. */
const BEFORE = new Set(Buffer.from('{(,;'));
const BEHIND = new Set(Buffer.from('}),;'));
const OPENING = new Set(Buffer.from('{[('));

/**
 * Writes a line again without bytes that are no UTF-8. A `"char"`, alone or in an array or composite, is written as
 * PostgreSQL 15 prints it: `\377`. Any other such byte becomes U+FFFD.
 *
 * @param bytes - what holds the line
 * @param start - its first byte
 * @param end - the index after its last byte
 * @param line - what the decoder makes of it
 * @returns the line in UTF-8, to be decoded again
 */
export function repairLine(bytes: Buffer, start: number, end: number, line: Line): Buffer {
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

function repairValue(value: Buffer): Buffer {
  const [first = 0] = value;
  if (value.length === 1) return octal(first);
  if (!OPENING.has(first)) return value;
  const parts: Buffer[] = [];
  let done = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const byte = value[i] ?? 0;
    if (byte === BACKSLASH) i++;
    else if (byte === QUOTE) quoted = !quoted;
    else if (byte >= 0x80 && !quoted && BEFORE.has(value[i - 1] ?? 0) && BEHIND.has(value[i + 1] ?? 0)) {
      // An element with a backslash is quoted, and the backslash doubled.
      parts.push(value.subarray(done, i), Buffer.from('"\\'), octal(byte), Buffer.from('"'));
      done = i + 1;
    }
  }
  return Buffer.concat([...parts, value.subarray(done)]);
}

function octal(byte: number): Buffer {
  return Buffer.from(`\\${byte.toString(8).padStart(3, '0')}`);
}
