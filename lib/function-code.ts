/**
 * Where the function's bundle is: made when the package is built, shipped with it, and only named here.
 * Nothing of ours is bundled at synthesis, so a user's app needs neither a bundler nor Docker; only a formatter of the
 * user's own is.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Stage } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { bundleFormatter } from './formatter-bundle.ts';

/** The bundle's handler, as Lambda names it: file and export. */
export const HANDLER = 'handler.handler';

/**
 * @param from - the address of this module, in the package (dist/lib/) or in the sources (lib/)
 * @param name - which bundle: the publisher's or a replica's
 * @returns the bundle's folder
 * @throws {Error} where the bundle has not been made
 */
export function bundleFolder(
  from: string = import.meta.url,
  name: 'function' | 'replica-function' = 'function',
): string {
  const folders = [`../${name}/`, `../dist/${name}/`].map((path) => fileURLToPath(new URL(path, from)));
  const folder = folders.find((path) => existsSync(`${path}handler.mjs`));
  if (folder === undefined) {
    throw new Error(
      `The function's bundle is in neither ${folders.join(' nor ')}, so nothing was synthesised. Make it: npm run build.`,
    );
  }
  return folder;
}

/**
 * @param scope - the construct whose function it is
 * @param formatter - the file of the user's own formatter; undefined: there is none
 * @param messages - whether it has to write logical messages, too
 * @returns the function's code: the bundle, and the formatter's beside it
 * @throws {SynthesisError} where the formatter cannot be bundled, or is none
 */
export function functionCode(scope: Construct, formatter: string | undefined, messages = false): lambda.Code {
  const folder = bundleFolder();
  if (formatter === undefined) return lambda.Code.fromAsset(folder);
  const files = bundleFormatter(formatter, messages);
  // In the assembly's folder, so that nothing is left elsewhere.
  const hash = createHash('sha256')
    .update(JSON.stringify([...files]))
    .digest('hex')
    .slice(0, 16);
  const target = join(Stage.of(scope)?.outdir ?? '.', `pg2kinesis.function.${hash}`);
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(target, name));
  for (const [name, text] of files) writeFileSync(join(target, name), text);
  return lambda.Code.fromAsset(target);
}
