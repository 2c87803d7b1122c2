/**
 * The connections to a replica's target and to its source, and the settings that the meaning of a value's text depends on.
 * Knows no table.
 */
import pg from 'pg';
import { isUntrustedCode } from '../../lambda/postgres/connect-errors.ts';
import { CONNECT_MS, SCRAM_LIMIT } from '../../lambda/postgres/connection.ts';
import { refuseSharedBackends, type Unproven } from '../../lambda/postgres/pooler.ts';
import { readSafely } from '../../lambda/postgres/read-safely.ts';
import { createTls, type SslMode } from '../../lambda/postgres/tls.ts';
import { ReplicaError } from '../errors.ts';
import type { PostgresAddress } from './address.ts';

/** What a session needs so that each value's text means at the target what it meant at the source. */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['search_path', 'pg_catalog'],
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO, MDY'],
  ['IntervalStyle', 'iso_8601'],
  ['lc_monetary', 'C'],
  ['array_nulls', 'on'],
  ['xmloption', 'content'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '3'],
  // With row-level security, fail instead of missing rows silently.
  ['row_security', 'off'],
  ['default_transaction_isolation', 'read committed'],
  ['default_transaction_read_only', 'off'],
  ['default_transaction_deferrable', 'off'],
  // No time-out: a batch may take long.
  ['statement_timeout', '0'],
  ['transaction_timeout', '0'],
  ['lock_timeout', '0'],
  ['idle_session_timeout', '0'],
  ['idle_in_transaction_session_timeout', '0'],
  ['jit', 'off'],
  // Rows are looked up by their keys. By default a join reads a table of some 100,000 rows whole for 5,000 of them.
  ['random_page_cost', '1.1'],
  ['max_parallel_workers_per_gather', '0'],
];

/** A connection. */
export interface PostgresConnection {
  readonly client: pg.Client;
  readonly address: PostgresAddress;
  readonly versionNum: number;
}

/** One that is ready to write. */
export interface TargetConnection extends PostgresConnection {
  /** Whether triggers and foreign keys are switched off for this session. */
  readonly isReplicaRole: boolean;
}

/**
 * Connects to the target.
 *
 * @param address - of the target
 * @throws {ReplicaError} TARGET_UNREACHABLE; REPLICA_USAGE where the file of an authority cannot be used
 */
export async function connectTarget(address: PostgresAddress): Promise<TargetConnection> {
  try {
    const connection = await connect(address);
    return { ...connection, isReplicaRole: await takeReplicaRole(connection.client) };
  } catch (error) {
    throw error instanceof ReplicaError ? error : unreachable(address, error);
  }
}

/**
 * Connects to the source, to read.
 *
 * @param address - of the source
 * @throws {ReplicaError} SOURCE_UNREACHABLE; REPLICA_USAGE where the file of an authority cannot be used
 */
export async function connectSource(address: PostgresAddress): Promise<PostgresConnection> {
  try {
    return await connect(address);
  } catch (error) {
    throw error instanceof ReplicaError ? error : sourceRefused(address, error);
  }
}

/** @param address - of the source @param error - of connecting to it, or of reading it */
export function sourceRefused(address: PostgresAddress, error: unknown): ReplicaError {
  return new ReplicaError('SOURCE_UNREACHABLE', `The source ${refusal(address, error)}. Nothing was done.`, {
    ...loginRemedy(error),
    cause: error,
  });
}

