/** The small parts of an answer: ages, who answered, and a run that did not get the slot. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ageSeconds, lockedAnswer, serverAnswer } from '../../../lambda/run/answer.ts';

const NOW = 1_767_400_000_000;
const YEAR_MS = 366 * 86_400_000;

describe('the age of a commit', () => {
  for (const [what, micros, seconds] of [
    ['is not known where its time is not', undefined, undefined],
    ['is in seconds, with their milliseconds', BigInt(NOW - 1_500) * 1000n, 1.5],
    ['counts whole milliseconds', BigInt(NOW - 1_500) * 1000n + 999n, 1.5],
    ['is never less than 0: clocks differ', BigInt(NOW + 5_000) * 1000n, 0],
    ['is as much as a year', BigInt(NOW - YEAR_MS) * 1000n, YEAR_MS / 1000],
    ['is not known where a replication origin gave another time', BigInt(NOW - YEAR_MS - 1) * 1000n, undefined],
  ] as const)
    it(what, () => assert.equal(ageSeconds(micros, NOW), seconds));
});

describe('who answered', () => {
  const server = { systemIdentifier: '7312', startedAt: '', inRecovery: false, timeline: 3, walEnd: undefined };

  it('is named by system, timeline and role', () => {
    assert.deepEqual(serverAnswer(server), { systemIdentifier: '7312', timeline: 3, role: 'primary' });
    assert.equal(serverAnswer({ ...server, inRecovery: true }).role, 'standby');
  });

  it('is not guessed where the role may not ask', () => {
    const unknown = { ...server, systemIdentifier: undefined, timeline: undefined };
    assert.deepEqual(serverAnswer(unknown), { role: 'primary' });
  });
});

describe('a run that did not get the slot', () => {
  it('answers that it did nothing', () => {
    const { action, slot, caughtUp, stopped, batches, changes, published, durationMs, throttledEntries } = lockedAnswer(
      'drain',
      'orders',
      61_000,
    );
    assert.deepEqual(
      { action, slot, caughtUp, stopped, batches, changes, published, durationMs, throttledEntries },
      {
        action: 'drain',
        slot: 'orders',
        caughtUp: false,
        stopped: 'locked',
        batches: 0,
        changes: 0,
        published: 0,
        durationMs: 61_000,
        throttledEntries: 0,
      },
    );
  });
});
