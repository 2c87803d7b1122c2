/**
 * The Lambda function: the composition root, and the only file with module-scope state, but for memos of the last date and LSN. What is built once a container
 * survives in it: settings, clients, TLS context, credentials, primary keys, and what the last run has learnt.
 * Sets the invocation's deadline and measures how late it ended. Reading events, doing actions and writing errors are
 * done by others.
 */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { type Answer, perform } from './actions/actions.ts';
import type { InvocationDeadlines } from './actions/with-connection.ts';
import { systemClock } from './clock.ts';
import { type Container, createContainer } from './container.ts';
import { requireAdmitted } from './settings/admin-only.ts';
import { readConfig } from './settings/config.ts';
import { readEvent } from './settings/event.ts';
import { withSettingsFile } from './settings/settings-file.ts';
import { causeFields, sanitizeError } from './telemetry/error-report.ts';
import { traceInvocation } from './telemetry/invocation-trace.ts';
import { asStackFailure } from './telemetry/stack-failure.ts';
import { createFunctionLog, createFunctionMetrics } from './telemetry/telemetry.ts';

/** Time kept for flushing metrics and for the runtime's own work. */
const MARGIN_MS = 2_000;

const service = process.env['POWERTOOLS_SERVICE_NAME'] ?? 'pg2kinesis';
const log = createFunctionLog(service);
const metrics = createFunctionMetrics(service);
let container: Container | undefined;
/** Lambda says how much memory the function has; elsewhere there is no environment of one's own to leave a trace in. */
const memoryMib = Number(process.env['AWS_LAMBDA_FUNCTION_MEMORY_SIZE'] ?? 0);

/**
 * Built by the first invocation, not while the module loads: bad settings are then that invocation's error, by code and
 * message, where an error at loading would only be `Runtime.Unknown`. It is tried again by the next.
 */
function getContainer(): Container {
  if (container === undefined) {
    const config = readConfig(withSettingsFile(process.env, (path) => readFileSync(path, 'utf8')));
    log.setLevel(config.logLevel);
    for (const warning of config.warnings) log.warn(warning);
    container = createContainer(config, {
      clock: systemClock,
      log,
      metrics,
      region: process.env['AWS_REGION'],
      slotResource: process.env['SLOT_RESOURCE'],
    });
  }
  return container;
}

/** The deadlines of one invocation. */
function deadlinesOf(context: Pick<Context, 'getRemainingTimeInMillis'>): InvocationDeadlines {
  const startedAt = systemClock.now();
  const leaseExpiresAt = startedAt + context.getRemainingTimeInMillis();
  return { startedAt, leaseExpiresAt, functionDeadline: leaseExpiresAt - MARGIN_MS };
}

/** Tells of an invocation before that was killed, and leaves a trace of this one until it ends. */
function beginTrace(requestId: string): () => void {
  if (!(memoryMib > 0)) return () => undefined;
  const residentBytes = () => process.memoryUsage.rss();
  const file = join(tmpdir(), 'pg2kinesis-invocation.json');
  return traceInvocation({ file, memoryMib, now: () => systemClock.now(), residentBytes, log }, requestId);
}

/** Reads the event, and does what it asks for. */
async function invoke(event: unknown, context: Context): Promise<Answer> {
  const times = deadlinesOf(context);
  let deadline = times.functionDeadline;
  const endTrace = beginTrace(context.awsRequestId);
  try {
    const action = readEvent(event, context.invokedFunctionArn);
    requireAdmitted(action, context.invokedFunctionArn, process.env['ADMIN_ONLY']);
    if ((action.kind === 'run' || action.kind === 'drain') && action.maxSeconds !== undefined) {
      deadline = Math.min(deadline, times.startedAt + action.maxSeconds * 1000);
    }
    getContainer().warmState.deadline = undefined;
    const answer = await perform(action, getContainer(), times);
    log.info('The action has succeeded.', { answer });
    return answer;
  } finally {
    endTrace();
    // A run may have taken more time than it was asked to, on purpose: that is not late.
    const overrun = systemClock.now() - (container?.warmState.deadline ?? deadline);
    if (overrun > 0) metrics.add('DeadlineOverrunMs', overrun);
  }
}

/** Lines and metrics of every invocation, however it ends. */
const telemetry: middy.MiddlewareObj<unknown, Answer> = {
  before: ({ context }) => log.setRequestId(context.awsRequestId),
  after: () => metrics.flush(),
  onError: (request) => {
    const error = sanitizeError(request.error);
    // Lambda's `errorType` is the name, which for an error of the table is its code.
    log.error(error.message, { code: error.name, ...causeFields(error) });
    metrics.flush();
    request.error = asStackFailure(error, request.event, process.env['AWS_LAMBDA_LOG_GROUP_NAME']);
  },
};

/**
 * What Lambda invokes.
 *
 * @param event - see the table of payloads in docs/operations.md; unknown ones are an error that lists them
 * @param context - Lambda's, of which the remaining time and the request id are used
 * @returns the action's answer
 * @throws {PipelineError} whose name is its code
 *
 * @example await handler({ action: 'run', maxSeconds: 50 }, context)
 */
export const handler = middy<unknown, Answer>({ timeoutEarlyInMillis: 0 }).use(telemetry).handler(invoke);
