/** A key's lane: constant for ever, and the slice that Kinesis's own hash falls in. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { laneOf, lanes, md5Head } from '../../../lambda/pack/lanes.ts';

const COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

describe('lanes', () => {
  for (const count of COUNTS) {
    it(`cuts the hash-key space into ${count} equal slices`, () => {
      const all = lanes(count);
      assert.equal(all.length, count);
      all.forEach((lane, i) => assert.equal(BigInt(lane.explicitHashKey), (2n ** 128n * BigInt(i)) / BigInt(count)));
      assert.equal(new Set(all.map(({ name }) => name)).size, count);
    });
  }

  it('I5: has constant names and hash keys', () => {
    assert.deepEqual(lanes(4), [
      { name: 'lane-0-of-4', explicitHashKey: '0' },
      { name: 'lane-1-of-4', explicitHashKey: '85070591730234615865843651857942052864' },
      { name: 'lane-2-of-4', explicitHashKey: '170141183460469231731687303715884105728' },
      { name: 'lane-3-of-4', explicitHashKey: '255211775190703847597530955573826158592' },
    ]);
  });

  for (const count of [0, 3, 63, 512, -1, 1.5, NaN]) {
    it(`fails with ${count} lanes`, () => {
      assert.throws(() => lanes(count), {
        name: 'RangeError',
        message: new RegExp(`is ${count};.*power of two, 1 to 256`),
      });
    });
  }
});

describe('laneOf', () => {
  // MD5s of RFC 1321's test suite: d41d8cd9, 0cc175b9, 90015098, f96b697d, c3fcd3d7, 57edf4a2.
  const known: [key: string, head: number, of64: number, of256: number, of2: number][] = [
    ['', 0xd41d8cd9, 0x35, 0xd4, 1],
    ['a', 0x0cc175b9, 0x03, 0x0c, 0],
    ['abc', 0x90015098, 0x24, 0x90, 1],
    ['message digest', 0xf96b697d, 0x3e, 0xf9, 1],
    ['abcdefghijklmnopqrstuvwxyz', 0xc3fcd3d7, 0x30, 0xc3, 1],
    ['12345678901234567890123456789012345678901234567890123456789012345678901234567890', 0x57edf4a2, 0x15, 0x57, 0],
  ];
  for (const [key, head, of64, of256, of2] of known) {
    it(`I4: "${key.slice(0, 14)}" has the same lane for ever`, () => {
      const bytes = Buffer.from(key);
      assert.equal(md5Head(bytes), head);
      assert.deepEqual(
        [laneOf(bytes, 64), laneOf(bytes, 256), laneOf(bytes, 2), laneOf(bytes, 1)],
        [of64, of256, of2, 0],
      );
    });
  }

  it('I4: is the slice that the MD5 of the key falls in, for keys of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), fc.constantFrom(...COUNTS), (key, count) => {
        const md5 = BigInt(`0x${createHash('md5').update(key).digest('hex')}`);
        assert.equal(BigInt(laneOf(key, count)), (md5 * BigInt(count)) >> 128n);
      }),
    );
  });
});
