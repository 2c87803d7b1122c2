/** When the slot follows what is acknowledged, and what that costs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Advancer } from '../../../lambda/run/advancer.ts';
import { FakeSlot } from '../../support/fake-slot.ts';
import { TestClock } from '../../support/run-kit.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('an advancer', () => {
  /** Each advance takes so long. */
  function laidOut(...costs: number[]) {
    const slot = new FakeSlot();
    slot.idleWal(1_000_000n);
    const clock = new TestClock();
    slot.onAdvance = () => (clock.time += costs.shift() ?? 10);
    const lost = new AbortController();
    return { slot, clock, lost, advancer: new Advancer(slot, clock, 1_000n, lost.signal) };
  }

  it('I6: advances nothing once the lock is lost, and says by what', async () => {
    const reason = new Error('the lock is lost');
    const { slot, clock, lost, advancer } = laidOut();
    await advancer.advanceTo(1_001n);
    lost.abort(reason);
    await assert.rejects(advancer.advanceTo(1_002n), reason);
    await assert.rejects(advancer.advanceAgain(), reason);
    clock.time += 1_000;
    advancer.advanceIfWorthwhile(1_002n);
    await assert.rejects(advancer.advanceTo(1_001n), reason);
    assert.deepEqual(slot.advances, [1_001n]);
  });

  it('advances again and again in mid-batch, each time that it is worth it', async () => {
    const { slot, clock, advancer } = laidOut();
    for (let i = 1; i <= 5; i++) {
      clock.time += 1_000;
      advancer.advanceIfWorthwhile(1_000n + BigInt(i));
      await settled();
    }
    assert.deepEqual(slot.advances, [1_001n, 1_002n, 1_003n, 1_004n, 1_005n]);
  });

  it('does not advance before a second has passed, nor to where the slot is', async () => {
    const { slot, clock, advancer } = laidOut();
    clock.time += 999;
    advancer.advanceIfWorthwhile(1_001n);
    clock.time += 1;
    advancer.advanceIfWorthwhile(1_000n);
    await settled();
    assert.deepEqual(slot.advances, []);
    advancer.advanceIfWorthwhile(1_001n);
    await settled();
    assert.deepEqual(slot.advances, [1_001n]);
  });

  it('goes no further than a snapshot lets it, and no further than asked where that is less', async () => {
    const { slot, advancer } = laidOut();
    let bound: bigint | undefined = 1_005n;
    advancer.bound = () => bound;
    await advancer.advanceTo(1_002n);
    await advancer.advanceTo(1_009n);
    await advancer.advanceTo(1_009n);
    bound = undefined;
    await advancer.advanceTo(1_009n);
    assert.deepEqual(slot.advances, [1_002n, 1_005n, 1_009n]);
  });

  it('waits for ten times the cost of the dearest one', async () => {
    const { slot, clock, advancer } = laidOut(500, 10);
    clock.time += 1_000;
    advancer.advanceIfWorthwhile(1_001n);
    await settled();
    assert.equal(advancer.costMs, 500);
    clock.time += 4_999;
    advancer.advanceIfWorthwhile(1_002n);
    await settled();
    assert.deepEqual(slot.advances, [1_001n]);
    clock.time += 1;
    advancer.advanceIfWorthwhile(1_002n);
    await settled();
    assert.deepEqual(slot.advances, [1_001n, 1_002n]);
    assert.equal(advancer.costMs, 500, 'a cheap one does not make the next one cheap');
  });

  it('has one advance under way at a time, and tells of its failure at the next occasion', async () => {
    const { slot, clock, advancer } = laidOut();
    slot.onAdvance = () => {
      throw new Error('gone');
    };
    clock.time += 1_000;
    advancer.advanceIfWorthwhile(1_001n);
    advancer.advanceIfWorthwhile(1_002n);
    await settled();
    await assert.rejects(advancer.advanceTo(1_003n), /gone/);
    await assert.rejects(advancer.advanceAgain(), /gone/);
    assert.deepEqual([slot.advances, advancer.hasAdvanced], [[], false]);
  });
});
