/** Dates and times as numbers and as ISO 8601 writes them, against what the date of Node.js says. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  epochDays,
  epochMicros,
  intervalMicros,
  isoMicros,
  readDate,
  readTime,
} from '../../../lambda/format/temporal.ts';

describe('isoMicros', () => {
  for (const [micros, text] of [
    [0n, '1970-01-01T00:00:00.000000Z'],
    [-1n, '1969-12-31T23:59:59.999999Z'],
    [1_767_323_045_678_901n, '2026-01-02T03:04:05.678901Z'],
    [-62_135_596_800_000_000n, '0001-01-01T00:00:00.000000Z'],
    [253_402_300_799_999_999n, '9999-12-31T23:59:59.999999Z'],
  ] as const)
    it(`writes ${micros} as ${text}`, () => assert.equal(isoMicros(micros), text));

  it('writes a time alike whatever was written before it', () => {
    const micros = fc.bigInt({ min: -62_135_596_000_000_000n, max: 253_402_300_000_000_000n });
    const near = fc.tuple(micros, fc.bigInt({ min: -2_000_000n, max: 2_000_000n }));
    fc.assert(
      fc.property(near, ([time, distance]) => {
        for (const each of [time, time + distance, time]) {
          const written = isoMicros(each);
          const milliseconds = BigInt(Date.parse(`${written.slice(0, 23)}Z`));
          assert.equal(milliseconds * 1000n + BigInt(written.slice(23, 26)), each);
          assert.match(written, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
        }
      }),
    );
  });
});

/** Any day that a Date can hold. */
const anyDay = fc.integer({ min: -100_000_000, max: 100_000_000 });
const dateOf = (days: number): Date => new Date(days * 86_400_000);
/** A date as PostgreSQL prints it, and what comes behind its last digit. */
function printed(date: Date, clock = ''): string {
  const year = date.getUTCFullYear();
  const shown = year < 1 ? 1 - year : year;
  const [month, day] = [date.getUTCMonth() + 1, date.getUTCDate()].map((part) => String(part).padStart(2, '0'));
  return `${String(shown).padStart(4, '0')}-${month}-${day}${clock}${year < 1 ? ' BC' : ''}`;
}

describe('readDate', () => {
  for (const [text, year, month, day] of [
    ['2026-01-02', 2026, 1, 2],
    ['0044-03-15 BC', -43, 3, 15],
    ['0001-01-01 BC', 0, 1, 1],
    ['0001-01-01', 1, 1, 1],
    ['10000-12-31 00:00:00', 10_000, 12, 31],
    ['5874897-12-31', 5_874_897, 12, 31],
    ['4714-11-24 00:00:00+00 BC', -4713, 11, 24],
  ] as const)
    it(`reads ${text}`, () => assert.deepEqual(readDate(text), { year, month, day }));

  for (const text of [
    'infinity',
    '-infinity',
    '',
    '026-01-02',
    '12345678-01-02',
    '2026-1-02',
    '2026-01-2',
    ' 2026-01-02',
  ])
    it(`fails on ${JSON.stringify(text)}`, () => assert.equal(readDate(text), undefined));
});

describe('epochDays', () => {
  for (const [text, days] of [
    ['1970-01-01', 0],
    ['1969-12-31', -1],
    ['2000-02-29', 11_016],
    ['2000-03-01', 11_017],
    ['1900-03-01', -25_508],
    ['0001-01-01 BC', -719_528],
    ['5874897-12-31', 2_145_042_905],
  ] as const)
    it(`of ${text} is ${days}`, () => {
      const date = readDate(text);
      assert.ok(date);
      assert.equal(epochDays(date), days);
    });

  it('counts as the date of Node.js does, over all its years', () => {
    fc.assert(
      fc.property(anyDay, (days) => {
        const date = readDate(printed(dateOf(days)));
        assert.ok(date);
        assert.equal(epochDays(date), days);
      }),
      { numRuns: 1_000 },
    );
  });

  it('counts each day of four centuries', () => {
    for (let days = -150_000; days < 0; days++) {
      const date = dateOf(days);
      const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
      assert.equal(epochDays({ year, month, day }), days);
    }
  });
});

describe('readTime', () => {
  for (const [text, micros] of [
    ['00:00:00', 0],
    ['03:04:05', 11_045_000_000],
    ['03:04:05.6', 11_045_600_000],
    ['03:04:05.000007', 11_045_000_007],
    ['23:59:59.999999', 86_399_999_999],
    ['24:00:00', 86_400_000_000],
    ['03:04:05.5+02', 11_045_500_000],
  ] as const)
    it(`reads ${text}`, () => assert.equal(readTime(text), micros));

  for (const text of ['', '3:04:05', '03:04', '03.04.05', 'x03:04:05', 'infinity'])
    it(`fails on ${JSON.stringify(text)}`, () => assert.equal(readTime(text), undefined));
});

describe('epochMicros', () => {
  it('is what the date of Node.js says, and the digits behind its milliseconds', () => {
    const micros = fc.bigInt({ min: -8_640_000_000_000_000_000n, max: 8_640_000_000_000_000_000n });
    fc.assert(
      fc.property(micros, fc.constantFrom('', '+00'), (each, zone) => {
        const within = ((each % 1_000_000n) + 1_000_000n) % 1_000_000n;
        const date = new Date(Number((each - within) / 1_000n));
        const clock = ` ${date.toISOString().slice(-13, -5)}.${within.toString().padStart(6, '0')}`;
        assert.equal(epochMicros(printed(date, clock + zone)), each);
      }),
      { numRuns: 1_000 },
    );
  });

  for (const text of ['infinity', '-infinity', '2026-01-02', '03:04:05', '2026-01-02T03:04:05'])
    it(`fails on ${text}`, () => assert.equal(epochMicros(text), undefined));
});

describe('intervalMicros', () => {
  for (const [text, micros] of [
    ['PT0S', 0n],
    ['PT1S', 1_000_000n],
    ['PT0.000001S', 1n],
    ['PT-0.5S', -500_000n],
    ['PT2M', 120_000_000n],
    ['PT3H', 10_800_000_000n],
    ['P4D', 345_600_000_000n],
    ['P1M', 2_629_800_000_000n],
    ['P1Y', 31_557_600_000_000n],
    ['P1Y2M3DT4H5M6.78S', 37_091_106_780_000n],
    ['P-1Y-2M3DT-4H-5M-6.78S', -36_572_706_780_000n],
    ['P1DT-1H', 82_800_000_000n],
    ['P10Y11M12DT13H14M15.5S', 345_588_255_500_000n],
    ['P292271Y', 9_223_371_309_600_000_000n],
    ['P292272Y', 9_223_372_036_854_775_807n],
    ['P178000000Y', 9_223_372_036_854_775_807n],
    ['P-292271Y', -9_223_371_309_600_000_000n],
    ['P-178000000Y', -9_223_372_036_854_775_808n],
  ] as const)
    it(`of ${text} is ${micros}`, () => assert.equal(intervalMicros(text), micros));

  for (const text of ['infinity', '-infinity', '', '1 day', 'P1D ', 'xP1D', 'P1W', 'P1.5D'])
    it(`fails on ${JSON.stringify(text)}`, () => assert.equal(intervalMicros(text), undefined));
});
