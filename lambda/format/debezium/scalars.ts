/**
 * The values that Debezium writes neither as a number nor as PostgreSQL's text: numeric, money, bit strings, hstore and
 * points. Each from the server's text of it.
 */
import { fromText } from '../from-text.ts';
import type { Converter } from '../json/converter.ts';

/** What numeric has beside numbers, by PostgreSQL's word: SpecialValueDecimal's names. */
const SPECIAL: Readonly<Record<string, string>> = {
  NaN: '"NAN"',
  Infinity: '"POSITIVE_INFINITY"',
  '-Infinity': '"NEGATIVE_INFINITY"',
};

/** `1.50` becomes `"1.50"`; `NaN` becomes `"NAN"`. */
export const numeric: Converter = fromText((text) => (Object.hasOwn(SPECIAL, text) ? SPECIAL[text] : `"${text}"`));

/** `-$1,234.50` becomes `"-1234.50"`; every session prints money with lc_monetary = C. */
export const money: Converter = fromText((text) => `"${text.replace(/[^0-9.-]/g, '')}"`);

/**
 * Bit strings: base64 of the bytes of the number, the least significant first, without leading zeros.
 *
 * @param single - whether one bit alone is a boolean: `bit(1)`. A varbit of one bit need not be a varbit(1), and the
 *   modifier is not printed
 */
export function bits(single: boolean): Converter {
  return fromText((text) => {
    if (single && text.length === 1) return text === '1' ? 'true' : 'false';
    const bytes: number[] = [];
    for (let value = text === '' ? 0n : BigInt(`0b${text}`); value > 0n; value >>= 8n)
      bytes.push(Number(value & 0xffn));
    return `"${Buffer.from(bytes).toString('base64')}"`;
  });
}

/** `"a"=>"1", "b"=>NULL` becomes a string of JSON, in the value's own order. */
export const hstore: Converter = fromText((text) => {
  const pairs: string[] = [];
  const pair = /"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, |$)/gsy;
  const unescape = (quoted: string): string => JSON.stringify(quoted.replace(/\\(.)/gs, '$1'));
  let read = 0;
  for (let match = pair.exec(text); match !== null; match = pair.exec(text)) {
    const [whole, key = '', value] = match;
    pairs.push(`${unescape(key)}:${value === undefined ? 'null' : unescape(value)}`);
    read += whole.length;
  }
  return read === text.length ? JSON.stringify(`{${pairs.join(',')}}`) : undefined;
});

/** `(1.5,-2)` becomes `{"x":1.5,"y":-2.0,"wkb":"...","srid":null}`. */
export const point: Converter = fromText((text) => {
  const match = /^\(([^,]+),([^,]+)\)$/.exec(text);
  if (match === null) return undefined;
  const [x, y] = [Number(match[1]), Number(match[2])];
  if (!Number.isFinite(x) || !Number.isFinite(y)) return undefined;
  const wkb = Buffer.alloc(21);
  wkb.writeUInt8(1, 0);
  wkb.writeUInt32LE(1, 1);
  wkb.writeDoubleLE(x, 5);
  wkb.writeDoubleLE(y, 13);
  return `{"x":${double(x)},"y":${double(y)},"wkb":"${wkb.toString('base64')}","srid":null}`;
});

/** A double always shows that it is one, as Java's does. */
function double(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
