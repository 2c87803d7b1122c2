/**
 * test_decoding's line of a logical message. The plugin escapes nothing in it: prefix and content may look like the rest
 * of a line. Pure functions over bytes; knows nothing of tables and transactions.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import type { Ignored, LogicalMessage } from '../messages.ts';
import { UndecodableError } from '../messages.ts';
import { literal, readInteger, startsWithAt } from './scan.ts';

/** With which only such a line begins: `m`. */
export const MESSAGE_BYTE = 0x6d;

const SPACE = 0x20;
const ZERO = 0x30;
const ONE = 0x31;
const MESSAGE = literal('message:');
const TRANSACTIONAL = literal(' transactional: ');
const PREFIX = literal(' prefix: ');
const SIZE = Buffer.from(', sz: ');
const CONTENT = literal(' content:');
const IGNORED: Ignored = { kind: 'ignored' };

/**
 * Decodes `message: transactional: 1 prefix: p, sz: 3 content:abc`, or just `message:`.
 *
 * The size may seem to come more than once. The first that fits is taken: so no content can pass for a prefix.
 *
 * @param bytes - what holds the line
 * @param start - its first byte
 * @param end - the index after its last byte
 * @param oversizeBytes - the line's size, of which only the beginning was kept; undefined: it is whole
 * @returns what it says; of a line that was cut to its first word, that it is to be counted and ignored
 * @throws {UndecodableError} when it is anything else
 */
export function decodeLogicalMessage(
  bytes: Buffer,
  start: number,
  end: number,
  oversizeBytes?: number,
): LogicalMessage | Ignored {
  if (!startsWithAt(bytes, start, end, MESSAGE)) throw new UndecodableError('"message:"', 0);
  let at = start + MESSAGE.length;
  if (at === end) return IGNORED;
  if (!startsWithAt(bytes, at, end, TRANSACTIONAL)) throw new UndecodableError('" transactional: "', at - start);
  at += TRANSACTIONAL.length;
  const flag = at < end ? bytes[at] : undefined;
  if (flag !== ZERO && flag !== ONE) throw new UndecodableError('0 or 1', at - start);
  at++;
  if (!startsWithAt(bytes, at, end, PREFIX)) throw new UndecodableError('" prefix: "', at - start);
  at += PREFIX.length;
  const transactional = flag === ONE;
  // Where the line ended before its content was left out.
  const wholeEnd = start + (oversizeBytes ?? end - start);
  for (let size = bytes.indexOf(SIZE, at); size >= 0 && size < end; size = bytes.indexOf(SIZE, size + 1)) {
    const digits = size + SIZE.length;
    let afterDigits = digits;
    while (afterDigits < end && bytes[afterDigits] !== SPACE) afterDigits++;
    const content = afterDigits + CONTENT.length;
    if (!startsWithAt(bytes, afterDigits, end, CONTENT)) continue;
    const contentBytes = wholeEnd - content;
    if (readInteger(bytes, digits, afterDigits, contentBytes) !== contentBytes) continue;
    return {
      kind: 'message',
      transactional,
      prefix: bytes.toString('utf8', at, size),
      bytes,
      start: content,
      end: oversizeBytes === undefined ? end : content,
      size: contentBytes,
    };
  }
  if (oversizeBytes === undefined)
    throw new UndecodableError('", sz: ", a size and " content:" of that size', at - start);
  return { kind: 'message', transactional, prefix: undefined, bytes, start: end, end, size: wholeEnd - at };
}
