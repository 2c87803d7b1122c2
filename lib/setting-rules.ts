/**
 * Settings that are each right by themselves and contradict each other: one place for the app's settings and the constructs' props.
 * Pure. Knows neither the context nor CloudFormation.
 */
import { DEFAULT_FORMAT, FORMAT_FACTS, FORMAT_NAMES } from './format-facts.ts';
import type { PartialSettings } from './pipeline-settings.ts';

const FORMATS_WITH_MESSAGES = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(
  FORMAT_NAMES.filter((name) => FORMAT_FACTS[name].hasMessages),
);

/**
 * @param settings - what was given, under the settings' names
 * @returns a sentence for each contradiction
 */
export function publishingFaults(settings: PartialSettings): string[] {
  const faults: string[] = [];
  const iam = settings.databaseAuth === 'iam';
  if (iam && settings.databaseSslMode === 'disable')
    faults.push('databaseSslMode cannot be "disable" with databaseAuth iam, which RDS admits over TLS only.');
  if (settings.aggregation === 'lines' && settings.format === 'csv')
    faults.push(
      'aggregation cannot be "lines" with format csv, whose fields may hold line breaks: it must be kpl or none.',
    );
  if (settings.compression !== undefined && settings.compression !== 'none' && settings.aggregation !== 'lines')
    faults.push(
      `compression cannot be "${settings.compression}" without aggregation lines: the others have a form of their own.`,
    );
  const { messages, format = DEFAULT_FORMAT } = settings;
  if (messages !== undefined && !FORMAT_FACTS[format].hasMessages)
    faults.push(
      `messages has no effect with format ${format}, which has no record for a logical message: it must be ${FORMATS_WITH_MESSAGES}.`,
    );
  if (messages !== undefined && settings.plugin === 'wal2json')
    faults.push('messages has no effect with plugin wal2json, whose messages are not read: leave one of them out.');
  if (settings.format === 'module' && settings.formatter === undefined)
    faults.push('formatter is missing: format module needs it; it must be the path of a file.');
  if (settings.format !== 'module' && settings.formatter !== undefined)
    faults.push('formatter has no effect without format module: add that, or leave it out.');
  for (const name of ['endpoints', 'existingEndpoints'] as const) {
    if (iam && settings[name]?.includes('secretsmanager') === true)
      faults.push(`${name} cannot hold "secretsmanager" with databaseAuth iam, which reads no secret.`);
  }
  for (const service of settings.endpoints ?? []) {
    if (settings.existingEndpoints?.includes(service) === true)
      faults.push(
        `endpoints and existingEndpoints cannot both hold "${service}": one is made, or the one that is there is used.`,
      );
  }
  if (settings.publications !== undefined && settings.plugin !== 'pgoutput')
    faults.push(
      `publications has no effect with plugin ${settings.plugin ?? 'test_decoding'}, which reads none: leave it out, or set plugin pgoutput.`,
    );
  if (settings.marks === 'on' && format !== 'json')
    faults.push(`marks cannot be "on" with format ${format}, which has no record for a mark: it must be json.`);
  if (settings.marks === 'on' && settings.aggregation === 'none')
    faults.push('marks cannot be "on" with aggregation none, which has no lanes: it must be kpl or lines.');
  if (settings.linger === 'on' && settings.schedule === false)
    faults.push(
      'linger cannot be "on" with schedule false: nothing would begin a run, or take over from one that ends.',
    );
  if (settings.lingerDuty !== undefined && settings.linger !== 'on')
    faults.push('lingerDuty has no effect without linger on: add that, or leave it out.');
  if (settings.databaseSslRootCert !== undefined && settings.databaseSslMode === 'disable')
    faults.push('databaseSslRootCert has no effect with databaseSslMode disable: leave one of them out.');
  return faults;
}
