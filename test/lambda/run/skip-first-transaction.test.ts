/** How the first unconsumed transaction is found, and what is said where it cannot be read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PeekTooLargeError, ServerDecodingError } from '../../../lambda/peek-errors.ts';
import type { Peek } from '../../../lambda/ports.ts';
import { firstUnconsumed, skipFirstTransaction } from '../../../lambda/run/skip-first-transaction.ts';
import { FakeSlot } from '../../support/fake-slot.ts';
import { TestClock } from '../../support/run-kit.ts';

describe('skip-transaction', () => {
  it('finds the first transaction behind many messages that are outside of any', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 1_500; i++) slot.message();
    const commitLsn = slot.commit('table public.t: INSERT: id[integer]:1');
    const clock = new TestClock();
    const first = await firstUnconsumed(slot, clock, clock.now() + 1_000);
    assert.equal(typeof first === 'object' && first.transaction.commitLsn, commitLsn);
    assert.deepEqual(
      slot.peeks.map(({ limit }) => limit),
      [1, 1_000, 1_000_000],
    );
  });

  for (const [messages, peeks] of [
    [0, 1],
    [3, 2],
  ] as const) {
    it(`looks no further than the end of ${messages} messages`, async () => {
      const slot = new FakeSlot();
      for (let i = 0; i < messages; i++) slot.message();
      const clock = new TestClock();
      assert.equal(await firstUnconsumed(slot, clock, clock.now() + 1_000), undefined);
      assert.equal(slot.peeks.length, peeks);
    });
  }

  const failure = { sqlState: 'XX000', report: 'SQLSTATE XX000', near: undefined, cause: new Error('of the server') };
  for (const [what, error, code, message] of [
    ['is not found in time', new PeekTooLargeError('late'), 'NO_PROGRESS', /in time\. The slot was not advanced/],
    [
      'needs more room than the server has, whatever is read',
      new PeekTooLargeError('large', { resourceSqlState: '53400' }),
      'EVENT_INVALID',
      /cannot decode the first .* Let a run tell/,
    ],
    [
      'cannot be decoded, nor can anything else',
      new ServerDecodingError('failed', failure),
      'EVENT_INVALID',
      /cannot decode the first .* Let a run tell/,
    ],
  ] as const) {
    it(`fails with ${code} where the first transaction ${what}`, async () => {
      const slot = new FakeSlot();
      const commit = slot.commit('table public.t: INSERT: id[integer]:1');
      slot.peek = (): Peek => ({
        rows: 0,
        transactions: 0,
        lastCommit: undefined,
        firstRowMs: undefined,
        close: () => Promise.resolve(),
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
      });
      const clock = new TestClock();
      await assert.rejects(skipFirstTransaction(slot, clock, commit, clock.now() + 1_000), { code, message });
      assert.deepEqual(slot.advances, []);
    });
  }
});
