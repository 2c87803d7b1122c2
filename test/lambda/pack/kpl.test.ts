/** Aggregates against the KPL's format, an independent library, and the shards of any history. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { deaggregate } from '../../support/deaggregate.ts';
import {
  anyInputs,
  anyShards,
  evenShards,
  has,
  hashByReference,
  hashKeyOf,
  type Input,
  laneByReference,
  packAll,
  type Range,
} from './packer-fixtures.ts';

const MIB = 1024 * 1024;

/** Every user record of some rounds, through the independent library. */
function unpack(options: { lanes: number; laneBytes?: number }, inputs: readonly Input[]) {
  const { laneBytes = 100_000 } = options;
  const { rounds } = packAll(
    { aggregation: 'kpl', lanes: options.lanes, maxRecordBytes: MIB, limits: { laneBytes } },
    inputs,
  );
  return rounds.flatMap(({ entries }) => entries.map((entry) => ({ entry, records: deaggregate(entry) })));
}

/** I5 as a consumer library sees it: the shard that gets the aggregate has every user record's hash key. */
function assertShardSafe(shards: readonly Range[], unpacked: ReturnType<typeof unpack>): void {
  for (const { entry, records } of unpacked) {
    const shard = shards.find((range) => has(range, hashKeyOf(entry)));
    assert.ok(shard !== undefined);
    assert.ok(records.length > 0);
    for (const record of records) {
      assert.ok(has(shard, hashKeyOf(record)), 'KCL would discard a user record');
      assert.equal(record.explicitHashKey, entry.explicitHashKey);
    }
  }
}

describe('kpl', () => {
  it('writes the bytes of the KPL: magic number, protobuf, MD5', () => {
    const { rounds } = packAll({ aggregation: 'kpl', lanes: 2, maxRecordBytes: MIB }, [
      { key: 'a', data: Buffer.from('first') }, // 1a80b1b3: lane 0
      { key: 'xyz', data: Buffer.from('second') }, // e93c3845: lane 1
      { key: 'a', data: Buffer.from('third') },
    ]);
    const aggregate = (...parts: string[]) => {
      const message = Buffer.concat(parts.map((part) => Buffer.from(part, 'latin1')));
      return Buffer.concat([Buffer.from('f3899ac2', 'hex'), message, createHash('md5').update(message).digest()]);
    };
    assert.deepEqual(
      rounds.map(({ entries }) => entries),
      [
        [
          {
            partitionKey: 'lane-0-of-2',
            explicitHashKey: '0',
            data: aggregate(
              '\x0a\x01a',
              '\x12\x010',
              '\x1a\x0b\x08\x00\x10\x00\x1a\x05first',
              '\x1a\x0b\x08\x00\x10\x00\x1a\x05third',
            ),
          },
          {
            partitionKey: 'lane-1-of-2',
            explicitHashKey: '170141183460469231731687303715884105728',
            data: aggregate(
              '\x0a\x03xyz',
              '\x12\x27170141183460469231731687303715884105728',
              '\x1a\x0c\x08\x00\x10\x00\x1a\x06second',
            ),
          },
        ],
      ],
    );
  });

  it('I5: de-aggregation gives back exactly the user records of each lane, keys and order', () => {
    fc.assert(
      fc.property(anyInputs(30_000, 400), fc.constantFrom(1, 4, 64, 256), (inputs, lanes) => {
        const unpacked = unpack(
          { lanes },
          inputs.map(({ key, data }) => ({ key, data })),
        );
        for (let lane = 0; lane < lanes; lane++) {
          const sent = inputs
            .filter(({ key }) => laneByReference(Buffer.from(key), lanes) === BigInt(lane))
            .map(({ key, data }) => [key, data.toString()]);
          const name = `lane-${lane}-of-${lanes}`;
          const got = unpacked
            .filter(({ entry }) => entry.partitionKey === name)
            .flatMap(({ records }) => records.map(({ partitionKey, data }) => [partitionKey, data.toString()]));
          if (sent.length > 0 || got.length > 0) assert.deepEqual(got, sent);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('counts exactly where lengths and indexes need one byte more', () => {
    // More keys than a byte of a varint can number, lengths around 2^7, 2^14 and 2^21; a wrong count throws.
    const sizes = [
      0, 1, 110, 119, 120, 121, 122, 127, 128, 16_370, 16_375, 16_376, 16_377, 16_383, 16_384, 2_097_140, 2_097_152,
    ];
    const inputs = Array.from({ length: 20_000 }, (_, i) => ({ key: `k${i}`, data: Buffer.alloc(i % 130, 'd') }));
    for (const size of sizes) inputs.push({ key: 'x'.repeat(size % 200 || 1), data: Buffer.alloc(size, 'd') });
    const { rounds } = packAll(
      { aggregation: 'kpl', lanes: 1, maxRecordBytes: 5 * MIB, limits: { laneBytes: 5 * MIB } },
      inputs,
    );
    const got = rounds.flatMap(({ entries }) => entries.flatMap((entry) => deaggregate(entry)));
    assert.deepEqual(
      got.map(({ partitionKey, data }) => [partitionKey, data.length]),
      inputs.map(({ key, data }) => [key, data.length]),
    );
  });

  it('tells a partition key from a longer one that begins with it and has its place in the table of keys', () => {
    const cell = (key: string): bigint => hashByReference(Buffer.from(key)) & 255n;
    let longer = 'k0';
    for (let i = 1; cell(longer) !== cell('k'); i++) longer = `k${i}`;
    const keys = [longer, 'k', longer, 'k', 'k'];
    const unpacked = unpack(
      { lanes: 1 },
      keys.map((key, i) => ({ key, data: Buffer.from(`${i}`) })),
    );
    assert.deepEqual(
      unpacked.flatMap(({ records }) => records.map(({ partitionKey, data }) => [partitionKey, data.toString()])),
      keys.map((key, i) => [key, `${i}`]),
    );
  });

  it('writes a partition key once for many user records', () => {
    const inputs = Array.from({ length: 1000 }, (_, i) => ({
      key: 'public.a_table_with_a_long_name',
      data: Buffer.from(`${i}`),
    }));
    const { rounds } = packAll({ aggregation: 'kpl', lanes: 64, maxRecordBytes: MIB }, inputs);
    const data = Buffer.from(rounds[0]?.entries[0]?.data ?? []).toString('latin1');
    assert.equal(data.split('public.a_table_with_a_long_name').length, 2);
  });

  const some = Array.from({ length: 3000 }, (_, i) => ({ key: `public.users:${i % 700}`, data: Buffer.from(`${i}`) }));
  for (const count of [1, 3, 4, 100]) {
    for (const lanes of [1, 64, 256]) {
      it(`I5: no user record of ${lanes} lanes is discarded with ${count} shards`, () => {
        assertShardSafe(evenShards(count), unpack({ lanes }, some));
      });
    }
  }

  it('I5: no user record is discarded after any splits and merges', () => {
    const unpacked = unpack({ lanes: 64 }, some);
    fc.assert(fc.property(anyShards, (shards) => assertShardSafe(shards, unpacked)));
  });
});
