/** I6: how long a run that took the lock from another waits for the last request of that one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { awaitLastHolder } from '../../../lambda/run/in-flight-grace.ts';
import { TestClock } from '../../support/run-kit.ts';

for (const [what, over, slept, isCutShort] of [
  ['nothing where it took the lock from nobody', { tookOver: false }, [], false],
  ['the whole time where the other was ended just now', {}, [12_000], false],
  ['what is left of it where that was a while ago', { tookOverMs: -5_000 }, [7_000], false],
  ['nothing where that was long ago', { tookOverMs: -60_000 }, [0], false],
  ['no longer than it has time itself, and then sends nothing', { leftMs: 4_000 }, [4_000], true],
  ['exactly as long as it has time itself', { leftMs: 12_000 }, [12_000], false],
  ['not at all where its time is over', { leftMs: -1 }, [0], true],
] as const)
  it(`waits for ${what}`, async () => {
    const clock = new TestClock();
    const { tookOver, tookOverMs, leftMs }: { tookOver?: boolean; tookOverMs?: number; leftMs?: number } = over;
    const cut = await awaitLastHolder({
      session: {
        tookOver: tookOver ?? true,
        ...(tookOverMs === undefined ? {} : { tookOverAt: clock.time + tookOverMs }),
      },
      clock,
      graceMs: 12_000,
      readingDeadline: clock.time + (leftMs ?? 47_500),
    });
    assert.deepEqual([clock.slept, cut], [slept, isCutShort]);
  });
