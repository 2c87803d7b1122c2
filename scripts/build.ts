/**
 * Builds what `npm pack` ships, into dist/: the constructs as JavaScript and types, the function and the command line
 * each as one bundle. So the package has no dependencies, and whoever installs it needs no compiler.
 */
import { spawnSync } from 'node:child_process';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleCommandLine, bundleFunction } from './bundle.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const folder of ['lib', 'bin']) await rm(join(root, 'dist', folder), { recursive: true, force: true });
const compiler = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
  { cwd: root, stdio: 'inherit' },
);
if (compiler.status !== 0) throw new Error('TypeScript found faults (above); nothing was built.');
const outputs = [...(await bundleFunction()), ...(await bundleCommandLine())];
await chmod(join(root, 'dist/bin/pg2kinesis.js'), 0o755);
console.log(
  `Built dist/: lib, ${outputs.map(([name, bytes]) => `${name} (${Math.ceil(bytes / 1024)} KiB)`).join(', ')}.`,
);
