/**
 * Lanes: the fixed, equal slices of Kinesis' 128-bit hash-key space that user records are gathered by.
 * A partition key's lane depends on the key and the number of lanes alone (I4). Imports nothing of the project.
 */
/** One slice of the hash-key space. */
export interface Lane {
  /** Its constant name, the partition key of its aggregates: consumers that order by partition key keep a lane in order. */
  readonly name: string;
  /** The slice's first hash key, decimal: decides the shard of its aggregates, and is carried by each user record (I5). */
  readonly explicitHashKey: string;
}

/** The most lanes: the first byte of a hash is enough to choose one of them. */
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
 * The hash of a partition key by which its lane is chosen: FNV-1a with 32 bits, then the finaliser of MurmurHash3, without
 * which the top bits of keys that differ in their last digit would be alike, and these are the lane.
 *
 * It decides which records stay in order with each other, so it stays as it is for ever (I4). Not the MD5 by which Kinesis
 * chooses a shard: that takes 245 ns for a key of 25 bytes, this 26 (test/bench/pack.bench.ts), for each change.
 *
 * @param partitionKey - UTF-8
 * @returns 0 to 2^32 - 1
 * @see http://www.isthe.com/chongo/tech/comp/fnv/
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp (fmix32)
 */
export function keyHash(partitionKey: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < partitionKey.length; i++) hash = Math.imul(hash ^ (partitionKey[i] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * The lane that a hash falls in: its top log2(count) bits.
 *
 * @param hash - what {@link keyHash} gave
 * @param count - how many lanes there are: a power of two, 1 to 256
 * @returns the lane's index
 */
export function laneOfHash(hash: number, count: number): number {
  return Math.floor((hash * count) / 0x100000000);
}

/**
 * The lane of a partition key.
 *
 * @param partitionKey - UTF-8
 * @param count - how many lanes there are: a power of two, 1 to 256
 * @returns the lane's index
 */
export function laneOf(partitionKey: Uint8Array, count: number): number {
  return laneOfHash(keyHash(partitionKey), count);
}
