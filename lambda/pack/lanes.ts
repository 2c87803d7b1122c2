/**
 * Lanes: the fixed, equal slices of Kinesis' 128-bit hash-key space that user records are gathered by.
 * A partition key's lane depends on the key and the number of lanes alone (I4). Imports nothing of the project.
 */
import { hash } from 'node:crypto';

/** One slice of the hash-key space. */
export interface Lane {
  /** Its constant name, the partition key of its aggregates: consumers that order by partition key keep a lane in order. */
  readonly name: string;
  /** The slice's first hash key, decimal: decides the shard of its aggregates, and is carried by each user record (I5). */
  readonly explicitHashKey: string;
}

/** The most lanes: the first byte of an MD5 is enough to choose one of them. */
export const MAX_LANES = 256;

/**
 * Makes the lanes.
 *
 * @param count - how many: a power of two, 1 to 256
 * @returns the lanes, in the order of the hash-key space
 * @throws {RangeError} when the count is another
 */
export function lanes(count: number): readonly Lane[] {
  if (!Number.isInteger(count) || count < 1 || count > MAX_LANES || (count & (count - 1)) !== 0) {
    throw new RangeError(`The number of lanes is ${count}; allowed is a power of two, 1 to ${MAX_LANES}.`);
  }
  const slice = 2n ** 128n / BigInt(count);
  return Array.from({ length: count }, (_, lane) => ({
    // The number of lanes is part of the name, so that the same name never means another slice after LANES was changed.
    name: `lane-${lane}-of-${count}`,
    explicitHashKey: String(BigInt(lane) * slice),
  }));
}

/**
 * The first 32 bits of a partition key's MD5, the hash by which Kinesis itself chooses a shard.
 *
 * One call of OpenSSL that answers with a string costs 245 ns for a key of 25 bytes (with a Buffer 770 ns, a Hash object
 * 1,020 ns); an MD5 in JavaScript for keys of one block takes 135 ns, which is too little gain to have one
 * (test/bench/pack.bench.ts).
 *
 * @param partitionKey - UTF-8
 * @returns 0 to 2^32 - 1
 */
export function md5Head(partitionKey: Uint8Array): number {
  const digest = hash('md5', partitionKey, 'binary');
  return (
    digest.charCodeAt(0) * 0x1000000 +
    ((digest.charCodeAt(1) << 16) | (digest.charCodeAt(2) << 8) | digest.charCodeAt(3))
  );
}

/**
 * The lane that a hash falls in: its top log2(count) bits.
 *
 * @param head - what {@link md5Head} gave
 * @param count - how many lanes there are: a power of two, 1 to 256
 * @returns the lane's index
 */
export function laneOfHead(head: number, count: number): number {
  return Math.floor((head * count) / 0x100000000);
}

/**
 * The lane of a partition key.
 *
 * @param partitionKey - UTF-8
 * @param count - how many lanes there are: a power of two, 1 to 256
 * @returns the lane's index
 */
export function laneOf(partitionKey: Uint8Array, count: number): number {
  return laneOfHead(md5Head(partitionKey), count);
}
