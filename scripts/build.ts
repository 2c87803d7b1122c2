/**
 * Builds what `npm pack` ships, into dist/: types, and the constructs, the consumer's library, the function and the command line
 * each as one bundle. So the package has no dependencies, and whoever installs it needs no compiler.
 */
import { spawnSync } from 'node:child_process';
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleCommandLine, bundleFunction, bundleLibrary, bundleReplicaFunction } from './bundle.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const folder of ['lib', 'bin']) await rm(join(root, 'dist', folder), { recursive: true, force: true });
const compiler = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
  { cwd: root, stdio: 'inherit' },
);
if (compiler.status !== 0) throw new Error('TypeScript found faults (above); nothing was built.');
// Older compilers look for './x.js', and find its './x.d.ts'.
for (const name of await readdir(join(root, 'dist/lib'), { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue;
  const path = join(root, 'dist/lib', name);
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(/(from |import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'));
}
const outputs = [
  ...(await bundleLibrary()),
  ...(await bundleFunction()),
  ...(await bundleReplicaFunction()),
  ...(await bundleCommandLine()),
].filter(([name]) => /\.m?js$/.test(name));
await chmod(join(root, 'dist/bin/pg2kinesis.js'), 0o755);
console.log(`Built dist/: ${outputs.map(([name, bytes]) => `${name} (${Math.ceil(bytes / 1024)} KiB)`).join(', ')}.`);
