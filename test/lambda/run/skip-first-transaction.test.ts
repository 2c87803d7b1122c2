/** How the first unconsumed transaction is found, and what is said where it cannot be read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { PeekTooLargeError, ServerDecodingError } from '../../../lambda/peek-errors.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
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
        leftOut: [],
        firstRowMs: undefined,
        close: () => Promise.resolve(),
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
      });
      const clock = new TestClock();
      await assert.rejects(skipFirstTransaction(slot, clock, commit, clock.now() + 1_000), {
        code,
        message,
        ...(code === 'NO_PROGRESS' && { cause: error }),
      });
      assert.deepEqual(slot.advances, []);
    });
  }
});

/** Peeks whose answers are given: rows without a transaction, or an error. */
function slotOf(answers: readonly (number | Error)[]) {
  const slot = new FakeSlot();
  const asked: { upto: bigint; limit: number | undefined; budgetMs: number }[] = [];
  let closed = 0;
  slot.peek = (upto, limit, budgetMs): Peek => {
    const answer = answers[asked.length];
    asked.push({ upto, limit, budgetMs });
    return {
      rows: typeof answer === 'number' ? answer : 0,
      transactions: 0,
      lastCommit: undefined,
      leftOut: [],
      firstRowMs: undefined,
      close: () => {
        closed++;
        return Promise.resolve();
      },
      [Symbol.asyncIterator]: () => ({
        next: () =>
          answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ done: true as const, value: undefined }),
      }),
    };
  };
  return { slot, asked, closed: () => closed };
}

describe('what lies before the first transaction', () => {
  it('is counted as far as it is messages outside of any, which the slot passes, too', async () => {
    const slot = new FakeSlot();
    for (const line of [
      'message: transactional: 0 prefix: p, sz: 1 content:x',
      'message: transactional: 0 prefix: p, sz: 1 content:y',
      // No plugin gives these two outside of a transaction.
      'message: transactional: 1 prefix: p, sz: 1 content:z',
      'message:',
    ])
      slot.message(line);
    const commitLsn = slot.commit('table public.t: INSERT: id[integer]:1');
    const clock = new TestClock();
    const { messagesBefore } = await skipFirstTransaction(slot, clock, commitLsn, clock.now() + 1_000);
    assert.equal(messagesBefore, 2);
  });
});

describe('skip-transaction, where the server cannot decode the first transaction', () => {
  const cause = new Error('of the server');
  const failed = new ServerDecodingError('failed', { sqlState: 'XX000', report: '', near: undefined, cause });
  const skip = async (answers: readonly (number | Error)[], commitLsn: bigint) => {
    const { slot, asked, closed } = slotOf(answers);
    const skipped: bigint[] = [];
    slot.skip = (lsn) => {
      skipped.push(lsn);
      return Promise.resolve(lsn);
    };
    const clock = new TestClock();
    const outcome = await skipFirstTransaction(slot, clock, commitLsn, clock.now() + 1_000).catch(
      (error: unknown) => error as Error & { remedy?: string },
    );
    assert.equal(closed(), asked.length, 'each peek is closed');
    return { outcome, skipped, asked };
  };

  it('I2: skips it where nothing is before its commit record, and the server fails at it', async () => {
    const { outcome, skipped, asked } = await skip([failed, 0, failed], 2_056n);
    assert.deepEqual(outcome, { transaction: undefined, messagesBefore: 0, advancedTo: 2_056n });
    assert.deepEqual(skipped, [2_056n]);
    assert.deepEqual(
      asked.slice(1).map(({ upto, limit, budgetMs }) => [upto, limit, budgetMs]),
      [
        [2_048n, undefined, 1_000],
        [2_056n, undefined, 1_000],
      ],
    );
  });

  for (const [what, answers, commitLsn] of [
    ['the server fails before its commit record', [failed, failed, failed], 2_056n],
    ['the server does not fail at it', [failed, 0, 5], 2_056n],
    ['the slot has passed it', [failed, 0, failed], 1n],
    ['it is where the slot is', [failed, 0, failed], undefined],
  ] as const)
    it(`I2: skips nothing where ${what}`, async () => {
      const { confirmedFlush } = await new FakeSlot().position();
      const { outcome, skipped } = await skip(answers, commitLsn ?? confirmedFlush);
      assert.ok(outcome instanceof Error && 'code' in outcome && outcome.code === 'EVENT_INVALID');
      assert.match(outcome.message, /its commit LSN is another\. The slot was not advanced\./);
      assert.deepEqual(skipped, []);
    });

  it('tells every other error as it is', async () => {
    const other = new TypeError('something else');
    assert.equal((await skip([other], 2_056n)).outcome, other);
    const spilling = new PeekTooLargeError('full', { resourceSqlState: '53100', spilling: true });
    const { outcome } = await skip([spilling], 2_056n);
    assert.ok('code' in outcome && outcome.code !== 'EVENT_INVALID' && outcome.code !== undefined);
  });

  it('has a millisecond for a peek though the deadline has passed', async () => {
    const { slot, asked } = slotOf([0]);
    const clock = new TestClock();
    assert.equal(await firstUnconsumed(slot, clock, clock.now() - 5), undefined);
    assert.deepEqual(
      asked.map(({ limit, budgetMs }) => [limit, budgetMs]),
      [[1, 1]],
    );
  });

  it('ends its search with a peek without a limit', async () => {
    const { slot, asked } = slotOf([1, 1_000, 1_000_000, 5]);
    const clock = new TestClock();
    assert.equal(await firstUnconsumed(slot, clock, clock.now() + 5), undefined);
    assert.deepEqual(
      asked.map(({ limit }) => limit),
      [1, 1_000, 1_000_000, undefined],
    );
  });
});

