/**
 * The lexical half of test_decoding's grammar: identifiers, types, numbers and timestamps, each a scan from one index
 * to the next. Pure functions over bytes: no row, no table, no state. What is not in the grammar throws.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import { UndecodableError } from '../messages.ts';

const SPACE = 0x20;
const QUOTE = 0x22;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * A literal's bytes.
 *
 * @param text - ASCII
 * @returns its bytes, to compare with
 */
export function literal(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/**
 * Whether the line goes on with a literal at an index.
 *
 * @param bytes - the line and what is around it
 * @param at - where the literal should begin
 * @param end - where the line ends, exclusive
 * @param word - the literal
 */
export function startsWithAt(bytes: Uint8Array, at: number, end: number, word: Uint8Array): boolean {
  const length = word.length;
  if (at + length > end) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

function isWordStart(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x61 && byte <= 0x7a) || byte === 0x5f);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** `[a-z_][a-z0-9_]*`, which is what quote_identifier leaves unquoted. */
function scanWord(bytes: Uint8Array, at: number, end: number, start: number, expected: string): number {
  if (at >= end || !isWordStart(bytes[at])) throw new UndecodableError(expected, at - start);
  let i = at + 1;
  while (i < end && (isWordStart(bytes[i]) || isDigit(bytes[i]))) i++;
  return i;
}

/**
 * Scans an identifier as quote_identifier prints it. Inside quotes anything goes; a quote is doubled.
 *
 * @param bytes - the line and what is around it
 * @param at - where it begins
 * @param end - where the line ends, exclusive
 * @param start - where the line begins, for the error's offset
 * @param expected - what the caller needs, for the error
 * @returns the index after it
 * @throws {UndecodableError} when there is none
 */
export function scanIdentifier(bytes: Uint8Array, at: number, end: number, start: number, expected: string): number {
  if (at >= end || bytes[at] !== QUOTE) return scanWord(bytes, at, end, start, expected);
  let i = at + 1;
  for (;;) {
    while (i < end && bytes[i] !== QUOTE) i++;
    if (i >= end) throw new UndecodableError('the closing quote of an identifier', end - start);
    i++;
    if (i >= end || bytes[i] !== QUOTE) return i;
    i++;
  }
}

/**
 * Scans a type as format_type prints it without a modifier: words (`double precision`) or a name, qualified unless it
 * is visible, then at most one `[]`.
 *
 * @param bytes - the line and what is around it
 * @param at - where it begins
 * @param end - where the line ends, exclusive
 * @param start - where the line begins, for the error's offset
 * @returns the index after it
 * @throws {UndecodableError} when there is none
 */
export function scanType(bytes: Uint8Array, at: number, end: number, start: number): number {
  let i = scanIdentifier(bytes, at, end, start, 'a type');
  if (i < end && bytes[i] === DOT) {
    i = scanIdentifier(bytes, i + 1, end, start, "a type's name");
  } else if (bytes[at] !== QUOTE) {
    while (i < end && bytes[i] === SPACE) i = scanWord(bytes, i + 1, end, start, "a type's next word");
  }
  if (i + 1 < end && bytes[i] === 0x5b && bytes[i + 1] === 0x5d) i += 2;
  return i;
}

/** One digit or more. */
function scanDigits(bytes: Uint8Array, at: number, end: number, start: number): number {
  let i = at;
  while (i < end && isDigit(bytes[i])) i++;
  if (i === at) throw new UndecodableError('a digit', at - start);
  return i;
}

/**
 * Scans a number as the integer, floating-point and numeric types print it: no leading zeros, no bare point.
 *
 * @param bytes - the line and what is around it
 * @param at - at its first digit, after the sign
 * @param end - where the line ends, exclusive
 * @param start - where the line begins, for the error's offset
 * @returns the index after it
 * @throws {UndecodableError} when there is none
 */
export function scanNumber(bytes: Uint8Array, at: number, end: number, start: number): number {
  let i = at;
  while (i < end) {
    const byte = bytes[i] ?? 0;
    if (byte < ZERO || byte > NINE) break;
    i++;
  }
  if (i === at) throw new UndecodableError('a value', at - start);
  if (i > at + 1 && bytes[at] === ZERO) throw new UndecodableError('a number without leading zeros', at - start);
  if (i < end && bytes[i] === DOT) i = scanDigits(bytes, i + 1, end, start);
  if (i < end && bytes[i] === 0x65) {
    const sign = i + 1 < end ? bytes[i + 1] : undefined;
    i = scanDigits(bytes, sign === 0x2b || sign === 0x2d ? i + 2 : i + 1, end, start);
  }
  return i;
}

/**
 * Reads a decimal integer without leading zeros.
 *
 * @param bytes - the line and what is around it
 * @param at - its first digit
 * @param end - the index after its last digit
 * @param most - the largest value allowed, at most 2^53 - 1
 * @returns the value, or -1 when the bytes from `at` to `end` are no such integer
 */
export function readInteger(bytes: Uint8Array, at: number, end: number, most: number): number {
  if (at >= end || (bytes[at] === ZERO && end > at + 1)) return -1;
  let value = 0;
  for (let i = at; i < end; i++) {
    const byte = bytes[i] ?? 0;
    if (byte < ZERO || byte > NINE) return -1;
    value = value * 10 + (byte - ZERO);
    if (value > most) return -1;
  }
  return value;
}
