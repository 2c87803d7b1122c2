/**
 * A Kinesis endpoint that accepts everything, in a process of its own: it counts a PutRecords request's entries and
 * acknowledges each. It stands in the benchmarks because the emulator of the tests takes about 2 MB/s, less than what
 * is to be measured. Prints its port; ends with its parent.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    let entries = 0;
    for (let at = body.indexOf('"PartitionKey"'); at !== -1; at = body.indexOf('"PartitionKey"', at + 1)) entries++;
    const record = '{"SequenceNumber":"1","ShardId":"shardId-000000000000"}';
    const answer = `{"FailedRecordCount":0,"Records":[${Array.from({ length: entries }, () => record).join(',')}]}`;
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': answer.length });
    response.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
