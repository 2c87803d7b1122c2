/**
 * What the packer's tests share: a packer run to its end with every round copied out, and shards that check user records
 * as consumer libraries do. Shares no line with lambda/pack but the packer itself.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { createPacker, type PackerOptions } from '../../../lambda/pack/create-packer.ts';
import type { KinesisRecord, Round } from '../../../lambda/pack/round.ts';

const SPACE = 2n ** 128n;

/** What goes in. */
export interface Input {
  readonly key: string;
  readonly data: Buffer;
  readonly barrier?: string;
}

/** A round that may be read after it was released. */
function copied(round: Round): Round {
  return { ...round, entries: round.entries.map((entry) => ({ ...entry, data: Buffer.from(entry.data) })) };
}

/** Packs all that fits. @returns what fitted, and the rounds */
export function packAll(options: PackerOptions, inputs: readonly Input[]): { fitted: Input[]; rounds: Round[] } {
  const packer = createPacker(options);
  const fitted: Input[] = [];
  const rounds: Round[] = [];
  const take = (round: Round | undefined) => {
    if (round === undefined) return;
    rounds.push(copied(round));
    // Given back at once: a round that is written over while it is read would show as wrong data.
    packer.release(round);
  };
  for (const input of inputs) {
    const key = Buffer.from(input.key);
    if (!packer.fits(key.length, input.data.length)) continue;
    fitted.push(input);
    take(packer.add(key, input.data, input.barrier));
  }
  take(packer.flush());
  return { fitted, rounds };
}

/** The size of an entry as Kinesis counts it. */
export function sizeOf(entry: KinesisRecord): number {
  return entry.data.length + Buffer.byteLength(entry.partitionKey);
}

/** Where Kinesis puts a record: its explicit hash key, or else the MD5 of its partition key. */
export function hashKeyOf(record: { partitionKey: string; explicitHashKey: string | undefined }): bigint {
  return record.explicitHashKey === undefined
    ? BigInt(`0x${createHash('md5').update(record.partitionKey).digest('hex')}`)
    : BigInt(record.explicitHashKey);
}

/** The hash of a partition key, by the definitions of FNV-1a and of MurmurHash3's finaliser. */
export function hashByReference(key: Uint8Array): bigint {
  const multiply = (a: bigint, b: bigint): bigint => (a * b) % (1n << 32n);
  let hash = 2_166_136_261n;
  for (const byte of key) hash = multiply(hash ^ BigInt(byte), 16_777_619n);
  hash = multiply(hash ^ (hash >> 16n), 0x85ebca6bn);
  hash = multiply(hash ^ (hash >> 13n), 0xc2b2ae35n);
  return hash ^ (hash >> 16n);
}

/** A partition key's lane, by the same. */
export function laneByReference(key: Uint8Array, lanes: number): bigint {
  return (hashByReference(key) * BigInt(lanes)) >> 32n;
}

/** The first hash key of a partition key's lane: the space cut into equal slices. */
export function laneStart(partitionKey: string, lanes: number): string {
  return String((SPACE / BigInt(lanes)) * laneByReference(Buffer.from(partitionKey), lanes));
}

/** A shard: its first and last hash key. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** The shards of a new stream. */
export function evenShards(count: number): Range[] {
  const edge = (i: number) => (SPACE * BigInt(i)) / BigInt(count);
  return Array.from({ length: count }, (_, i) => ({ start: edge(i), end: edge(i + 1) - 1n }));
}

/** Shards as splits and merges leave them: cut anywhere. */
export const anyShards: fc.Arbitrary<Range[]> = fc
  .uniqueArray(fc.bigInt({ min: 1n, max: SPACE - 1n }), { maxLength: 120 })
  .map((cuts) => {
    const edges = [0n, ...cuts.sort((a, b) => (a < b ? -1 : 1)), SPACE];
    return edges.slice(1).map((end, i) => ({ start: edges[i] ?? 0n, end: end - 1n }));
  });

/** Whether a shard has a hash key; KCL discards a user record whose hash key the shard does not have. */
export function has(range: Range, hashKey: bigint): boolean {
  return range.start <= hashKey && hashKey <= range.end;
}

/** Partition keys as tables and rows give them: few and many, short and long, in any script. */
export const anyKey: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 20 }).map((n) => `public.users:${n}`) },
  { weight: 4, arbitrary: fc.integer().map((n) => `public.orders:${n}`) },
  {
    weight: 2,
    arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }).filter((key) => key.length > 0),
  },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 256 }).map((n) => 'é'.repeat(n)) },
);

/** User records, some near the limits given, some with a barrier. */
export function anyInputs(largest: number, maxLength = 120): fc.Arbitrary<Input[]> {
  const size = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 1, arbitrary: fc.integer({ min: Math.max(0, largest - 150), max: largest }) },
  );
  const barrier = fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.constantFrom('a', 'b'));
  return fc.array(fc.tuple(anyKey, size, barrier), { maxLength, size: 'max' }).map((all) =>
    all.map(([key, bytes, wall], i) => ({
      key,
      // Each user record is unlike any other, as far as its size allows.
      data: Buffer.from(`#${i} `.repeat(Math.ceil(bytes / 3) + 1).slice(0, bytes)),
      ...(wall === undefined ? {} : { barrier: wall }),
    })),
  );
}
