/** What `init` writes: an environment file, or the context of cdk.json; and the SQL to run. Pure: texts in, texts out. */
import type { Answers } from './questions.ts';

/** The variables that an environment file sets. */
export function environmentOf(answers: Answers): Record<string, string> {
  const pairs: [string, string | undefined][] = [
    ['PGHOST', answers.host],
    ['PGPORT', answers.port],
    ['PGDATABASE', answers.database],
    ['PGUSER', answers.user],
    ['PGPASSWORD', answers.password],
    ['PGSSLMODE', answers.sslmode],
    ['STREAM_NAME', answers.stream],
    ['AWS_REGION', answers.region],
    ['SLOT_NAME', answers.slot],
    ['FORMAT', answers.format],
  ];
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => (pair[1] ?? '') !== ''));
}

/**
 * @param variables - names and values, each of one line
 * @returns a text that Node.js (`--env-file`) and a POSIX shell read alike
 * @throws {RangeError} where a value cannot be written so that both do
 */
export function environmentFile(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quotedValue(name, value)}\n`)
    .join('');
}

function quotedValue(name: string, value: string): string {
  if (/^[\w.:/@%+,=-]*$/.test(value)) return value;
  // In single quotes both take everything as it is; there is no way to write one of them inside that both read.
  if (!value.includes("'")) return `'${value}'`;
  if (!/["$`\\]/.test(value)) return `"${value}"`;
  throw new RangeError(`${name} has a ' beside one of " $ \` \\, which no environment file can hold for every reader.`);
}

/** The settings of the stack, as cdk.json has them in its context. */
export function stackSettingsOf(answers: Answers): Record<string, string | number> {
  return {
    name: answers.name ?? '',
    vpcId: answers.vpcId ?? '',
    databaseHost: answers.host ?? '',
    ...(answers.port === undefined || answers.port === '5432' ? {} : { databasePort: Number(answers.port) }),
    databaseName: answers.database ?? '',
    databaseSecretArn: answers.secretArn ?? '',
    databaseSecurityGroupId: answers.securityGroupId ?? '',
    ...((answers.email ?? '') === '' ? {} : { alarmEmail: answers.email ?? '' }),
    ...(answers.slot === undefined || answers.slot === 'pg2kinesis' ? {} : { slotName: answers.slot }),
    ...(answers.format === undefined ? {} : { format: answers.format }),
  };
}

/**
 * Puts the settings into cdk.json.
 *
 * @param text - of the file as it is; undefined: there is none
 * @param settings - of the stack
 * @returns the new text; undefined: the file has settings already, or it or its context is no JSON object
 */
export function withContext(text: string | undefined, settings: Readonly<Record<string, unknown>>): string | undefined {
  let file: unknown = {};
  try {
    if (text !== undefined) file = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof file !== 'object' || file === null || Array.isArray(file)) return undefined;
  const { context = {} } = file as { readonly context?: object | null };
  if (typeof context !== 'object' || context === null || Array.isArray(context)) return undefined;
  if ('pg2kinesis' in context) return undefined;
  return `${JSON.stringify({ ...file, context: { pg2kinesis: settings, ...context } }, undefined, 2)}\n`;
}

/** An identifier as SQL needs it. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * @param role - that the pipeline connects as
 * @param database - that it captures
 * @returns what an administrator runs, once
 */
export function setupSql(role: string, database: string): string {
  return [
    `CREATE ROLE ${quoted(role)} LOGIN PASSWORD '...';`,
    `GRANT rds_replication TO ${quoted(role)};  -- Amazon RDS and Aurora; elsewhere: ALTER ROLE ${quoted(role)} REPLICATION;`,
    `GRANT CONNECT ON DATABASE ${quoted(database)} TO ${quoted(role)};`,
    '-- And in the parameter group rds.logical_replication=1 (elsewhere wal_level=logical), then restart the server.',
  ].join('\n');
}
