/**
 * One column's value as test_decoding's print_literal writes it: its kind, and where its text begins and ends.
 * Pure; does not know the column's type: where a value ends does not depend on it.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import type { Tuple } from '../messages.ts';
import { UndecodableError, ValueKind } from '../messages.ts';
import { literal, scanNumber, startsWithAt } from './scan.ts';

const SPACE = 0x20;
const APOSTROPHE = 0x27;
const MINUS = 0x2d;

const NULL = literal('null');
const UNCHANGED = literal('unchanged-toast-datum');
const TRUE = literal('true');
const FALSE = literal('false');
const NAN = literal('NaN');
const INFINITY = literal('Infinity');
/** Not the plugin's: what the shortener puts in place of a value that was too large to be kept. */
export const ELIDED = literal('elided');

const EXPECTED_VALUE = 'a value';

/**
 * How many bytes are searched for an apostrophe one by one, before the native search is called. By test/bench/decode.bench.ts on
 * a 2-core cloud machine, for a row with one text of 40, 200 and 4,000 bytes, and one with an apostrophe every 20: 86,
 * 117, 171 and 174 ns; with 16 92, 95, 146 and 350; without the native search 85, 156, 1,865 and 163.
 */
const INDEX_OF_THRESHOLD = 64;

/**
 * Scans a value and notes it in a tuple.
 *
 * @param bytes - the line and what is around it
 * @param at - after the colon of the column's header
 * @param end - where the line ends, exclusive
 * @param start - where the line begins, for the error's offset
 * @param tuple - where to note the value's kind and range
 * @param column - the value's index in the tuple
 * @returns the index after the value: the line's end, or a space
 * @throws {UndecodableError} when there is no value, or something else than a space after it
 */
export function scanValue(bytes: Buffer, at: number, end: number, start: number, tuple: Tuple, column: number): number {
  let kind: ValueKind = ValueKind.bare;
  let from = at;
  let to = at;
  let next: number;
  const first = at < end ? bytes[at] : undefined;
  if (first === APOSTROPHE) {
    kind = ValueKind.quoted;
    from = at + 1;
    to = findApostrophe(bytes, from, end, start);
    while (to + 1 < end && bytes[to + 1] === APOSTROPHE) {
      kind = ValueKind.escaped;
      to = findApostrophe(bytes, to + 2, end, start);
    }
    next = to + 1;
  } else {
    switch (first) {
      case 0x6e:
        kind = ValueKind.null;
        next = scanLiteral(bytes, at, end, start, NULL);
        break;
      case 0x75:
        kind = ValueKind.unchanged;
        next = scanLiteral(bytes, at, end, start, UNCHANGED);
        break;
      case 0x65:
        kind = ValueKind.elided;
        next = scanLiteral(bytes, at, end, start, ELIDED);
        break;
      case 0x74:
        next = scanLiteral(bytes, at, end, start, TRUE);
        break;
      case 0x66:
        next = scanLiteral(bytes, at, end, start, FALSE);
        break;
      case 0x4e:
        next = scanLiteral(bytes, at, end, start, NAN);
        break;
      case 0x49:
        next = scanLiteral(bytes, at, end, start, INFINITY);
        break;
      case 0x42:
        kind = ValueKind.bits;
        from = at + 2;
        to = scanBits(bytes, at, end, start);
        next = to + 1;
        break;
      case MINUS:
        next =
          bytes[at + 1] === 0x49
            ? scanLiteral(bytes, at + 1, end, start, INFINITY)
            : scanNumber(bytes, at + 1, end, start);
        break;
      default:
        next = scanNumber(bytes, at, end, start);
    }
    if (kind === ValueKind.bare) to = next;
  }
  if (next < end && bytes[next] !== SPACE)
    throw new UndecodableError('a space or the end of the line after a value', next - start);
  tuple.kinds[column] = kind;
  tuple.starts[column] = from;
  tuple.ends[column] = to;
  return next;
}

function scanLiteral(bytes: Buffer, at: number, end: number, start: number, word: Uint8Array): number {
  if (!startsWithAt(bytes, at, end, word)) throw new UndecodableError(EXPECTED_VALUE, at - start);
  return at + word.length;
}

/** The closing apostrophe of `B'101'`. */
function scanBits(bytes: Buffer, at: number, end: number, start: number): number {
  let i = at + 1;
  if (i >= end || bytes[i] !== APOSTROPHE) throw new UndecodableError(EXPECTED_VALUE, at - start);
  do i++;
  while (i < end && (bytes[i] === 0x30 || bytes[i] === 0x31));
  if (i >= end || bytes[i] !== APOSTROPHE)
    throw new UndecodableError('a bit or the closing apostrophe of a bit string', i - start);
  return i;
}

/** The next apostrophe. */
function findApostrophe(bytes: Buffer, at: number, end: number, start: number): number {
  let i = at;
  const limit = Math.min(end, at + INDEX_OF_THRESHOLD);
  while (i < limit && bytes[i] !== APOSTROPHE) i++;
  if (i < limit) return i;
  if (i < end) i = bytes.indexOf(APOSTROPHE, i);
  if (i < 0 || i >= end) throw new UndecodableError('the closing apostrophe of a value', end - start);
  return i;
}
