/** `snapshot` at a terminal: its progress, several invocations as one answer, and what a stop leaves. Over a target that answers as told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLeft, PAUSE_MS, takeSnapshot } from '../../../bin/cli/snapshot.ts';
import type { Payload, Target } from '../../../bin/cli/targets/target.ts';
import type { Terminal } from '../../../bin/cli/terminal.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import type { SnapshotAnswer } from '../../../lambda/run/snapshot-answer.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { memoryLog } from '../../lambda/kinesis/publisher-fixtures.ts';

const STATE: SnapshotAnswer = {
  id: 'a',
  done: false,
  table: 'public.t',
  tablesLeft: 2,
  rowsRead: 1_000,
  rowsPublished: 1_000,
};

const DONE: SnapshotAnswer = { id: 'a', done: true, tablesLeft: 0, rowsRead: 2_000, rowsPublished: 1_000 };

/** What an invocation answers of a snapshot; a reason to end: nothing. */
type Answered = SnapshotAnswer | RunAnswer['stopped'];

function answeredBy(answered: Answered | undefined): Partial<RunAnswer> {
  if (typeof answered === 'string') return { stopped: answered, caughtUp: answered === 'caught-up' };
  return answered === undefined ? {} : { snapshot: answered };
}

/** @param answers - of its invocations, in order */
function targetOf(deployed: boolean, answers: readonly Answered[], progress?: SnapshotAnswer) {
  const invoked: Payload[] = [];
  let release: () => void = () => undefined;
  const target = {
    deployed,
    log: memoryLog(),
    ...(progress === undefined ? {} : { progress: () => ({ published: 0, throttledEntries: 0, snapshot: progress }) }),
    invoke: async (payload: Payload) => {
      invoked.push(payload);
      // So that progress is shown before it ends.
      if (progress !== undefined) await new Promise<void>((resolve) => (release = resolve));
      return {
        action: 'snapshot',
        ...noCounts(),
        throttledEntries: 0,
        batches: 1,
        durationMs: 1_000,
        ...answeredBy(answers[invoked.length - 1]),
      } as unknown as RunAnswer;
    },
  } as unknown as Target;
  return { target, invoked, release: () => release() };
}

function terminalOf(isTTY: boolean) {
  const written = { out: '', err: '' };
  const terminal: Terminal = {
    env: {},
    on: () => undefined,
    off: () => undefined,
    exit: () => undefined,
    stdout: { write: (text: string) => (written.out += text), isTTY },
    stderr: { write: (text: string) => (written.err += text), isTTY },
  };
  return { terminal, written };
}

/** A clock whose sleeps end when they are told to, and at once when they are aborted. */
function clockOf(onSleep: (times: number) => void) {
  let now = 0;
  let times = 0;
  let pauses = 0;
  return {
    now: () => now,
    pauses: () => pauses,
    random: () => 0.5,
    sleep: async (ms: number, signal?: AbortSignal) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (ms === PAUSE_MS) pauses++;
      if (signal?.aborted === true) return;
      now += ms;
      if (ms === PAUSE_MS) return;
      if (++times <= 3) return;
      onSleep(times);
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    },
  };
}

