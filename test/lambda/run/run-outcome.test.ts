/** What a run's end comes to: which ends are failures (I7), and what the answer says of lag and of standbys. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type ResumePosition,
  resumePosition,
  type TransactionProgress,
} from '../../../lambda/decode/resume-position.ts';
import type { AwaitedStandby } from '../../../lambda/ports/slot.ts';
import { assertProgress, createAnswer, type RunOutcome } from '../../../lambda/run/run-outcome.ts';
import { UndecodableSearch } from '../../../lambda/run/undecodable-search.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

const TRANSACTION = { xid: 754, commitLsn: 0x2000n, commitTimeMicros: 1_767_399_990_000_000n };
const progressAt = (rows: number): TransactionProgress => ({
  transaction: TRANSACTION,
  ordinal: rows,
  rows,
  messages: 0,
});
const positionAt = (rows: number): ResumePosition => resumePosition(progressAt(rows), 'read once');
const OTHER: ResumePosition = { ...positionAt(50), xid: 753 };

type Batches = RunOutcome['batches'];

/** A run that has done nothing, changed as given. */
function outcome(over: Partial<Omit<RunOutcome, 'batches'>> & { batches?: Partial<Batches> } = {}): RunOutcome {
  const { batches, ...rest } = over;
  return {
    stopped: 'deadline',
    planner: { search: undefined, undecodedMs: undefined },
    standbyBound: { awaited: [], flush: 0x9000n },
    batchCount: 1,
    position: 0x1000n,
    advanced: false,
    graceCutShort: false,
    usedFunctionDeadline: false,
    oldestUnpublishedMicros: undefined,
    ...rest,
    batches: {
      counts: noCounts(),
      throttledEntries: 0,
      boundary: undefined,
      progress: undefined,
      resume: undefined,
      pendingCommit: undefined,
      catalogMs: 0,
      lastFailure: undefined,
      ...batches,
    },
  };
}

/** @returns the code that the end fails with; undefined: it is none */
function codeOf(end: RunOutcome, resume?: ResumePosition, stop?: AbortSignal): string | undefined {
  const clock = new TestClock();
  try {
    assertProgress({ clock, warmState: { resume }, ...(stop && { stop }) }, { startedAt: clock.time - 50_000 }, end);
  } catch (error) {
    const { code, what } = error as { code: string; what: string };
    return `${code}: ${what.slice(0, 40)}`;
  }
  return undefined;
}

const NOTHING = 'NO_PROGRESS: The run had no time to publish anything.';

describe('I7: the end of a run that did nothing', () => {
  it('is a failure', () => {
    assert.equal(codeOf(outcome()), NOTHING.slice(0, 53));
    assert.match(codeOf(outcome({ stopped: 'throttled' })) ?? '', /^STREAM_THROTTLED/);
    assert.match(codeOf(outcome({ stopped: 'commit-pending', batches: { pendingCommit: TRANSACTION } })) ?? '', /^NO_/);
  });

  for (const stopped of [
    'caught-up',
    'max-batches',
    'handed-over',
    'waiting-for-standby',
    'waiting-for-replay',
  ] as const)
    it(`is none where it is ${stopped}`, () => assert.equal(codeOf(outcome({ stopped })), undefined));

  it('is none where it was asked to stop', () => {
    assert.equal(codeOf(outcome(), undefined, AbortSignal.abort()), undefined);
    assert.ok(codeOf(outcome(), undefined, new AbortController().signal) !== undefined);
  });

  it('is none where it moved the slot, or sent records', () => {
    assert.equal(codeOf(outcome({ advanced: true })), undefined);
    assert.equal(codeOf(outcome({ batches: { counts: { ...noCounts(), records: 1 } } })), undefined);
  });
});

describe('I7: the end of a run inside a transaction', () => {
  for (const [what, at, from, left, isFailure] of [
    ['of which it has done rows is none, as the next run goes on behind them', 12, undefined, positionAt(12), false],
    ['of which it has done no row is one', 0, undefined, positionAt(0), true],
    ['that has come no further than the run before it is one', 12, positionAt(12), positionAt(12), true],
    ['that has come further than the run before it is none', 13, positionAt(12), positionAt(13), false],
    ['is measured from its beginning where the position was in another transaction', 13, OTHER, positionAt(13), false],
    ['is one where the next run cannot go on', 12, undefined, undefined, true],
  ] as const) {
    it(what, () => {
      const end = outcome({ batches: { progress: progressAt(at), resume: from } });
      assert.equal(codeOf(end, left) !== undefined, isFailure);
    });
  }

  const endless = outcome({ usedFunctionDeadline: true, batches: { progress: progressAt(12) } });

  it('is one that names it where it took the whole time of the function, and no run could go on', () => {
    const names = 'NO_PROGRESS: The transaction with commit LSN 0/2000 i';
    assert.equal(codeOf(endless), names);
    assert.equal(codeOf({ ...endless, batches: { ...endless.batches, counts: { ...noCounts(), records: 9 } } }), names);
  });

  for (const [what, end, resume] of [
    ['a position is left', endless, positionAt(12)],
    ['the slot moved', { ...endless, advanced: true }, undefined],
    [
      'a transaction was published whole',
      { ...endless, batches: { ...endless.batches, boundary: 0x1800n } },
      undefined,
    ],
    ['there was more time to be had', { ...endless, usedFunctionDeadline: false }, undefined],
    ['the stream ended it', { ...endless, stopped: 'throttled' as const }, undefined],
  ] as const) {
    it(`does not say so where ${what}`, () => {
      assert.doesNotMatch(codeOf(end, resume) ?? '', /The transaction with/);
    });
  }
});

