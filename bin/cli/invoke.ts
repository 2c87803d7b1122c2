/**
 * Invokes an action from a terminal: once, or again and again. The counterpart of `lambda/handler.ts`: it composes, and
 * decides nothing. The answer goes to the standard output, all else to the standard error.
 */
import { type Answer, perform } from '../../lambda/actions/actions.ts';
import { systemClock } from '../../lambda/clock.ts';
import { type Container, createContainer } from '../../lambda/container.ts';
import { PipelineError } from '../../lambda/errors.ts';
import type { Log } from '../../lambda/ports.ts';
import { printableJson } from '../../lambda/printable.ts';
import { readConfig } from '../../lambda/settings/config.ts';
import { type Action, readEvent } from '../../lambda/settings/event.ts';
import { causeFields, sanitizeError } from '../../lambda/telemetry/error-report.ts';
import { createTerminalLog, noMetrics } from '../../lambda/telemetry/telemetry.ts';
import { aboutArguments, exitStatusOf } from './explain.ts';
import { EXIT, type InvokeOptions, LAMBDA_SECONDS, type Terminal } from './terminal.ts';

/** A second Ctrl-C: what a shell makes of SIGINT. */
const INTERRUPTED = 130;
/** After its deadline an action gets so long to end by itself. */
const GRACE_MS = 10_000;

/**
 * Invokes an action.
 *
 * @param payload - as the function takes it
 * @param options - how often to invoke, and how to log
 * @param terminal - environment, output, signals
 * @returns the exit status; with `every`, that of the last invocation
 * @throws {PipelineError} what made a single invocation fail
 */
export async function invokeOnTerminal(
  payload: Readonly<Record<string, unknown>>,
  options: InvokeOptions,
  terminal: Terminal,
): Promise<number> {
  let action: Action;
  try {
    action = readEvent(payload);
  } catch (error) {
    throw aboutArguments(error, String(payload['action']));
  }
  const config = readConfig(terminal.env);
  const stop = new AbortController();
  const log = createTerminalLog((line) => void terminal.stderr.write(line), {
    level: config.logLevel,
    json: options.logJson,
    now: () => systemClock.now(),
  });
  for (const warning of config.warnings) log.warn(warning);
  const container = createContainer(config, {
    clock: systemClock,
    log,
    metrics: noMetrics,
    region: terminal.env['AWS_REGION'] ?? terminal.env['AWS_DEFAULT_REGION'],
    stop: stop.signal,
  });
  const interrupt = (): void => {
    if (stop.signal.aborted) terminal.exit(INTERRUPTED);
    log.info('Stopping: what is under way is finished first. Once more to stop at once.');
    stop.abort();
  };
  // Only a publishing action has something to finish.
  const isInterruptible = action.kind === 'run' || action.kind === 'drain';
  if (isInterruptible) for (const signal of ['SIGINT', 'SIGTERM'] as const) terminal.on(signal, interrupt);
  try {
    if (options.every === undefined) {
      const answer = await once();
      const status = print(answer, terminal);
      sayWhatIsLeft(answer, log);
      return status;
    }
    return await again(options.every * 1000, once, container, terminal);
  } finally {
    if (isInterruptible) for (const signal of ['SIGINT', 'SIGTERM'] as const) terminal.off(signal, interrupt);
  }

  /** One invocation, the container kept warm. */
  async function once(): Promise<Answer> {
    const startedAt = systemClock.now();
    const functionDeadline = startedAt + Math.max(LAMBDA_SECONDS, options.maxSeconds ?? 0) * 1000;
    return await perform(action, container, {
      startedAt,
      functionDeadline,
      leaseExpiresAt: functionDeadline + GRACE_MS,
    });
  }
}

/** Invokes until it is stopped. A failure is told, and the next invocation tries again, as with the schedule. */
async function again(
  everyMs: number,
  once: () => Promise<Answer>,
  { clock, log, stop }: Container,
  terminal: Terminal,
): Promise<number> {
  let status: number = EXIT.ok;
  while (stop?.aborted !== true) {
    const begun = clock.now();
    try {
      status = print(await once(), terminal);
    } catch (error) {
      // It would fail in the same way every time.
      if (error instanceof PipelineError && error.code === 'CONFIG_INVALID') throw error;
      // With its time, as this goes on for long.
      const { name, message } = sanitizeError(error);
      const debugging = terminal.env['LOG_LEVEL']?.toUpperCase() === 'DEBUG';
      log.error(message, { code: name, ...(debugging ? causeFields(error) : {}) });
      status = exitStatusOf(error);
    }
    await clock.sleep(Math.max(0, begun + everyMs - clock.now()), stop);
  }
  return status;
}

/** What a run that ended inside a transaction leaves to the next, in a process that keeps nothing for it. */
function sayWhatIsLeft(answer: Answer, log: Log): void {
  if (!('resume' in answer)) return;
  const { commitLsn, ordinal } = answer.resume;
  log.warn(
    `It ended inside the transaction with commit LSN ${commitLsn}. Its first ${ordinal} records were published, and come again unless the next run is given --resume with the "resume" of this answer.`,
    { stopped: answer.stopped },
  );
}

/** Prints an answer: for people on a terminal, one line for programs. */
function print(answer: Answer, terminal: Terminal): number {
  const json = JSON.stringify(answer, undefined, terminal.stdout.isTTY === true ? 2 : undefined);
  terminal.stdout.write(`${printableJson(json)}\n`);
  return statusOf(answer);
}

/** The exit status by which a script may go on: `drain && drop-slot` must not, where the drain left something. */
function statusOf(answer: Answer): number {
  if ('findings' in answer) {
    if (answer.findings.some(({ state }) => state === 'fault' || state === 'missing')) return EXIT.failed;
    return answer.ok ? EXIT.ok : EXIT.incomplete;
  }
  if ('slotState' in answer) {
    if (answer.slotState === 'ok') return EXIT.ok;
    return answer.slotState === 'at-risk' ? EXIT.incomplete : EXIT.failed;
  }
  return 'caughtUp' in answer && answer.action === 'drain' && !answer.caughtUp ? EXIT.incomplete : EXIT.ok;
}
