/**
 * Which of the function's settings the demo passes through, and what they mean for the demo itself. Pure.
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PipelineError } from '../../lambda/errors.ts';
import { type Config, readConfig } from '../../lambda/settings/config.ts';
import { type SettingName, SETTINGS } from '../../lambda/settings/settings-table.ts';
import { FORMAT_NAMES, type FormatName } from './parse-record.ts';

/** All but those that say where the database is and how to enter it: these are the demo's own. */
const PASSED = (Object.keys(SETTINGS) as SettingName[]).filter((name) => !/^(PG|DATABASE_)/.test(name));

/** What the demo's consumer can read of FORMAT=module. */
const OWN_FORMATTER = fileURLToPath(new URL(`./formatter${extname(import.meta.url)}`, import.meta.url));

/**
 * Gathers the settings.
 *
 * @param given - by the command line, by the variables' names
 * @param env - the environment; the same variables are taken from it where the command line gives none
 * @returns what to set for the function, by the variables' names
 * @throws {Error} when a setting is given that the demo cannot pass through
 */
export function passedSettings(
  given: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const refused = Object.keys(given).filter((name) => !PASSED.some((passed) => passed === name));
  if (refused.length > 0) {
    throw new Error(
      `The demo was not started: it does not pass ${refused.join(', ')} through; it passes ${PASSED.join(', ')}.`,
    );
  }
  const settings: Record<string, string> = {};
  for (const name of PASSED) {
    const value = given[name] ?? env[name];
    if (value !== undefined && value !== '') settings[name] = value;
  }
  // The format that a new pipeline should take, and the one that a second PostgreSQL is made of.
  settings['FORMAT'] ??= 'json';
  if (settings['FORMAT'] === 'module') settings['FORMATTER'] ??= OWN_FORMATTER;
  if (settings['FORMAT'] === 'json' && settings['AGGREGATION'] !== 'none') settings['MARKS'] ??= 'on';
  return settings;
}

/**
 * Whether the stream can be copied into a second PostgreSQL.
 *
 * @param config - as {@link validateSettings} gives it
 * @returns why not; undefined: it can
 */
export function whyNoCopy({ marks, operations, filters }: DemoConfig): string | undefined {
  if (!marks) return 'the stream has no marks, which FORMAT=json with AGGREGATION=kpl or lines and MARKS=on has';
  if (operations.size < 4) return 'OPERATIONS leaves changes out';
  return filters.tableInclude.length + filters.tableExclude.length + filters.columnExclude.length > 0
    ? 'tables or columns are excluded'
    : undefined;
}

/** What the demo can read back. */
export interface DemoConfig extends Config {
  readonly format: FormatName;
}

/**
 * Validates the settings by the function's own config reader, before any server is started.
 *
 * @param settings - as {@link passedSettings} gathered them
 * @throws {PipelineError} CONFIG_INVALID
 */
export function validateSettings(settings: Readonly<Record<string, string>>): DemoConfig {
  const config = readConfig({
    ...settings,
    PGHOST: '127.0.0.1',
    PGDATABASE: 'postgres',
    PGUSER: 'pg2kinesis',
    PGPASSWORD: 'demo',
    PGSSLMODE: 'disable',
  });
  const format = FORMAT_NAMES.find((name) => name === config.format);
  if (format === undefined) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `FORMAT cannot be "${config.format}" in the demo, whose consumer does not read it (allowed there: ${FORMAT_NAMES.join(', ')}). Nothing was started.`,
    );
  }
  if (format === 'module' && settings['FORMATTER'] !== OWN_FORMATTER) {
    throw new PipelineError(
      'CONFIG_INVALID',
      "FORMATTER cannot be set in the demo, whose consumer reads what the demo's own formatter writes. Nothing was started.",
      { remedy: 'Leave it out. Try your own formatter with run and tail.' },
    );
  }
  return { ...config, format };
}
