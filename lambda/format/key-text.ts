/**
 * A key's text: what the CSV formats and the partition keys say of a primary key.
 * Knows no format. A single column's key is its text as the server prints it; a composite one a compact JSON array of
 * its parts' texts, in key order.
 */
import { ValueKind } from '../decode/messages.ts';
import type { ByteWriter } from './byte-writer.ts';
import { NULL } from './null.ts';
import type { Key } from './record.ts';
import { writeJsonString, writeText } from './text.ts';

/**
 * Writes a key's text.
 *
 * @param key - the key
 * @param bytes - what its tuples' ranges point into
 * @param out - appended to
 */
export function writeKeyText(key: Key, bytes: Buffer, out: ByteWriter): void {
  if (key.count === 1) writeSingle(key, bytes, out);
  else writeComposite(key, bytes, out);
}

/**
 * Writes a key as JSON: a string, or for a composite key an array of strings.
 *
 * @param key - the key
 * @param bytes - what its tuples' ranges point into
 * @param out - appended to
 */
export function writeKeyJson(key: Key, bytes: Buffer, out: ByteWriter): void {
  if (key.count === 1) writePart(key, 0, bytes, out);
  else writeComposite(key, bytes, out);
}

function writeSingle(key: Key, bytes: Buffer, out: ByteWriter): void {
  const tuple = key.tuples[0];
  const column = key.columns[0] ?? 0;
  if (tuple === undefined || !holdsText(tuple.kinds[column])) return;
  const kind = tuple.kinds[column];
  if (kind === ValueKind.boolean) {
    out.ascii(booleanText(bytes, tuple.starts[column]));
    return;
  }
  const quotesDoubled = kind === ValueKind.escaped;
  writeText(out, bytes, tuple.starts[column] ?? 0, tuple.ends[column] ?? 0, quotesDoubled);
}

function writeComposite(key: Key, bytes: Buffer, out: ByteWriter): void {
  for (let part = 0; part < key.count; part++) {
    out.byte(part === 0 ? 0x5b : 0x2c);
    writePart(key, part, bytes, out);
  }
  out.byte(0x5d);
}

function writePart(key: Key, part: number, bytes: Buffer, out: ByteWriter): void {
  const tuple = key.tuples[part];
  const column = key.columns[part] ?? 0;
  if (tuple === undefined || !holdsText(tuple.kinds[column])) {
    out.copy(NULL);
    return;
  }
  const kind = tuple.kinds[column];
  if (kind === ValueKind.boolean) {
    out.ascii(`"${booleanText(bytes, tuple.starts[column])}"`);
    return;
  }
  const quotesDoubled = kind === ValueKind.escaped;
  writeJsonString(out, bytes, tuple.starts[column] ?? 0, tuple.ends[column] ?? 0, quotesDoubled);
}

/** `t` as `true`: as a boolean's own column is written elsewhere, and by test_decoding. */
function booleanText(bytes: Buffer, at = 0): string {
  return bytes[at] === 0x74 ? 'true' : 'false';
}

/** Always true: a primary key's columns are never NULL, and a key is made of values that were sent. Guards against a bug. */
function holdsText(kind: number | undefined): boolean {
  return kind !== undefined && kind !== ValueKind.null && kind !== ValueKind.unchanged;
}
