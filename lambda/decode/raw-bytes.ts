/**
 * Values with bytes that are no UTF-8, put in ASCII. A server of encoding UTF8 sends them where a type's output function
 * prints raw bytes: `"char"` above 127 on PostgreSQL 10 to 14, or a type of a user's own.
 * Pure; knows no plugin. Such values are rare, so nothing here is fast.
 */
import { isUtf8 } from 'node:buffer';

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
/** What comes before and after an element of an array, or a field of a composite. */
const BEFORE = new Set(Buffer.from('{(,;'));
const BEHIND = new Set(Buffer.from('}),;'));
const OPENING = new Set(Buffer.from('{[('));

/**
 * Writes a value again. A `"char"`, alone or in an array or composite, is written as PostgreSQL 15 prints it: `\377`. Any
 * other byte that is no UTF-8 becomes U+FFFD.
 *
 * @param value - its text, which is no UTF-8
 * @returns the text in UTF-8
 */
export function repairValue(value: Buffer): Buffer {
  const repaired = repairChars(value);
  return isUtf8(repaired) ? repaired : Buffer.from(repaired.toString('utf8'), 'utf8');
}

function repairChars(value: Buffer): Buffer {
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