describe('skip-transaction, where the first transaction can be read', () => {
  const insert = 'table public.t: INSERT: id[integer]:1';
  const fails = async (slot: FakeSlot, commitLsn: bigint) => {
    const clock = new TestClock();
    const error: unknown = await skipFirstTransaction(slot, clock, commitLsn, clock.now() + 1_000).catch(
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof PipelineError);
    assert.deepEqual(slot.advances, []);
    return error;
  };

  it('advances over it, and tells which messages it passes', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 3; i++) slot.message('message: transactional: 0 prefix: p, sz: 1 content:x');
    const commitLsn = slot.commit(insert);
    const clock = new TestClock();
    const { transaction, messagesBefore, advancedTo } = await skipFirstTransaction(
      slot,
      clock,
      commitLsn,
      clock.now() + 1_000,
    );
    assert.deepEqual([transaction?.commitLsn, messagesBefore, advancedTo], [commitLsn, 3, commitLsn]);
    assert.deepEqual(slot.advances, [commitLsn]);
  });

  it('I2: advances over no other: what it says names both, and what to do', async () => {
    const slot = new FakeSlot();
    const first = slot.commit(insert);
    const second = slot.commit(insert);
    const { code, message, remedy } = await fails(slot, second);
    assert.equal(code, 'EVENT_INVALID');
    assert.ok(message.includes(`${formatLsn(second)} was not skipped: the first unconsumed transaction is`));
    assert.ok(message.includes(`${formatLsn(first)} (xid 7`) && message.includes('The slot was not advanced.'));
    assert.match(remedy, /^Let a run publish it\./);
  });

  it('says that there is none where the slot holds none', async () => {
    const { code, message, remedy } = await fails(new FakeSlot(), 5n);
    assert.deepEqual([code, message.includes('holds no transaction with changes')], ['EVENT_INVALID', true]);
    assert.match(remedy, /^Nothing is to be done/);
  });

  it('I2: waits for standbys that have not confirmed it, by name', async () => {
    const slot = new FakeSlot();
    const first = slot.commit(insert);
    slot.standby = first - 1n;
    const { code, message, remedy } = await fails(slot, first);
    assert.equal(code, 'NO_PROGRESS');
    assert.ok(message.includes(`that have confirmed ${formatLsn(first - 1n)} only ("phys")`));
    assert.match(remedy, /status names them/);
    const { awaited, ...bound } = await slot.standbyBound();
    const both = [...awaited, ...awaited.map((standby) => ({ ...standby, name: 'other' }))];
    const two = Object.assign(new FakeSlot(), { standbyBound: () => Promise.resolve({ ...bound, awaited: both }) });
    assert.ok((await fails(two, first)).message.includes('("phys", "other")'));
    slot.standby = first;
    slot.commit(insert);
    const clock = new TestClock();
    assert.equal((await skipFirstTransaction(slot, clock, first, clock.now() + 1_000)).advancedTo, first);
  });
});
