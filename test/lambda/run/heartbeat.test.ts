/** A long run is healthy each minute in which it makes progress, and in no other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Heartbeat } from '../../../lambda/run/heartbeat.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

describe('a heartbeat', () => {
  it('tells of each minute with progress, of none without', () => {
    const clock = new TestClock();
    const recorder = new Recorder();
    const heartbeat = new Heartbeat(clock, recorder);
    const told = (records: number, afterMs: number): number => {
      clock.time += afterMs;
      const before = recorder.flushes;
      heartbeat.beat(records);
      return recorder.flushes - before;
    };
    assert.deepEqual([told(5, 59_999), told(5, 1), told(9, 59_999)], [0, 1, 0]);
    assert.deepEqual([told(9, 1), told(9, 60_000), told(9, 60_000)], [1, 0, 0]);
    assert.equal(told(10, 60_000), 1);
    assert.deepEqual(recorder.values.slice(-2), [
      ['RunHealthy', 1],
      ['Stalled', 0],
    ]);
  });
});
