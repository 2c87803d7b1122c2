/**
 * Errors as they may be shown: what an operator needs, and nothing of a row, a statement or a password (I10).
 * Pure; logs nothing itself.
 */
import { PipelineError } from '../errors.ts';

/** SQLSTATE: PostgreSQL's messages quote values, its codes do not. */
const SQLSTATE = /^[0-9A-Z]{5}$/;

/**
 * Makes an error fit to be thrown to Lambda, which logs all its enumerable properties, or printed.
 *
 * @param error - anything caught
 * @returns an error whose name is its code, if it has one, and whose cause is not enumerable
 */
export function sanitizeError(error: unknown): Error {
  if (error instanceof PipelineError) {
    // A cause that was assigned, not passed, would be enumerable, and a driver's error has the row in its fields.
    Object.defineProperty(error, 'cause', {
      value: error.cause,
      enumerable: false,
      writable: true,
      configurable: true,
    });
    return error;
  }
  const code = codeOf(error);
  const name = error instanceof Error ? error.name : 'Error';
  const told =
    code !== undefined && SQLSTATE.test(code)
      ? `PostgreSQL reported ${code}, which pg2kinesis does not know here; please report it.`
      : error instanceof Error
        ? error.message
        : 'Something that is no error was thrown; please report it.';
  const shown = new Error(told, { cause: error });
  shown.name = name;
  shown.stack = [`${name}: ${told}`, ...framesOf(error)].join('\n');
  return shown;
}

/**
 * What is underneath an error, for the log: kinds, codes and places, never texts.
 *
 * @param error - the caught error
 * @returns fields; none where there is nothing underneath
 */
export function causeFields(error: unknown): Readonly<Record<string, unknown>> {
  const chain: unknown[] = [];
  let at = error instanceof Error ? error.cause : undefined;
  for (; at instanceof Error && chain.length < 5; at = at.cause) {
    const code = codeOf(at);
    chain.push({ kind: at.name, ...(code === undefined ? {} : { code }), at: framesOf(at).slice(0, 8) });
  }
  return chain.length === 0 ? {} : { causes: chain };
}

/** An error's own code: SQLSTATE, or Node's. */
function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The places in a stack, without the message above them, which can be of many lines. */
function framesOf(error: unknown): string[] {
  return error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
}