describe('a snapshot at a terminal', () => {
  for (const [isTTY, json, expected] of [
    [false, false, /^public\.t, 1,000 rows read \(100\/s\), 2 tables left\n/],
    [true, false, /\r.\[Kpublic\.t, 1,000 rows read \(1,000\/s\), 2 tables left/],
    [false, true, /^\{"event":"progress","id":"a","done":false,"table":"public\.t",/],
  ] as const)
    it(`shows how far it is: ${isTTY ? 'one line again and again' : json ? 'events' : 'a line every ten seconds'}`, async () => {
      const { target, release } = targetOf(false, [{ ...STATE, done: true, tablesLeft: 0 }], STATE);
      const { terminal, written } = terminalOf(isTTY);
      const clock = clockOf(release);
      const answer = await takeSnapshot(
        { action: 'snapshot' },
        { target, terminal, clock, stop: new AbortController().signal, json },
      );
      assert.equal(answer.snapshot?.done, true);
      assert.match(json ? written.out : written.err, expected);
      assert.equal(json ? written.err : written.out, '');
    });

  it('takes one line whatever a table is called', async () => {
    const { target, release } = targetOf(false, [DONE], { ...STATE, table: 'public."a\n\u009b1A"' });
    const { terminal, written } = terminalOf(false);
    await takeSnapshot(
      { action: 'snapshot' },
      { target, terminal, clock: clockOf(release), stop: new AbortController().signal, json: false },
    );
    assert.match(written.err, /^(?:public\."a\\n\\u009b1A", 1,000 rows read .*\n)+$/);
  });

  it('invokes a function until it is done, and answers for all invocations', async () => {
    const gone = { table: 'public.u', why: 'it does not exist any more' };
    const answers = [
      { ...STATE, rowsLeftOut: 1, givenUp: [gone] },
      { ...STATE, rowsRead: 1_500, rowsPublished: 500, rowsLeftOut: 2, done: true, tablesLeft: 0 },
    ];
    const { target, invoked } = targetOf(true, answers);
    const { terminal } = terminalOf(false);
    const parts = {
      target,
      terminal,
      clock: clockOf(() => undefined),
      stop: new AbortController().signal,
      json: false,
    };
    const { snapshot } = await takeSnapshot({ action: 'snapshot', tables: ['public.t', 'public.u'] }, parts);
    assert.deepEqual(invoked, [{ action: 'snapshot', tables: ['public.t', 'public.u'] }, { action: 'snapshot' }]);
    assert.deepEqual(
      [snapshot?.rowsPublished, snapshot?.rowsRead, snapshot?.rowsLeftOut, snapshot?.givenUp],
      [1_500, 1_500, 3, [gone]],
    );
  });

  for (const [what, answers, invocations, left, rows] of [
    ['goes on where an invocation had no time to read what was asked for', ['deadline', DONE], 2, false, 1_000],
    ['goes on where what is left was asked for anew further on', [STATE, 'deadline', DONE], 3, false, 2_000],
    ['goes on where another run had the slot', [STATE, 'locked', DONE], 3, false, 2_000],
    ['ends where nothing is under way', ['caught-up', DONE], 1, false, undefined],
    ['ends where another run has ended it', [STATE, 'caught-up', DONE], 2, false, undefined],
    ['ends where nothing can be read, and does not say that it is done', ['waiting-for-standby'], 1, true, undefined],
  ] as const)
    it(what, async () => {
      const { target, invoked } = targetOf(true, answers);
      const clock = clockOf(() => undefined);
      const answer = await takeSnapshot(
        { action: 'snapshot', tables: ['public.t'] },
        { target, terminal: terminalOf(false).terminal, clock, stop: new AbortController().signal, json: false },
      );
      assert.deepEqual([invoked.length, clock.pauses()], [invocations, invocations - 1]);
      assert.deepEqual([isLeft(answer), answer.snapshot?.rowsPublished], [left, rows]);
    });

  it('does not invoke again once it is stopped', async () => {
    const { target, invoked } = targetOf(true, [STATE, STATE]);
    const parts = {
      target,
      terminal: terminalOf(false).terminal,
      clock: clockOf(() => undefined),
      stop: AbortSignal.abort(),
      json: false,
    };
    assert.equal((await takeSnapshot({ action: 'snapshot' }, parts)).snapshot?.done, false);
    assert.equal(invoked.length, 1);
  });

  it('does not invoke again where it is stopped in the pause before that', async () => {
    const { target, invoked } = targetOf(true, [STATE, STATE]);
    const stop = new AbortController();
    const clock = {
      ...clockOf(() => undefined),
      sleep: (ms: number, signal?: AbortSignal) => {
        if (ms === PAUSE_MS) stop.abort();
        return signal === stop.signal
          ? Promise.resolve()
          : new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
      },
    };
    const parts = { target, terminal: terminalOf(false).terminal, clock, stop: stop.signal, json: false };
    assert.equal((await takeSnapshot({ action: 'snapshot' }, parts)).snapshot?.done, false);
    assert.equal(invoked.length, 1);
  });
});
