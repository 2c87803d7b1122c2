/**
 * The layout `kpl`: the aggregated record of the Kinesis Producer Library, which KCL, Firehose, Flink and AWS's
 * de-aggregation libraries unpack. A magic number, a protobuf message, the MD5 of that message:
 *
 *     message AggregatedRecord {
 *       repeated string partition_key_table     = 1;
 *       repeated string explicit_hash_key_table = 2;
 *       repeated Record records                 = 3;
 *     }
 *     message Record {
 *       required uint64 partition_key_index     = 1;
 *       optional uint64 explicit_hash_key_index = 2;
 *       required bytes  data                    = 3;
 *     }
 *
 * Every user record points at its lane's explicit hash key: a consumer library discards user records whose hash key,
 * explicit or else the MD5 of their partition key, is outside of the shard they were read from (I5).
 *
 * @see https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
 */
import { hash } from 'node:crypto';
import type { ByteWriter } from '../format/byte-writer.ts';
import type { AggregateLayout } from './aggregation.ts';

/** What an aggregated record begins with. */
const MAGIC = Buffer.from([0xf3, 0x89, 0x9a, 0xc2]);

const MD5_BYTES = 16;

/** A field's tag: its number, and wire type 2 (length-delimited) or 0 (varint). */
const TAG = {
  partitionKey: (1 << 3) | 2,
  explicitHashKey: (2 << 3) | 2,
  record: (3 << 3) | 2,
  partitionKeyIndex: 1 << 3,
  explicitHashKeyIndex: 2 << 3,
  data: (3 << 3) | 2,
} as const;

/** How many bytes a number takes as a varint; up to 2^28 - 1, far beyond any record. */
function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

/** The length of a length-delimited field: tag, length and content. */
function fieldBytes(contentBytes: number): number {
  return 1 + varintBytes(contentBytes) + contentBytes;
}

/** A Record's content: tag and index of its key, tag and 0 for the only explicit hash key, and its data. */
function contentBytes(keyIndex: number, dataBytes: number): number {
  return 1 + varintBytes(keyIndex) + 2 + fieldBytes(dataBytes);
}

/** Appends a varint. */
function varint(out: ByteWriter, value: number): void {
  while (value >= 0x80) {
    out.byte((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  out.byte(value);
}

/** The KPL's aggregated record. */
export const kpl: AggregateLayout = {
  carriesKeys: true,
  frameBytes: (lane) => MAGIC.length + fieldBytes(lane.explicitHashKey.length) + MD5_BYTES,
  recordBytes: (keyIndex, keyBytes, dataBytes) =>
    (keyBytes === undefined ? 0 : fieldBytes(keyBytes)) + fieldBytes(contentBytes(keyIndex, dataBytes)),
  addKey({ partitionKeys: keys }, key) {
    keys.byte(TAG.partitionKey);
    varint(keys, key.length);
    keys.copy(key);
  },
  addRecord({ records }, keyIndex, data) {
    records.byte(TAG.record);
    varint(records, contentBytes(keyIndex, data.length));
    records.byte(TAG.partitionKeyIndex);
    varint(records, keyIndex);
    records.byte(TAG.explicitHashKeyIndex);
    records.byte(0);
    records.byte(TAG.data);
    varint(records, data.length);
    records.copy(data);
  },
  write({ lane, partitionKeys: keys, records }, out) {
    out.copy(MAGIC);
    const start = out.length;
    out.copy(keys.bytes, 0, keys.length);
    out.byte(TAG.explicitHashKey);
    varint(out, lane.explicitHashKey.length);
    out.ascii(lane.explicitHashKey);
    out.copy(records.bytes, 0, records.length);
    // The message's MD5 costs about as much as all else of packing together (test/bench/pack.bench.ts); KCL checks it.
    out.copy(hash('md5', out.bytes.subarray(start, out.length), 'buffer'));
  },
};
