/**
 * How the demo invokes its function: as the schedule does, only more often, with a kill now and then, and at the end until all
 * is published. Knows no writer and no reader.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { LocalFunction } from './function.ts';
import { type KillableFunction, KilledError } from './killable-function.ts';
import type { Screen } from './screen.ts';
import type { Runs } from './summary.ts';

/** What the schedule sends. */
const SCHEDULED_RUN = { action: 'run', maxSeconds: 50 } as const;
/** What is sent while a snapshot is under way: it is given all of the run's time. */
const SNAPSHOT_RUN = { action: 'snapshot', maxSeconds: 50 } as const;
/** Of so many invocations one is killed, the first among them. */
const KILL_EVERY = 3;
/** What is sent at the end. */
const DRAIN = { action: 'drain', maxSeconds: 50 } as const;
/** Failures in a row after which the demo gives up; the schedule would go on. */
const MAX_FAILURES = 3;
/** Drains in a row that may end before they have caught up. */
const MAX_DRAINS = 20;

/** What is invoked, and how. */
interface Schedule {
  readonly lambda: KillableFunction;
  readonly runs: Runs;
  readonly everyMs: number;
  readonly screen: Screen;
  readonly stop: AbortSignal;
  /** Whether a snapshot is under way at first. */
  readonly hasSnapshot: boolean;
  readonly kills: boolean;
}

/** Invokes the function as the schedule does, only more often, and one invocation after the other. Kills some of them. */
export async function invokeOnSchedule({
  lambda,
  runs,
  everyMs,
  screen,
  stop,
  hasSnapshot,
  kills,
}: Schedule): Promise<void> {
  let failures = 0;
  let invocations = 0;
  let isReading = hasSnapshot;
  await repeat(everyMs, stop, async () => {
    const isKilled = kills && ++invocations % KILL_EVERY === 1;
    const timer = isKilled ? setTimeout(() => void lambda.kill(), killAfterMs()) : undefined;
    try {
      const answer = count(runs, await lambda.invoke(isReading ? SNAPSHOT_RUN : SCHEDULED_RUN));
      failures = 0;
      // A run that found the slot locked does not know.
      if (isReading && answer.stopped !== 'locked' && answer.snapshot?.done !== false) {
        isReading = false;
        screen.line('The snapshot is over. Changes go on.');
      }
    } catch (error) {
      if (error instanceof KilledError) {
        runs.killed++;
        screen.line(
          `The function was killed${isReading ? ' while it read rows' : ' in mid-run'}. The next one goes on.`,
        );
        return;
      }
      runs.failed++;
      screen.line(`The function failed. ${describe(error)}`);
      if (++failures === MAX_FAILURES)
        throw new Error(`The function has failed ${failures} times in a row; the demo has ended.`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  });
}

/** Somewhere in a run, or before it has begun. */
function killAfterMs(): number {
  return 200 + Math.random() * 800;
}

/** Publishes all that was committed, and all rows that a snapshot was asked for. */
export async function drain(lambda: LocalFunction, runs: Runs, screen: Screen): Promise<void> {
  for (let i = 0; i < MAX_DRAINS; i++) {
    try {
      const { caughtUp, snapshot } = count(runs, await lambda.invoke(DRAIN));
      if (caughtUp && snapshot?.done !== false) return;
    } catch (error) {
      // The demo was interrupted.
      if (error instanceof KilledError) return;
      runs.failed++;
      screen.line(`The function failed. ${describe(error)}`);
    }
    // One that was killed a moment ago may still hold the slot's lock.
    await wait(250);
  }
  screen.line(`The function has not caught up in ${MAX_DRAINS} runs.`);
}

/** Adds an answer to what the function said before. */
function count(runs: Runs, answer: unknown): RunAnswer {
  const run = answer as RunAnswer;
  runs.answered++;
  runs.published += run.published;
  runs.noPrimaryKey += run.skipped.noPrimaryKey;
  runs.filtered += run.skipped.filtered;
  runs.kinesisRecords += run.kinesisRecords;
  runs.bytes += run.bytes;
  return run;
}

/** Does something again and again, with a pause after each time. */
export async function repeat(everyMs: number, stop: AbortSignal, action: () => Promise<void>): Promise<void> {
  while (!stop.aborted) {
    await action();
    await wait(everyMs, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** @param error - anything caught @returns its words */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
