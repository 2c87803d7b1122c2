/** What is said of a wait that takes long, and that nothing is said of one that does not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../lambda/ports/runtime.ts';
import { withNotice } from '../../lambda/slow-notice.ts';
import { memoryLog } from './kinesis/publisher-fixtures.ts';

/** A clock that stands still until it is told to go on: each call ends the sleep that is under way. */
function steppedClock(): Clock & { readonly step: () => Promise<void> } {
  let now = 0;
  let wake: (() => void) | undefined;
  return {
    now: () => now,
    random: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        signal?.addEventListener('abort', () => resolve());
        wake = () => {
          now += ms;
          resolve();
        };
      }),
    step: async () => {
      wake?.();
      await new Promise(setImmediate);
    },
  };
}

/** A promise to be kept later. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let keep: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (keep = resolve));
  return { promise, resolve: (value) => keep(value) };
}

describe('withNotice', () => {
  it('says what is waited for after 3 s, and again later, and no more once it is over', async () => {
    const [clock, log] = [steppedClock(), memoryLog()];
    const { promise, resolve } = deferred<string>();
    const result = withNotice({ clock, log }, () => 'Waiting for somebody, up to 60 s', promise);
    await clock.step();
    await clock.step();
    resolve('done');
    assert.equal(await result, 'done');
    await clock.step();
    assert.deepEqual(log.lines, [
      'info Waiting for somebody, up to 60 s; 3 s so far. {}',
      'info Waiting for somebody, up to 60 s; 18 s so far. {}',
    ]);
  });

  it('says nothing of what is quick, and passes on what fails', async () => {
    const [clock, log] = [steppedClock(), memoryLog()];
    const failing = withNotice({ clock, log }, () => 'Waiting', Promise.reject(new Error('no')));
    await assert.rejects(failing, /no/);
    await clock.step();
    assert.deepEqual(log.lines, []);
  });

  it('goes on where it cannot be said what is waited for', async () => {
    const [clock, log] = [steppedClock(), memoryLog()];
    const { promise, resolve } = deferred<number>();
    const result = withNotice({ clock, log }, () => Promise.reject(new Error('unknown')), promise);
    await clock.step();
    resolve(1);
    assert.equal(await result, 1);
  });
});
