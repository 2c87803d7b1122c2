/**
 * Values as JSON: for each type, how the server's text of a value becomes JSON bytes.
 * Knows types by the names `format_type` prints while only pg_catalog is on the search path, so that a user's type
 * always has its schema before it and is never taken for a built-in one: `public.integer` is text. Knows no row.
 *
 * @see https://www.postgresql.org/docs/current/datatype.html
 */
import type { ByteWriter } from '../byte-writer.ts';
import { NULL } from '../null.ts';
import type { ArrayDelimiter } from '../record.ts';
import { ONE_LINE, ONE_LINE_UNDOUBLED, translate, UNDOUBLED, writeJsonString } from '../text.ts';
import { arrayConverter } from './arrays.ts';
import type { Converter } from './converter.ts';

const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const SPACE = 0x20;

/** Beyond ±(2^53 - 1) a double, and with it most readers of JSON, does not hold every integer. */
const MAX_SAFE = Buffer.from(String(Number.MAX_SAFE_INTEGER), 'latin1');

/** Types whose values are not written as strings. */
const CONVERTERS: Readonly<Record<string, Converter>> = {
  smallint: number,
  integer: number,
  bigint,
  real: float,
  'double precision': float,
  boolean,
  json,
  jsonb,
  bytea,
  'timestamp without time zone': timestamp,
  'timestamp with time zone': timestamptz,
};

/**
 * Finds how a type's values are written.
 *
 * @param type - the type as `format_type` prints it, without a modifier
 * @param delimiter - finds what separates an array's elements: the plugin does not print it
 * @returns the converter; an array's has a buffer of its own, so make one for each column
 */
export function converterFor(type: string, delimiter: ArrayDelimiter = builtInDelimiter): Converter {
  // A quoted name ends in a quote, so a text that ends in "[]" is always an array.
  if (type.endsWith('[]')) {
    const element = type.slice(0, -2);
    return arrayConverter(
      converterFor(element, delimiter),
      () => delimiter(element),
      holdsJson(element) ? isJsonNull : undefined,
    );
  }
  return Object.hasOwn(CONVERTERS, type) ? (CONVERTERS[type] ?? writeJsonString) : writeJsonString;
}

/** The delimiter of the server's own types: a comma for all but box. */
export const builtInDelimiter: ArrayDelimiter = (element) => (element === 'box' ? ';' : ',');

/** @param type - as `format_type` prints it @returns whether its values are JSON, among which there is a null */
export function holdsJson(type: string): boolean {
  return type === 'json' || type === 'jsonb';
}

/**
 * Whether a JSON value is `null`: the value, which is another than SQL's NULL. A json keeps the blanks around it.
 *
 * @param bytes - what holds its text
 * @param start - its first byte
 * @param end - the index after its last byte
 */
export function isJsonNull(bytes: Buffer, start: number, end: number): boolean {
  let from = start;
  let to = end;
  // Blank, tab and line breaks are all that JSON admits around a value, and no value begins with a byte below these.
  while (from < to && (bytes[from] ?? 0) <= SPACE) from++;
  while (to > from && (bytes[to - 1] ?? 0) <= SPACE) to--;
  return to - from === NULL.length && bytes.compare(NULL, 0, NULL.length, from, to) === 0;
}

function number(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  out.copy(bytes, start, end);
}

function bigint(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  const digits = bytes[start] === MINUS ? start + 1 : start;
  const safe =
    end - digits < MAX_SAFE.length ||
    (end - digits === MAX_SAFE.length && bytes.compare(MAX_SAFE, 0, MAX_SAFE.length, digits, end) <= 0);
  if (safe) out.copy(bytes, start, end);
  else writeJsonString(out, bytes, start, end, doubled);
}

/** NaN and the infinities, which JSON lacks, are strings. */
function float(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  const first = bytes[bytes[start] === MINUS ? start + 1 : start] ?? 0;
  if (first >= ZERO && first <= NINE) out.copy(bytes, start, end);
  else writeJsonString(out, bytes, start, end, doubled);
}

