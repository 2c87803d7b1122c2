/**
 * Packs without aggregation: one Kinesis record a user record, under the user record's own partition key, whose MD5
 * decides the shard. At most one of a partition key a round, so that a partial failure cannot reorder a key (I3).
 */
import type { ByteWriter } from '../format/byte-writer.ts';
import type { Packer } from './packer.ts';
import type { Round } from './round.ts';
import type { SizeLimits } from './size-limits.ts';
import { WriterPool } from './writer-pool.ts';

/** Packs each user record by itself; see {@link Packer}. */
export class UnaggregatedPacker implements Packer {
  readonly #limits: SizeLimits;
  readonly #pool = new WriterPool();
  #out: ByteWriter | undefined;
  /** The open round's partition keys, in the order they came. */
  #keys = new Set<string>();
  /** Where each record's data ends in the writer. */
  #ends: number[] = [];
  #size = 0;
  #barrier: string | undefined;

  /** @param limits - in bytes and entries; `laneBytes` is not used */
  constructor(limits: SizeLimits) {
    this.#limits = limits;
  }

  fits(partitionKeyBytes: number, dataBytes: number): boolean {
    return partitionKeyBytes > 0 && partitionKeyBytes + dataBytes <= this.#limits.recordBytes;
  }

  add(partitionKey: Buffer, data: Buffer, barrier?: string): Round | undefined {
    if (!this.fits(partitionKey.length, data.length)) {
      throw new RangeError(`A user record of ${data.length} bytes was given to a packer that it does not fit.`);
    }
    const key = partitionKey.toString();
    const size = partitionKey.length + data.length;
    const closed = this.#mustClose(key, size, barrier) ? this.flush() : undefined;
    this.#out ??= this.#pool.take();
    this.#out.copy(data);
    this.#keys.add(key);
    this.#ends.push(this.#out.length);
    this.#size += size;
    this.#barrier = barrier;
    return closed;
  }

  flush(): Round | undefined {
    const out = this.#out;
    if (out === undefined) return undefined;
    let start = 0;
    const keys = [...this.#keys];
    const entries = this.#ends.map((end, i) => {
      const data = out.bytes.subarray(start, end);
      start = end;
      return { data, partitionKey: keys[i] ?? '', explicitHashKey: undefined };
    });
    const round: Round = { entries, bytes: this.#size, userRecords: entries.length };
    this.#out = undefined;
    this.#keys.clear();
    this.#ends = [];
    this.#size = 0;
    return this.#pool.lend(round, out);
  }

  release(round: Round): void {
    this.#pool.release(round);
  }

  /** Whether the open round must be closed before this user record. */
  #mustClose(key: string, size: number, barrier: string | undefined): boolean {
    return (
      this.#ends.length > 0 &&
      (barrier !== this.#barrier ||
        this.#keys.has(key) ||
        this.#ends.length === this.#limits.requestEntries ||
        this.#size + size > this.#limits.requestBytes)
    );
  }
}
