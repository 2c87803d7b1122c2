/**
 * Invokes an action from a terminal: once, or again and again. The answer goes to the standard output, all else to the
 * standard error. Does not know whether the function runs here or is a deployed one.
 */
import type { Answer } from '../../lambda/actions/actions.ts';
import { systemClock } from '../../lambda/clock.ts';
import { PipelineError } from '../../lambda/errors.ts';
import type { Log } from '../../lambda/ports/runtime.ts';
import { causeFields, sanitizeError } from '../../lambda/telemetry/error-report.ts';
import { drain } from './drain/drain.ts';
import { exitStatusOf } from './error-output.ts';
import { onInterrupt } from './interrupt-handler.ts';
import { jsonLine, renderAnswer, statusOf } from './render/answer.ts';
import { isLeft, takeSnapshot } from './snapshot.ts';
import { createLocalTarget } from './targets/local.ts';
import type { Payload, Target } from './targets/target.ts';
import { EXIT, type InvokeOptions, LAMBDA_SECONDS, type Terminal, WEEK_SECONDS } from './terminal.ts';

/** Moves a terminal's cursor to its first place and clears what is below. */
const REDRAW = '\u001b[H\u001b[J';
/** The same the first time: what was on the screen scrolls away and is kept. */
const CLEAR = '\u001b[2J\u001b[H';

/**
 * Invokes an action.
 *
 * @param payload - as the function takes it
 * @param options - how often to invoke, and how to log
 * @param terminal - environment, output, signals
 * @returns the exit status; with `every`, that of the last invocation
 * @throws {PipelineError} what made a single invocation fail
 */
export async function invokeOnTerminal(payload: Payload, options: InvokeOptions, terminal: Terminal): Promise<number> {
  const stop = new AbortController();
  const target = await targetOf(payload, options, terminal, stop.signal);
  // Only a publishing action has something to finish, and what is repeated has an end.
  const publishes = payload.action === 'run' || payload.action === 'drain' || payload.action === 'snapshot';
  const release =
    publishes || options.every !== undefined
      ? onInterrupt(terminal, stop, publishes && !target.deployed ? () => target.log.info(STOPPING) : () => undefined)
      : () => undefined;
  try {
    if (payload.action === 'snapshot') return await snapshotOnTerminal(payload, options, target, terminal, stop.signal);
    if (payload.action === 'drain') return await drainOnTerminal(payload, options, target, terminal, stop.signal);
    if (options.every !== undefined) return await invokeRepeatedly(payload, options, target, terminal, stop.signal);
    const answer = await target.invoke(payload);
    const status = print(answer, options, terminal);
    warnOfResume(answer, target.log);
    return status;
  } finally {
    release();
  }
}

/** A deployed function, or the pipeline of this environment's settings. */
async function targetOf(
  payload: Payload,
  options: InvokeOptions,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<Target> {
  const { deployed, maxSeconds = LAMBDA_SECONDS } = options;
  if (deployed === undefined) return createLocalTarget(payload, options, terminal, stop);
  if (payload.action !== 'drain' && maxSeconds > LAMBDA_SECONDS) {
    throw new PipelineError('EVENT_INVALID', 'A function has 15 minutes. Nothing was done.', {
      remedy:
        'Leave --max-seconds out, or run the command where it reaches the database, without --function and --stack.',
    });
  }
  // The SDK's clients take a while to load.
  const { createDeployedTarget } = await import('./targets/deployed.ts');
  return await createDeployedTarget(deployed, options, terminal, stop);
}

/** A drain, with its progress. */
async function drainOnTerminal(
  payload: Payload,
  options: InvokeOptions,
  target: Target,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<number> {
  const { json = false, maxSeconds = target.deployed ? WEEK_SECONDS : LAMBDA_SECONDS } = options;
  const answer = await drain(payload, { target, terminal, clock: systemClock, stop, json, maxSeconds });
  printAfterProgress(answer, json, terminal, target.log);
  return statusOf(answer);
}

/** Prints the answer of an action that has shown its progress. */
function printAfterProgress(answer: Answer, json: boolean, terminal: Terminal, log: Log): void {
  if (json) terminal.stdout.write(jsonLine({ event: 'answer', ...answer }));
  else terminal.stdout.write(renderAnswer(answer, terminal, systemClock.now()));
  warnOfResume(answer, log);
}

/** A snapshot, with its progress. */
async function snapshotOnTerminal(
  payload: Payload,
  options: InvokeOptions,
  target: Target,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<number> {
  const { json = false } = options;
  const answer = await takeSnapshot(payload, { target, terminal, clock: systemClock, stop, json });
  printAfterProgress(answer, json, terminal, target.log);
  const isWhole = !isLeft(answer) && (answer.snapshot?.givenUp ?? []).length === 0;
  return isWhole ? EXIT.ok : EXIT.incomplete;
}

const STOPPING = 'Stopping: what is under way is finished first. Press Ctrl-C again to stop at once.';

/** Invokes until it is stopped. A failure is printed, and the next invocation tries again, as with the schedule. */
async function invokeRepeatedly(
  payload: Payload,
  options: InvokeOptions,
  target: Target,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<number> {
  const everyMs = (options.every ?? 0) * 1000;
  const redraws = options.redraw === true && options.json !== true && terminal.stdout.isTTY === true;
  let status: number = EXIT.ok;
  if (redraws) terminal.stdout.write(CLEAR);
  while (!stop.aborted) {
    const begun = systemClock.now();
    try {
      const answer = await target.invoke(payload);
      if (redraws) terminal.stdout.write(REDRAW);
      status = print(answer, options, terminal);
    } catch (error) {
      // It would fail in the same way every time.
      if (error instanceof PipelineError && error.code === 'CONFIG_INVALID') throw error;
      // With its time, as this goes on for long.
      const { name, message } = sanitizeError(error);
      const debugging = terminal.env['LOG_LEVEL']?.toUpperCase() === 'DEBUG';
      target.log.error(message, { code: name, ...(debugging ? causeFields(error) : {}) });
      status = exitStatusOf(error);
    }
    await systemClock.sleep(Math.max(0, begun + everyMs - systemClock.now()), stop);
  }
  return status;
}

/** What a run that ended inside a transaction leaves to the next, in a process that keeps nothing for it. */
function warnOfResume(answer: Answer, log: Log): void {
  if (!('resume' in answer)) return;
  const { commitLsn, ordinal } = answer.resume;
  log.warn(
    `It ended inside the transaction with commit LSN ${commitLsn}. Its first ${ordinal} records were published, and come again unless the next run is given --resume with the "resume" of this answer (--json prints it).`,
    { stopped: answer.stopped },
  );
}

/** Prints an answer. @returns the exit status */
function print(answer: Answer, { json, every }: InvokeOptions, terminal: Terminal): number {
  const now = systemClock.now();
  // Of many answers each says when it was given.
  const time = every === undefined || json === true ? '' : `${new Date(now).toISOString().slice(0, 19)}Z\n`;
  terminal.stdout.write(json === true ? jsonLine(answer) : `${time}${renderAnswer(answer, terminal, now)}`);
  return statusOf(answer);
}
