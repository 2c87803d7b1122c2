/** When a run has to be over: what it keeps time for, and when it takes the time of the whole function. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RunDeadline } from '../../../lambda/run/run-deadline.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

/** A run of 50 s in a function of 900 s, that stops reading 2 s before its end. */
function deadlineOf(over: { stop?: AbortSignal; lost?: AbortSignal; functionMs?: number } = {}) {
  const clock = new TestClock();
  const log = new Recorder();
  const warmState: { deadline: number | undefined } = { deadline: undefined };
  const begun = clock.time;
  const advancer = { costMs: 0 };
  const deadline: RunDeadline = new RunDeadline(
    { deadline: begun + 50_000, functionDeadline: begun + (over.functionMs ?? 900_000) },
    {
      session: { lost: over.lost ?? new AbortController().signal },
      clock,
      log,
      warmState,
      ...(over.stop && { stop: over.stop }),
      advancer,
      readingDeadline: () => deadline.at - 2_000,
    },
  );
  return { deadline, clock, log, warmState, begun, advancer };
}

describe('the deadline of a run', () => {
  it('I7: leaves half a second for the answer, and time for two advances as slow as the slowest', () => {
    const { deadline, begun, advancer } = deadlineOf();
    assert.equal(deadline.sendingDeadline(), begun + 49_500);
    advancer.costMs = 3_000;
    assert.equal(deadline.sendingDeadline(), begun + 43_500);
  });

  it('I7: is over when reading has to be, and when it is asked to stop', () => {
    const { deadline, clock } = deadlineOf();
    clock.time += 47_999;
    assert.equal(deadline.hasTime(), true);
    clock.time += 1;
    assert.equal(deadline.hasTime(), false);
    assert.equal(deadlineOf({ stop: AbortSignal.abort() }).deadline.hasTime(), false);
  });

  it('I6: has no meaning once the lock is lost', () => {
    const lost = new Error('the lock is lost');
    assert.throws(() => deadlineOf({ lost: AbortSignal.abort(lost) }).deadline.hasTime(), lost);
  });

  it('gives the server seven tenths of what is left for a first row, and always something', () => {
    const { deadline, clock } = deadlineOf();
    assert.equal(deadline.peekBudgetMs(), 33_600);
    clock.time += 60_000;
    assert.equal(deadline.peekBudgetMs(), 1);
  });

  it('becomes that of the function once, with a line that says why and how much longer it is', () => {
    const { deadline, clock, log, warmState, begun } = deadlineOf();
    assert.deepEqual([deadline.isFunctionDeadline, warmState.deadline], [false, begun + 50_000]);
    clock.time += 40_000;
    assert.equal(deadline.useFunctionDeadline('Nothing else helps'), true);
    assert.deepEqual([deadline.at, warmState.deadline], [begun + 900_000, begun + 900_000]);
    assert.equal(deadline.isFunctionDeadline, true);
    assert.equal(deadline.useFunctionDeadline('Nothing else helps'), false);
    assert.deepEqual(log.lines, ['warn Nothing else helps: this run goes on until the deadline of the function.']);
    assert.deepEqual(log.fieldsOf('Nothing else helps'), [{ remainingMs: 860_000 }]);
  });

  it('may be that of the function from the beginning, as in a drain', () => {
    const { deadline, log } = deadlineOf({ functionMs: 50_000 });
    assert.deepEqual([deadline.isFunctionDeadline, deadline.useFunctionDeadline('x'), log.lines], [true, false, []]);
  });
});
