/**
 * `snapshot` at a terminal: invokes, shows how far it is, and goes on with another invocation where a function's 15 minutes
 * were not enough, until it is done or it is stopped. What is left then goes on with the next runs.
 */
import type { Clock } from '../../lambda/ports/runtime.ts';
import { printable } from '../../lambda/printable.ts';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { SnapshotAnswer } from '../../lambda/run/snapshot-answer.ts';
import { addAnswers } from './drain/totals.ts';
import { jsonLine } from './render/answer.ts';
import { describeSnapshot } from './render/snapshot.ts';
import type { Payload, Target } from './targets/target.ts';
import type { Terminal } from './terminal.ts';

/** What a snapshot works with. */
export interface SnapshotParts {
  readonly target: Target;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly stop: AbortSignal;
  /** Whether progress is given as lines of JSON. */
  readonly json: boolean;
}

/** A line or an event comes so often; on a terminal one line is written again and again. */
const LINE_MS = 10_000;
const TERMINAL_MS = 500;
/** Between two invocations: one that found another run at work ends at once, and each is paid for. */
export const PAUSE_MS = 5_000;

/**
 * @param payload - of a snapshot
 * @param parts - what it works with
 * @returns the answers of all invocations, as one
 */
export async function takeSnapshot(payload: Payload, parts: SnapshotParts): Promise<RunAnswer> {
  const { target, terminal, clock, stop, json } = parts;
  const begun = clock.now();
  const isLine = !json && terminal.stderr.isTTY === true;
  let last: SnapshotAnswer | undefined;
  let total: RunAnswer | undefined;
  const show = (): void => {
    last = target.progress?.()?.snapshot ?? last;
    if (last === undefined) return;
    const seconds = Math.max(1, (clock.now() - begun) / 1000);
    const perSecond = ((total?.snapshot?.rowsPublished ?? 0) + last.rowsPublished) / seconds;
    const text = printable(describeSnapshot(last, perSecond));
    if (json) terminal.stdout.write(jsonLine({ event: 'progress', ...last }));
    else terminal.stderr.write(isLine ? `\r\u001b[K${text}` : `${text}\n`);
  };
  const over = new AbortController();
  const showing = (async () => {
    while (!over.signal.aborted) {
      await clock.sleep(isLine ? TERMINAL_MS : LINE_MS, over.signal);
      show();
    }
  })();
  try {
    for (let next = payload; ; next = { action: 'snapshot' }) {
      const answer = (await target.invoke(next)) as RunAnswer;
      total = addAnswers(total, answer);
      if (!target.deployed || !goesOn(total)) return total;
      last = answer.snapshot ?? last;
      show();
      await clock.sleep(PAUSE_MS, stop);
      if (stop.aborted) return total;
    }
  } finally {
    over.abort();
    await showing;
    if (isLine) terminal.stderr.write('\r\u001b[K');
  }
}

/** Whether another invocation can publish what is left. */
function goesOn(answer: RunAnswer): boolean {
  if (answer.snapshot !== undefined) return isLeft(answer);
  return isLeft(answer) && (answer.stopped === 'deadline' || answer.stopped === 'throttled');
}

/**
 * Whether rows are left to be read, or may be: where invocations ended before they had read what was asked for, their answers say
 * nothing of a snapshot.
 *
 * @param answer - of all invocations
 */
export function isLeft({ snapshot, caughtUp }: RunAnswer): boolean {
  return snapshot === undefined ? !caughtUp : !snapshot.done;
}
