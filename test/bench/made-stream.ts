/**
 * A Kinesis endpoint whose stream holds one large transaction, in a process of its own: INSERTs of so many rows in 64 lanes, in KPL
 * aggregates of 250 KiB as the packer makes them, then marks. Records are made as they are asked for. Its argument is JSON; prints
 * its port; ends with its parent.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { argv } from 'node:process';
import { ByteWriter } from '../../lambda/format/byte-writer.ts';
import { kpl } from '../../lambda/pack/kpl.ts';
import { type Lane, lanes as lanesOf } from '../../lambda/pack/lanes.ts';

/** What the stream holds. */
export interface MadeStream {
  readonly rows: number;
  readonly shards: number;
  /** About how large the column `note` of a row is, in characters. */
  readonly noteChars: number;
}

const LANES = 64;
const CHUNK_BYTES = 250 * 1024;
/** What an answer of Kinesis holds at most. */
const ANSWER_BYTES = 10 * 1024 * 1024;
const LSN = '0/10';

const { rows, shards, noteChars } = JSON.parse(argv[2] ?? '{}') as MadeStream;
const lanes = lanesOf(LANES);
const rowsALane = rows / LANES;
const rowsAChunk = Math.max(1, Math.floor(CHUNK_BYTES / (380 + noteChars)));
const chunks = Math.ceil(rowsALane / rowsAChunk);
const lanesAShard = LANES / shards;

function note(id: number): string {
  const hash = createHash('md5').update(String(id)).digest('hex');
  return hash.repeat(Math.ceil(noteChars / hash.length)).slice(0, noteChars);
}

function change(id: number): string {
  return `{"id":"${LSN}@1767323045678901#${id}","source":"bench","op":"INSERT","schema":"public","table":"rows","key":{"id":${id}},"row":{"id":${id},"name":"name ${id}","balance":"${id}.50","at":"2026-01-02T03:04:05.678901Z","flag":true,"doc":{"a": 1},"part":${id % 7},"note":"${note(id)}"},"xid":7,"commitLsn":"${LSN}","ordinal":${id},"commitTime":"2026-01-02T03:04:05.678901Z"}`;
}

/** @param lane - its number @param chunk - which Kinesis record of it; the last holds its mark */
function dataOf(lane: number, chunk: number): Buffer {
  const content = { lane: lanes[lane] as Lane, partitionKeys: new ByteWriter(), records: new ByteWriter() };
  const add = (key: string, data: string, index: number): void => {
    kpl.addKey(content, Buffer.from(key));
    kpl.addRecord(content, index, Buffer.from(data));
  };
  if (chunk === chunks) {
    add(
      content.lane.name,
      `{"op":"MARK","source":"bench","commitLsn":"${LSN}","commitTime":"2026-01-02T03:04:05.678901Z","lane":${lane},"lanes":${LANES},"system":"1","timeline":1}`,
      0,
    );
  } else {
    const end = Math.min(rowsALane, (chunk + 1) * rowsAChunk);
    for (let row = chunk * rowsAChunk, index = 0; row < end; row++, index++) {
      const id = row * LANES + lane + 1;
      add(`public.rows:${id}`, change(id), index);
    }
  }
  const out = new ByteWriter();
  kpl.write(content, out);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

/** @param at - `<shard>:<record>` @param limit - at most so many records */
function records(at: string, limit: number): object {
  const [shard = 0, first = 0] = at.split(':').map(Number);
  const all = (chunks + 1) * lanesAShard;
  const found: object[] = [];
  let bytes = 0;
  let n = first;
  for (; n < all && found.length < limit; n++) {
    const lane = shard * lanesAShard + (n % lanesAShard);
    const data = dataOf(lane, Math.floor(n / lanesAShard));
    if (found.length > 0 && bytes + data.length > ANSWER_BYTES) break;
    bytes += data.length;
    found.push({
      Data: data.toString('base64'),
      PartitionKey: lanes[lane]?.name,
      SequenceNumber: String(n + 1),
      ApproximateArrivalTimestamp: Date.now() / 1000,
    });
  }
  return { Records: found, NextShardIterator: `${shard}:${n}`, MillisBehindLatest: n < all ? 1000 : 0 };
}

const idOf = (shard: number): string => `shardId-${String(shard).padStart(12, '0')}`;

function answer(action: string, body: Readonly<Record<string, string>>): object {
  switch (action) {
    case 'DescribeStreamSummary':
      return {
        StreamDescriptionSummary: {
          StreamARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/made',
          StreamName: 'made',
          StreamCreationTimestamp: 1,
          RetentionPeriodHours: 24,
        },
      };
    case 'ListShards':
      return {
        Shards: Array.from({ length: shards }, (_, shard) => ({
          ShardId: idOf(shard),
          SequenceNumberRange: { StartingSequenceNumber: '0' },
        })),
      };
    case 'GetShardIterator': {
      const after = body['StartingSequenceNumber'] ?? '0';
      const from = body['ShardIteratorType'] === 'AT_SEQUENCE_NUMBER' ? Number(after) - 1 : Number(after);
      return { ShardIterator: `${Number(body['ShardId']?.slice(8))}:${from}` };
    }
    default:
      return records(body['ShardIterator'] ?? '', Number(body['Limit'] ?? 10_000));
  }
}

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const [, action = ''] = String(request.headers['x-amz-target']).split('.');
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, string>;
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(answer(action, body)));
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
