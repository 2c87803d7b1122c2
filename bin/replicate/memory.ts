/**
 * Makes Node.js use little memory. Left alone, it collects garbage so late that a replica takes three times what it needs: what is
 * read lives for a moment only, and there is much of it.
 */
import { setFlagsFromString } from 'node:v8';

/**
 * The new space stays at the size that it begins with, and the old one is collected when it has grown by a third. Both are read
 * each time that they matter, so they work in a process that is under way. Measured: 191 to 215 MiB instead of 508, for a third
 * more processor time.
 */
const FLAGS = ['--semi-space-growth-factor=1', '--heap-growing-percent=33'] as const;

/** Sets it for this process. Call it before much is loaded: a new space that has grown stays large. */
export function saveMemory(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
