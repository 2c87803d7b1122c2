/** The stream that a replica reads, as the service describes it. */
import { DescribeStreamSummaryCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import { translateReadError } from '../reading-client.ts';

/** The stream, as far as it matters here. */
export interface Stream {
  readonly arn: string;
  readonly createdMs: number;
  readonly retentionMs: number;
}

/** @param stream - its name or ARN */
export async function describeStream(client: KinesisClient, stream: string): Promise<Stream> {
  try {
    const { StreamDescriptionSummary: summary } = await client.send(
      new DescribeStreamSummaryCommand(stream.startsWith('arn:') ? { StreamARN: stream } : { StreamName: stream }),
    );
    return {
      arn: summary?.StreamARN ?? stream,
      createdMs: summary?.StreamCreationTimestamp?.getTime() ?? 0,
      retentionMs: (summary?.RetentionPeriodHours ?? 24) * 3_600_000,
    };
  } catch (error) {
    throw await translateReadError(error, stream, client);
  }
}
