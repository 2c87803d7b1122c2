/** Errors as the command line prints them: code and message, and where it happened only when debugging. */
import { PipelineError } from '../../lambda/errors.ts';
import { printable, printableJson } from '../../lambda/printable.ts';
import type { PayloadField } from '../../lambda/settings/payloads.ts';
import { causeFields, sanitizeError } from '../../lambda/telemetry/error-report.ts';
import { ReplicaError } from '../../replica/errors.ts';
import { EXIT, type Terminal } from './terminal.ts';

/**
 * Puts an error in words.
 *
 * @param error - the caught error
 * @param env - LOG_LEVEL=DEBUG asks for stacks
 * @returns text with its line break
 */
export function formatError(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  const shown = sanitizeError(error);
  const message = printable(shown.message);
  const text = message.startsWith(`${shown.name}:`) ? message : `${shown.name}: ${message}`;
  if (env['LOG_LEVEL']?.toUpperCase() !== 'DEBUG') return `${text}\n`;
  const frames = (shown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return `${[text, ...frames.map(printable)].join('\n')}\n${printableJson(JSON.stringify(causeFields(error), undefined, 2))}\n`;
}

/** A payload's fields, as they are given here; `lagSeconds` has no option. */
const OPTION_NAMES: Readonly<Record<Exclude<PayloadField, 'lagSeconds'>, string>> = {
  maxSeconds: '--max-seconds',
  maxBatches: '--max-batches',
  resume: '--resume',
  commitLsn: 'the commit LSN',
  discardUnread: '--yes',
  onStandby: '--on-standby',
  from: '--from',
  tables: '--tables',
};

/**
 * Puts what is wrong with a payload in the words of whoever typed options.
 *
 * @param error - of reading the payload
 * @param command - the command's name
 */
export function inWordsOfOptions(error: unknown, command: string): unknown {
  if (!(error instanceof PipelineError) || error.code !== 'EVENT_INVALID') return error;
  const what = error.what.replace(/"(\w+)"/g, (quoted, field: string) =>
    Object.hasOwn(OPTION_NAMES, field) ? OPTION_NAMES[field as keyof typeof OPTION_NAMES] : quoted,
  );
  return new PipelineError('EVENT_INVALID', what, { remedy: `See pg2kinesis ${command} --help.` });
}

/**
 * Writes an error to a terminal.
 *
 * @param error - the caught error
 * @param terminal - where to
 * @param json - as one JSON object, as the log's lines are then
 */
export function printError(error: unknown, terminal: Pick<Terminal, 'env' | 'stderr'>, json: boolean): void {
  if (!json) {
    terminal.stderr.write(formatError(error, terminal.env));
    return;
  }
  const { name, message } = sanitizeError(error);
  const details = terminal.env['LOG_LEVEL']?.toUpperCase() === 'DEBUG' ? causeFields(error) : {};
  terminal.stderr.write(jsonLine({ ...details, code: name, message }));
}

/** A line of the log that says an error. @param fields - its message and what else there is */
export function jsonLine(fields: Readonly<Record<string, unknown>>): string {
  const timestamp = new Date().toISOString();
  return `${printableJson(JSON.stringify({ level: 'ERROR', timestamp, ...fields }))}\n`;
}

/**
 * @param error - the caught error
 * @returns the exit status: trying again helps against a failure, and not against wrong settings
 */
export function exitStatusOf(error: unknown): number {
  if (error instanceof ReplicaError) return error.exit;
  const name = error instanceof Error ? error.name : '';
  // A deployed function's failures have their codes as names, too.
  if (name === 'CONFIG_INVALID' || name === 'EVENT_INVALID') return EXIT.usage;
  return name === 'INTERRUPTED' ? EXIT.incomplete : EXIT.failed;
}
