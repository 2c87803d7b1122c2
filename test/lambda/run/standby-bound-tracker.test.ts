/** How far a run may read while standbys are behind, how long it waits for them, and when that is all: over answers of a slot. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AwaitedStandby, StandbyBound } from '../../../lambda/ports/slot.ts';
import {
  describeStandbys,
  type ReadableRange,
  type StandbyBoundPorts,
  StandbyBoundTracker,
} from '../../../lambda/run/standby-bound-tracker.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

const standby = (said: Partial<AwaitedStandby> = {}): AwaitedStandby => ({
  name: 'phys',
  active: true,
  confirmed: 50n,
  behindBytes: 50,
  fault: undefined,
  ...said,
});
/** The WAL ends at 100, and may be read up to a bound. */
const look = (
  bound: bigint,
  awaited: readonly AwaitedStandby[] = [],
  absent: readonly string[] = [],
): StandbyBound => ({
  flush: 100n,
  bound,
  confirmedOnly: awaited.length > 0,
  awaited,
  absent,
});

/** A tracker whose looks have these answers, the last one for good. */
function track(answers: readonly StandbyBound[], said: Partial<StandbyBoundPorts> = {}, walEnd?: bigint) {
  const clock = new TestClock();
  const log = new Recorder();
  let looks = 0;
  const answer = (): StandbyBound => answers[Math.min(looks++, answers.length - 1)] ?? look(100n);
  const tracker = new StandbyBoundTracker({
    session: {
      server: { walEnd } as StandbyBoundPorts['session']['server'],
      connectedAt: clock.now(),
      slot: { standbyBound: () => Promise.resolve(answer()) },
    },
    clock,
    log,
    isDrain: false,
    hasTime: () => true,
    ...said,
  });
  const ask = async (position: bigint): Promise<string | readonly (bigint | undefined)[]> => {
    const reach: ReadableRange | string = await tracker.next(position);
    return typeof reach === 'string' ? reach : [reach.bound, reach.confirmed, reach.caughtUpAt];
  };
  return { tracker, clock, log, ask };
}

describe('a run without standbys', () => {
  it('may read to the end of the WAL, and is caught up there', async () => {
    const { tracker, ask } = track([look(100n)]);
    assert.deepEqual([await ask(99n), await ask(100n)], [[100n, undefined, 100n], 'caught-up']);
    assert.deepEqual([tracker.flush, tracker.awaited], [100n, []]);
  });

  it('is caught up where what comes next ends behind the bound, until that moves', async () => {
    const { tracker, ask } = track([look(100n), look(100n), { ...look(110n), flush: 110n }]);
    await ask(50n);
    tracker.exhaust(100n);
    assert.deepEqual([await ask(50n), await ask(50n)], ['caught-up', [110n, undefined, 110n]]);
  });
});

