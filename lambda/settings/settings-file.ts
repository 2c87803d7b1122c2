/**
 * Settings that do not fit into a function's environment, which holds 4 KB: the stack puts its long lists into a file of a
 * layer, and the name of the file into SETTINGS_FILE. Pure; the file is read by whoever calls.
 */
import { PipelineError } from '../errors.ts';

/**
 * Adds the file's settings to the environment's.
 *
 * @param env - the environment's variables; what is set there wins
 * @param read - reads a text file
 * @returns the environment, with what the file holds
 * @throws {PipelineError} CONFIG_INVALID where the file is not there, or is no JSON object of texts
 */
export function withSettingsFile(
  env: Readonly<Record<string, string | undefined>>,
  read: (path: string) => string,
): Readonly<Record<string, string | undefined>> {
  const path = env['SETTINGS_FILE'];
  if (path === undefined || path === '') return env;
  let values: unknown;
  try {
    values = JSON.parse(read(path));
  } catch (error) {
    // Not the error's own message, which may show the text.
    const why = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
    throw new PipelineError('CONFIG_INVALID', `The file of SETTINGS_FILE ${why}, nothing was done.`, { cause: error });
  }
  if (typeof values !== 'object' || values === null || Object.values(values).some((value) => typeof value !== 'string'))
    throw new PipelineError(
      'CONFIG_INVALID',
      'The file of SETTINGS_FILE is no JSON object of texts, nothing was done.',
    );
  return { ...(values as Record<string, string>), ...env };
}
