// COMPRESSION: what a reader decompresses is what lines without compression would have held, within the same limits.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { isSupported } from '../../../lambda/pack/compression.ts';
import type { PackerOptions } from '../../../lambda/pack/create-packer.ts';
import { MAX_LANE_BYTES } from '../../../lambda/pack/size-limits.ts';
import { userRecords } from '../../../lib/consumer/deaggregate.ts';
import { timesSmaller } from '../../bench/compression.ts';
import { type Input, packAll, sizeOf } from './packer-fixtures.ts';

const PLAIN: PackerOptions = { aggregation: 'lines', lanes: 4, maxRecordBytes: 1024 * 1024 };

/** Rows that repeat much, as rows do. */
function rows(count: number): Input[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `public.t:${i % 97}`,
    data: Buffer.from(
      JSON.stringify({
        id: `0/16B3748@1767323045678901#${i}`,
        op: 'UPDATE',
        key: { id: i % 97 },
        row: { id: i % 97, name: 'Ada' },
      }),
    ),
  }));
}

/** Bytes that no compressor makes shorter, without line breaks. */
function noise(length: number): Buffer {
  return randomBytes(length).map((byte) => (byte === 0x0a ? 0x0b : byte)) as Buffer;
}

for (const compression of ['gzip', 'zstd'] as const) {
  describe(`COMPRESSION=${compression}`, () => {
    it('holds in each record one frame of the lines that it would have held', () => {
      const plain = packAll(PLAIN, rows(5_000));
      const packed = packAll({ ...PLAIN, compression }, rows(5_000));
      assert.equal(packed.rounds.length, plain.rounds.length);
      const magic = compression === 'gzip' ? '1f8b' : '28b5';
      for (const [i, round] of packed.rounds.entries()) {
        for (const [j, entry] of round.entries.entries()) {
          const expected = plain.rounds[i]?.entries[j];
          const data = Buffer.from(entry.data);
          assert.equal(data.toString('hex', 0, 2), magic);
          // Node's own readers take the first frame only: another one would be lost to them.
          const read = compression === 'gzip' ? gunzipSync(data) : zstdDecompressSync(data);
          assert.ok(read.equals(expected?.data ?? Buffer.of()));
          assert.ok(userRecords({ partitionKey: entry.partitionKey, data })[0]?.data.equals(read));
          assert.equal(entry.partitionKey, expected?.partitionKey);
          assert.equal(entry.explicitHashKey, expected?.explicitHashKey);
        }
      }
    });

    it('counts the bytes that are sent', () => {
      for (const round of packAll({ ...PLAIN, compression }, rows(5_000)).rounds) {
        assert.equal(
          round.bytes,
          round.entries.reduce((sum, entry) => sum + sizeOf(entry), 0),
        );
      }
    });

    for (const [what, least] of [
      ['`json`, each text comes again soon', 8],
      ['`csv-payload`', 8],
      ['`json`, no text comes twice', 4],
      ['`csv-payload`, no key comes twice', 4],
    ] as const) {
      it(`makes full blocks of the benchmark's rows at least ${least} times smaller: ${what}`, () => {
        const times = timesSmaller(what, 500, compression);
        assert.ok(times >= least, `${times.toFixed(2)} times`);
      });
    }

    it('leaves as it is what does not get shorter, within the limits', () => {
      const data = noise(1024 * 1024 - 64);
      const [round] = packAll({ ...PLAIN, compression }, [{ key: 'k', data }]).rounds;
      const entry = round?.entries[0];
      assert.ok(entry !== undefined && sizeOf(entry) <= PLAIN.maxRecordBytes);
      const sent = Buffer.from(entry.data);
      assert.ok(sent.equals(Buffer.concat([data, Buffer.from('\n')])));
      assert.ok(userRecords({ partitionKey: 'k', data: sent })[0]?.data.equals(sent));
    });

    it('bounds a block before compression as it bounds a record', () => {
      for (const { entries } of packAll({ ...PLAIN, compression }, rows(20_000)).rounds) {
        for (const { data, partitionKey } of entries) {
          const [user] = userRecords({ partitionKey, data: Buffer.from(data) });
          assert.ok(user !== undefined && user.data.length <= MAX_LANE_BYTES);
        }
      }
    });

    it('unpacks to the same lines, whatever they are', () => {
      const line = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => `{${text.replace(/[\r\n]/g, '')}`);
      fc.assert(
        fc.property(
          fc.array(fc.tuple(line, fc.constantFrom('a', 'b', 'c')), { minLength: 1, maxLength: 60 }),
          (inputs) => {
            const all = inputs.map(([text, key]) => ({ key, data: Buffer.from(text) }));
            const read = (options: PackerOptions): string[] =>
              packAll(options, all).rounds.flatMap(({ entries }) =>
                entries.map(
                  ({ data, partitionKey }) =>
                    userRecords({ partitionKey, data: Buffer.from(data) })[0]?.data.toString() ?? '',
                ),
              );
            assert.deepEqual(read({ ...PLAIN, compression }), read(PLAIN));
          },
        ),
        { numRuns: 100 },
      );
    });
  });
}

describe('isSupported', () => {
  it('knows that this Node.js has zstd, and every one the others', () => {
    assert.ok(isSupported('none') && isSupported('gzip') && isSupported('zstd'));
  });
});

describe('which compression a Node.js has', () => {
  for (const [compression, old, now] of [
    ['none', true, true],
    ['gzip', true, true],
    ['zstd', false, true],
  ] as const) {
    it(`${compression}: before 22.15 ${old}, now ${now}`, () => {
      assert.equal(isSupported(compression, { gzipSync: () => undefined }), old);
      assert.equal(isSupported(compression), now);
    });
  }
});
