/** What a lingering run says each minute: what a run of its own would have said at its end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Heartbeat } from '../../../lambda/run/heartbeat.ts';
import { LingerReport, type LingerState } from '../../../lambda/run/linger-report.ts';
import { CountReporter } from '../../../lambda/run/run-metrics.ts';
import { TimedSlot } from '../../../lambda/run/timed-slot.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { FakeSlot } from '../../support/fake-slot.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

const MINUTE = 60_000;

function reporting() {
  const clock = new TestClock();
  const recorder = new Recorder();
  const fake = new FakeSlot();
  const slot = new TimedSlot(fake, clock);
  const heartbeat = new Heartbeat(clock, recorder, MINUTE);
  const ports = { slot, clock, log: recorder, metrics: recorder, reporter: new CountReporter(recorder), heartbeat };
  const report = new LingerReport(ports);
  const state: { -readonly [K in keyof LingerState]: LingerState[K] } = {
    counts: { ...noCounts(), throttledEntries: 0 },
    position: fake.flushed,
    catalogMs: 0,
    oldestUnpublishedMicros: undefined,
    standbys: '"phys" (connected, 10 bytes behind)',
  };
  /** What is told after so long. */
  const after = async (
    ms: number,
    stopped: Parameters<LingerReport['report']>[1] = 'caught-up',
  ): Promise<Record<string, number>> => {
    clock.time += ms;
    recorder.values.length = 0;
    await report.report(state, stopped);
    return Object.fromEntries(recorder.values);
  };
  return { clock, recorder, fake, slot, heartbeat, state, after };
}

describe('a lingering run', () => {
  it('says nothing before a minute is over, then once, and nothing before the next is', async () => {
    const { recorder, after } = reporting();
    assert.deepEqual(await after(MINUTE - 1), {});
    assert.equal(recorder.flushes, 0);
    assert.equal((await after(1))['RunHealthy'], 1);
    assert.equal(recorder.flushes, 1);
    assert.deepEqual(await after(MINUTE - 1), {});
    assert.equal((await after(1))['RunHealthy'], 1);
    assert.equal(recorder.flushes, 2);
  });

  it('has no lag where it is caught up, whatever was written since', async () => {
    const { fake, state, after } = reporting();
    state.oldestUnpublishedMicros = 1n;
    fake.idleWal(500n);
    const { Stalled, LagBytes, LagSeconds, RetainedWalBytes } = await after(MINUTE);
    assert.deepEqual([Stalled, LagBytes, LagSeconds, RetainedWalBytes], [0, 0, 0, 500]);
  });

  it('has as lag what is written and not published, and the age of the first of it', async () => {
    const { clock, fake, state, after } = reporting();
    fake.idleWal(500n);
    state.oldestUnpublishedMicros = BigInt(clock.time) * 1000n;
    const { LagBytes, LagSeconds } = await after(MINUTE, 'commit-pending');
    assert.deepEqual([LagBytes, LagSeconds], [500, 60]);
  });

  it('leaves the age out where it is not known', async () => {
    const { fake, after } = reporting();
    fake.idleWal(500n);
    assert.equal('LagSeconds' in (await after(MINUTE, 'commit-pending')), false);
  });

  it('is never behind by less than nothing', async () => {
    const { fake, state, after } = reporting();
    state.position = fake.flushed + 10n;
    const { LagBytes, LagSeconds } = await after(MINUTE, 'waiting-for-replay');
    assert.deepEqual([LagBytes, LagSeconds], [0, 0]);
  });

  it('I9: is stalled in a minute in which it neither published nor moved the slot, and something is left', async () => {
    const { fake, state, after } = reporting();
    fake.idleWal(500n);
    const told = async (): Promise<unknown> => {
      const { RunHealthy, Stalled } = await after(MINUTE, 'waiting-for-standby');
      return [RunHealthy, Stalled];
    };
    const [healthy, stalled] = [
      [1, 0],
      [undefined, 1],
    ];
    assert.deepEqual(await told(), healthy, 'in the first minute it came where it is');
    assert.deepEqual(await told(), stalled);
    state.position += 1n;
    assert.deepEqual(await told(), healthy, 'the slot moved');
    assert.deepEqual(await told(), stalled);
    state.counts = { ...state.counts, kinesisRecords: 1 };
    assert.deepEqual(await told(), healthy, 'records were published');
    assert.deepEqual(await told(), stalled);
  });

  it('I9: tells each count once', async () => {
    const { state, after } = reporting();
    state.counts = { ...state.counts, published: 5, throttledEntries: 2 };
    const first = await after(MINUTE);
    assert.deepEqual([first['ChangesPublished'], first['ThrottledEntries']], [5, 2]);
    state.counts = { ...state.counts, published: 7, throttledEntries: 2 };
    const second = await after(MINUTE);
    assert.deepEqual([second['ChangesPublished'], second['ThrottledEntries']], [2, 0]);
  });

  it('tells the slowest peek of the minute, where there was one', async () => {
    const { slot, after } = reporting();
    slot.slowestPeekMs = 321;
    assert.equal((await after(MINUTE))['PeekMs'], 321);
    assert.equal('PeekMs' in (await after(MINUTE)), false);
  });

  it('names the standbys that it waits for, in the log and as a metric, and no others', async () => {
    const { recorder, after } = reporting();
    assert.equal((await after(MINUTE, 'waiting-for-standby'))['WaitingForStandby'], 1);
    assert.deepEqual(recorder.lines, [
      'warn Nothing more is published before these standbys have confirmed it: "phys" (connected, 10 bytes behind).',
    ]);
    assert.equal('WaitingForStandby' in (await after(MINUTE, 'waiting-for-replay')), false);
    assert.equal(recorder.lines.length, 1);
  });

  it('tells a minute once: the heartbeat has nothing to say of it', async () => {
    const { clock, recorder, heartbeat, state, after } = reporting();
    state.counts = { ...state.counts, records: 3 };
    await after(MINUTE);
    recorder.values.length = 0;
    heartbeat.beat(9);
    assert.deepEqual(recorder.values, []);
    clock.time += MINUTE;
    heartbeat.beat(3);
    assert.deepEqual(recorder.values, [], 'nothing was published since the report');
    clock.time += MINUTE;
    heartbeat.beat(4);
    assert.equal(recorder.values.length, 2);
  });
});
