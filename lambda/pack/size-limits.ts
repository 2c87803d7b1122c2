/**
 * How large records and requests to Kinesis may be. Imports nothing.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
 */

/**
 * A request's size: data and partition keys together, in bytes. Kinesis takes 10 MiB since late 2025; before that, and in
 * emulators still, 5 MiB. Twice as much in a request gains nothing: at 5 MiB a request's fixed cost is long forgotten.
 */
export const MAX_REQUEST_BYTES = 5 * 1024 * 1024;

/** A request's entries. */
export const MAX_REQUEST_ENTRIES = 500;

/**
 * How much of one lane goes into a round, in bytes, unless a single user record is larger.
 *
 * A shard takes 1 MB a second, entry by entry: an entry of 1 MiB is refused unless the shard has been idle for a second,
 * and starves beside any other traffic; one of a quarter passes whenever a quarter of a second's capacity is free, and
 * repeats less when it is refused. No throughput is lost: a hot lane is on one shard, which four such entries a second
 * fill, and 64 lanes of a full round have 80 KiB each. A consumer that fails on an entry reads less of it again.
 */
export const MAX_LANE_BYTES = 256 * 1024;

/** The limits a packer keeps to. */
export interface SizeLimits {
  /** A Kinesis record: data and partition key, in bytes. */
  readonly recordBytes: number;
  /** A request: data and partition keys, in bytes; at least `recordBytes`. */
  readonly requestBytes: number;
  /** A request's entries. */
  readonly requestEntries: number;
  /** A lane's share of a round, in bytes, unless one user record alone is larger. */
  readonly laneBytes: number;
}

/**
 * @param recordBytes - what the stream allows for a record, in bytes: 1 MiB to 10 MiB
 * @returns the limits for it; a request is as large as one record where that is allowed to be larger than 5 MiB
 */
export function sizeLimitsFor(recordBytes: number): SizeLimits {
  return {
    recordBytes,
    requestBytes: Math.max(MAX_REQUEST_BYTES, recordBytes),
    requestEntries: MAX_REQUEST_ENTRIES,
    laneBytes: Math.min(MAX_LANE_BYTES, recordBytes),
  };
}
