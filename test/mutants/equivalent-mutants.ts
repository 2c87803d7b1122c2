/**
 * Mutants that no test can kill, because what the product does is the same with them. The score does not count them.
 *
 * A row names the file, the line as it is, the line as the mutant has it, and why nobody can tell the two apart.
 * Rows whose mutant is killed, or is not there any more, are reported and have to go.
 */

/** One such mutant. */
export interface EquivalentMutant {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const EQUIVALENT_MUTANTS: readonly EquivalentMutant[] = [
  {
    file: 'lambda/pack/compression.ts',
    before: 'return (block) => shorter(zlib.gzipSync(block, { level: GZIP_LEVEL }), block);',
    after: 'return (block) => shorter(zlib.gzipSync(block, {}), block);',
    reason: "6 is gzip's own level.",
  },
  {
    file: 'lambda/pack/compression.ts',
    before: 'const params = { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };',
    after: 'const params = {};',
    reason: "3 is zstd's own level.",
  },
  {
    file: 'lambda/pack/compression.ts',
    before: 'return (block) => shorter(zlib.zstdCompressSync(block, { params }), block);',
    after: 'return (block) => shorter(zlib.zstdCompressSync(block, {}), block);',
    reason: "3 is zstd's own level.",
  },
  {
    file: 'lambda/pack/compression.ts',
    before: 'return frame.length < block.length ? frame : block;',
    after: 'return frame.length <= block.length ? frame : block;',
    reason: 'A frame as long as the block is as good.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'const MAX_RETAINED_BYTES = 16 * 1024 * 1024;',
    after: 'const MAX_RETAINED_BYTES = 16 * 1024 / 1024;',
    reason: 'The lanes release their memory sooner: slower, the same records.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'const MAX_RETAINED_BYTES = 16 * 1024 * 1024;',
    after: 'const MAX_RETAINED_BYTES = 16 / 1024 * 1024;',
    reason: 'The lanes release their memory sooner: slower, the same records.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: "if (lane === undefined) throw new RangeError('A partition key has no lane.');",
    after: 'if (lane === undefined) throw new RangeError("");',
    reason: 'Only for the compiler: every hash has a lane.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;',
    after: 'const keepMemory = false;',
    reason: 'The lanes release their memory after each round: slower, the same records.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;',
    after: 'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) < MAX_RETAINED_BYTES;',
    reason: 'One size of memory in 16 million.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'if (this.#open.length === 0) return false;',
    after: 'if (false) return false;',
    reason: 'A round that is empty is closed to nothing.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'if (this.#open.length === 0) return false;',
    after: 'if (this.#open.length === 0) return true;',
    reason: 'A round that is empty is closed to nothing.',
  },
  {
    file: 'lambda/pack/lines.ts',
    before: 'carriesKeys: false,',
    after: 'carriesKeys: true,',
    reason: 'The layout carries no keys, so none is found again.',
  },
  {
    file: 'lambda/pack/open-lane.ts',
    before: 'if (place === 0 || this.#keyCache[at + 2] !== key.length) return -1;',
    after: 'if (false || this.#keyCache[at + 2] !== key.length) return -1;',
    reason: 'An empty cell has the length 0, and no partition key has.',
  },
  {
    file: 'lambda/pack/open-lane.ts',
    before: 'if (keepMemory) {',
    after: 'if (false) {',
    reason: 'The lanes take new memory for each round: slower, the same records.',
  },
  {
    file: 'lambda/pack/unaggregated-packer.ts',
    before: "return { data, partitionKey: keys[i] ?? '', explicitHashKey: undefined };",
    after: 'return { data, partitionKey: keys[i] ?? "Stryker was here!", explicitHashKey: undefined };',
    reason: 'Only for the compiler: each record has its key.',
  },
  {
    file: 'lambda/pack/unaggregated-packer.ts',
    before: 'this.#ends.length > 0 &&',
    after: 'true &&',
    reason: 'A round that is empty is closed to nothing.',
  },
  {
    file: 'lambda/pack/unaggregated-packer.ts',
    before: 'this.#ends.length > 0 &&',
    after: 'this.#ends.length >= 0 &&',
    reason: 'A round that is empty is closed to nothing.',
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    before: 'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;',
    after: 'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) > MAX_RETAINED_BYTES;',
    reason: 'The lanes release their memory after each round, and so never hold that much: slower, the same records.',
  },
];
