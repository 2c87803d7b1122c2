/** What all three aggregations promise of rounds: order, barriers, limits, exact sizes, bounded memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { type Aggregation, createPacker } from '../../../lambda/pack/create-packer.ts';
import type { KinesisRecord } from '../../../lambda/pack/round.ts';
import { deaggregate } from '../../support/deaggregate.ts';
import { anyInputs, type Input, laneStart, packAll, sizeOf } from './packer-fixtures.ts';

const AGGREGATIONS: Aggregation[] = ['kpl', 'lines', 'none'];

/** Small limits, so that short inputs reach each of them. */
const LIMITS = { maxRecordBytes: 1500, limits: { requestBytes: 4000, requestEntries: 12, laneBytes: 700 } };

/** The user records in an entry; `lines` carries no keys. */
function contents(aggregation: Aggregation, entry: KinesisRecord): { key: string | undefined; data: string }[] {
  switch (aggregation) {
    case 'kpl':
      return deaggregate(entry).map(({ partitionKey, data }) => ({ key: partitionKey, data: data.toString() }));
    case 'lines': {
      const text = Buffer.from(entry.data).toString();
      assert.ok(text.endsWith('\n'));
      return text
        .slice(0, -1)
        .split('\n')
        .map((data) => ({ key: undefined, data }));
    }
    case 'none':
      return [{ key: entry.partitionKey, data: Buffer.from(entry.data).toString() }];
  }
}

/** What orders an entry: its lane, or without aggregation its partition key. */
function order(entry: KinesisRecord): string {
  return entry.explicitHashKey ?? entry.partitionKey;
}

const laneCounts = fc.constantFrom(1, 2, 4, 64, 256);

for (const aggregation of AGGREGATIONS) {
  describe(`packer, ${aggregation}`, () => {
    it('I3: every round takes up the records where the one before ended, each lane in order, one entry of it a round', () => {
      fc.assert(
        fc.property(anyInputs(LIMITS.maxRecordBytes), laneCounts, (inputs, lanes) => {
          const { fitted, rounds } = packAll({ aggregation, lanes, ...LIMITS }, inputs);
          let at = 0;
          for (const { entries, userRecords } of rounds) {
            assert.equal(new Set(entries.map(order)).size, entries.length);
            const next = fitted.slice(at, at + userRecords);
            at += userRecords;
            let found = 0;
            for (const entry of entries) {
              // What it should hold: of the next user records those of its lane, in their order.
              const due = next.filter(
                ({ key }) => order(entry) === (aggregation === 'none' ? key : laneStart(key, lanes)),
              );
              const told = due.map(({ key, data }) => ({
                key: aggregation === 'lines' ? undefined : key,
                data: data.toString(),
              }));
              assert.deepEqual(
                contents(aggregation, entry),
                told,
                'a user record is missing, too many, or out of order in its lane',
              );
              found += due.length;
            }
            assert.equal(found, userRecords, 'user records are missing from their round');
          }
          assert.equal(at, fitted.length);
        }),
        { numRuns: 200 },
      );
    });

    it('I3: a record with a barrier shares its round with none but records of the same barrier', () => {
      fc.assert(
        fc.property(anyInputs(300), laneCounts, (inputs, lanes) => {
          const { fitted, rounds } = packAll({ aggregation, lanes, ...LIMITS }, inputs);
          let at = 0;
          for (const { userRecords } of rounds) {
            const barriers = new Set(fitted.slice(at, at + userRecords).map(({ barrier }) => barrier));
            assert.equal(barriers.size, 1);
            at += userRecords;
          }
        }),
      );
    });

    it('keeps to the limits, and counts exactly', () => {
      fc.assert(
        fc.property(anyInputs(LIMITS.maxRecordBytes), laneCounts, (inputs, lanes) => {
          for (const { entries, bytes } of packAll({ aggregation, lanes, ...LIMITS }, inputs).rounds) {
            assert.equal(
              bytes,
              entries.reduce((sum, entry) => sum + sizeOf(entry), 0),
            );
            assert.ok(bytes <= LIMITS.limits.requestBytes);
            if (aggregation === 'none') assert.ok(entries.length <= LIMITS.limits.requestEntries);
            for (const entry of entries) {
              assert.ok(sizeOf(entry) <= LIMITS.maxRecordBytes);
              // Only a user record that is alone may take more than a lane's share.
              if (aggregation !== 'none' && sizeOf(entry) > LIMITS.limits.laneBytes) {
                assert.equal(contents(aggregation, entry).length, 1);
              }
            }
          }
        }),
        { numRuns: 200 },
      );
    });

    it('has what fits in a record, and refuses one byte more', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 400, max: 40_000 }),
          fc.integer({ min: 1, max: 256 }),
          (maxRecordBytes, keyBytes) => {
            const options = { aggregation, lanes: 64, maxRecordBytes } as const;
            const key = Buffer.alloc(keyBytes, 'k');
            const packer = createPacker(options);
            let largest = maxRecordBytes;
            while (largest > 0 && !packer.fits(keyBytes, largest)) largest--;
            assert.ok(packer.fits(keyBytes, largest));
            assert.equal(packer.add(key, Buffer.alloc(largest, 'd')), undefined);
            const entry = packer.flush()?.entries[0];
            assert.ok(entry !== undefined && sizeOf(entry) <= maxRecordBytes);

            assert.throws(() => packer.add(key, Buffer.alloc(largest + 1, 'd')), { name: 'RangeError' });
            // The same one byte longer, in a packer that allows it: beyond the limit, but for what lanes differ in.
            const wider = createPacker({ ...options, maxRecordBytes: maxRecordBytes + 1000 });
            wider.add(key, Buffer.alloc(largest + 1, 'd'));
            const over = wider.flush()?.entries[0];
            const spare = aggregation === 'none' ? 0 : 'lane-63-of-64'.length - (over?.partitionKey.length ?? 0);
            const digits = aggregation === 'kpl' ? 39 - (over?.explicitHashKey?.length ?? 0) : 0;
            assert.ok(over !== undefined && sizeOf(over) + spare + digits > maxRecordBytes);
          },
        ),
        { numRuns: 60 },
      );
    });

    it('fills a request to the last byte it may have', () => {
      // Records of one size: a round may be closed only when another of them would not have gone in.
      const { rounds } = packAll(
        { aggregation, lanes: 256, maxRecordBytes: 2000, limits: { requestBytes: 20_000, requestEntries: 500 } },
        Array.from({ length: 300 }, (_, i) => ({ key: `public.t:${i}`, data: Buffer.alloc(100, 'd') })),
      );
      assert.ok(rounds.length > 1);
      for (const { bytes } of rounds.slice(0, -1)) {
        // One more costs at most its frame; what is counted too much is 38 bytes of lane 0 and 2 of a name, a lane.
        assert.ok(bytes > 20_000 - 256 - 100 * 3, `${bytes}`);
      }
    });

    it('fails to take an empty partition key', () => {
      const packer = createPacker({ aggregation, lanes: 64, ...LIMITS });
      assert.equal(packer.fits(0, 1), false);
    });

    it('has no round when nothing was added', () => {
      const packer = createPacker({ aggregation, lanes: 64, ...LIMITS });
      assert.equal(packer.flush(), undefined);
      packer.add(Buffer.from('k'), Buffer.from('d'));
      assert.equal(packer.flush()?.userRecords, 1);
      assert.equal(packer.flush(), undefined);
    });

    it('keeps a round as it is until it is released, also when it is released twice', () => {
      const packer = createPacker({ aggregation, lanes: 4, maxRecordBytes: 2000 });
      const fill = (letter: string) => {
        for (let i = 0; i < 20; i++) packer.add(Buffer.from(`k${letter}${i}`), Buffer.alloc(300, letter), letter);
        const round = packer.flush();
        assert.ok(round !== undefined);
        return round;
      };
      const text = (round: ReturnType<typeof fill>) =>
        round.entries.map((entry) => Buffer.from(entry.data).toString('hex'));
      const first = fill('a');
      packer.release(first);
      packer.release(first);
      const second = fill('b');
      const before = text(second);
      const third = fill('c');
      const after = text(third);
      fill('d');
      assert.deepEqual(text(second), before);
      assert.deepEqual(text(third), after);
    });

    it('I8: memory does not grow with what went through, whichever lanes are hot', () => {
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc') as () => void;
      const packer = createPacker({ aggregation, lanes: 256, maxRecordBytes: 1 << 20 });
      const data = Buffer.alloc(8000, 'd');
      gc();
      const before = process.memoryUsage().arrayBuffers;
      let most = 0;
      for (let i = 0; i < 20_000; i++) {
        // One key at a time is hot, so that in the end each lane was.
        const round = packer.add(Buffer.from(`public.t:${Math.floor(i / 40)}`), data);
        if (round !== undefined) packer.release(round);
        if (i % 1000 === 999) {
          gc();
          most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        }
      }
      assert.ok(most < 48 * 1024 * 1024, `${most} bytes are held`);
    });
  });
}