/** A column's value is printed `true`, an array's element `t`. */
function boolean(out: ByteWriter, bytes: Buffer, start: number): void {
  out.ascii(bytes[start] === 0x74 ? 'true' : 'false');
}

/** As it is, but on one line: the server admits control characters between tokens only, never in a string. */
function json(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  translate(out, bytes, start, end, doubled ? ONE_LINE_UNDOUBLED : ONE_LINE);
}

/** As it is: the server prints it on one line. */
function jsonb(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  if (doubled) translate(out, bytes, start, end, UNDOUBLED);
  else out.copy(bytes, start, end);
}

const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const HEX = hexValues();

function hexValues(): Uint8Array {
  const values = new Uint8Array(256);
  for (let digit = 0; digit < 16; digit++) values[digit.toString(16).charCodeAt(0)] = digit;
  return values;
}

function octet(bytes: Buffer, at: number): number {
  return ((HEX[bytes[at] ?? 0] ?? 0) << 4) | (HEX[bytes[at + 1] ?? 0] ?? 0);
}

/** `\xdeadbeef`, as every session is told to print it, becomes base64 (RFC 4648, padded). Other text stays text. */
function bytea(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  if (bytes[start] !== 0x5c || bytes[start + 1] !== 0x78) {
    writeJsonString(out, bytes, start, end, doubled);
    return;
  }
  const target = out.reserve(Math.ceil((end - start) / 6) * 4 + 2);
  let at = out.length;
  target[at++] = 0x22;
  let i = start + 2;
  for (; i + 6 <= end; i += 6) {
    const three = (octet(bytes, i) << 16) | (octet(bytes, i + 2) << 8) | octet(bytes, i + 4);
    target[at++] = BASE64[three >> 18] ?? 0;
    target[at++] = BASE64[(three >> 12) & 63] ?? 0;
    target[at++] = BASE64[(three >> 6) & 63] ?? 0;
    target[at++] = BASE64[three & 63] ?? 0;
  }
  if (i < end) {
    const two = i + 4 <= end;
    const rest = (octet(bytes, i) << 16) | (two ? octet(bytes, i + 2) << 8 : 0);
    target[at++] = BASE64[rest >> 18] ?? 0;
    target[at++] = BASE64[(rest >> 12) & 63] ?? 0;
    target[at++] = two ? (BASE64[(rest >> 6) & 63] ?? 0) : 0x3d;
    target[at++] = 0x3d;
  }
  target[at++] = 0x22;
  out.length = at;
}

/** `2026-01-02 03:04:05.678` becomes `2026-01-02T03:04:05.678`. */
function timestamp(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  if (hasNoIsoForm(bytes, start, end)) {
    writeJsonString(out, bytes, start, end, doubled);
    return;
  }
  out.byte(0x22);
  writeDateAndTime(out, bytes, start, end);
  out.byte(0x22);
}

/** `2026-01-02 03:04:05.678+00` becomes `2026-01-02T03:04:05.678Z`; every session's zone is UTC. */
function timestamptz(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): void {
  if (hasNoIsoForm(bytes, start, end)) {
    writeJsonString(out, bytes, start, end, doubled);
    return;
  }
  const utc = bytes[end - 3] === 0x2b && bytes[end - 2] === ZERO && bytes[end - 1] === ZERO;
  out.byte(0x22);
  writeDateAndTime(out, bytes, start, utc ? end - 3 : end);
  if (utc) out.byte(0x5a);
  out.byte(0x22);
}

/**
 * `infinity`, `-infinity`, years BC and from 10000 on, which keep their text: ISO 8601 wants a sign before a year of
 * more than four digits, which PostgreSQL does not read.
 */
function hasNoIsoForm(bytes: Buffer, start: number, end: number): boolean {
  const first = bytes[start] ?? 0;
  return first < ZERO || first > NINE || bytes[start + 4] !== MINUS || bytes[end - 1] === 0x43;
}

/** Writes `T` for the space after the date. */
function writeDateAndTime(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  const blank = start + 10;
  out.copy(bytes, start, blank);
  out.byte(bytes[blank] === SPACE ? 0x54 : (bytes[blank] ?? 0));
  out.copy(bytes, blank + 1, end);
}
