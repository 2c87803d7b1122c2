/** Commit times, exact to the microsecond, and what is none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseTimestampMicros, readTimestampMicros } from '../../../lambda/decode/timestamp.ts';

const TIMES: readonly (readonly [text: string, micros: bigint])[] = [
  ['1970-01-01 00:00:00+00', 0n],
  ['2026-01-02 03:04:05.678901+00', 1767323045678901n],
  ['2026-01-02 03:04:05.6789+00', 1767323045678900n],
  ['2026-01-02 03:04:05.000001+00', 1767323045000001n],
  ['2026-01-02 03:04:05.1+00', 1767323045100000n],
  ['2026-01-02 03:04:05+00', 1767323045000000n],
  ['2024-02-29 23:59:59.999999+00', 1709251199999999n],
  ['2000-02-29 00:00:00+00', 951782400000000n],
  ['1969-12-31 23:59:59.999999+00', -1n],
  ['9999-12-31 23:59:59.999999+00', 253402300799999999n],
  ['0001-01-01 00:00:00+00', -62135596800000000n],
  ['2026-01-02 03:04:05+02', 1767315845000000n],
  ['2026-01-02 03:04:05-08', 1767351845000000n],
  ['2026-01-02 03:04:05+05:45', 1767302345000000n],
  ['2026-01-02 03:04:05-00:01:15', 1767323120000000n],
  // What replication origins have given: the nearest time that has a year of four digits.
  ['infinity', 253402300799999999n],
  ['-infinity', -62135596800000000n],
  ['10000-01-01 00:00:00+00', 253402300799999999n],
  ['12344-02-29 00:00:00+00', 253402300799999999n],
  ['294276-12-31 23:59:59.999999+00', 253402300799999999n],
  ['0044-03-15 12:00:00+00 BC', -62135596800000000n],
];

const NONE: readonly string[] = [
  '',
  'Infinity',
  '+infinity',
  '2026-01-02',
  '2026-01-02 03:04:05',
  '2026-01-02 03:04:05Z',
  '2026-01-02T03:04:05+00',
  '2026-01-02 03:04:05.+00',
  '2026-01-02 03:04:05.1234567+00',
  '2026-01-02 03:04:05,5+00',
  '2026-13-02 03:04:05+00',
  '2026-00-02 03:04:05+00',
  '2026-02-29 03:04:05+00',
  '2026-04-31 03:04:05+00',
  '2026-01-00 03:04:05+00',
  '1900-02-29 00:00:00+00',
  '2026-01-02 24:00:00+00',
  '2026-01-02 03:60:05+00',
  '2026-01-02 03:04:60+00',
  '2026-1-2 03:04:05+00',
  'x0000-01-01 00:00:00+00',
  '1000000-01-01 00:00:00+00',
  '12345-02-29 00:00:00+00',
  '0044-13-15 12:00:00+00 BC',
  '0044-03-15 12:00:00+00BC',
  '2026-01-02 03:04:05+0',
  '2026-01-02 03:04:05+00:',
  '2026-01-02 03:04:05+000',
  '2026-01-02 03:04:05+0000',
  '2026-01-02 03:04:05+24',
  '2026-01-02 03:04:05+00:60',
  '2026-01-02 03:04:05+00 ',
  ' 2026-01-02 03:04:05+00',
  '2026-01-02 03:04:05 +00',
  '2026-01-02 3:04:05+00',
  '2026-01-02 03:04+00',
  '2026-01-02 03.04.05+00',
  '-026-01-02 03:04:05+00',
  '2026-01-02 03:04:05+00:00:00:00',
  '2026/01/02 03:04:05+00',
  '２026-01-02 03:04:05+00',
  '2026-01-02 03:04:05+00 AC',
  '2026-01-02 03:04:05+00xxC',
  '1x0000-01-01 00:00:00+00',
  '2026-01-02 03:04:05 00',
  '2026-01-02 03:04:05Z00',
  '2026/01-02 03:04:05+00',
  '2026-01/02 03:04:05+00',
  '2026-01-32 03:04:05+00',
];

/** The text as bytes, with others around it. */
function read(text: string): bigint | undefined {
  const bytes = Buffer.from(`(${text})`);
  return readTimestampMicros(bytes, 1, bytes.length - 1);
}

for (const [name, parse] of Object.entries({ parseTimestampMicros, readTimestampMicros: read }))
  describe(name, () => {
    for (const [text, micros] of TIMES) it(`reads ${text}`, () => assert.equal(parse(text), micros));
    for (const text of NONE) it(`fails on ${JSON.stringify(text)}`, () => assert.equal(parse(text), undefined));

    it('reads a text alike whatever was read before it', () => {
      for (const before of [...NONE, ...TIMES.map(([text]) => text)]) {
        for (const [text, micros] of TIMES) {
          parse(before);
          assert.equal(parse(text), micros, `${text} after ${before}`);
        }
        for (const text of NONE) assert.equal(parse(text), undefined, `${text} after ${before}`);
      }
    });
  });

describe('readTimestampMicros', () => {
  it('reads the times of a minute one after another as each by itself', () => {
    const second = fc.integer({ min: 0, max: 59 });
    const fraction = fc.string({ unit: fc.constantFrom('0', '1', '5', '9'), maxLength: 6 });
    const zone = fc.constantFrom('+00', '+01', '+10', '-00', '+00:00', '+0', '');
    const day = fc.constantFrom('1969-12-31', '1970-01-01', '2026-01-02', '2255-06-05', '2256-01-01');
    const minute = fc.constantFrom('03:04', '23:47', '23:59', '00:00');
    const text = fc
      .tuple(day, minute, second, fraction, zone)
      .map(([date, clock, s, f, z]) => `${date} ${clock}:${String(s).padStart(2, '0')}${f === '' ? '' : `.${f}`}${z}`);
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 30 }), (texts) => {
        for (const each of texts) assert.equal(read(each), parseTimestampMicros(each), each);
      }),
    );
  });

  for (const minute of ['1970-01-01 00:00', '2026-01-02 03:04', '2255-06-05 23:46'])
    it(`makes no text of a time that is of the minute that was read last: ${minute}`, () => {
      assert.equal(read(`${minute}:00+00`), parseTimestampMicros(`${minute}:00+00`));
      for (const seconds of ['00', '01', '59', '05.1', '05.123456', '59.999999']) {
        const text = `${minute}:${seconds}+00`;
        const bytes = Buffer.from(`1${text}1`);
        bytes.toString = () => assert.fail(text);
        assert.equal(readTimestampMicros(bytes, 1, bytes.length - 1), parseTimestampMicros(text));
      }
    });

  it('is exact, also in the minute in which numbers cease to be so', () => {
    read('2255-06-05 23:47:00+00');
    const text = '2255-06-05 23:47:59.999999+00';
    assert.equal(read(text), parseTimestampMicros(text));
  });

  for (const seconds of ['5', '05.', '0x', '60', '05.1234567', '05,5', '05.1x'])
    it(`fails on seconds ${seconds} in the minute that was read last`, () => {
      read('2026-01-02 03:04:05+00');
      assert.equal(read(`2026-01-02 03:04:${seconds}+00`), undefined);
    });
});
