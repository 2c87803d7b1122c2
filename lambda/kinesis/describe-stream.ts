/**
 * What the stream says of itself, for `check`. Publishing does without it, and may be granted without it.
 * Knows no PostgreSQL and concludes nothing.
 */
import { DescribeStreamSummaryCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import { refusalKind, remedyOf } from './access-refusals.ts';
import { describe, readError, transientKind } from './classify.ts';
import { renewClient } from './client.ts';
import { addressOf, describeEndpoint, type RequestAddress } from './endpoint.ts';
import { withTimeout } from './with-timeout.ts';

/** What DescribeStreamSummary said, or why it said nothing. */
export type StreamDescription =
  | { readonly kind: 'no-region' }
  | ({ readonly where: string } & (
      | { readonly kind: 'missing' }
      | { readonly kind: 'denied' }
      /** The credentials are not accepted, or there are none: no run can publish. */
      | { readonly kind: 'no-credentials'; readonly reason: string; readonly remedy: string | undefined }
      /** No connection came about: no run can publish. */
      | { readonly kind: 'unreachable'; readonly reason: string }
      /** Nothing was answered in time. */
      | { readonly kind: 'silent'; readonly seconds: number }
      /** An answer of which it is not known what it says of publishing. */
      | { readonly kind: 'failed'; readonly reason: string }
      | {
          readonly kind: 'found';
          readonly status: string;
          readonly encrypted: boolean;
          readonly shards: number;
          readonly onDemand: boolean;
          readonly retentionHours: number;
          /** The largest record it takes; undefined where the service does not say. */
          readonly maxRecordKib: number | undefined;
        }
    ));

/**
 * Asks for a stream's summary, and once more after a failure that passes: a run, too, sends again over new connections.
 *
 * @param client - in the stream's region
 * @param stream - its name, and its ARN where one was given
 * @param timeoutMs - how long it may take
 * @returns what was said; a refusal and an unreachable service are answers too
 */
export async function describeStream(
  client: KinesisClient,
  stream: { readonly name: string; readonly arn: string | undefined },
  timeoutMs: number,
): Promise<StreamDescription> {
  const input = stream.arn === undefined ? { StreamName: stream.name } : { StreamARN: stream.arn };
  const command = new DescribeStreamSummaryCommand(input);
  let address: string | undefined;
  command.middlewareStack.add(
    (next) => (args) => {
      address = addressOf(args.request as RequestAddress);
      return next(args);
    },
    { step: 'build', priority: 'high' },
  );
  try {
    const { StreamDescriptionSummary: summary } = await withTimeout(timeoutMs, async (abortSignal) => {
      try {
        return await client.send(command, { abortSignal });
      } catch (error) {
        if (abortSignal.aborted || transientKind(error) === undefined) throw error;
        await renewClient(client);
        return await client.send(command, { abortSignal });
      }
    });
    return {
      kind: 'found',
      where: await describeEndpoint(client, address),
      status: summary?.StreamStatus ?? 'unknown',
      encrypted: summary?.EncryptionType === 'KMS',
      shards: summary?.OpenShardCount ?? 0,
      onDemand: summary?.StreamModeDetails?.StreamMode === 'ON_DEMAND',
      retentionHours: summary?.RetentionPeriodHours ?? 0,
      maxRecordKib: summary?.MaxRecordSizeInKiB,
    };
  } catch (error) {
    const where = await describeEndpoint(client, address);
    return { where, ...reasonOf(error, Math.round(timeoutMs / 1000)) };
  }
}

/** Why there is no description. */
function reasonOf(
  error: unknown,
  seconds: number,
):
  | { readonly kind: 'missing' | 'denied' }
  | { readonly kind: 'no-credentials'; readonly reason: string; readonly remedy: string | undefined }
  | { readonly kind: 'unreachable' | 'failed'; readonly reason: string }
  | { readonly kind: 'silent'; readonly seconds: number } {
  const { name, status } = readError(error);
  if (name === 'ResourceNotFoundException') return { kind: 'missing' };
  const refusal = refusalKind(name);
  if (refusal === 'rights') return { kind: 'denied' };
  if (refusal !== undefined) return { kind: 'no-credentials', reason: name, remedy: remedyOf(refusal) };
  if (name === 'TimeoutError') return { kind: 'silent', seconds };
  // Name, code and status alone: a message of the SDK's can quote headers and addresses.
  return { kind: status === undefined ? 'unreachable' : 'failed', reason: describe(error) };
}
