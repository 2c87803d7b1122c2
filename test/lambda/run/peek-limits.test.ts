/** How much the next peek asks for, by what the last one cost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { grow, initialLimits, type PeekObservation, shrink } from '../../../lambda/run/peek-limits.ts';

const limits = { rows: 100_000, walBytes: 1024 ** 3 };
const cost = (changes: Partial<PeekObservation>): PeekObservation => ({
  limitedBy: 'rows',
  firstRowMs: 100,
  budgetMs: 30_000,
  rereadBytes: 0,
  readBytes: 1_000_000,
  ...changes,
});

describe('the limits of a peek', () => {
  for (const [what, taught, expected] of [
    ['grows what bound a quick peek: rows', {}, { rows: 400_000, walBytes: 1024 ** 3 }],
    ['grows what bound a quick peek: WAL', { limitedBy: 'wal' }, { rows: 100_000, walBytes: 4 * 1024 ** 3 }],
    ['learns nothing from a peek that nothing bound', { limitedBy: 'nothing' }, limits],
    ['grows less, the nearer the target', { firstRowMs: 4_000 }, { rows: 125_000, walBytes: 1024 ** 3 }],
    ['stays when a peek is slow but in time', { firstRowMs: 20_000 }, limits],
    [
      'grows although slow when most of it was read before',
      { firstRowMs: 10_000, rereadBytes: 9_000_000 },
      { rows: 200_000, walBytes: 1024 ** 3 },
    ],
    ['stays when that would just take all of its time', { firstRowMs: 15_000, rereadBytes: 9_000_000 }, limits],
    ['stays when that would not fit its time', { firstRowMs: 16_000, rereadBytes: 9_000_000 }, limits],
  ] as const) {
    it(what, () => assert.deepEqual(grow(limits, cost(taught), 1_000_000), expected));
  }

  it('never grow beyond BATCH_CHANGES, and never begin beyond it', () => {
    assert.equal(grow(limits, cost({}), 150_000).rows, 150_000);
    assert.equal(initialLimits(10).rows, 10);
  });

  it('halve, from what was really asked for, down to the least', () => {
    assert.deepEqual(shrink(limits, 400_000_000), { rows: 50_000, walBytes: 200_000_000 });
    let least = limits;
    let steps = 0;
    for (let next = shrink(least, least.walBytes); next !== undefined; next = shrink(least, least.walBytes)) {
      least = next;
      steps++;
    }
    assert.deepEqual(least, { rows: 1_000, walBytes: 16 * 1024 ** 2 });
    assert.ok(steps < 12);
  });

  it('do not become larger by halving few rows', () => {
    assert.equal(shrink({ rows: 7, walBytes: 1024 ** 3 }, 1024 ** 3)?.rows, 7);
  });
});
