/**
 * What the stream says of itself, for `check`. Publishing does without it, and may be granted without it.
 * Knows no PostgreSQL and judges nothing.
 */
import { DescribeStreamSummaryCommand, type KinesisClient } from '@aws-sdk/client-kinesis';

/** What DescribeStreamSummary said, or why it said nothing. */
export type StreamDescription =
  | { readonly kind: 'missing' | 'denied' }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | {
      readonly kind: 'found';
      readonly status: string;
      readonly encrypted: boolean;
      readonly shards: number;
      readonly onDemand: boolean;
      readonly retentionHours: number;
      /** The largest record it takes; undefined where the service does not say. */
      readonly maxRecordKib: number | undefined;
    };

/**
 * Asks for a stream's summary.
 *
 * @param client - in the stream's region
 * @param stream - its name, and its ARN where one was given
 * @param signal - aborts the request
 * @returns what was said; a refusal and an unreachable service are answers too
 */
export async function describeStream(
  client: KinesisClient,
  stream: { readonly name: string; readonly arn: string | undefined },
  signal: AbortSignal,
): Promise<StreamDescription> {
  try {
    const input = stream.arn === undefined ? { StreamName: stream.name } : { StreamARN: stream.arn };
    const { StreamDescriptionSummary: summary } = await client.send(new DescribeStreamSummaryCommand(input), {
      abortSignal: signal,
    });
    return {
      kind: 'found',
      status: summary?.StreamStatus ?? 'unknown',
      encrypted: summary?.EncryptionType === 'KMS',
      shards: summary?.OpenShardCount ?? 0,
      onDemand: summary?.StreamModeDetails?.StreamMode === 'ON_DEMAND',
      retentionHours: summary?.RetentionPeriodHours ?? 0,
      maxRecordKib: summary?.MaxRecordSizeInKiB,
    };
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'ResourceNotFoundException') return { kind: 'missing' };
    if (name === 'AccessDeniedException' || name === 'AccessDenied') return { kind: 'denied' };
    // Name and code alone: a message of the SDK's can quote headers and addresses.
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : name;
    return { kind: 'unreachable', reason: code === '' ? 'no answer' : code };
  }
}
