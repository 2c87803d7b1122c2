/** A key's lane: constant for ever. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { keyHash, laneOf, lanes } from '../../../lambda/pack/lanes.ts';
import { hashByReference, laneByReference } from './packer-fixtures.ts';

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
  // FNV-1a of these, by its authors: 811c9dc5, e40c292c, 1a47e90b (of "abc"), bf9cf968 (of "foobar").
  const known: [key: string, hash: number, of64: number, of256: number, of2: number][] = [
    ['', 0xab3e7c0b, 0x2a, 0xab, 1],
    ['a', 0x1a80b1b3, 0x06, 0x1a, 0],
    ['abc', 0x1cc93dbc, 0x07, 0x1c, 0],
    ['foobar', 0x0c0da6dc, 0x03, 0x0c, 0],
    ['public.users:42', 0xed099fdc, 0x3b, 0xed, 1],
    ['public.users:43', 0xa6fbe833, 0x29, 0xa6, 1],
    ['sales.Order items:["7","a b"]', 0x1aee3cd9, 0x06, 0x1a, 0],
    ['öffentlich.größen:ß', 0xbc6be8e5, 0x2f, 0xbc, 1],
  ];
  for (const [key, hash, of64, of256, of2] of known) {
    it(`I4: "${key.slice(0, 30)}" has the same lane for ever`, () => {
      const bytes = Buffer.from(key);
      assert.equal(keyHash(bytes), hash);
      assert.deepEqual(
        [laneOf(bytes, 64), laneOf(bytes, 256), laneOf(bytes, 2), laneOf(bytes, 1)],
        [of64, of256, of2, 0],
      );
    });
  }

  it('I4: is FNV-1a with the finaliser of MurmurHash3, for keys of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), fc.constantFrom(...COUNTS), (key, count) => {
        assert.equal(BigInt(keyHash(key)), hashByReference(key));
        assert.equal(BigInt(laneOf(key, count)), laneByReference(key, count));
      }),
    );
  });

  it('spreads keys that differ in their last digits alone', () => {
    for (const write of [
      (i: number) => `public.t:${i}`,
      (i: number) => `public.t:${i * 1024}`,
      (i: number) => `${i}`,
    ]) {
      const counts = new Array<number>(64).fill(0);
      for (let i = 0; i < 64_000; i++) {
        const lane = laneOf(Buffer.from(write(i)), 64);
        counts[lane] = (counts[lane] ?? 0) + 1;
      }
      // Of a thousand each, by chance with a deviation of 31.
      assert.ok(
        Math.min(...counts) > 850 && Math.max(...counts) < 1_150,
        `${Math.min(...counts)} to ${Math.max(...counts)}`,
      );
    }
  });
});
