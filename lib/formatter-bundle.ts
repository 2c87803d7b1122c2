/**
 * A formatter of the user's own, bundled at synthesis into one file for the function. It is loaded once, in a process of
 * its own, so that what is no formatter fails here and not in the cloud. Knows no construct.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BuildFailure, buildSync } from 'esbuild';
import { SynthesisError } from './synthesis-error.ts';

/** The formatter's file in the function's folder, which is its working directory. */
export const FORMATTER_FILE = 'formatter.mjs';

/** How long loading it may take. */
const LOAD_MS = 30_000;

/**
 * Bundles it, with all that it imports.
 *
 * @param path - its file, TypeScript or JavaScript, from the working directory
 * @param messages - whether it has to write logical messages, too
 * @returns the files' names and texts: the module, and its source map
 * @throws {SynthesisError} where the file is missing or has a fault, or its default export is no formatter
 */
export function bundleFormatter(path: string, messages = false): Map<string, string> {
  const file = resolve(path);
  if (!existsSync(file)) throw refused(path, 'there is no such file');
  let result: ReturnType<typeof buildSync>;
  try {
    result = esbuild()({
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      entryPoints: [file],
      outfile: resolve(FORMATTER_FILE),
      sourcemap: 'linked',
      sourcesContent: false,
      keepNames: true,
      write: false,
      logLevel: 'silent',
    });
  } catch (error) {
    if (error instanceof SynthesisError || !(error instanceof Error)) throw error;
    const [first] = (error as Partial<BuildFailure>).errors ?? [];
    const place = first?.location == null ? '' : `${first.location.file}:${first.location.line}: `;
    throw refused(path, `it cannot be bundled (${place}${first?.text ?? error.message})`);
  }
  const files = new Map(
    (result.outputFiles ?? []).map((output) => [
      output.path.endsWith('.map') ? `${FORMATTER_FILE}.map` : FORMATTER_FILE,
      output.text,
    ]),
  );
  requireFormatter(path, files.get(FORMATTER_FILE) ?? '', messages);
  return files;
}

/** The bundler is the user's: the package has no dependencies. */
function esbuild(): typeof buildSync {
  try {
    const module = createRequire(import.meta.url)('esbuild') as { readonly buildSync: typeof buildSync };
    return module.buildSync;
  } catch (error) {
    throw new SynthesisError(
      'A formatter is bundled with esbuild, which is not installed, so nothing was synthesised. Install it beside pg2kinesis: npm install --save-dev esbuild.',
      { cause: error },
    );
  }
}

/** Loads the module in another process: it runs a user's code, which may do anything. */
function requireFormatter(path: string, text: string, messages: boolean): void {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-formatter-'));
  try {
    const file = join(folder, FORMATTER_FILE);
    writeFileSync(file, text);
    const load = `const { default: it } = await import(${JSON.stringify(pathToFileURL(file).href)}); process.exit(typeof it?.format !== 'function' ? 3 : ${messages} && typeof it.formatMessage !== 'function' ? 4 : 0);`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', load], {
      encoding: 'utf8',
      timeout: LOAD_MS,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status === 3) throw refused(path, 'it has no default export with a function "format"');
    if (status === 4) throw refused(path, 'it has no function "formatMessage" beside "format", which messages needs');
    const reason = /^\w*Error.*$/m.exec(stderr)?.[0] ?? (status === null ? 'it did not end' : `status ${status}`);
    if (status !== 0) throw refused(path, `it cannot be loaded (${reason})`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function refused(path: string, why: string): SynthesisError {
  return new SynthesisError(
    `formatter cannot be ${JSON.stringify(path)}: ${why}. Nothing was synthesised. See "Your own formatter" in docs/records.md.`,
  );
}
