/**
 * Values for a formatter of the user's own: the server's text of a value as a JavaScript value. What is rare goes the way
 * of FORMAT=json and is parsed. Knows types, and no row.
 */
import type { FormatterValue } from '../../../lib/formatter/formatter.ts';
import { ByteWriter } from '../byte-writer.ts';
import { converterFor } from '../json/value-converters.ts';
import type { ArrayDelimiter } from '../record.ts';

/** Reads one value that was sent and is not NULL, from its text. */
export type ValueReader = (bytes: Buffer, start: number, end: number, doubled: boolean) => FormatterValue;

/** As digits, up to which every integer is safe. */
const SAFE_DIGITS = 15;

const READERS: Readonly<Record<string, ValueReader>> = {
  smallint: integer,
  integer,
  bigint,
  real: float,
  'double precision': float,
  numeric: text,
  money: text,
  text,
  'character varying': text,
  character: text,
  uuid: text,
  date: text,
  boolean: (bytes, start) => bytes[start] === 0x74,
  json: document,
  jsonb: document,
  bytea: (bytes, start, end, doubled) => {
    const hex = text(bytes, start, end, doubled);
    return hex.startsWith('\\x') ? Buffer.from(hex.slice(2), 'hex') : hex;
  },
};

/**
 * Finds how a type's values are read.
 *
 * @param type - as `format_type` prints it, without a modifier
 * @param delimiter - finds what separates an array's elements
 */
export function readerFor(type: string, delimiter: ArrayDelimiter): ValueReader {
  const reader = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (reader !== undefined) return reader;
  const convert = converterFor(type, delimiter);
  const out = new ByteWriter(64);
  return (bytes, start, end, doubled) => {
    out.clear();
    convert(out, bytes, start, end, doubled);
    return JSON.parse(out.toString()) as FormatterValue;
  };
}

function integer(bytes: Buffer, start: number, end: number): number {
  let value = 0;
  const negative = bytes[start] === 0x2d;
  for (let i = negative ? start + 1 : start; i < end; i++) value = value * 10 + ((bytes[i] ?? 0) - 0x30);
  return negative ? -value : value;
}

function bigint(bytes: Buffer, start: number, end: number): number | string {
  if (end - start <= SAFE_DIGITS) return integer(bytes, start, end);
  const digits = bytes.toString('latin1', start, end);
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : digits;
}

function float(bytes: Buffer, start: number, end: number): number {
  return Number(bytes.toString('latin1', start, end));
}

function text(bytes: Buffer, start: number, end: number, doubled: boolean): string {
  const raw = bytes.toString('utf8', start, end);
  return doubled ? raw.replaceAll("''", "'") : raw;
}

function document(bytes: Buffer, start: number, end: number, doubled: boolean): FormatterValue {
  return JSON.parse(text(bytes, start, end, doubled)) as FormatterValue;
}
