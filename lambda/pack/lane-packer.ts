/**
 * Packs user records by lane: at most one Kinesis record of a lane a round, its user records in the order they came (I3).
 * Knows the lanes and the limits; what a Kinesis record looks like inside is its layout's.
 */
import type { AggregateLayout } from './aggregation.ts';
import { keyHash, laneOfHash, lanes } from './lanes.ts';
import { OpenLane } from './open-lane.ts';
import type { Packer } from './packer.ts';
import type { KinesisRecord, Round } from './round.ts';
import type { SizeLimits } from './size-limits.ts';
import { WriterPool } from './writer-pool.ts';

/**
 * How much memory the lanes keep between rounds, in bytes: three times a full round, which they need when it is spread
 * evenly. Above it they release their memory, else each lane would stay as large as its largest round (I8).
 */
const MAX_RETAINED_BYTES = 16 * 1024 * 1024;

/** Packs by lane; see {@link Packer}. */
export class LanePacker implements Packer {
  readonly #layout: AggregateLayout;
  readonly #limits: SizeLimits;
  readonly #compress: ((block: Buffer) => Buffer) | undefined;
  readonly #lanes: readonly OpenLane[];
  /** The largest frame and name of any lane, counted for every lane: so what fits does not depend on the lane. */
  readonly #overhead: number;
  readonly #pool = new WriterPool();
  /** The lanes of the open round, in the order they were first met. */
  #open: OpenLane[] = [];
  /** The open round's size, at most: with the overhead of each lane. */
  #size = 0;
  #barrier: string | undefined;

  /**
   * @param layout - how a lane's user records are laid out
   * @param laneCount - a power of two, 1 to 256
   * @param limits - in bytes, before compression; 256 lanes cannot exceed the limit of 500 entries
   * @param compress - makes a lane's data shorter, or gives it back as it is
   */
  constructor(layout: AggregateLayout, laneCount: number, limits: SizeLimits, compress?: (block: Buffer) => Buffer) {
    const all = lanes(laneCount);
    this.#layout = layout;
    this.#limits = limits;
    this.#compress = compress;
    this.#lanes = all.map((lane) => new OpenLane(lane, layout));
    this.#overhead = Math.max(...all.map((lane) => layout.frameBytes(lane) + lane.name.length));
  }

  fits(partitionKeyBytes: number, dataBytes: number): boolean {
    const size = this.#overhead + this.#layout.recordBytes(0, partitionKeyBytes, dataBytes);
    return partitionKeyBytes > 0 && size <= this.#limits.recordBytes;
  }

  add(partitionKey: Buffer, data: Buffer, barrier?: string): Round | undefined {
    if (!this.fits(partitionKey.length, data.length)) {
      throw new RangeError(`A user record of ${data.length} bytes was given to a packer that it does not fit.`);
    }
    const hash = keyHash(partitionKey);
    const lane = this.#lanes[laneOfHash(hash, this.#lanes.length)];
    if (lane === undefined) throw new RangeError('A partition key has no lane.');

    let index = lane.indexOf(partitionKey, hash);
    let growth = lane.growth(index, partitionKey.length, data.length);
    let closed: Round | undefined;
    if (this.#mustClose(lane, growth, barrier)) {
      closed = this.flush();
      // The lane is empty now: it does not have the key any more.
      index = -1;
      growth = lane.growth(index, partitionKey.length, data.length);
    }
    if (lane.bytes === 0) {
      this.#open.push(lane);
      this.#size += this.#overhead;
    }
    this.#size += growth;
    this.#barrier = barrier;
    lane.add(index, partitionKey, hash, data);
    return closed;
  }

  flush(): Round | undefined {
    const open = this.#open;
    if (open.length === 0) return undefined;
    const out = this.#pool.take();
    // Reserve all of it now: the entries are views of a buffer that must not be replaced while it is filled.
    out.reserve(open.reduce((sum, { bytes }) => sum + bytes, 0));
    const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;
    const entries: KinesisRecord[] = [];
    let bytes = 0;
    let userRecords = 0;
    for (const content of open) {
      const { lane } = content;
      const start = out.length;
      this.#layout.write(content, out);
      if (out.length - start !== content.bytes) throw new RangeError('A Kinesis record has another size than counted.');
      const block = out.bytes.subarray(start, out.length);
      const data = this.#compress?.(block) ?? block;
      entries.push({ data, partitionKey: lane.name, explicitHashKey: lane.explicitHashKey });
      bytes += data.length + lane.name.length;
      userRecords += content.count;
    }
    for (const lane of keepMemory ? open : this.#lanes) lane.clear(keepMemory);
    this.#open = [];
    this.#size = 0;
    return this.#pool.lend({ entries, bytes, userRecords }, out);
  }

  release(round: Round): void {
    this.#pool.release(round);
  }

  /** Whether the open round must be closed before a lane can take a user record that makes it longer by `growth`. */
  #mustClose(lane: OpenLane, growth: number, barrier: string | undefined): boolean {
    if (this.#open.length === 0) return false;
    if (barrier !== this.#barrier) return true;
    if (lane.bytes === 0) return this.#size + this.#overhead + growth > this.#limits.requestBytes;
    return (
      lane.bytes + growth + lane.lane.name.length > this.#limits.laneBytes ||
      this.#size + growth > this.#limits.requestBytes
    );
  }
}
