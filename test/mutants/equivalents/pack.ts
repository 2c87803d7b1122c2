/** Equivalent mutants of lambda/pack/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const PACK: readonly EquivalentMutants[] = [
  {
    file: 'lambda/pack/compression.ts',
    reason: "6 is gzip's own level.",
    changes: [
      [
        'return (block) => shorter(zlib.gzipSync(block, { level: GZIP_LEVEL }), block);',
        'return (block) => shorter(zlib.gzipSync(block, {}), block);',
      ],
    ],
  },
  {
    file: 'lambda/pack/compression.ts',
    reason: "3 is zstd's own level.",
    changes: [
      ['const params = { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };', 'const params = {};'],
      [
        'return (block) => shorter(zlib.zstdCompressSync(block, { params }), block);',
        'return (block) => shorter(zlib.zstdCompressSync(block, {}), block);',
      ],
    ],
  },
  {
    file: 'lambda/pack/compression.ts',
    reason: 'A frame as long as the block is as good.',
    changes: [
      ['return frame.length < block.length ? frame : block;', 'return frame.length <= block.length ? frame : block;'],
    ],
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    reason: 'The lanes release their memory sooner: slower, the same records.',
    changes: [
      ['const MAX_RETAINED_BYTES = 16 * 1024 * 1024;', 'const MAX_RETAINED_BYTES = 16 * 1024 / 1024;'],
      ['const MAX_RETAINED_BYTES = 16 * 1024 * 1024;', 'const MAX_RETAINED_BYTES = 16 / 1024 * 1024;'],
    ],
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    reason: 'Only for the compiler: every hash has a lane.',
    changes: [
      [
        "if (lane === undefined) throw new RangeError('A partition key has no lane.');",
        'if (lane === undefined) throw new RangeError("");',
      ],
    ],
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    reason: 'The lanes release their memory after each round: slower, the same records.',
    changes: [
      [
        'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;',
        'const keepMemory = false;',
      ],
    ],
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    reason: 'One size of memory in 16 million.',
    changes: [
      [
        'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;',
        'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) < MAX_RETAINED_BYTES;',
      ],
    ],
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    reason: 'A round that is empty is closed to nothing.',
    changes: [
      ['if (this.#open.length === 0) return false;', 'if (false) return false;'],
      ['if (this.#open.length === 0) return false;', 'if (this.#open.length === 0) return true;'],
    ],
  },
  {
    file: 'lambda/pack/lines.ts',
    reason: 'The layout carries no keys, so none is found again.',
    changes: [['carriesKeys: false,', 'carriesKeys: true,']],
  },
  {
    file: 'lambda/pack/open-lane.ts',
    reason: 'An empty cell has the length 0, and no partition key has.',
    changes: [
      [
        'if (place === 0 || this.#keyCache[at + 2] !== key.length) return -1;',
        'if (false || this.#keyCache[at + 2] !== key.length) return -1;',
      ],
    ],
  },
  {
    file: 'lambda/pack/open-lane.ts',
    reason: 'The lanes take new memory for each round: slower, the same records.',
    changes: [['if (keepMemory) {', 'if (false) {']],
  },
  {
    file: 'lambda/pack/unaggregated-packer.ts',
    reason: 'Only for the compiler: each record has its key.',
    changes: [
      [
        "return { data, partitionKey: keys[i] ?? '', explicitHashKey: undefined };",
        'return { data, partitionKey: keys[i] ?? "Stryker was here!", explicitHashKey: undefined };',
      ],
    ],
  },
  {
    file: 'lambda/pack/unaggregated-packer.ts',
    reason: 'A round that is empty is closed to nothing.',
    changes: [
      ['this.#ends.length > 0 &&', 'true &&'],
      ['this.#ends.length > 0 &&', 'this.#ends.length >= 0 &&'],
    ],
  },
  {
    file: 'lambda/pack/lane-packer.ts',
    reason: 'The lanes release their memory after each round, and so never hold that much: slower, the same records.',
    changes: [
      [
        'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) <= MAX_RETAINED_BYTES;',
        'const keepMemory = this.#lanes.reduce((sum, { capacity }) => sum + capacity, 0) > MAX_RETAINED_BYTES;',
      ],
    ],
  },
];
