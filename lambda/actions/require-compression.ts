/** Whether this Node.js can compress as COMPRESSION says. `run` refuses what `check` tells. */
import { PipelineError } from '../errors.ts';
import { type Compression, isSupported } from '../pack/compression.ts';

/**
 * Refuses what this Node.js cannot do.
 *
 * @param compression - COMPRESSION
 * @param library - what compresses @default Node.js's own
 * @throws {PipelineError} CONFIG_INVALID
 */
export function requireCompression(compression: Compression, library?: object): void {
  if (isSupported(compression, library)) return;
  throw new PipelineError(
    'CONFIG_INVALID',
    `COMPRESSION cannot be "${compression}" on Node.js ${process.versions.node}, which has no zstd (allowed there: none, gzip). Nothing was read and the slot was not advanced.`,
  );
}
