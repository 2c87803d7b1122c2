/**
 * A Kinesis endpoint that accepts everything, in a process of its own: it counts a PutRecords request's entries and
 * acknowledges each. It stands in the benchmarks because the emulator of the tests takes about 2 MB/s, less than what
 * is to be measured. Prints its port; ends with its parent. A GET answers what Kinesis would have billed since the last one.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What Kinesis bills. */
export interface Billed {
  readonly records: number;
  /** Bytes, each record rounded up to 1 KiB: an on-demand stream's. */
  readonly roundedBytes: number;
  /** Of 25 KiB, each record rounded up: a provisioned stream's. */
  readonly putUnits: number;
}

const KIB = 1024;
const PUT_UNIT = 25 * KIB;
const DATA = '"Data":"';
const KEY = '"PartitionKey":"';

let billed: Billed = { records: 0, roundedBytes: 0, putUnits: 0 };

/** The length of the text between a name's end and the next quotation mark: neither base64 nor our keys hold one. */
function lengthAt(body: Buffer, name: string, from: number): number {
  const start = body.indexOf(name, from) + name.length;
  return body.indexOf('"', start) - start;
}

/** Counts a request. @returns how many entries it has */
function count(body: Buffer): number {
  const before = billed.records;
  let { records, roundedBytes, putUnits } = billed;
  for (let at = body.indexOf(DATA); at !== -1; at = body.indexOf(DATA, at + 1)) {
    const bytes = Math.floor((lengthAt(body, DATA, at) * 3) / 4) + lengthAt(body, KEY, at);
    records++;
    roundedBytes += Math.ceil(bytes / KIB) * KIB;
    putUnits += Math.ceil(bytes / PUT_UNIT);
  }
  billed = { records, roundedBytes, putUnits };
  return records - before;
}

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(billed));
    billed = { records: 0, roundedBytes: 0, putUnits: 0 };
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const entries = count(Buffer.concat(chunks));
    const record = '{"SequenceNumber":"1","ShardId":"shardId-000000000000"}';
    const answer = `{"FailedRecordCount":0,"Records":[${Array.from({ length: entries }, () => record).join(',')}]}`;
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': answer.length });
    response.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