describe('a run with a standby that is behind', () => {
  const behind = look(50n, [standby()]);

  it('waits for what was there at its first look, in steps twice as long each, thirty milliseconds in all', async () => {
    const { clock, ask, tracker } = track([behind]);
    assert.equal(await ask(50n), 'waiting-for-standby');
    assert.deepEqual(clock.slept, [5, 10, 20]);
    assert.deepEqual(tracker.awaited, [standby()]);
    assert.equal(await ask(50n), 'waiting-for-standby');
    assert.equal(clock.slept.length, 3, 'and no more in that run');
    tracker.renew();
    await ask(50n);
    assert.deepEqual(clock.slept, [5, 10, 20, 5, 10, 20], 'but in the next');
    tracker.restart();
    await ask(50n);
    assert.deepEqual(clock.slept.slice(6), [40], 'what is written meanwhile is waited for, too, in longer steps');
  });

  it('counts that time from when its session was opened, where that told the end of the WAL', async () => {
    const { clock, ask } = track([behind], {}, 80n);
    clock.time += 30;
    assert.equal(await ask(50n), 'waiting-for-standby');
    assert.deepEqual(clock.slept, []);
    const early = track([behind], {}, 80n);
    early.clock.time += 29;
    await early.ask(50n);
    assert.deepEqual(early.clock.slept, [5]);
  });

  it('reads what the standby confirms meanwhile, and is caught up with what was there when it began', async () => {
    const { ask, clock } = track([behind, look(80n, [standby()])], {}, 80n);
    assert.deepEqual(await ask(50n), [80n, 80n, 80n]);
    assert.deepEqual(clock.slept, [5]);
    assert.equal(await ask(80n), 'caught-up');
    assert.equal(await track([behind], {}, 50n).ask(50n), 'caught-up');
    assert.deepEqual(await track([behind], {}, 50n).ask(49n), [50n, 50n, 50n]);
  });

  it('reads first what there is where the standby confirmed nothing since the last look, or is not connected', async () => {
    const stuck = track([behind]);
    assert.deepEqual(await stuck.ask(10n), [50n, 50n, 100n]);
    assert.deepEqual(stuck.clock.slept, [5], 'one more look tells');
    const moving = track([look(50n, [standby()]), look(60n, [standby()]), look(70n, [standby()])]);
    assert.deepEqual(await moving.ask(10n), [70n, 70n, 100n]);
    assert.deepEqual(moving.clock.slept, [5, 10, 20]);
    const away = track([look(50n, [standby(), standby({ active: false })])]);
    assert.deepEqual(await away.ask(10n), [50n, 50n, 100n]);
    assert.deepEqual(away.clock.slept, []);
  });

  it('waits no longer than it has time, and is woken by the stop signal', async () => {
    const { clock, ask } = track([behind], { hasTime: () => false });
    assert.equal(await ask(50n), 'waiting-for-standby');
    assert.deepEqual(clock.slept, []);
    let looks = 0;
    const stopped = track([behind], { stop: AbortSignal.abort(), hasTime: () => ++looks < 3 });
    assert.equal(await stopped.ask(50n), 'waiting-for-standby');
    assert.deepEqual(stopped.clock.slept, []);
  });

  it('waits a second in a drain, in steps of a fifth of it at most, where nothing is left to read', async () => {
    const { clock, ask } = track([look(50n, [standby({ active: false })])], { isDrain: true });
    assert.equal(await ask(50n), 'waiting-for-standby');
    assert.deepEqual(clock.slept, [5, 10, 20, 40, 80, 160, 200, 200, 200, 200]);
    const readable = track([look(50n, [standby({ active: false })])], { isDrain: true });
    assert.deepEqual(await readable.ask(10n), [50n, 50n, 100n]);
    assert.deepEqual(readable.clock.slept, []);
  });

  it('says so where it waits for the replay of a standby that it reads from itself', async () => {
    assert.equal(await track([look(50n)]).ask(50n), 'waiting-for-replay');
    assert.deepEqual(await track([look(50n)]).ask(10n), [50n, undefined, 100n]);
  });

  it('names once the slots that no standby uses', async () => {
    const { log, ask } = track([look(100n), look(100n, [], ['gone'])]);
    for (let i = 0; i < 3; i++) await ask(50n);
    assert.deepEqual(log.lines, [
      'warn STANDBY_SLOTS names slots that no standby uses on this server. Runs wait for the others only.',
    ]);
    assert.deepEqual(log.fieldsOf('STANDBY_SLOTS'), [{ absent: ['gone'] }]);
    const none = track([look(100n)]);
    await none.ask(50n);
    assert.deepEqual(none.log.lines, []);
  });
});

describe('standbys', () => {
  it('are described by what an operator looks for', () => {
    assert.equal(
      describeStandbys([
        standby({ behindBytes: 4_096 }),
        standby({ name: 'b', active: false, behindBytes: undefined }),
        standby({ name: 'c', fault: 'its slot is lost' }),
      ]),
      '"phys" (connected, 4096 bytes behind), "b" (not connected, unknown bytes behind), "c" (its slot is lost)',
    );
  });
});
