/**
 * The pipeline of this environment's settings, run in this process. The counterpart of `lambda/handler.ts`: it composes, and
 * decides nothing.
 */
import { perform } from '../../../lambda/actions/actions.ts';
import { systemClock } from '../../../lambda/clock.ts';
import { createContainer } from '../../../lambda/container.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import type { Action } from '../../../lambda/settings/action-types.ts';
import { type Config, readConfig } from '../../../lambda/settings/config.ts';
import { readEvent } from '../../../lambda/settings/event.ts';
import { createTerminalLog, noMetrics } from '../../../lambda/telemetry/telemetry.ts';
import { inWordsOfOptions } from '../error-output.ts';
import { type InvokeOptions, LAMBDA_SECONDS, type Terminal } from '../terminal.ts';
import type { Payload, RunProgress, Target } from './target.ts';

/** After its deadline an action gets so long to end by itself. */
const GRACE_MS = 10_000;

/**
 * @param payload - the first that will be invoked: a wrong one is refused before the settings are read
 * @param options - how to log, and how long an invocation may take
 * @param terminal - the environment, and where the log goes
 * @param stop - asks what is under way to finish
 * @throws {PipelineError} EVENT_INVALID in the words of the command line, CONFIG_INVALID
 */
export function createLocalTarget(
  payload: Payload,
  options: Pick<InvokeOptions, 'logJson' | 'maxSeconds' | 'linger'>,
  terminal: Terminal,
  stop: AbortSignal,
): Target {
  readPayload(payload);
  const config = readSettings({ ...terminal.env, ...(options.linger ? { LINGER: 'on' } : {}) });
  const log = createTerminalLog((line) => void terminal.stderr.write(line), {
    level: config.logLevel,
    json: options.logJson,
    now: () => systemClock.now(),
  });
  for (const warning of config.warnings) log.warn(warning);
  let progress: RunProgress | undefined;
  // Kept warm from one invocation to the next.
  const container = createContainer(config, {
    clock: systemClock,
    log,
    metrics: noMetrics,
    region: terminal.env['AWS_REGION'] ?? terminal.env['AWS_DEFAULT_REGION'],
    stop,
    onProgress: (published, throttledEntries, snapshot) => (progress = { published, throttledEntries, snapshot }),
  });
  return {
    name: config.slot,
    log,
    deployed: false,
    progress: () => progress,
    invoke: async (each) => {
      const action = readPayload(each);
      const startedAt = systemClock.now();
      const { maxSeconds = LAMBDA_SECONDS } = options;
      // What lingers ends with the function's time, and only then.
      const lingers =
        action.kind === 'run' && action.maxBatches === undefined && config.lingerDutyPercent !== undefined;
      const functionDeadline = startedAt + (lingers ? maxSeconds : Math.max(LAMBDA_SECONDS, maxSeconds)) * 1000;
      return await perform(action, container, {
        startedAt,
        functionDeadline,
        leaseExpiresAt: functionDeadline + GRACE_MS,
      });
    },
  };
}

/** Where no database is named, somebody begins, or means a function that is deployed. */
function readSettings(env: Terminal['env']): Config {
  try {
    return readConfig(env);
  } catch (error) {
    const named = env['PGHOST'] !== undefined || env['DATABASE_SECRET_ARN'] !== undefined;
    if (!(error instanceof PipelineError) || named) throw error;
    throw new PipelineError('CONFIG_INVALID', error.what, {
      cause: error,
      remedy:
        'For a function that is deployed: give --stack or --function. To run it here: set these in the environment or in a file for --env-file, which pg2kinesis init asks for and writes.',
    });
  }
}

function readPayload(payload: Payload): Action {
  try {
    return readEvent(payload);
  } catch (error) {
    throw inWordsOfOptions(error, payload.action);
  }
}
