/**
 * Loads the module that FORMATTER names, and sees to it that it is a formatter. The only file that imports a user's code.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Formatter } from '../lib/formatter/formatter.ts';
import { PipelineError } from './errors.ts';
import { describeThrown } from './format/module/thrown.ts';

/**
 * @param path - a file, from the working directory
 * @param messages - whether it has to write logical messages, too
 * @returns its default export
 * @throws {PipelineError} CONFIG_INVALID, where it cannot be loaded or is no formatter
 */
export async function loadFormatter(path: string, messages: boolean): Promise<Formatter> {
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as typeof module;
  } catch (error) {
    throw invalid(`could not be loaded (${reasonOf(error)})`);
  }
  const { default: formatter } = module;
  if (!isFormatter(formatter)) throw invalid('has no default export with a function "format"');
  if (messages && typeof formatter.formatMessage !== 'function')
    throw invalid('has no function "formatMessage" beside "format", which MESSAGES needs');
  return formatter;
}

function isFormatter(value: unknown): value is Formatter {
  return typeof value === 'object' && value !== null && 'format' in value && typeof value.format === 'function';
}

/** Node.js's code where there is one. A message may hold what the module was given. */
function reasonOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
    return `Node.js ${process.versions.node} loads JavaScript only: give it a .js or .mjs file`;
  if (code === 'ERR_MODULE_NOT_FOUND') return 'the file, or a module that it imports, is not there';
  return typeof code === 'string' && /^[A-Z_]{1,64}$/.test(code) ? code : describeThrown(error);
}

function invalid(what: string): PipelineError {
  return new PipelineError(
    'CONFIG_INVALID',
    `The module that FORMATTER names ${what}. Nothing was read and the slot was not advanced.`,
  );
}