describe('the end of a run that looks for a transaction which the server cannot decode', () => {
  const failure = Object.assign(new Error('failed'), { near: undefined });
  const planner = { search: new UndecodableSearch(0x10n, 0x200n, failure, undefined), undecodedMs: undefined };

  it('is a failure that says between which positions it is, whatever was published', () => {
    const found = codeOf(outcome({ planner, advanced: true }));
    assert.equal(found, 'NO_PROGRESS: PostgreSQL cannot decode a transaction t');
  });

  it('is none where something else ended it', () => {
    assert.equal(codeOf(outcome({ planner, stopped: 'handed-over' })), undefined);
  });
});

describe('the answer of a run', () => {
  const standby = (active: boolean): AwaitedStandby => ({
    name: active ? 'near' : 'far',
    active,
    confirmed: 0x1000n,
    behindBytes: 16,
    fault: undefined,
  });

  /** @returns the answer, how often the server was asked for the end of the WAL, and the log */
  async function answered(end: RunOutcome, resume?: ResumePosition) {
    const clock = new TestClock();
    const log = new Recorder();
    let looks = 0;
    const slot = { flushLsn: () => Promise.resolve((looks++, 0x1400n)) };
    const answer = await createAnswer(
      { session: { slot }, clock, log, warmState: { resume } },
      { action: 'drain', slotName: 's', startedAt: clock.time - 700 },
      end,
    );
    return { answer, looks: () => looks, lines: log.lines };
  }

  it('has no lag where it is caught up, and asks nothing for that', async () => {
    const end = outcome({ stopped: 'caught-up', oldestUnpublishedMicros: TRANSACTION.commitTimeMicros });
    const { answer, looks } = await answered(end);
    const { caughtUp, lagBytes, lagSeconds, advancedTo, durationMs, action, batches, slot } = answer;
    assert.deepEqual(
      { caughtUp, lagBytes, lagSeconds, advancedTo, durationMs, action, batches, slot },
      {
        caughtUp: true,
        lagBytes: 0,
        lagSeconds: 0,
        advancedTo: '0/1000',
        durationMs: 700,
        action: 'drain',
        batches: 1,
        slot: 's',
      },
    );
    assert.deepEqual([looks(), 'waitsFor' in answer, 'resume' in answer], [0, false, false]);
  });

  it('has the lag to the end of the WAL as it is then, and the age of what comes first', async () => {
    const { answer, looks } = await answered(outcome({ oldestUnpublishedMicros: TRANSACTION.commitTimeMicros }));
    assert.deepEqual([answer.lagBytes, answer.lagSeconds, looks()], [0x400, 10, 1]);
    assert.equal(answer.caughtUp, false);
  });

  it('has no seconds of lag where no commit is known, and 0 where no bytes are left', async () => {
    const unknown = await answered(outcome());
    assert.equal('lagSeconds' in unknown.answer, false);
    const end = outcome({ position: 0x1400n, oldestUnpublishedMicros: TRANSACTION.commitTimeMicros });
    assert.deepEqual([(await answered(end)).answer.lagBytes, (await answered(end)).answer.lagSeconds], [0, 0]);
    assert.equal((await answered(outcome({ position: 0x1500n }))).answer.lagBytes, 0, 'never less');
  });

  it('takes the end of the WAL as it was just seen where it waits', async () => {
    for (const stopped of ['waiting-for-standby', 'waiting-for-replay'] as const) {
      const { answer, looks } = await answered(outcome({ stopped }));
      assert.deepEqual([answer.lagBytes, looks()], [0x8000, 0]);
    }
  });

  it('names the standbys that it waits for; as a warning, unless all are connected and it moved', async () => {
    for (const [actives, advanced, level] of [
      [[true, true], true, 'info'],
      [[true, true], false, 'warn'],
      [[true, false], true, 'warn'],
    ] as const) {
      const standbyBound = { awaited: actives.map(standby), flush: 0x9000n };
      const { answer, lines } = await answered(outcome({ stopped: 'waiting-for-standby', advanced, standbyBound }));
      assert.deepEqual(
        answer.waitsFor,
        actives.map((active) => (active ? 'near' : 'far')),
      );
      assert.equal(lines.length, 1);
      assert.match(
        lines[0] ?? '',
        new RegExp(`^${level} Nothing more is published before .*"near" \\(connected, 16 by`),
      );
      assert.equal(lines[0]?.includes('take it out of synchronized_standby_slots and STANDBY_SLOTS'), level === 'warn');
    }
    const { lines } = await answered(outcome({ stopped: 'waiting-for-replay' }));
    assert.deepEqual(lines, []);
  });

  it('has the position where the next run may go on', async () => {
    assert.deepEqual((await answered(outcome(), positionAt(3))).answer.resume, positionAt(3));
  });
});
