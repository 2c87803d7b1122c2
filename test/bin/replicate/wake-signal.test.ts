/** What two loops of a replica wake each other by. */
import { describe, it } from 'node:test';
import { Signal } from '../../../bin/replicate/wake-signal.ts';

/** Longer than any test may take. */
const LONG_MS = 600_000;

describe('a signal', () => {
  it('ends all waits that are under way', async () => {
    const signal = new Signal();
    const waits = [signal.wait(LONG_MS), signal.wait(LONG_MS)];
    signal.send();
    await Promise.all(waits);
  });

  it('ends the next wait at once where nobody waits', async () => {
    const signal = new Signal();
    signal.send();
    await signal.wait(LONG_MS);
  });

  it('keeps nothing of waits that ended by themselves: an idle replica waits four times a second', async () => {
    const signal = new Signal();
    for (let i = 0; i < 3; i++) await signal.wait(1);
    signal.send();
    await signal.wait(LONG_MS);
  });
});
