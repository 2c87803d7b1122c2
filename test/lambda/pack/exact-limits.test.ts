/** Rounds at the exact limits: a round is closed when the next user record would pass a limit, and not one byte sooner. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { AggregateLayout } from '../../../lambda/pack/aggregation.ts';
import { type Aggregation, createPacker } from '../../../lambda/pack/create-packer.ts';
import { LanePacker } from '../../../lambda/pack/lane-packer.ts';
import { laneOf } from '../../../lambda/pack/lanes.ts';
import type { Packer } from '../../../lambda/pack/packer.ts';
import { sizeLimitsFor } from '../../../lambda/pack/size-limits.ts';
import { type Input, packAll, sizeOf } from './packer-fixtures.ts';

const MIB = 1024 * 1024;

/** Small limits that short inputs meet to the byte. With these lanes every name has the same length. */
const SMALL = { recordBytes: 100, requestBytes: 400, requestEntries: 6, laneBytes: 130 };
const CASES: readonly { aggregation: Aggregation; lanes: number }[] = [
  { aggregation: 'none', lanes: 1 },
  { aggregation: 'lines', lanes: 8 },
  { aggregation: 'kpl', lanes: 1 },
];

const inputs: fc.Arbitrary<Input[]> = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 100 }), fc.constantFrom('', '', '', '', 'a', 'b'))
    .map(([key, bytes, barrier]) => {
      const input = { key: `key-${key}`, data: Buffer.alloc(bytes, `${bytes % 10}`) };
      return barrier === '' ? input : { ...input, barrier };
    }),
  { maxLength: 60, size: 'max' },
);

/** @returns the entries of these user records in one round without limits */
function together(aggregation: Aggregation, lanes: number, all: readonly Input[]) {
  const limits = { requestBytes: 1e9, requestEntries: 1e9, laneBytes: 1e9 };
  const { rounds } = packAll({ aggregation, lanes, maxRecordBytes: 1e9, limits }, all);
  return rounds.flatMap(({ entries }) => entries);
}

/** @returns whether a round may hold these user records */
function isAllowed(aggregation: Aggregation, lanes: number, all: readonly Input[]): boolean {
  if (new Set(all.map(({ barrier }) => barrier)).size > 1) return false;
  if (aggregation === 'none' && new Set(all.map(({ key }) => key)).size < all.length) return false;
  const entries = together(
    aggregation,
    lanes,
    all.map(({ key, data }) => ({ key, data })),
  );
  const request = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
  if (request > SMALL.requestBytes) return false;
  if (aggregation === 'none') return entries.length <= SMALL.requestEntries;
  return entries.every((entry) => sizeOf(entry) <= SMALL.laneBytes);
}

/** The largest data that fits beside a key. */
function largestData(packer: Packer, keyBytes: number): number {
  let [fits, tooLarge] = [0, 20 * MIB];
  while (tooLarge - fits > 1) {
    const middle = (fits + tooLarge) >> 1;
    if (packer.fits(keyBytes, middle)) fits = middle;
    else tooLarge = middle;
  }
  return fits;
}

for (const { aggregation, lanes } of CASES) {
  describe(`exact limits, ${aggregation}`, () => {
    it('closes a round exactly when the next user record would pass a limit', () => {
      fc.assert(
        fc.property(inputs, (given) => {
          const { recordBytes, ...limits } = SMALL;
          const { fitted, rounds } = packAll({ aggregation, lanes, maxRecordBytes: recordBytes, limits }, given);
          let at = 0;
          for (const { userRecords } of rounds) {
            const next = at + userRecords;
            assert.ok(isAllowed(aggregation, lanes, fitted.slice(at, next)), 'a round passes a limit');
            const more = fitted.slice(at, next + 1);
            if (next < fitted.length) assert.ok(!isAllowed(aggregation, lanes, more), 'a round was closed too soon');
            at = next;
          }
          assert.equal(at, fitted.length);
        }),
        { numRuns: 300 },
      );
    });

    it('takes a user record that makes a Kinesis record of exactly 1 MiB, and none of a byte more', () => {
      const packer = createPacker({ aggregation, lanes: 1, maxRecordBytes: MIB });
      for (const key of ['k', 'public.users:1', 'x'.repeat(127), 'x'.repeat(128), 'x'.repeat(256)]) {
        const largest = largestData(packer, key.length);
        const [entry] = together(aggregation, 1, [{ key, data: Buffer.alloc(largest, 'd') }]);
        assert.equal(sizeOf(entry ?? { data: Buffer.alloc(0), partitionKey: '', explicitHashKey: undefined }), MIB);
        assert.throws(
          () => packer.add(Buffer.from(key), Buffer.alloc(largest + 1)),
          new RegExp(`user record of ${largest + 1} bytes`),
        );
      }
    });

    it('uses the memory of a round again once it is released', () => {
      const packer = createPacker({ aggregation, lanes, maxRecordBytes: MIB });
      packer.add(Buffer.from('k'), Buffer.from('one'));
      const first = packer.flush();
      assert.ok(first);
      packer.release(first);
      packer.add(Buffer.from('k'), Buffer.from('two'));
      assert.equal(packer.flush()?.entries[0]?.data.buffer, first.entries[0]?.data.buffer);
    });
  });
}

