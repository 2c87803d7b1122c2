/**
 * Values as AWS DMS writes them to Kinesis, where its documentation says how; where it does not, as said in
 * docs/records.md: nothing is rounded and nothing is lost.
 *
 * @see https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.PostgreSQL.html#CHAP_Source-PostgreSQL-DataTypes
 */
import type { TypeWriter } from '../fields.ts';
import { fromText } from '../from-text.ts';
import type { Converter } from '../json/converter.ts';
import { converterFor } from '../json/value-converters.ts';
import { writeJsonString } from '../text.ts';

/** DMS maps a numeric of more digits to a string. */
const MAX_DIGITS = 38;

const number: Converter = (out, bytes, start, end) => out.copy(bytes, start, end);
/** NaN and the infinities, which JSON lacks, are strings. */
const float = converterFor('real');

/** `MapBooleanAsBoolean` is off by default: a boolean is a string. */
const boolean: Converter = (out, bytes, start) => out.ascii(bytes[start] === 0x74 ? '"true"' : '"false"');

const numeric = fromText((text) => {
  // NaN and the infinities have none.
  if (!/[0-9]/.test(text)) return undefined;
  return text.replace(/^-?0*|\./g, '').length > MAX_DIGITS ? undefined : text;
});

/** `-$1,234.50` becomes `-1234.50`: DMS maps money to a numeric. Every session prints it with lc_monetary = C. */
const money = fromText((text) => text.replace(/[^0-9.-]/g, ''));

/** `2026-01-02 03:04:05.5` becomes `"2026-01-02T03:04:05.5Z"`; infinity and years BC keep their text. */
const timestamp = fromText((text) => {
  const match = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:\+00)?$/.exec(text);
  return match === null ? undefined : `"${match[1]}T${match[2]}Z"`;
});

/** `\x00ff` becomes `"0x00ff"`. */
const bytea = fromText((text) => (text.startsWith('\\x') ? `"0x${text.slice(2)}"` : undefined));

const CONVERTERS: Readonly<Record<string, Converter>> = {
  smallint: number,
  integer: number,
  bigint: number,
  oid: number,
  real: float,
  'double precision': float,
  numeric,
  money,
  boolean,
  bytea,
  'timestamp without time zone': timestamp,
  'timestamp with time zone': timestamp,
};

/**
 * Finds what writes a type's values. A value that was not sent leaves its column out.
 *
 * @param type - as `format_type` prints it, without a modifier
 */
export function dmsType(type: string): TypeWriter {
  return { write: Object.hasOwn(CONVERTERS, type) ? (CONVERTERS[type] ?? writeJsonString) : writeJsonString };
}
