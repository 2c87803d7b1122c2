/**
 * Arrays as JSON: the text that array_out prints, `{1,NULL,"a \"b\""}`, element by element, however deep it nests.
 * Knows the syntax of arrays and no type: elements go to a converter. An array whose bounds do not begin at 1 is printed
 * with them, `[2:3]={1,2}`, and keeps its text, because JSON has no bounds. So does one whose elements are JSON themselves, if
 * it is nested (which brackets are the array's?) or holds a JSON `null` (which would look like SQL's NULL).
 *
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
import { ByteWriter } from '../byte-writer.ts';
import { NULL } from '../null.ts';
import { BACKSLASH_UNESCAPED, translate, writeJsonString } from '../text.ts';
import type { Converter } from './converter.ts';

const OPEN = 0x7b;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** As array_out prints it. */
const PRINTED_NULL = Buffer.from('NULL', 'latin1');

/**
 * Makes an array type's converter.
 *
 * @param element - writes one element from its text, quotes and backslashes undone
 * @param delimiter - returns what separates elements, one ASCII character; called for each array, because more types
 *   may be known then
 * @param isNull - given where elements are JSON themselves: whether one's text is that of a JSON `null`
 * @returns writes a JSON array; text that is no array, has bounds, or would be ambiguous as JSON, becomes a string
 */
export function arrayConverter(
  element: Converter,
  delimiter: () => string,
  isNull?: (bytes: Buffer, start: number, end: number) => boolean,
): Converter {
  let comma = 0;
  const unescaped = new ByteWriter(64);

  /** Writes the quoted element that begins after a quote. @returns the index of its closing quote, or -1 */
  function quoted(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): number {
    let close = start;
    let escapes = false;
    while (close < end && bytes[close] !== QUOTE) {
      if (bytes[close] === BACKSLASH) {
        escapes = true;
        close++;
      }
      close++;
    }
    if (close >= end) return -1;
    if (escapes) {
      unescaped.clear();
      translate(unescaped, bytes, start, close, BACKSLASH_UNESCAPED);
      element(out, unescaped.bytes, 0, unescaped.length, doubled);
    } else if (isNull?.(bytes, start, close) === true) {
      // Only here: array_out quotes it, as NULL in any case is its own word, and `null` needs no backslash.
      return -1;
    } else {
      element(out, bytes, start, close, doubled);
    }
    return close;
  }

  /** Writes the element that begins at `start`. @returns the index after it, or -1 where there is none */
  function item(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): number {
    if (bytes[start] === QUOTE) {
      const close = quoted(out, bytes, start + 1, end, doubled);
      return close < 0 ? -1 : close + 1;
    }
    let i = start;
    while (i < end && bytes[i] !== comma && bytes[i] !== CLOSE) i++;
    if (i === start) return -1;
    if (i - start === 4 && bytes.compare(PRINTED_NULL, 0, 4, start, i) === 0) out.copy(NULL);
    else element(out, bytes, start, i, doubled);
    return i;
  }

  /** @returns whether the range was an array, and all of it written */
  function array(out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean): boolean {
    let depth = 0;
    let i = start;
    for (;;) {
      // Here an array or an element begins.
      if (i < end && bytes[i] === OPEN) {
        if (depth > 0 && isNull !== undefined) return false;
        out.byte(0x5b);
        depth++;
        i++;
        if (bytes[i] !== CLOSE || depth > 1) continue;
      } else {
        i = depth === 0 ? -1 : item(out, bytes, i, end, doubled);
        if (i < 0) return false;
      }
      // Here one has ended.
      while (i < end && bytes[i] === CLOSE && depth > 0) {
        out.byte(0x5d);
        depth--;
        i++;
      }
      if (depth === 0) return i === end;
      if (i >= end || bytes[i] !== comma) return false;
      out.byte(0x2c);
      i++;
    }
  }

  return (out, bytes, start, end, doubled) => {
    const begin = out.length;
    comma = delimiter().charCodeAt(0);
    if (array(out, bytes, start, end, doubled)) return;
    out.length = begin;
    writeJsonString(out, bytes, start, end, doubled);
  };
}
