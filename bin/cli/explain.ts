/** Errors as the command line prints them: code and message, and where it happened only when debugging. */
import { causeFields, sanitizeError } from '../../lambda/telemetry/error-report.ts';

/**
 * Puts an error in words.
 *
 * @param error - as caught
 * @param env - LOG_LEVEL=DEBUG asks for stacks
 * @returns text with its line break
 */
export function explain(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  const shown = sanitizeError(error);
  const text = shown.message.startsWith(`${shown.name}:`) ? shown.message : `${shown.name}: ${shown.message}`;
  if (env['LOG_LEVEL']?.toUpperCase() !== 'DEBUG') return `${text}\n`;
  return `${shown.stack ?? text}\n${JSON.stringify(causeFields(error), undefined, 2)}\n`;
}
