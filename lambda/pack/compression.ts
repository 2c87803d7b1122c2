/**
 * Compression of a lane's lines: one frame a Kinesis record. Knows no lane and no limit.
 *
 * A reader tells a compressed record by its first bytes: gzip begins with 1f 8b, zstd with 28 b5 2f fd, and no line does.
 * So what does not get smaller is left as it is.
 */
import * as zlib from 'node:zlib';

/** The values of COMPRESSION. */
export type Compression = 'none' | 'gzip' | 'zstd';

/**
 * How hard is tried. For blocks of 64 KiB of the benchmark's records (test/bench/compression.ts) zstd gains
 * nothing beyond level 3, and gzip little beyond 6 (its default).
 */
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 6;

/**
 * Whether this Node.js can compress so: zstd came with 22.15 and 23.8.
 *
 * @param compression - a value of COMPRESSION
 * @param library - what compresses
 */
export function isSupported(compression: Compression, library: object = zlib): boolean {
  return compression !== 'zstd' || 'zstdCompressSync' in library;
}

/**
 * Makes what compresses a block of lines.
 *
 * @param compression - a value of COMPRESSION that {@link isSupported}
 * @returns gives one complete frame, or the block itself where that is not longer; undefined: nothing is compressed
 */
export function compressor(compression: Compression): ((block: Buffer) => Buffer) | undefined {
  switch (compression) {
    case 'none':
      return undefined;
    case 'gzip':
      return (block) => shorter(zlib.gzipSync(block, { level: GZIP_LEVEL }), block);
    case 'zstd': {
      const params = { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
      return (block) => shorter(zlib.zstdCompressSync(block, { params }), block);
    }
  }
}

function shorter(frame: Buffer, block: Buffer): Buffer {
  return frame.length < block.length ? frame : block;
}
