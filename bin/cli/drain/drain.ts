/**
 * `drain` at a terminal: invokes, looks at the slot meanwhile and shows how far it is, and goes on with another invocation
 * where a function's 15 minutes were not enough.
 */
import { parseLsn } from '../../../lambda/decode/lsn.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import type { Payload, Target } from '../targets/target.ts';
import { LAMBDA_SECONDS, type Terminal } from '../terminal.ts';
import { createDisplay, describeState, type DrainState } from './display.ts';
import { ProgressMeter } from './progress-meter.ts';
import { addAnswers } from './totals.ts';

/** What a drain works with. */
export interface DrainParts {
  readonly target: Target;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly stop: AbortSignal;
  /** Whether progress is given as lines of JSON. */
  readonly json: boolean;
  /** How long all invocations together may take, in seconds. */
  readonly maxSeconds: number;
}

/** How often the slot is polled, in milliseconds. Of a deployed function each poll is an invocation. */
const POLL_MS = { local: 1_000, deployed: 5_000 } as const;

/**
 * Drains until caught up, or until something ends it.
 *
 * @param payload - of a drain
 * @param parts - what it works with
 * @returns the answers of all invocations, as one
 * @throws {Error} what made an invocation fail; where it stood is logged before
 */
export async function drain(payload: Payload, parts: DrainParts): Promise<RunAnswer> {
  const { target, terminal, clock, stop, json, maxSeconds } = parts;
  const display = createDisplay(terminal, json);
  const meter = new ProgressMeter();
  const begun = clock.now();
  let total: RunAnswer | undefined;
  let invocation = 1;
  const state = (): DrainState => {
    const now = target.progress?.();
    return {
      reading: meter.read(),
      published: (total?.published ?? 0) + (now?.published ?? 0),
      publishedIsOld: target.deployed,
      throttledEntries: (total?.throttledEntries ?? 0) + (now?.throttledEntries ?? 0),
      seconds: (clock.now() - begun) / 1000,
      invocation,
    };
  };
  const over = new AbortController();
  const poll = async (): Promise<void> => {
    const seen = await target.invoke({ action: 'status', lagSeconds: false }).catch(() => undefined);
    if (seen === undefined || !('slotState' in seen)) return;
    const [position, flush] = [parseLsn(seen.confirmedFlushLsn ?? ''), parseLsn(seen.flushLsn)];
    if (position !== undefined && flush !== undefined) meter.add({ at: clock.now(), position, flush });
  };
  const repeat = async (everyMs: number, what: () => void | Promise<void>): Promise<void> => {
    while (!over.signal.aborted) {
      await what();
      await clock.sleep(everyMs, over.signal);
    }
  };
  // Before the drain begins: it is what the share is counted from.
  await poll();
  const watching = [
    repeat(target.deployed ? POLL_MS.deployed : POLL_MS.local, poll),
    repeat(display.everyMs, () => display.show(state())),
  ];
  try {
    for (; ; invocation++) {
      const left = maxSeconds - (clock.now() - begun) / 1000;
      const resume = total?.resume === undefined ? {} : { resume: total.resume };
      const answer = (await target.invoke({
        ...payload,
        ...resume,
        ...(target.deployed && left < LAMBDA_SECONDS ? { maxSeconds: Math.max(3, Math.floor(left)) } : {}),
      })) as RunAnswer;
      total = addAnswers(total, answer);
      if (!target.deployed || stop.aborted || !goesOn(answer)) return total;
      if (maxSeconds - (clock.now() - begun) / 1000 < 3) return total;
    }
  } catch (error) {
    display.clear();
    target.log.info(`Where the drain was: ${describeState(state())}.`);
    throw error;
  } finally {
    over.abort();
    // A poll that is under way is not waited for.
    await watching[1];
    display.clear();
  }
}

/** Whether another invocation can publish what this one left. */
function goesOn({ caughtUp, stopped }: RunAnswer): boolean {
  return !caughtUp && (stopped === 'deadline' || stopped === 'throttled');
}
