/**
 * Makes the packer for AGGREGATION. To add a layout of aggregated records, write one like `kpl.ts` and `lines.ts`, and
 * choose it here.
 */
import { type Compression, compressor } from './compression.ts';
import { kpl } from './kpl.ts';
import { LanePacker } from './lane-packer.ts';
import { lines } from './lines.ts';
import type { Packer } from './packer.ts';
import { type SizeLimits, sizeLimitsFor } from './size-limits.ts';
import { UnaggregatedPacker } from './unaggregated-packer.ts';

/** How user records become Kinesis records: the values of AGGREGATION. */
export type Aggregation = 'kpl' | 'lines' | 'none';

/** What a packer depends on. */
export interface PackerOptions {
  /** How user records become Kinesis records. */
  readonly aggregation: Aggregation;
  /** How a lane's lines are compressed; with `lines` only. @default none */
  readonly compression?: Compression;
  /** How many lanes: a power of two, 1 to 256. Without aggregation it means nothing. */
  readonly lanes: number;
  /** What the stream allows for a Kinesis record, data and partition key together, in bytes: 1 MiB to 10 MiB. */
  readonly maxRecordBytes: number;
  /**
   * The other limits, for tests.
   *
   * @default those of Kinesis, `sizeLimitsFor(maxRecordBytes)`
   */
  readonly limits?: Partial<Omit<SizeLimits, 'recordBytes'>>;
}

/**
 * Makes a packer.
 *
 * @param options - see {@link PackerOptions}
 * @returns an empty packer
 * @throws {RangeError} when the number of lanes is no power of two from 1 to 256
 * @example
 * const packer = createPacker({ aggregation: 'kpl', lanes: 64, maxRecordBytes: 1024 * 1024 });
 * const full = packer.add(partitionKey, data);
 * if (full !== undefined) {
 *   await publisher.publish(full, deadline, signal);
 *   packer.release(full);
 * }
 */
export function createPacker(options: PackerOptions): Packer {
  const limits: SizeLimits = { ...sizeLimitsFor(options.maxRecordBytes), ...options.limits };
  switch (options.aggregation) {
    case 'kpl':
      return new LanePacker(kpl, options.lanes, limits);
    case 'lines':
      return new LanePacker(lines, options.lanes, limits, compressor(options.compression ?? 'none'));
    case 'none':
      return new UnaggregatedPacker(limits);
  }
}