describe('packer', () => {
  it('closes a round of `none` at 500 entries, and when a partition key comes again', () => {
    const inputs: Input[] = Array.from({ length: 1200 }, (_, i) => ({ key: `k${i}`, data: Buffer.from(`${i}`) }));
    inputs.push({ key: 'k1199', data: Buffer.from('again') });
    const { rounds } = packAll({ aggregation: 'none', lanes: 64, maxRecordBytes: 1 << 20 }, inputs);
    assert.deepEqual(
      rounds.map(({ userRecords }) => userRecords),
      [500, 500, 200, 1],
    );
  });

  it('closes a round of a hot lane at its share, and gives a large user record all of it', () => {
    const inputs = [10, 200, 100, 900, 10].map((kib) => ({ key: 'public.t:1', data: Buffer.alloc(kib * 1024) }));
    const { rounds } = packAll({ aggregation: 'kpl', lanes: 64, maxRecordBytes: 1 << 20 }, inputs);
    assert.deepEqual(
      rounds.map(({ userRecords }) => userRecords),
      [2, 1, 1, 1],
    );
  });

  it('takes a user record of 10 MiB where the stream does', () => {
    const data = Buffer.alloc(10 * 1024 * 1024 - 200, 'x');
    const { rounds } = packAll({ aggregation: 'kpl', lanes: 64, maxRecordBytes: 10 << 20 }, [
      { key: 'a', data: Buffer.from('1') },
      { key: 'a', data },
      { key: 'a', data: Buffer.from('2') },
    ]);
    assert.deepEqual(
      rounds.map(({ userRecords }) => userRecords),
      [1, 1, 1],
    );
    assert.ok(rounds.every(({ bytes }) => bytes <= 10 << 20));
  });

  it('sends no explicit hash key without aggregation, and keeps the partition key', () => {
    const { rounds } = packAll({ aggregation: 'none', lanes: 64, ...LIMITS }, [
      { key: 'public.t:é', data: Buffer.from('d') },
    ]);
    assert.deepEqual(
      rounds[0]?.entries.map(({ partitionKey, explicitHashKey }) => [partitionKey, explicitHashKey]),
      [['public.t:é', undefined]],
    );
  });

  it('fails with a number of lanes that is no power of two', () => {
    assert.throws(() => createPacker({ aggregation: 'lines', lanes: 48, maxRecordBytes: 1 << 20 }), {
      name: 'RangeError',
    });
  });
});
