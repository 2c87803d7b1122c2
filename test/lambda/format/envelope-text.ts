/**
 * Values of `debezium` and `dms` records back to texts that PostgreSQL reads, as the table of docs/records.md has them.
 * Written from that page, knowing none of the code that wrote the record.
 */
import { arrayText } from './json/sql-text.ts';

const MICROS_PER_DAY = 86_400_000_000n;
const EPOCH_JULIAN_DAY = 2_440_588n;

const FAR_DATES: Readonly<Record<string, string>> = { '-2147472693': 'infinity', '-2147472692': '-infinity' };
const FAR_TIMESTAMPS: Readonly<Record<string, string>> = {
  '9223372036825200000': 'infinity',
  '-9223372036832400000': '-infinity',
};
const SPECIAL: Readonly<Record<string, string>> = {
  NAN: 'NaN',
  POSITIVE_INFINITY: 'Infinity',
  NEGATIVE_INFINITY: '-Infinity',
};

/**
 * @param source - the value's own bytes in a `debezium` record
 * @param type - what the column's type is called, of a domain what it is made of, as format_type prints it without a modifier
 * @param digits - how many a bit(n) has
 * @param delimiter - the element type's typdelim, of an array's type
 * @returns the text; null: SQL's NULL
 */
export function debeziumText(source: string, type: string, digits: number, delimiter = ','): string | null {
  if (source === 'null') return null;
  if (type.endsWith('[]')) {
    if (!source.startsWith('[')) return JSON.parse(source) as string;
    const element = type.slice(0, -2);
    return arrayText(source, (item) => debeziumText(item, element, digits), delimiter);
  }
  if (type === 'date') return FAR_DATES[source] ?? `J${BigInt(source) + EPOCH_JULIAN_DAY}`;
  if (type === 'time without time zone') return clock(BigInt(source));
  if (type === 'timestamp without time zone') return FAR_TIMESTAMPS[source] ?? timestamp(BigInt(source));
  // In seconds: before PostgreSQL 14 so many microseconds are out of range.
  if (type === 'interval') return `${source.replace(/^(-?)(\d*?)(\d{1,6})$/, seconds)} seconds`;
  if (type === 'bit' && !source.startsWith('"')) return source === 'true' ? '1' : '0';
  if (type === 'point' && source.startsWith('{')) {
    const { x, y, wkb } = JSON.parse(source) as { x: number; y: number; wkb: string };
    const bytes = Buffer.from(wkb, 'base64');
    // Both say the same; -0 is only in the bytes of a reader that takes numbers as JavaScript does.
    if (bytes.readDoubleLE(5) !== x || bytes.readDoubleLE(13) !== y) throw new Error(source);
    return `(${source.slice(5, source.indexOf(',"y"'))},${source.slice(source.indexOf('"y":') + 4, source.indexOf(',"wkb"'))})`;
  }
  if (!source.startsWith('"')) return source;
  const text = JSON.parse(source) as string;
  switch (type) {
    case 'numeric':
      return SPECIAL[text] ?? text;
    case 'bytea':
      return `\\x${Buffer.from(text, 'base64').toString('hex')}`;
    case 'bit':
    case 'bit varying':
      return bits(Buffer.from(text, 'base64')).padStart(digits, '0');
    case 'timestamp with time zone':
      return zoned(text);
    case 'public.hstore':
      return Object.entries(JSON.parse(text) as Record<string, string | null>)
        .map(([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`)
        .join(',');
    default:
      return text;
  }
}

/**
 * @param source - the value's own bytes in a `dms` record; undefined: it is not there
 * @param type - as for {@link debeziumText}
 * @returns the text; null: SQL's NULL
 */
export function dmsText(source: string | undefined, type: string): string | null {
  if (source === undefined) return null;
  if (!source.startsWith('"')) return source;
  const text = JSON.parse(source) as string;
  if (type === 'bytea') return `\\x${text.slice(2)}`;
  return type.startsWith('timestamp with') && text.endsWith('Z') && !type.endsWith('[]')
    ? `${text.slice(0, -1)}${type === 'timestamp with time zone' ? '+00' : ''}`
    : text;
}

/** `-1500000` microseconds become `-1.500000`. */
const seconds = (_all: string, sign: string, whole: string, rest: string): string =>
  `${sign}${whole === '' ? '0' : whole}.${rest.padStart(6, '0')}`;

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** The digits of the number, without leading zeros: the first byte is the least. */
function bits(bytes: Buffer): string {
  const digits = [...bytes].reverse().map((byte) => byte.toString(2).padStart(8, '0'));
  return digits.join('').replace(/^0+/, '');
}

function clock(micros: bigint): string {
  const two = (value: bigint): string => String(value).padStart(2, '0');
  const seconds = micros / 1_000_000n;
  const fraction = String(micros % 1_000_000n).padStart(6, '0');
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}.${fraction}`;
}

function timestamp(micros: bigint): string {
  const within = ((micros % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY;
  return `J${(micros - within) / MICROS_PER_DAY + EPOCH_JULIAN_DAY} ${clock(within)}`;
}

/** Years of java.time: 0 is 1 BC. */
function zoned(text: string): string {
  const [, sign, digits = '', rest = ''] = /^([+-]?)(\d+)(-.*)Z$/.exec(text) ?? [];
  if (digits === '') return text;
  const year = sign === '-' ? -Number(digits) : Number(digits);
  const named = String(year > 0 ? year : 1 - year).padStart(4, '0');
  return `${named}${rest.replace('T', ' ')}+00${year > 0 ? '' : ' BC'}`;
}
