/** How a lingering run waits: how often it looks at the WAL, what share of the server it takes, and what ends the wait. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Heartbeat } from '../../../lambda/run/heartbeat.ts';
import { hasNothingToRead, Linger } from '../../../lambda/run/linger.ts';
import { CountReporter } from '../../../lambda/run/run-metrics.ts';
import type { StopReason } from '../../../lambda/run/stop-reason.ts';
import { TimedSlot } from '../../../lambda/run/timed-slot.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { FakeSlot } from '../../support/fake-slot.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

/** A run that has read everything. */
function lingering(dutyPercent = 10) {
  const clock = new TestClock();
  const begun = clock.time;
  const recorder = new Recorder();
  const fake = new FakeSlot();
  const slot = new TimedSlot(fake, clock);
  const control = { awaited: false, hasTime: true, due: false, catalogMs: 0, position: fake.flushed };
  const stop = new AbortController();
  let onSleep: () => void = () => undefined;
  const sleep = clock.sleep.bind(clock);
  clock.sleep = async (ms, signal) => {
    assert.equal(signal, stop.signal, 'a stop ends each pause');
    await sleep(ms, signal);
    onSleep();
  };
  const linger = new Linger({
    slot,
    clock,
    log: recorder,
    metrics: recorder,
    dutyPercent,
    stop: stop.signal,
    hasTime: () => control.hasTime,
    isAwaited: () => control.awaited,
    isDue: () => control.due,
    state: () => ({
      counts: { ...noCounts(), throttledEntries: 0 },
      position: control.position,
      catalogMs: control.catalogMs,
      oldestUnpublishedMicros: undefined,
      standbys: '',
    }),
    reporter: new CountReporter(recorder),
    heartbeat: new Heartbeat(clock, recorder),
  });
  /** Ends the wait by something that is written after so many pauses. */
  const wait = async (pauses: number, stopped: StopReason = 'caught-up') => {
    clock.slept.length = 0;
    let left = pauses;
    onSleep = () => {
      if (--left === 0) fake.idleWal(8n);
    };
    const ended = await linger.wait(stopped);
    control.position = fake.flushed;
    return ended;
  };
  return {
    linger,
    wait,
    clock,
    slot,
    fake,
    control,
    recorder,
    stop,
    begun,
    onSleep: (then: () => void) => (onSleep = then),
  };
}

describe('a wait', () => {
  it('looks again at once, then after a tenth of a second, and half as long again each time up to four tenths', async () => {
    const { wait, clock } = lingering();
    assert.equal(await wait(8), 'moved');
    assert.deepEqual(clock.slept, [0, 100, 150, 225, 337.5, 400, 400, 400]);
    assert.equal(await wait(2), 'moved');
    assert.deepEqual(clock.slept, [0, 100], 'each wait begins anew');
  });

  it('is as long as that at once where something could not be read a moment ago', async () => {
    const { wait, clock } = lingering();
    assert.equal(await wait(2, 'commit-pending'), 'moved');
    assert.deepEqual(clock.slept, [400, 400]);
  });

  it('ends where somebody waits for the slot, before anything else', async () => {
    const { linger, control, clock } = lingering();
    Object.assign(control, { awaited: true, hasTime: false, due: true });
    assert.equal(await linger.wait('caught-up'), 'awaited');
    assert.deepEqual(clock.slept, []);
  });

  it('ends where the time is over', async () => {
    const { linger, control, clock } = lingering();
    control.hasTime = false;
    assert.equal(await linger.wait('caught-up'), 'over');
    assert.deepEqual(clock.slept, []);
  });

  it('ends where the time is over behind a pause, though more was written meanwhile: no batch of it would begin', async () => {
    const { linger, control, clock, fake, onSleep } = lingering();
    onSleep(() => {
      control.hasTime = false;
      fake.idleWal(8n);
    });
    assert.equal(await linger.wait('waiting-for-standby'), 'over');
    assert.deepEqual(clock.slept, [400]);
  });

  it('ends where something is due though nothing was written, without a look at the WAL', async () => {
    const { linger, control, slot, clock } = lingering();
    control.due = true;
    slot.flushLsn = () => Promise.reject(new Error('it looked'));
    assert.equal(await linger.wait('caught-up'), 'moved');
    assert.deepEqual(clock.slept, [0]);
  });
});

