/**
 * A deployed function, invoked through Lambda with the caller's own profile and region. Each payload is sent once: if it or
 * its answer is lost, that is reported. It is never sent again, because the function may be at work all the same.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Answer } from '../../../lambda/actions/actions.ts';
import { systemClock } from '../../../lambda/clock.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { environmentFaults } from '../../../lambda/settings/environment-faults.ts';
import { readEvent } from '../../../lambda/settings/event.ts';
import { withNotice } from '../../../lambda/slow-notice.ts';
import { createTerminalLog } from '../../../lambda/telemetry/telemetry.ts';
import { inWordsOfOptions } from '../error-output.ts';
import { type DeployedOptions, type InvokeOptions, LAMBDA_SECONDS, type Terminal } from '../terminal.ts';
import { callFailed, FunctionError, functionFailed } from './function-errors.ts';
import { functionOfStack } from './stack-outputs.ts';
import type { Payload, Target } from './target.ts';

/** Longer than any function runs. */
const ANSWER_MS = (LAMBDA_SECONDS + 60) * 1000;
const CONNECT_MS = 10_000;
/** What is called here, as the variables of endpoints name it. */
const SERVICES = ['LAMBDA', 'CLOUDFORMATION', 'STS'];
/** NAT gateways drop a connection on which nothing is said for 350 s. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 };

/**
 * A client that sends each request once, and waits for its answer as long as a function may run.
 *
 * @param region - undefined: the environment's or the profile's
 */
export function lambdaClient(region: string | undefined): LambdaClient {
  return new LambdaClient({
    ...(region === undefined ? {} : { region }),
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent(KEEP_ALIVE),
      httpsAgent: new HttpsAgent(KEEP_ALIVE),
    }),
  });
}

/** What the SDK would fail at without a word of where it has it from. */
function refuseWrongPlace(region: string | undefined, env: Terminal['env']): void {
  const faults = environmentFaults(region === undefined ? env : { ...env, AWS_REGION: region }, SERVICES);
  if (faults.length === 0) return;
  const named = faults.map((fault) => (region === undefined ? fault : fault.replace(/^AWS_REGION/, '--region')));
  throw new PipelineError('CONFIG_INVALID', `${named.join(' ')} Nothing was invoked.`);
}

/**
 * @param options - which function
 * @param logging - how to log
 * @param terminal - where the log goes
 * @param stop - stops the waiting; the function goes on
 * @throws {FunctionError} where a stack does not name its function
 * @throws {PipelineError} CONFIG_INVALID for a region that is none, or an endpoint that is no URL
 */
export async function createDeployedTarget(
  options: DeployedOptions,
  { logJson }: Pick<InvokeOptions, 'logJson'>,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<Target> {
  const log = createTerminalLog((line) => void terminal.stderr.write(line), {
    level: 'INFO',
    json: logJson,
    now: () => systemClock.now(),
  });
  refuseWrongPlace(options.region, terminal.env);
  const name = options.function ?? (await functionOfStack(options.stack ?? '', options.region));
  const region = options.region ?? /^arn:[^:]+:lambda:([^:]+):/.exec(name)?.[1];
  const client = lambdaClient(region);

  const call = async (payload: Payload): Promise<Answer> => {
    const { FunctionError: kind, Payload: body } = await client
      .send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) }), { abortSignal: stop })
      .catch(async (error: unknown) => {
        throw await callFailed(error, { name, client, stopped: stop.aborted });
      });
    const text = Buffer.from(body ?? []).toString();
    if (kind !== undefined) throw functionFailed(name, text);
    try {
      return JSON.parse(text) as Answer;
    } catch {
      throw new FunctionError(
        'FUNCTION_FAILED',
        `The function ${name} answered with no JSON. Is it a function of pg2kinesis?`,
      );
    }
  };

  return {
    name,
    log,
    deployed: true,
    invoke: async (payload) => {
      try {
        readEvent(payload);
      } catch (error) {
        throw inWordsOfOptions(error, payload.action);
      }
      // A drain tells how far it is by itself.
      if (payload.action === 'drain' || payload.action === 'status') return await call(payload);
      return await withNotice({ clock: systemClock, log }, () => `Waiting for the function ${name}`, call(payload));
    },
  };
}