async function connect(address: PostgresAddress): Promise<PostgresConnection> {
  const client = createClient(address);
  try {
    await client.connect();
    await refusePool(client, address);
    const set = SETTINGS.map(
      ([name, value]) =>
        `CASE WHEN current_setting('${name}', true) IS NOT NULL THEN set_config('${name}', '${value}', false) END`,
    );
    const { rows } = await client.query<{ version: string }>(
      `SELECT ${set.join(', ')}, current_setting('server_version_num') AS version`,
    );
    return { client, address, versionNum: Number(rows[0]?.version) };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/**
 * Refuses a pool that shares its backends among clients: the settings would be there for others, and not for us.
 *
 * @throws {PipelineError} POOLER_REFUSED
 */
async function refusePool(client: pg.Client, address: PostgresAddress): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  const { processID } = client as unknown as { readonly processID: number | null };
  if (rows[0]?.pid === processID) return;
  // A pool may have no backend left, and say so after minutes.
  const other = createClient(address, { query_timeout: CONNECT_MS });
  try {
    await other.connect();
    const [one, two] = [client, other].map((each) => ({ client: each, optionsRefused: false })) as [Unproven, Unproven];
    await refuseSharedBackends(one, two, `${address.host}:${address.port}`);
  } finally {
    await other.end().catch(() => undefined);
  }
}

/** @param more - settings of the client @returns one that is not connected yet */
export function createClient(address: PostgresAddress, more: pg.ClientConfig = {}): pg.Client {
  const { sslMode, sslRootCert, ...login } = address;
  const client = new pg.Client({
    ...login,
    password: () => login.password,
    ssl: tlsOf(sslMode, sslRootCert),
    application_name: 'pg2kinesis replicate',
    options: '-c search_path=pg_catalog',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: CONNECT_MS,
    ...SCRAM_LIMIT,
    ...more,
  });
  // A query that waits is rejected as well, so nothing is lost here.
  client.on('error', () => undefined);
  readSafely(client);
  return client;
}

function tlsOf(sslMode: SslMode, sslRootCert: string | undefined): ReturnType<ReturnType<typeof createTls>['options']> {
  try {
    return createTls({ sslMode, sslRootCert }).options();
  } catch (error) {
    throw new ReplicaError(
      'REPLICA_USAGE',
      `The file ${sslRootCert ?? ''} of sslrootcert (PGSSLROOTCERT of a function) cannot be read, or holds no PEM certificate. Nothing was done.`,
      { cause: error, remedy: 'Give the path of a file with the certificate of the authority.' },
    );
  }
}

/** Switches triggers and foreign keys off, where the user may. */
async function takeReplicaRole(client: pg.Client): Promise<boolean> {
  try {
    await client.query('SET session_replication_role = replica');
    return true;
  } catch (error) {
    if (codeOf(error) === '42501') return false;
    throw error;
  }
}

/** @param error - anything caught @returns its SQLSTATE or Node's code; empty where it has none */
export function codeOf(error: unknown): string {
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** What the client says of a connection, without a code. */
const OF_CONNECTION = /connect|terminated|closed|timeout|socket|SSL|backend/i;

/** @param error - anything caught, but no error of the server @returns whether the connection failed; else this program did */
export function isConnectionFailure(error: unknown): boolean {
  const isFault = [TypeError, RangeError, SyntaxError, ReferenceError].some((kind) => error instanceof kind);
  return error instanceof Error && !isFault && (codeOf(error) !== '' || OF_CONNECTION.test(error.message));
}

/**
 * The classes of SQLSTATE that may be over when it is tried again: a connection that broke (08), a transaction that was ended or
 * may not write (25: a standby), one that gave way to another (40), no memory, disk or connection left (53), an operator (57), the
 * system (58, XX), a snapshot that is too old (72), a lock that was not to be had (55).
 */
const TRANSIENT = /^(?:08|25|40|53|57|58|72|XX)|^55(?:006|P03)$/;

/** @param error - anything caught @returns whether it is of the connection or the moment, and not of what was to be done */
export function isTransient(error: unknown): boolean {
  return error instanceof pg.DatabaseError ? TRANSIENT.test(codeOf(error)) : isConnectionFailure(error);
}

/** What to do where the target answers, and yet nothing can be written just now. */
function remedyOf(code: string): { readonly remedy?: string } {
  if (code === '25006')
    return {
      remedy:
        'It takes no writes, as a standby does not. Give its primary with --to, or wait until it is one, then start again: it goes on where it was.',
    };
  if (code === '57014')
    return {
      remedy:
        'The statement was ended there: by somebody, or because it took longer than a function has for a batch. Start again: it goes on where it was. If that happens often, find out what the target is busy with.',
    };
  if (code.startsWith('40') || code.startsWith('55'))
    return {
      remedy:
        'Somebody else works on the same rows or tables of the target. Start again: it goes on where it was. If that happens often, find out who it is.',
    };
  return {};
}

/** What to do where TLS does not come about, or the server does not let the user in. */
function loginRemedy(error: unknown): { readonly remedy?: string } {
  const code = codeOf(error);
  if (code.startsWith('28'))
    return {
      remedy:
        'Correct the user or the password: in the address, in REPLICATE_PASSWORD or REPLICATE_FROM_PASSWORD, or in the secret of a function. Then start again.',
    };
  // What a server never, and a pool often says to options in the startup packet.
  if (code === 'POOLER_REFUSED' || code === '08P01')
    return {
      remedy:
        'A connection pool answers there that shares its backends among clients, or takes no options: triggers would fire, and settings would stay with others. Give the address of the server itself, then start again.',
    };
  if (isUntrustedCode(code))
    return {
      remedy:
        'Name the file with the certificate of its authority by ?sslrootcert=, or encrypt without checking by ?sslmode=require (PGSSLROOTCERT and PGSSLMODE of a function), then start again.',
    };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return {
      remedy:
        'Give a host name that its certificate was made for, or leave the name unchecked by ?sslmode=verify-ca (PGSSLMODE of a function), then start again.',
    };
  return error instanceof Error && error.message === 'The server does not support SSL connections'
    ? {
        remedy:
          'Turn TLS on there, or send everything unencrypted by ?sslmode=disable (PGSSLMODE of a function), then start again.',
      }
    : {};
}

/** @param address - of the target @param error - of connecting to it, or of a connection that broke, or one that {@link isTransient} */
export function unreachable(address: Place, error: unknown): ReplicaError {
  return new ReplicaError(
    'TARGET_UNREACHABLE',
    `The target ${refusal(address, error)}. What was not committed there was not applied.`,
    { ...remedyOf(codeOf(error)), ...loginRemedy(error), cause: error },
  );
}

/** What messages say of an address. */
type Place = Pick<PostgresAddress, 'host' | 'port'> & {
  readonly database?: string | undefined;
  readonly user?: string | undefined;
};

function refusal({ host, port, database = '', user = '' }: Place, error: unknown): string {
  const code = codeOf(error);
  // The server's message on a refused log-in names users, databases and addresses, and no row's value.
  const words = error instanceof Error && /^(28|3D)/.test(code) ? `: ${error.message}` : '';
  const reason = code === '' && error instanceof Error ? error.message : code;
  return `"${database}" at ${host}:${port} cannot be worked with as "${user}" (${reason}${words})`;
}