describe("the server's share", () => {
  it('is kept: after work of a tenth of a second it rests nine', async () => {
    const { linger, wait, clock, slot, control, fake } = lingering();
    assert.equal(await wait(1), 'moved');
    // A round of work: the peek takes 100 ms.
    const begun = clock.time;
    slot.busyMs += 100;
    clock.time += 100;
    clock.slept.length = 0;
    fake.idleWal(8n);
    assert.equal(await linger.wait('caught-up'), 'moved');
    assert.equal(clock.time - begun, 1_000);
    assert.deepEqual(clock.slept, [400, 400, 100], 'in pauses of 400 ms at most, so that it hears of who waits');
    control.position = fake.flushed;
    assert.equal(slot.busyMs, 0, 'the next round counts from its beginning');
  });

  it('counts the catalogs, too, once', async () => {
    const { linger, wait, clock, slot, control, fake } = lingering(50);
    await wait(1);
    const begun = clock.time;
    control.catalogMs = 200;
    fake.idleWal(8n);
    assert.equal(await linger.wait('caught-up'), 'moved');
    assert.equal(clock.time - begun, 400);
    control.position = fake.flushed;
    fake.idleWal(8n);
    const again = clock.time;
    assert.equal(await linger.wait('caught-up'), 'moved');
    assert.equal(clock.time - again, 0);
    assert.equal(slot.busyMs, 0);
  });

  it('may be all of a core: then it never rests', async () => {
    const { linger, wait, clock, slot, fake } = lingering(100);
    await wait(1);
    slot.busyMs += 5_000;
    clock.time += 5_000;
    fake.idleWal(8n);
    clock.slept.length = 0;
    assert.equal(await linger.wait('caught-up'), 'moved');
    assert.deepEqual(clock.slept, [0]);
  });

  it('is told once where it makes the run slow, with the transaction that is to blame', async () => {
    const { linger, wait, clock, slot, recorder, fake, control } = lingering();
    await wait(1);
    for (let round = 0; round < 2; round++) {
      slot.busyMs += 300;
      slot.slowestPeekMs = 299.6;
      clock.time += 300;
      fake.idleWal(8n);
      assert.equal(await linger.wait('caught-up'), 'moved');
      control.position = fake.flushed;
    }
    assert.deepEqual(recorder.lines, [
      'warn Lingering slowly: a peek took 300 ms, most often because it reads again what was written since the oldest open transaction began. LINGER_DUTY gives it 10% of a core, so the next one is due in 3 s. The oldest open transaction is backend 4711 (user app).',
    ]);
  });

  it('is told without one where there is none', async () => {
    const { linger, wait, clock, slot, recorder, fake } = lingering();
    await wait(1);
    slot.oldestTransaction = () => Promise.resolve(undefined);
    slot.busyMs += 300;
    clock.time += 300;
    fake.idleWal(8n);
    await linger.wait('caught-up');
    assert.match(recorder.lines[0] ?? '', /the next one is due in 3 s\.$/);
  });

  it('is no news where the pause is short', async () => {
    const { linger, wait, clock, slot, recorder, fake } = lingering();
    await wait(1);
    slot.busyMs += 200;
    clock.time += 200;
    fake.idleWal(8n);
    await linger.wait('caught-up');
    assert.deepEqual(recorder.lines, []);
  });
});

describe('a run that lingers', () => {
  it('stays where there is nothing to read, and goes for any other reason', () => {
    const stays: readonly StopReason[] = ['caught-up', 'commit-pending', 'waiting-for-standby', 'waiting-for-replay'];
    for (const reason of stays) assert.equal(hasNothingToRead(reason), true, reason);
    const goes: readonly StopReason[] = [
      'deadline',
      'interrupted',
      'max-batches',
      'locked',
      'throttled',
      'handed-over',
    ];
    for (const reason of goes) assert.equal(hasNothingToRead(reason), false, reason);
  });

  it('measures its slot, and nothing else of its session', () => {
    const { linger, slot } = lingering();
    const session = { tookOver: true } as never;
    assert.deepEqual(linger.withTimedSlot(session), { tookOver: true, slot });
  });
});
