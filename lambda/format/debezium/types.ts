/**
 * Values as Debezium's PostgreSQL connector writes them with `decimal.handling.mode=string`,
 * `time.precision.mode=microseconds` (or `isostring`) and the JSON converter without schemas.
 * Knows types by the names that `format_type` prints without a modifier. What Debezium leaves out of a row is text here.
 *
 * @see https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types
 */
import { createHash } from 'node:crypto';
import type { TypeWriter } from '../fields.ts';
import { arrayConverter } from '../json/arrays.ts';
import type { Converter } from '../json/converter.ts';
import { builtInDelimiter, converterFor } from '../json/value-converters.ts';
import type { DebeziumOptions, TypeFacts } from '../record.ts';
import { writeJsonString } from '../text.ts';
import { bits, hstore, money, numeric, point } from './scalars.ts';
import { temporalConverters } from './temporal.ts';

/** What is written for a value that is stored out of line and was not sent: `unavailable.value.placeholder`. */
const UNAVAILABLE = '__debezium_unavailable_value';
const UNAVAILABLE_BYTES = Buffer.from(UNAVAILABLE, 'latin1');

const number: Converter = (out, bytes, start, end) => out.copy(bytes, start, end);
const boolean = converterFor('boolean');
const float = converterFor('real');
const bytea = converterFor('bytea');

/** The built-in types whose values are more than their text, whatever the time mode. */
const CONVERTERS: Readonly<Record<string, Converter>> = {
  smallint: number,
  integer: number,
  bigint: number,
  oid: number,
  real: float,
  'double precision': float,
  boolean,
  bytea,
  numeric,
  money,
  bit: bits(true),
  'bit varying': bits(false),
  point,
};

/** Types whose arrays say an unsent value by the placeholder's bytes, a number each. */
const NUMBER_ARRAYS = new Set(['smallint', 'integer', 'bigint', 'date']);

/**
 * Makes what writes a type's values.
 *
 * @param time - how dates and times are written
 * @param facts - what is between an array's elements, and what a domain is made of
 * @returns makes a type's writer; called once a column
 */
export function debeziumTypes(
  time: DebeziumOptions['time'],
  { arrayDelimiter = builtInDelimiter, baseType = (type) => type }: TypeFacts,
): (type: string) => TypeWriter {
  const converters: Readonly<Record<string, Converter>> = { ...CONVERTERS, ...temporalConverters(time) };
  const find = (named: string): Converter => {
    const type = baseType(named);
    if (type.endsWith('[]')) {
      const element = type.slice(0, -2);
      return arrayConverter(find(element), () => arrayDelimiter(element));
    }
    if (isHstore(type)) return hstore;
    return Object.hasOwn(converters, type) ? (converters[type] ?? writeJsonString) : writeJsonString;
  };
  return (type) => ({ write: find(type), unchanged: Buffer.from(unavailable(baseType(type)), 'latin1') });
}

/** hstore is an extension's: its name has its schema's before it, unless that is on the search path. */
function isHstore(type: string): boolean {
  return type === 'hstore' || type.endsWith('.hstore');
}

/** What is written for a value that was not sent, by type. */
function unavailable(type: string): string {
  const bytea = `"${UNAVAILABLE_BYTES.toString('base64')}"`;
  if (type === 'bytea') return bytea;
  if (isHstore(type)) return JSON.stringify(JSON.stringify({ [UNAVAILABLE]: UNAVAILABLE }));
  if (!type.endsWith('[]')) return `"${UNAVAILABLE}"`;
  const element = type.slice(0, -2);
  if (element === 'bytea') return `[${bytea}]`;
  if (NUMBER_ARRAYS.has(element)) return JSON.stringify([...UNAVAILABLE_BYTES]);
  return element === 'uuid' ? `["${nameUuid(UNAVAILABLE_BYTES)}"]` : `["${UNAVAILABLE}"]`;
}

/** Java's `UUID.nameUUIDFromBytes`: the MD5 of the bytes as a version 3 UUID. */
function nameUuid(bytes: Buffer): string {
  const digest = createHash('md5').update(bytes).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x30;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return digest.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}
