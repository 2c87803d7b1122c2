/**
 * A Kinesis endpoint that accepts everything and keeps it: user records, taken apart by AWS's own library, each with where
 * it would have gone. Checks nothing.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deaggregate } from '../support/deaggregate.ts';
import type { WireEntry } from '../support/faulty-endpoint.ts';

/** A user record as it arrived. */
export interface Recorded {
  readonly partitionKey: string;
  readonly text: string;
  /** Of the Kinesis record that carried it. */
  readonly lane: string;
  /** Both explicit hash keys, the user record's and its carrier's; undefined where there is none. */
  readonly hashKey: string | undefined;
  readonly carrierHashKey: string | undefined;
}

/** A running endpoint. */
export interface RecordingEndpoint {
  readonly endpoint: string;
  /** @returns what has arrived since the last time */
  take(): Recorded[];
  stop(): void;
}

/** Starts one, on a free port of the loopback interface. */
export async function startRecorder(): Promise<RecordingEndpoint> {
  let records: Recorded[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { Records } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly Records: readonly WireEntry[] };
      for (const { PartitionKey: lane, ExplicitHashKey: carrierHashKey, Data } of Records) {
        for (const each of deaggregate({ partitionKey: lane, data: Buffer.from(Data, 'base64') })) {
          const { partitionKey, explicitHashKey: hashKey, data } = each;
          records.push({ partitionKey, text: data.toString(), lane, hashKey, carrierHashKey });
        }
      }
      const answer = { SequenceNumber: '1', ShardId: 'shardId-000000000000' };
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify({ FailedRecordCount: 0, Records: Records.map(() => answer) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = records;
      records = [];
      return taken;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
