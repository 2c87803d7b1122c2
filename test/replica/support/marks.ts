/** Marks, put into every lane of a stream after a run: what MARKS=on does. */
import { PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { lanes } from '../../../lambda/pack/lanes.ts';
import type { EmbeddedKinesis } from '../../support/kinesis.ts';

/** What the marks say. */
export interface Marks {
  readonly source: string;
  /** All records up to this commit LSN are in the stream. */
  readonly commitLsn: string;
  readonly lanes?: number;
  readonly system?: string;
  readonly timeline?: number;
  readonly forks?: readonly (readonly [number, string])[];
}

/** @param kinesis - the emulator @param stream - its name @param marks - the same in each lane */
export async function putMarks(
  kinesis: EmbeddedKinesis,
  stream: string,
  { source, commitLsn, lanes: count = 64, system = '1', timeline = 1, forks }: Marks,
): Promise<void> {
  const commitTime = new Date().toISOString();
  await kinesis.client.send(
    new PutRecordsCommand({
      StreamName: stream,
      Records: lanes(count).map(({ name, explicitHashKey }, lane) => ({
        PartitionKey: name,
        ExplicitHashKey: explicitHashKey,
        Data: Buffer.from(
          JSON.stringify({ op: 'MARK', source, commitLsn, commitTime, lane, lanes: count, system, timeline, forks }),
        ),
      })),
    }),
  );
}
