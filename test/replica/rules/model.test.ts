/**
 * The rules of a replica, on random histories of a model. Each rule is left out in turn, and the model has to see it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { history, type HistoryOptions } from './model/history.ts';
import type { Broken } from './model/replica.ts';

/** How many are tried. More, by hand: each is a few milliseconds. */
const HISTORIES = 60;

/** The rules, and the first seed that shows what happens without it; with what its histories have to have. */
const RULES: readonly (readonly [rule: Broken, seed: number, options?: HistoryOptions])[] = [
  ['strict', 3],
  ['min', 1],
  ['skip', 1],
  ['order', 1],
  ['fill', 1],
  ['delins', 1],
  ['seq', 2],
  ['parents', 1],
  ['fence', 1],
  ['history', 10, { failovers: true }],
  ['cap', 2589, { failovers: true }],
  ['meanwhile', 508, { failovers: true, slow: true }],
  ['lanetl', 159, { failovers: true }],
  ['child', 409, { failovers: true }],
  ['awaits', 2, { snapshot: true }],
  ['copying', 1, { snapshot: true }],
];

describe('a replica, on random histories', () => {
  it('equals the source as it was at each cut, and as it is at the end', async () => {
    let commits = 0;
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const ended = await history(seed, 'none');
      assert.equal(ended.fault, undefined, `seed ${seed}`);
      commits += ended.commits;
    }
    assert.ok(commits > HISTORIES * 5, `${commits} commits`);
  });

  it('equals the source, but for the rows that a snapshot is still to bring, and says that there are some', async () => {
    for (let seed = 1; seed <= HISTORIES; seed++)
      assert.equal((await history(seed, 'none', { snapshot: true })).fault, undefined, `seed ${seed}`);
  });

  it('stops where it holds what the source has lost, and only there', async () => {
    const seed = 27;
    assert.deepEqual(
      { ...(await history(seed, 'none', { failovers: true })), commits: 0 },
      { fault: undefined, stopped: true, commits: 0 },
    );
  });

  for (const [broken, first, options] of RULES) {
    it(`is seen to fail without the rule "${broken}"`, async () => {
      // From the seed that showed it when this was written: the numbers drawn change with the code.
      for (let seed = first; seed < first + 500; seed++) {
        if ((await history(seed, broken, options)).fault === undefined) continue;
        assert.equal((await history(seed, 'none', options)).fault, undefined, `seed ${seed}, with every rule`);
        return;
      }
      assert.fail('not in 500 histories');
    });
  }
});
