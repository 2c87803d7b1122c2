/** What is said where the transaction to be skipped cannot be read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Peek, WindowTooLargeError } from '../../../lambda/ports.ts';
import { skipFirstTransaction } from '../../../lambda/run/skip-transaction.ts';
import { FakeSlot } from '../../support/fake-slot.ts';
import { TestClock } from '../../support/run-kit.ts';

describe('skip-transaction', () => {
  for (const [what, noRoom, message] of [
    ['is not found in time', undefined, /in time\. The slot was not advanced/],
    ['needs more room than the server has', '53400', /temp_file_limit/],
  ] as const) {
    it(`fails with NO_PROGRESS where the first transaction ${what}`, async () => {
      const slot = new FakeSlot();
      const commit = slot.commit('table public.t: INSERT: id[integer]:1');
      slot.peek = (): Peek => ({
        rows: 0,
        transactions: 0,
        firstRowMs: undefined,
        close: () => Promise.resolve(),
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.reject(new WindowTooLargeError('too large', { noRoom })),
        }),
      });
      const clock = new TestClock();
      await assert.rejects(skipFirstTransaction(slot, clock, commit, clock.now() + 1_000), {
        code: 'NO_PROGRESS',
        message,
      });
      assert.deepEqual(slot.advances, []);
    });
  }
});
