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
  {
    file: 'lambda/format/json/value-converters.ts',
    before: 'while (from < to && (bytes[from] ?? 0) <= SPACE) from++;',
    after: 'while (from <= to && (bytes[from] ?? 0) <= SPACE) from++;',
    reason: 'Only a text of blanks goes on by one, and its length is then negative: it is not null.',
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    before: 'while (to > from && (bytes[to - 1] ?? 0) <= SPACE) to--;',
    after: 'while (to >= from && (bytes[to - 1] ?? 0) <= SPACE) to--;',
    reason: 'Only a text of blanks goes on by one, and its length is then negative: it is not null.',
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    before: 'return to - from === NULL.length && bytes.compare(NULL, 0, NULL.length, from, to) === 0;',
    after: 'return true && bytes.compare(NULL, 0, NULL.length, from, to) === 0;',
    reason: 'Only four bytes are equal to four bytes.',
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    before: 'if (first >= ZERO && first <= NINE) out.copy(bytes, start, end);',
    after: 'if (true && first <= NINE) out.copy(bytes, start, end);',
    reason: 'No float that the server prints begins with a byte below 0, its sign apart.',
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    before: 'const target = out.reserve(Math.ceil((end - start) / 6) * 4 + 2);',
    after: 'const target = out.reserve(Math.ceil((end - start) * 6) * 4 + 2);',
    reason: 'Reserves more memory than is needed: the same bytes.',
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    before: 'const target = out.reserve(Math.ceil((end - start) / 6) * 4 + 2);',
    after: 'const target = out.reserve(Math.ceil((end + start) / 6) * 4 + 2);',
    reason: 'Reserves more memory than is needed: the same bytes.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'while (close < end && bytes[close] !== QUOTE) {',
    after: 'while (close <= end && bytes[close] !== QUOTE) {',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (close >= end) return -1;',
    after: 'if (false) return -1;',
    reason: 'The array is then beyond its end, and refused there.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (close >= end) return -1;',
    after: 'if (close > end) return -1;',
    reason: 'The array is then beyond its end, and refused there.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'return close < 0 ? -1 : close + 1;',
    after: 'return close <= 0 ? -1 : close + 1;',
    reason: 'A closing quote is never the first byte: the array begins before it.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'while (i < end && bytes[i] !== comma && bytes[i] !== CLOSE) i++;',
    after: 'while (i <= end && bytes[i] !== comma && bytes[i] !== CLOSE) i++;',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i - start === 4 && bytes.compare(PRINTED_NULL, 0, 4, start, i) === 0) out.copy(NULL);',
    after: 'if (true && bytes.compare(PRINTED_NULL, 0, 4, start, i) === 0) out.copy(NULL);',
    reason: 'Only four bytes are equal to four bytes.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i < end && bytes[i] === OPEN) {',
    after: 'if (true && bytes[i] === OPEN) {',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i < end && bytes[i] === OPEN) {',
    after: 'if (i <= end && bytes[i] === OPEN) {',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i < 0) return false;',
    after: 'if (false) return false;',
    reason: 'There is no byte at -1, so it is no delimiter: refused three lines below.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i < 0) return false;',
    after: 'if (i <= 0) return false;',
    reason: 'No element ends at 0.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'while (i < end && bytes[i] === CLOSE && depth > 0) {',
    after: 'while (true && bytes[i] === CLOSE && depth > 0) {',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'while (i < end && bytes[i] === CLOSE && depth > 0) {',
    after: 'while (i <= end && bytes[i] === CLOSE && depth > 0) {',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i >= end || bytes[i] !== comma) return false;',
    after: 'if (false || bytes[i] !== comma) return false;',
    reason: 'Behind the end no element is read: refused at the next.',
  },
  {
    file: 'lambda/format/json/arrays.ts',
    before: 'if (i >= end || bytes[i] !== comma) return false;',
    after: 'if (i > end || bytes[i] !== comma) return false;',
    reason: 'Behind the end no element is read: refused at the next.',
  },
  {
    file: 'lambda/format/module/change.ts',
    before: 'if (header === undefined || (omitted.size > 0 && omitted.has(header.printed))) continue;',
    after: 'if (header === undefined || (true && omitted.has(header.printed))) continue;',
    reason: 'An empty set has nothing.',
  },
  {
    file: 'lambda/format/module/change.ts',
    before: 'if (header === undefined || (omitted.size > 0 && omitted.has(header.printed))) continue;',
    after: 'if (header === undefined || (omitted.size >= 0 && omitted.has(header.printed))) continue;',
    reason: 'An empty set has nothing.',
  },
  {
    file: 'lambda/format/module/change.ts',
    before: 'place = oldTuple === undefined ? -1 : indexOfSent(oldTuple, header);',
    after: 'place = oldTuple === undefined ? +1 : indexOfSent(oldTuple, header);',
    reason: 'Without an old row the place is not used.',
  },
  {
    file: 'lambda/format/module/change.ts',
    before: 'const slot = header.id % MAX_COLUMNS;',
    after: 'const slot = header.id * MAX_COLUMNS;',
    reason: 'Each column has a place of its own all the same: more memory, the same values.',
  },
  {
    file: 'lambda/format/module/change.ts',
    before: 'if (known?.header !== header) {',
    after: 'if (true) {',
    reason: 'The reader is made again for each value: slower, the same values.',
  },
  {
    file: 'lambda/format/module/change.ts',
    before: "if (name === '__proto__')",
    after: 'if (true)',
    reason: 'An own property is the same, however it came to be.',
  },
];