describe('exact limits of Kinesis', () => {
  it('are those of its documentation, and a request is never smaller than a record', () => {
    assert.deepEqual(sizeLimitsFor(MIB), {
      recordBytes: MIB,
      requestBytes: 5_242_880,
      requestEntries: 500,
      laneBytes: 262_144,
    });
    assert.equal(sizeLimitsFor(10 * MIB).requestBytes, 10 * MIB);
  });

  it('a request takes exactly 5 MiB and exactly 500 entries', () => {
    const sizes = (all: readonly Input[]): number[] =>
      packAll({ aggregation: 'none', lanes: 1, maxRecordBytes: MIB }, all).rounds.map((round) => round.entries.length);
    const entry = (key: string, bytes: number): Input => ({ key, data: Buffer.alloc(bytes - key.length) });
    const five = ['a', 'b', 'c', 'd', 'e'].map((key) => entry(key, MIB));
    assert.deepEqual(sizes(five), [5]);
    assert.deepEqual(sizes([...five.slice(1), entry('f', MIB - 1), entry('g', 1)]), [6]);
    assert.deepEqual(sizes([...five.slice(1), entry('f', MIB - 1), entry('g', 2)]), [5, 1]);
    const many = Array.from({ length: 501 }, (_, i) => entry(`key-${i}`, 20));
    assert.deepEqual(sizes(many.slice(1)), [500]);
    assert.deepEqual(sizes(many), [500, 1]);
  });

  it('a request of several lanes takes exactly its limit, by a new lane and by one that is open', () => {
    // With these lanes every name has 11 characters, and a line has one byte more than its data.
    const limits = { requestBytes: 400, requestEntries: 500, laneBytes: 1_000 };
    const options = { aggregation: 'lines', lanes: 8, maxRecordBytes: 400, limits } as const;
    const keys = new Map<number, string>();
    for (let i = 0; keys.size < 8; i++) keys.set(laneOf(Buffer.from(`key-${i}`), 8), `key-${i}`);
    const [one = '', two = '', three = ''] = keys.values();
    const line = (key: string, bytes: number): Input => ({ key, data: Buffer.alloc(bytes - 1, 'x') });
    const rounds = (all: readonly Input[]): number[] => packAll(options, all).rounds.map((round) => round.userRecords);
    const room = 400 - 3 * 11;
    assert.deepEqual(rounds([line(one, 100), line(two, 100), line(three, room - 200)]), [3]);
    assert.deepEqual(rounds([line(one, 100), line(two, 100), line(three, room - 199)]), [2, 1]);
    assert.deepEqual(rounds([line(one, 100), line(two, 50), line(three, 50), line(one, room - 200)]), [4]);
    assert.deepEqual(rounds([line(one, 100), line(two, 50), line(three, 50), line(one, room - 199)]), [3, 1]);
  });

  it('I8: lanes do not keep the memory of their largest rounds', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const held = (): number => {
      collect();
      return process.memoryUsage().arrayBuffers;
    };
    const packer = createPacker({ aggregation: 'kpl', lanes: 256, maxRecordBytes: MIB });
    const data = Buffer.alloc(200 * 1024);
    const before = held();
    for (let i = 0; i < 1_000; i++) {
      // One lane a round: each becomes as large as it can be, one after the other.
      packer.add(Buffer.from(`key-${i}`), data);
      const round = packer.flush();
      assert.ok(round);
      packer.release(round);
    }
    // V8 gives the memory of collected buffers back on a thread of its own, a moment later.
    let grown = held() - before;
    for (let i = 0; i < 1_500 && grown >= 24 * MIB; i++) {
      await wait(20);
      grown = held() - before;
    }
    assert.ok(grown < 24 * MIB, `${grown} bytes are kept`);
    packer.add(Buffer.from('k'), data);
  });

  it('fails when a layout writes another size than it counts', () => {
    const wrong: AggregateLayout = {
      carriesKeys: false,
      frameBytes: () => 0,
      recordBytes: () => 3,
      addKey: () => undefined,
      addRecord: () => undefined,
      write: (_content, out) => out.copy(Buffer.from('ab')),
    };
    const packer = new LanePacker(wrong, 1, sizeLimitsFor(MIB));
    packer.add(Buffer.from('k'), Buffer.from('d'));
    assert.throws(() => packer.flush(), /another size than counted/);
  });
});
