/**
 * The real clock. Tests have clocks of their own.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from './ports/runtime.ts';

/** The machine's time, waiting and random numbers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  async sleep(ms, signal) {
    try {
      await wait(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      // The wait's end by its signal is no error here.
      if (signal?.aborted !== true) throw error;
    }
  },
};
