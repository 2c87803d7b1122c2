/**
 * Connections to the database: logged in, every setting pinned that value texts or time-outs depend on, and ended by
 * themselves when their time is over. Knows neither slots nor what is asked on them.
 */
import pg from 'pg';
import { PipelineError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import {
  createCredentials,
  type Credentials,
  type CredentialsOptions,
  type DatabaseSettings,
  type Login,
} from './credentials.ts';
import { codeOf, type ErrorContext, translate } from './sql-errors.ts';
import type { Queryable } from './status.ts';
import { createTls } from './tls.ts';

/** The database and how to get in, kept by the handler from run to run: secret and TLS context are made once. */
export interface Database {
  readonly settings: DatabaseSettings;
  readonly credentials: Credentials;
  readonly tls: ReturnType<typeof createTls>;
  readonly clock: Clock;
}

/** What {@link createDatabase} needs. */
export interface DatabaseOptions extends CredentialsOptions {
  readonly clock: Clock;
}

/** How long a connection is for. */
export interface ConnectOptions {
  /** Statements are to be over by then: milliseconds since 1970, our clock. */
  readonly deadline: number;
  /** When this process must be gone or have closed the connection: then it closes by itself. @default 5 s after `deadline` */
  readonly latestEnd?: number;
  /** Memory for a large result and for decoding large transactions: only the connection that peeks needs it. */
  readonly workMem?: boolean;
}

/** A connection. */
export interface Connection extends Queryable {
  /** What `query` goes through. Its own queue complains of more than one statement waiting. */
  readonly client: pg.Client;
  /** `server_version_num`: 180004. */
  readonly versionNum: number;
  /** The backend's process id. */
  readonly pid: number;
  /** The database's encoding, as PostgreSQL names it: `UTF8`. */
  readonly encoding: string;
  /** What error texts name. */
  readonly context: ErrorContext;
}

/** What a backend of ours is called while it lives; its latest end follows, by the server's clock. */
export const APPLICATION_NAME_PREFIX = 'pg2kinesis until ';

/** The oldest server that is read. */
const OLDEST = 100000;

/**
 * Time for one connection to come about: DNS, TCP, TLS and log-in take well under a second inside a VPC; a packet that
 * a security group drops is never answered.
 */
const CONNECT_MS = 10_000;

/**
 * Makes the object that opens connections. Opens none.
 *
 * @param options - settings, and how to reach AWS
 * @returns to be kept for the container's life
 */
export function createDatabase(options: DatabaseOptions): Database {
  const { settings, clock } = options;
  return { settings, clock, credentials: createCredentials(options), tls: createTls(settings) };
}

/**
 * Connects, with the secret read again and one more try when the server refuses the password.
 *
 * @param database - which
 * @param options - how long it is for
 * @returns a connection; end its client
 * @throws {PipelineError} DATABASE_UNREACHABLE, DATABASE_AUTH_FAILED, CONFIG_INVALID
 */
export async function open(database: Database, options: ConnectOptions): Promise<Connection> {
  const login = await database.credentials.get();
  try {
    return await attempt(database, login, options);
  } catch (error) {
    const code = codeOf(error);
    const other = code === '28P01' || code === '28000' ? await database.credentials.after(login) : undefined;
    if (other === undefined) throw toPipelineError(error, context(database, login));
    return await attempt(database, other, options).catch((again: unknown) => {
      throw toPipelineError(again, context(database, other));
    });
  }
}

/**
 * The same, for those who need the client only.
 *
 * @param database - which
 * @param options - how long it is for
 * @returns a connected client; end it
 * @throws {PipelineError} DATABASE_UNREACHABLE, DATABASE_AUTH_FAILED, CONFIG_INVALID
 */
export async function connect(database: Database, options: ConnectOptions): Promise<pg.Client> {
  return (await open(database, options)).client;
}

/**
 * @param error - as caught
 * @param about - what it concerns
 * @returns the error to throw: translated where it can be, else as it is
 */
export function toPipelineError(error: unknown, about: ErrorContext): unknown {
  return translate(error, about) ?? error;
}

function context({ settings }: Database, { host, port, database, user }: Login): ErrorContext {
  return { host, port, database, user, auth: settings.auth };
}

async function attempt(database: Database, login: Login, options: ConnectOptions): Promise<Connection> {
  const { clock } = database;
  const client = new pg.Client({
    host: login.host,
    port: login.port,
    user: login.user,
    database: login.database,
    // As a function: an empty text would have node-postgres look for PGPASSWORD and ~/.pgpass.
    password: () => login.password,
    ssl: database.tls(),
    application_name: 'pg2kinesis',
    client_encoding: 'UTF8',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: Math.max(1, Math.min(CONNECT_MS, options.deadline - clock.now())),
  });
  // Whoever waits for a query is told by its rejection; a loss while nobody asks must not end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    closeAt(client, options.latestEnd ?? options.deadline + 5_000, clock);
    const { rows } = await client.query<{ version: string; pid: number; encoding: string }>(
      settle(options, clock.now()),
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the session settings gave no row');
    const versionNum = Number(row.version);
    if (versionNum < OLDEST) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `The server at ${login.host}:${login.port} is PostgreSQL ${Math.floor(versionNum / 10000)}.${Math.floor(versionNum / 100) % 100}, and pg2kinesis reads 10 and later. Nothing was read.`,
      );
    }
    return {
      client,
      query: inTurn(client),
      versionNum,
      pid: row.pid,
      encoding: row.encoding,
      context: context(database, login),
    };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/** One statement after the other, in the order in which they were asked for. */
function inTurn(client: pg.Client): Queryable['query'] {
  let last: Promise<unknown> = Promise.resolve();
  return (text, values) => {
    const result = last.then(() => client.query<Record<string, unknown>>(text, values));
    last = result.catch(() => undefined);
    return result;
  };
}

/** The statement that pins the session's settings: one round trip. */
function settle(options: ConnectOptions, now: number): string {
  const left = Math.max(1_000, Math.ceil(options.deadline - now));
  const life = Math.max(1_000, Math.ceil((options.latestEnd ?? options.deadline + 5_000) - now));
  const pinned: [name: string, value: string, since?: number][] = [
    // What test_decoding prints follows the session that reads: no ALTER ROLE ... SET may change it.
    ['search_path', 'pg_catalog'],
    ['quote_all_identifiers', 'off'],
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, MDY'],
    ['IntervalStyle', 'iso_8601'],
    ['bytea_output', 'hex'],
    ['extra_float_digits', '3'],
    ['lc_monetary', 'C'],
    ['client_encoding', 'UTF8'],
    // Nothing outlives its run.
    ['statement_timeout', `${left}ms`],
    ['idle_in_transaction_session_timeout', `${left}ms`, 90600],
    ['idle_session_timeout', '0', 140000],
    // A backend whose client is gone is to notice: it holds the lock.
    ['tcp_keepalives_idle', '10'],
    ['tcp_keepalives_interval', '5'],
    ['tcp_keepalives_count', '3'],
    // A client that holds the stream back (Kinesis is slow, or refuses) keeps its window shut, which counts as not
    // acknowledging: less than our whole life would end a run that waits for capacity.
    ['tcp_user_timeout', `${life}ms`, 120000],
    ['client_connection_check_interval', '2s', 140000],
    // Plans here are fixed and their estimates meaningless; compiling one costs more than it saves.
    ['jit', 'off', 110000],
    ['max_parallel_workers_per_gather', '0'],
  ];
  if (options.workMem) pinned.push(['work_mem', WORK_MEM], ['logical_decoding_work_mem', WORK_MEM, 130000]);
  const set = pinned.map(([name, value, since]) => {
    const call = `set_config('${name}', '${value}', false)`;
    return since === undefined
      ? call
      : `CASE WHEN current_setting('server_version_num')::int >= ${since} THEN ${call} END`;
  });
  const until = `to_char((clock_timestamp() + interval '${life} ms') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  return `SELECT ${set.join(', ')}, set_config('application_name', '${APPLICATION_NAME_PREFIX}' || ${until}, false),
    current_setting('server_version_num') AS version, pg_backend_pid() AS pid, current_setting('server_encoding') AS encoding`;
}

/** Ample for a batch's tuplestore. An RDS micro instance has 1 GB in all, and 64 MB is the server's own default for decoding. */
const WORK_MEM = '64MB';

/** A server that stopped answering must not keep us past our time: no time-out of the server's would end that. */
function closeAt(client: pg.Client, when: number, clock: Clock): void {
  const over = new AbortController();
  client.once('end', () => over.abort());
  void clock.sleep(Math.max(0, when - clock.now()), over.signal).then(() => {
    if (!over.signal.aborted) destroy(client);
  });
}

/**
 * Drops a connection without a farewell, which could wait for a server that does not answer.
 *
 * @param client - whose queries all reject
 */
export function destroy(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}
