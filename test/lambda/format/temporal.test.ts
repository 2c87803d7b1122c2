/** Times as ISO 8601 writes them, against what the date of Node.js says of the millisecond. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isoMicros } from '../../../lambda/format/temporal.ts';

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
