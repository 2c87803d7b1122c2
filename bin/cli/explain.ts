/** Errors as the command line prints them: code and message, and where it happened only when debugging. */
import { PipelineError } from '../../lambda/errors.ts';
import { printable, printableJson } from '../../lambda/printable.ts';
import { causeFields, sanitizeError } from '../../lambda/telemetry/error-report.ts';
import { EXIT } from './terminal.ts';

/**
 * Puts an error in words.
 *
 * @param error - the caught error
 * @param env - LOG_LEVEL=DEBUG asks for stacks
 * @returns text with its line break
 */
export function explain(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  const shown = sanitizeError(error);
  const message = printable(shown.message);
  const text = message.startsWith(`${shown.name}:`) ? message : `${shown.name}: ${message}`;
  if (env['LOG_LEVEL']?.toUpperCase() !== 'DEBUG') return `${text}\n`;
  const frames = (shown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return `${[text, ...frames.map(printable)].join('\n')}\n${printableJson(JSON.stringify(causeFields(error), undefined, 2))}\n`;
}

/**
 * @param error - the caught error
 * @returns the exit status: trying again helps against a failure, and not against wrong settings
 */
export function exitStatusOf(error: unknown): number {
  const wrong = error instanceof PipelineError && (error.code === 'CONFIG_INVALID' || error.code === 'EVENT_INVALID');
  return wrong ? EXIT.usage : EXIT.failed;
}
