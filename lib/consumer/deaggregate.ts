/**
 * Kinesis records back into user records: what a consumer does first. Reads the KPL's aggregation format and lines.
 * Pure, and written from the format's specification rather than from `lambda/pack`, so that it can prove it; knows no
 * stream and no format of the data.
 *
 * The npm package aws-kinesis-agg does the same and checks this one in the tests. It is no dependency of what we ship:
 * it pins protobufjs 7.2.4, which has an install script and a known vulnerability (CVE-2023-36665).
 *
 * @see https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
 */
import { createHash } from 'node:crypto';
import * as zlib from 'node:zlib';

/** A Kinesis record, as far as it is needed here. */
export interface RawRecord {
  readonly partitionKey: string;
  readonly data: Buffer;
}

/** One user record, and where in its Kinesis record it stood. */
export interface UserRecord {
  /** Its own partition key; the Kinesis record's where it was not aggregated. */
  readonly partitionKey: string;
  /** Its explicit hash key, where the aggregate names one. */
  readonly explicitHashKey?: string;
  /** Its place in the aggregate, counted from 0; absent where the Kinesis record is the user record. */
  readonly place?: number;
  readonly data: Buffer;
}

const MAGIC = Buffer.from('f3899ac2', 'hex');
const MD5_BYTES = 16;
const NEWLINE = 0x0a;
const GZIP_MAGIC = 0x1f8b;
const ZSTD_MAGIC = 0x28b52ffd;
/** The largest record that a stream may allow, and so the largest block before its compression. */
const MAX_BLOCK_BYTES = 10 * 1024 * 1024;

/**
 * Unpacks a Kinesis record.
 *
 * As KCL does, what only looks like an aggregate (the magic number, but not its checksum) is passed on as it is.
 *
 * @param record - as GetRecords gave it
 * @returns its user records in order; the record itself where it is no aggregate, decompressed where it was compressed
 * @throws {Error} when it is an aggregate, by its checksum, but cannot be read
 */
export function userRecords(record: RawRecord): UserRecord[] {
  const body = aggregateBody(record.data);
  return body === undefined
    ? [{ partitionKey: record.partitionKey, data: decompress(record.data) }]
    : readAggregate(body);
}

/**
 * Splits the data of a record that holds one user record a line.
 *
 * @param record - a user record of `AGGREGATION=lines`; every line of it has the record's partition key
 * @returns one user record a line, without the line breaks; an empty last line is none
 */
export function lineRecords(record: UserRecord): UserRecord[] {
  const records: UserRecord[] = [];
  let start = 0;
  while (start < record.data.length) {
    const found = record.data.indexOf(NEWLINE, start);
    const end = found < 0 ? record.data.length : found;
    records.push({ partitionKey: record.partitionKey, place: records.length, data: record.data.subarray(start, end) });
    start = end + 1;
  }
  return records;
}

/**
 * How COMPRESSION wrote a record. A frame is known by its first bytes, with which no text of ours begins.
 *
 * @param data - a Kinesis record's
 * @returns undefined: it is not compressed
 */
export function compressionOf(data: Buffer): 'gzip' | 'zstd' | undefined {
  if (data.length >= 2 && data.readUInt16BE() === GZIP_MAGIC) return 'gzip';
  return data.length >= 4 && data.readUInt32BE() === ZSTD_MAGIC ? 'zstd' : undefined;
}

function decompress(data: Buffer): Buffer {
  const compression = compressionOf(data);
  if (compression === 'gzip') return zlib.gunzipSync(data, { maxOutputLength: MAX_BLOCK_BYTES });
  if (compression === 'zstd') {
    if (!('zstdDecompressSync' in zlib)) {
      throw new Error(
        `A record is compressed with zstd, which Node.js ${process.versions.node} cannot read. Use Node.js 22.15 or later.`,
      );
    }
    return zlib.zstdDecompressSync(data, { maxOutputLength: MAX_BLOCK_BYTES });
  }
  return data;
}

/** The protobuf message between magic number and checksum, or undefined where it is none. */
function aggregateBody(data: Buffer): Buffer | undefined {
  if (data.length < MAGIC.length + MD5_BYTES || !data.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const body = data.subarray(MAGIC.length, -MD5_BYTES);
  return createHash('md5').update(body).digest().equals(data.subarray(-MD5_BYTES)) ? body : undefined;
}

/** message AggregatedRecord { partition_key_table = 1; explicit_hash_key_table = 2; records = 3; } */
function readAggregate(body: Buffer): UserRecord[] {
  const partitionKeys: string[] = [];
  const hashKeys: string[] = [];
  const packed: Buffer[] = [];
  for (const [field, value] of fields(body)) {
    if (typeof value === 'number') continue;
    if (field === 1) partitionKeys.push(value.toString());
    else if (field === 2) hashKeys.push(value.toString());
    else if (field === 3) packed.push(value);
  }
  // Decoded last: nothing says that the tables come before the records that point into them.
  return packed.map((bytes, place) => readRecord(bytes, place, partitionKeys, hashKeys));
}

/** message Record { partition_key_index = 1; explicit_hash_key_index = 2; data = 3; tags = 4; } */
function readRecord(
  bytes: Buffer,
  place: number,
  partitionKeys: readonly string[],
  hashKeys: readonly string[],
): UserRecord {
  let keyIndex = 0;
  let hashIndex: number | undefined;
  let data = Buffer.alloc(0);
  for (const [field, value] of fields(bytes)) {
    if (field === 1 && typeof value === 'number') keyIndex = value;
    else if (field === 2 && typeof value === 'number') hashIndex = value;
    else if (field === 3 && typeof value !== 'number') data = value;
  }
  const partitionKey = partitionKeys[keyIndex];
  if (partitionKey === undefined)
    throw new Error(`Record ${place} of the aggregate names partition key ${keyIndex} of ${partitionKeys.length}.`);
  if (hashIndex === undefined) return { partitionKey, place, data };
  const explicitHashKey = hashKeys[hashIndex];
  if (explicitHashKey === undefined)
    throw new Error(`Record ${place} of the aggregate names explicit hash key ${hashIndex} of ${hashKeys.length}.`);
  return { partitionKey, explicitHashKey, place, data };
}

/**
 * A protobuf message's fields in order: varints as numbers, length-delimited ones as bytes.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
function* fields(bytes: Buffer): Generator<readonly [field: number, value: number | Buffer<ArrayBuffer>]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    // Multiplied, not shifted: a shift is over at 32 bits.
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('The aggregate ends within a number.');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) {
      yield [tag >>> 3, varint()];
    } else if (wire === 2) {
      const length = varint();
      if (length > bytes.length - at) throw new Error('The aggregate ends within a field.');
      yield [tag >>> 3, Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + at, length)];
      at += length;
    } else {
      throw new Error(`The aggregate has a field of wire type ${wire}, which its format does not have.`);
    }
  }
}
