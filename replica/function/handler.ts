/**
 * The Lambda function that applies a stream's records: the composition root. What outlives an invocation is here.
 * Lambda invokes it with records of one shard.
 */
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Context, KinesisStreamBatchResponse, KinesisStreamEvent } from 'aws-lambda';
import { readSecretText, signIamToken } from '../../lambda/aws-credentials.ts';
import { systemClock } from '../../lambda/clock.ts';
import { createCredentials } from '../../lambda/postgres/credentials.ts';
import { createFunctionLog, NAMESPACE } from '../../lambda/telemetry/telemetry.ts';
import { readSettings } from './settings.ts';
import { StreamFunction } from './stream-function.ts';

const service = process.env['POWERTOOLS_SERVICE_NAME'] ?? 'pg2kinesis-replica';
const log = createFunctionLog(service);
const metrics = new Metrics({ namespace: NAMESPACE, serviceName: service });
let instance: StreamFunction | undefined;

/** Built by the first invocation: bad settings are then that invocation's error. */
function getInstance(): StreamFunction {
  if (instance === undefined) {
    const settings = readSettings(process.env);
    instance = new StreamFunction({
      settings,
      credentials: createCredentials({ settings: settings.database, secrets: readSecretText, iamToken: signIamToken }),
      clock: systemClock,
      log,
      metric: (name, value) =>
        metrics.addMetric(name, name === 'ReplicaLagSeconds' ? MetricUnit.Seconds : MetricUnit.Count, value),
    });
  }
  return instance;
}

/**
 * What Lambda invokes.
 *
 * @param event - records of one shard
 * @param context - Lambda's
 * @returns which record Lambda has to begin with next time
 */
export async function handler(event: KinesisStreamEvent, context: Context): Promise<KinesisStreamBatchResponse> {
  log.setRequestId(context.awsRequestId);
  try {
    return await getInstance().invoke(event, context.getRemainingTimeInMillis());
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error('The batch could not be applied.');
    log.error(message, { code: name });
    throw error;
  } finally {
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
  }
}
