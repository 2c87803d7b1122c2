/**
 * The rules of applying changes as they come, on random histories of a model. Each rule is left out in turn, and the model has
 * to see it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fastHistory, type FastHistoryOptions } from './model/fast-history.ts';
import type { BrokenFast } from './model/fast-target.ts';

/** How many are tried. More, by hand: each is a few milliseconds. */
const HISTORIES = 60;

/** The rules, a seed that shows what happens without it, and what its history has. */
const RULES: readonly (readonly [rule: BrokenFast, seed: number, options?: FastHistoryOptions])[] = [
  ['skip', 1],
  ['park', 2],
  ['defer', 10],
  ['queue', 2],
  ['remember', 3],
  ['newer', 4],
  ['note', 8],
  ['waiting', 8],
  ['prune', 3],
  ['round', 5],
  ['parents', 190],
  ['history', 31, { failovers: true }],
  ['awaits', 1, { snapshot: true }],
  ['then', 1091, { snapshot: true }],
  ['lanes', 1, { snapshot: true }],
  ['begin', 7, { snapshot: true }],
];

describe('changes that are applied as they come, on random histories', () => {
  it('end equal to the source, with nothing left over', async () => {
    let batches = 0;
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const ended = await fastHistory(seed, 'none');
      assert.equal(ended.fault, undefined, `seed ${seed}`);
      batches += ended.batches;
    }
    assert.ok(batches > HISTORIES * 20, `${batches} batches`);
  });

  it('end equal, or stop, where the source has lost what was committed last', async () => {
    const stopped = { yes: 0, no: 0 };
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const ended = await fastHistory(seed, 'none', { failovers: true });
      assert.equal(ended.fault, undefined, `seed ${seed}`);
      stopped[ended.stopped ? 'yes' : 'no']++;
    }
    assert.ok(stopped.yes > 0 && stopped.no > 0, JSON.stringify(stopped));
  });

  it('end equal where a snapshot brings rows meanwhile', async () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const { fault } = await fastHistory(seed, 'none', { snapshot: true });
      assert.equal(fault, undefined, `seed ${seed}`);
    }
  });

  for (const [broken, first, options] of RULES) {
    it(`are seen to differ without the rule "${broken}"`, async () => {
      for (let seed = first; seed < first + 500; seed++) {
        if ((await fastHistory(seed, broken, options)).fault !== undefined) return;
      }
      assert.fail('not in 500 histories');
    });
  }
});
