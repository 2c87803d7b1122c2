/** The CDK's command line, as a user runs it, but for where AWS is; and the zips that it uploads. Knows no stack. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Moto } from './moto.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** How long one command may take. */
const LIMIT_MS = 300_000;

/**
 * Runs a command to its end.
 *
 * @param moto - where AWS is
 * @param home - a folder for what it caches
 * @param args - of the command
 * @returns what it wrote
 */
export async function runCdk(moto: Moto, home: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [join(ROOT, 'node_modules/aws-cdk/bin/cdk'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    env: {
      PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
      HOME: home,
      CI: 'true',
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      ...moto.environment,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('close', (...end) => resolve(end)),
  );
  assert.equal(
    status,
    0,
    `cdk ${args[0] ?? ''} ended with ${String(status ?? signal)} (its limit is ${LIMIT_MS / 1000} s):\n${output}`,
  );
  return output;
}

/** @param zip - that was uploaded @param folder - is made, and holds it then */
export function unzip(zip: Buffer, folder: string): void {
  writeFileSync(`${folder}.zip`, zip);
  mkdirSync(folder);
  // Python is there, since moto is.
  const unzipped = spawnSync('python3', ['-m', 'zipfile', '-e', `${folder}.zip`, folder], { encoding: 'utf8' });
  assert.equal(unzipped.status, 0, unzipped.stderr);
}
