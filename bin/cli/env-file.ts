/** `--env-file`: settings from a file, for every command. What the environment says already wins, as with Node.js's own flag. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { PipelineError } from '../../lambda/errors.ts';
import type { Terminal } from './terminal.ts';

/** @param terminal - any @returns the same with an environment of its own, to which a file's variables can be added */
export function withOwnEnvironment(terminal: Terminal): Terminal {
  return {
    env: { ...terminal.env },
    ...(terminal.stdin === undefined ? {} : { stdin: terminal.stdin }),
    stdout: terminal.stdout,
    stderr: terminal.stderr,
    on: (signal, listener) => terminal.on(signal, listener),
    off: (signal, listener) => terminal.off(signal, listener),
    exit: (status) => terminal.exit(status),
  };
}

/**
 * @param path - of the file; undefined: there is none
 * @param terminal - whose environment is added to
 * @throws {PipelineError} CONFIG_INVALID where it cannot be read
 */
export function readEnvFile(path: string | undefined, { env }: Terminal): void {
  if (path === undefined) return;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new PipelineError(
      'CONFIG_INVALID',
      `The file ${path} of --env-file cannot be read (${code}). Nothing was done.`,
      {
        cause: error,
        remedy: 'Correct the path. pg2kinesis init writes such a file.',
      },
    );
  }
  addVariables(parseEnv(text), env);
}

/**
 * Adds variables to an environment. Those that are set stay.
 *
 * @param variables - names and values
 * @param env - a terminal's own environment
 */
export function addVariables(variables: Readonly<Record<string, string | undefined>>, env: Terminal['env']): void {
  const own = env as Record<string, string | undefined>;
  for (const [name, value] of Object.entries(variables)) {
    own[name] ??= value;
    // The AWS SDK reads the process's own environment.
    if (name.startsWith('AWS_')) process.env[name] ??= value;
  }
}
