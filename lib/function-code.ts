/**
 * Where the function's bundle is: made when the package is built, shipped with it, and only named here.
 * Nothing is bundled at synthesis, so a user's app needs neither a bundler nor Docker.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as lambda from 'aws-cdk-lib/aws-lambda';

/** The bundle's handler, as Lambda names it: file and export. */
export const HANDLER = 'handler.handler';

/**
 * @param from - the address of this module, in the package (dist/lib/) or in the sources (lib/)
 * @returns the bundle's folder
 * @throws {Error} where the bundle has not been made
 */
export function bundleFolder(from: string = import.meta.url): string {
  const folders = ['../function/', '../dist/function/'].map((path) => fileURLToPath(new URL(path, from)));
  const folder = folders.find((path) => existsSync(`${path}handler.mjs`));
  if (folder === undefined) {
    throw new Error(
      `The function's bundle is in neither ${folders.join(' nor ')}, so nothing was synthesised. Make it: npm run build.`,
    );
  }
  return folder;
}

/** @returns the function's code: the bundle */
export function functionCode(): lambda.Code {
  return lambda.Code.fromAsset(bundleFolder());
}
