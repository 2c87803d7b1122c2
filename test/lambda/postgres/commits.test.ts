/** The commits of one peek: taken in the order in which they were added, however many there are. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Transaction } from '../../../lambda/decode/messages.ts';
import { Commits } from '../../../lambda/postgres/commits.ts';

describe('commits', () => {
  it('come as they were added, whatever was taken in between', () => {
    const commit = fc.record({
      xid: fc.nat(0xffffffff),
      commitLsn: fc.bigInt(0n, 0xffffffffffffffffn),
      commitTimeMicros: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    });
    fc.assert(
      fc.property(fc.array(fc.option(commit), { maxLength: 400 }), (steps) => {
        const commits = new Commits();
        const expected: Transaction[] = [];
        let added = 0;
        for (const each of steps) {
          if (each === null) assert.deepEqual(commits.take(), expected.shift());
          else {
            commits.add(each.xid, each.commitLsn, each.commitTimeMicros);
            expected.push({ ...each });
            added++;
            assert.equal(commits.last, each.commitLsn);
          }
          assert.deepEqual([commits.count, commits.empty], [added, expected.length === 0]);
        }
        for (const each of expected) assert.deepEqual(commits.take(), each);
        assert.equal(commits.take(), undefined);
        assert.equal(commits.empty, true);
      }),
      { numRuns: 200 },
    );
  });

  it('are none at the beginning', () => {
    const commits = new Commits();
    assert.deepEqual([commits.take(), commits.last, commits.count, commits.empty], [undefined, undefined, 0, true]);
  });

  it('hold a batch of many', () => {
    const commits = new Commits();
    for (let i = 0; i < 1_000; i++) commits.add(i, BigInt(i) * 8n, BigInt(-i));
    for (let i = 0; i < 1_000; i++)
      assert.deepEqual(commits.take(), { xid: i, commitLsn: BigInt(i) * 8n, commitTimeMicros: BigInt(-i) });
  });
});
