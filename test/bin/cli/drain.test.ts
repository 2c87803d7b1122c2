/** A drain as it is shown: share, rate and time left by what was seen, lines without a terminal, events, and the bar. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDisplay, describeState, type DrainState } from '../../../bin/cli/drain/display.ts';
import { drain } from '../../../bin/cli/drain/drain.ts';
import { ProgressMeter } from '../../../bin/cli/drain/progress-meter.ts';
import type { Target } from '../../../bin/cli/targets/target.ts';
import type { Answer } from '../../../lambda/actions/actions.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { memoryLog } from '../../lambda/kinesis/publisher-fixtures.ts';

const STATE: DrainState = {
  reading: { doneBytes: 512, totalBytes: 2048, bytesPerSecond: 128, secondsLeft: 12 },
  published: 3000,
  publishedIsOld: false,
  throttledEntries: 0,
  seconds: 4,
  invocation: 1,
};

describe('how far a drain is', () => {
  it('follows the slot: share, rate of the last minute, time left', () => {
    const meter = new ProgressMeter();
    assert.equal(meter.read(), undefined);
    meter.add({ at: 0, position: 1000n, flush: 11_000n });
    assert.deepEqual(meter.read(), {
      doneBytes: 0,
      totalBytes: 10_000,
      bytesPerSecond: undefined,
      secondsLeft: undefined,
    });
    meter.add({ at: 10_000, position: 3000n, flush: 11_000n });
    assert.deepEqual(meter.read(), { doneBytes: 2000, totalBytes: 10_000, bytesPerSecond: 200, secondsLeft: 40 });
    meter.add({ at: 100_000, position: 3000n, flush: 11_000n });
    meter.add({ at: 170_000, position: 3000n, flush: 11_000n });
    assert.equal(meter.read()?.bytesPerSecond, 0, 'what was fast long ago is not fast now');
    assert.equal(meter.read()?.secondsLeft, undefined);
  });

  it('counts what is written meanwhile: the share grows with it, and the time left is that of both', () => {
    const meter = new ProgressMeter();
    meter.add({ at: 0, position: 0n, flush: 1000n });
    meter.add({ at: 10_000, position: 1000n, flush: 1500n });
    assert.deepEqual(meter.read(), { doneBytes: 1000, totalBytes: 1500, bytesPerSecond: 100, secondsLeft: 10 });
    meter.add({ at: 20_000, position: 1500n, flush: 4000n });
    assert.equal(meter.read()?.secondsLeft, undefined, 'it falls behind');
  });
});

describe('a drain is shown', () => {
  const outputs = (isTTY: boolean) => {
    let [out, err] = ['', ''];
    const stream = (add: (text: string) => void) => ({ write: add, isTTY });
    return {
      terminal: { stdout: stream((text) => (out += text)), stderr: stream((text) => (err += text)) },
      written: () => ({ out, err }),
    };
  };

  it('in words: share, changes, speed and time left', () => {
    assert.equal(describeState(STATE), '25 % of 2.0 KiB, 3,000 changes (750/s), 128 bytes/s, 12 s left');
    assert.match(
      describeState({ ...STATE, throttledEntries: 7, invocation: 2 }),
      /, 7 refused: the stream is too small, invocation 2$/,
    );
    assert.match(describeState({ ...STATE, publishedIsOld: true }), /3,000 changes by the invocations before/);
    assert.match(describeState({ ...STATE, reading: undefined }), /^waiting for the first look/);
  });

  it('as a line every 10 s where there is no terminal', () => {
    const { terminal, written } = outputs(false);
    const display = createDisplay(terminal, false);
    display.show(STATE);
    assert.equal(display.everyMs, 10_000);
    assert.deepEqual(written(), { out: '', err: `${describeState(STATE)}\n` });
  });

  it('as events with --json', () => {
    const { terminal, written } = outputs(false);
    createDisplay(terminal, true).show(STATE);
    assert.deepEqual(JSON.parse(written().out), {
      event: 'progress',
      seconds: 4,
      invocation: 1,
      doneBytes: 512,
      totalBytes: 2048,
      bytesPerSecond: 128,
      secondsLeft: 12,
      published: 3000,
      throttledEntries: 0,
    });
    assert.equal(written().err, '');
  });
});

describe('a drain that is watched', () => {
  /** A clock whose sleeps end at once, in the order of their ends. */
  const fakeClock = (): Clock => {
    let now = 0;
    return {
      now: () => now,
      sleep: async (ms) => {
        await new Promise((resolve) => setImmediate(resolve));
        now += ms;
      },
      random: () => 0,
    };
  };
  const run = (over: object): Answer =>
    ({ action: 'drain', slot: 's', batches: 1, ...noCounts(), throttledEntries: 0, durationMs: 1, ...over }) as Answer;

  it('ends with its last look, and names where it stood when it failed', async () => {
    const log = memoryLog();
    const target: Target = {
      name: 's',
      log,
      deployed: false,
      progress: () => ({ published: 4, throttledEntries: 0 }),
      invoke: async ({ action }) => {
        if (action === 'status')
          return { action, slotState: 'ok', confirmedFlushLsn: '0/10', flushLsn: '0/20' } as unknown as Answer;
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error('it broke');
      },
    };
    let err = '';
    const terminal = {
      env: {},
      stdout: { write: () => undefined },
      stderr: { write: (text: string) => (err += text) },
      on: () => undefined,
      off: () => undefined,
      exit: () => undefined,
    };
    const parts = {
      target,
      terminal,
      clock: fakeClock(),
      stop: new AbortController().signal,
      json: false,
      maxSeconds: 900,
    };
    await assert.rejects(drain({ action: 'drain' }, parts), /it broke/);
    assert.match(JSON.stringify(log.lines), /Where the drain was: 0 % of 16 bytes, 4 changes/);
    assert.match(err, /0 % of 16 bytes/);
  });

  it('does not begin another invocation after its time', async () => {
    const clock = fakeClock();
    let drains = 0;
    const target: Target = {
      name: 'f',
      log: memoryLog(),
      deployed: true,
      invoke: async ({ action, maxSeconds }) => {
        if (action === 'status') throw new Error('not now');
        drains++;
        assert.equal(maxSeconds, drains === 1 ? undefined : 100);
        await clock.sleep(900_000);
        return run({ caughtUp: false, stopped: 'deadline', published: 2 });
      },
    };
    const terminal = {
      env: {},
      stdout: { write: () => undefined },
      stderr: { write: () => undefined },
      on: () => undefined,
      off: () => undefined,
      exit: () => undefined,
    };
    // Only the invocations take time here.
    const still: Clock = { ...clock, sleep: (ms, signal) => (ms >= 900_000 ? clock.sleep(ms) : pause(signal)) };
    const answer = await drain(
      { action: 'drain' },
      { target, terminal, clock: still, stop: new AbortController().signal, json: false, maxSeconds: 1000 },
    );
    assert.equal(drains, 2);
    assert.equal(answer.published, 4);
  });
});

/** Ends when it is told to. */
function pause(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
}
