/** The function's settings, from its environment variables. Pure: the environment is given. */
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import type { DatabaseSettings } from '../../lambda/postgres/credentials.ts';
import type { SslMode } from '../../lambda/postgres/tls.ts';
import { ReplicaError } from '../errors.ts';

/** The settings. */
export interface FunctionSettings {
  readonly database: DatabaseSettings;
  /** The copy's name at the target. */
  readonly name: string;
  /** The source to copy, where the stream has several. */
  readonly source: string | undefined;
  readonly startAfter: Lsn | undefined;
  /** The rows of a copy that begins come by a snapshot. */
  readonly awaitsSnapshot: boolean;
  readonly skipMissing: boolean;
  readonly skipTruncated: boolean;
  readonly allowTriggers: boolean;
}

const SSL_MODES: readonly SslMode[] = ['verify-full', 'verify-ca', 'require', 'disable'];

/**
 * @param env - the environment
 * @throws {ReplicaError} REPLICA_USAGE, naming every variable that is wrong
 */
export function readSettings(env: Readonly<Record<string, string | undefined>>): FunctionSettings {
  const faults: string[] = [];
  const given = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const value = given(name) ?? fallback;
    const found = allowed.find((each) => each === value);
    if (found === undefined) faults.push(`${name} cannot be "${value}" (allowed: ${allowed.join(', ')})`);
    return found ?? fallback;
  };
  const port = given('PGPORT');
  if (port !== undefined && !(Number.isInteger(Number(port)) && Number(port) > 0 && Number(port) < 65_536))
    faults.push(`PGPORT cannot be "${port}" (allowed: 1 to 65535)`);
  const after = given('START_AFTER');
  const startAfter = after === undefined ? undefined : parseLsn(after);
  if (after !== undefined && startAfter === undefined)
    faults.push(`START_AFTER cannot be "${after}" (allowed: an LSN)`);
  const secretArn = given('DATABASE_SECRET_ARN');
  const auth = oneOf('DATABASE_AUTH', ['secret', 'password', 'iam'], secretArn === undefined ? 'password' : 'secret');
  const settings: FunctionSettings = {
    database: {
      host: given('PGHOST'),
      port: port === undefined ? undefined : Number(port),
      database: given('PGDATABASE'),
      user: given('PGUSER'),
      password: given('PGPASSWORD'),
      secretArn,
      auth,
      region: given('AWS_REGION'),
      sslMode: oneOf('PGSSLMODE', SSL_MODES, 'verify-full'),
      sslRootCert: given('PGSSLROOTCERT'),
    },
    name: given('REPLICA_NAME') ?? 'pg2kinesis',
    source: given('SOURCE_NAME'),
    startAfter,
    awaitsSnapshot: oneOf('AWAIT_SNAPSHOT', ['on', 'off'], 'off') === 'on',
    skipMissing: oneOf('SKIP_MISSING', ['on', 'off'], 'off') === 'on',
    skipTruncated: oneOf('SKIP_TRUNCATED', ['on', 'off'], 'off') === 'on',
    allowTriggers: oneOf('TRIGGERS', ['on', 'off'], 'off') === 'on',
  };
  if (startAfter !== undefined && settings.awaitsSnapshot)
    faults.push('START_AFTER says that the target holds its rows, and AWAIT_SNAPSHOT that they are still to come');
  if (faults.length > 0) {
    throw new ReplicaError('REPLICA_USAGE', `${faults.join('; ')}. Nothing was applied.`, {
      remedy: "Correct the function's environment.",
    });
  }
  return settings;
}
