/**
 * Connections to the database: logged in, every setting pinned that value texts or time-outs depend on, and ended by
 * themselves when their time is over. Knows neither slots nor what is asked on them.
 */
import pg from 'pg';
import { PipelineError } from '../errors.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import type { ServerIdentity } from '../ports/session.ts';
import { closeAt, destroy } from './close-connection.ts';
import {
  createCredentials,
  type Credentials,
  type CredentialsOptions,
  type DatabaseSettings,
  type Login,
} from './credentials.ts';
import { codeOf, type ErrorContext } from './error-context.ts';
import { type SlotPlugin, TEST_DECODING } from './plugins.ts';
import type { Unproven } from './pooler.ts';
import { readSafely } from './read-safely.ts';
import { readServerIdentity } from './server-identity.ts';
import { pinSettings, STARTUP_OPTIONS } from './session-settings.ts';
import { isUntrusted, translate } from './sql-errors.ts';
import type { Queryable } from './status-queries.ts';
import { createTls, type Tls } from './tls.ts';

/** The database and how to get in, kept by the handler from run to run: secret and TLS context are made once. */
export interface Database {
  readonly settings: DatabaseSettings;
  readonly credentials: Credentials;
  readonly tls: Tls;
  readonly clock: Clock;
  /** The output plugin of the slot that is read. */
  readonly plugin: SlotPlugin;
  /** Told of a connection that takes long. */
  readonly log: Log | undefined;
}

/** What {@link createDatabase} needs. */
export interface DatabaseOptions extends CredentialsOptions {
  readonly clock: Clock;
  /** @default test_decoding */
  readonly plugin?: SlotPlugin;
  /** Told of a connection that takes long. @default nobody is */
  readonly log?: Log;
}

/** How long a connection is for. */
export interface ConnectOptions {
  /** Statements are to be over by then: milliseconds since 1970, our clock. */
  readonly deadline: number;
  /** When this process must be gone or have closed the connection: then it closes by itself. @default 5 s after `deadline` */
  readonly leaseExpiresAt?: number;
  /** Memory for a large result and for decoding large transactions. */
  readonly workMem?: boolean;
  /** For the replication protocol, which takes simple statements only. */
  readonly replication?: boolean;
  /** Drops the connection when it aborts, also while it is being opened. */
  readonly signal?: AbortSignal;
}

/** A connection. */
export interface Connection extends Queryable {
  /** What `query` goes through. Its own queue complains of more than one statement waiting. */
  readonly client: pg.Client;
  /** `server_version_num`: 180004. */
  readonly versionNum: number;
  /** The backend's process id. */
  readonly pid: number;
  /** The server that it leads to. */
  readonly identity: ServerIdentity;
  /** When that was read, milliseconds since 1970. */
  readonly connectedAt: number;
  /** The database's encoding, as PostgreSQL names it: `UTF8`. */
  readonly encoding: string;
  /** The output plugin of the slot that is read. */
  readonly plugin: SlotPlugin;
  /** What error texts name. */
  readonly context: ErrorContext;
}

/** A connection that is logged in, with nothing set. */
export interface LoggedIn extends Unproven {
  readonly plugin: SlotPlugin;
  readonly context: ErrorContext;
  readonly options: ConnectOptions;
}

/** The oldest server that is read. */
const MIN_VERSION_NUM = 100000;

/** On 10 the ninth reading of a session by pgoutput ends it, because it has no room for callbacks. */
const OLDEST_OF_PGOUTPUT = 110000;

/** Since 14 it has the option. */
const OLDEST_OF_PGOUTPUT_MESSAGES = 140000;

/**
 * Time for one connection to come about: DNS, TCP, TLS and log-in take well under a second inside a VPC; a packet that
 * a security group drops is never answered.
 */
export const CONNECT_MS = 10_000;

/**
 * Makes the object that opens connections. Opens none.
 *
 * @param options - settings, and how to reach AWS
 * @returns to be kept for the container's life
 */
export function createDatabase(options: DatabaseOptions): Database {
  const { settings, clock, log, plugin = TEST_DECODING } = options;
  return { settings, clock, log, plugin, credentials: createCredentials(options), tls: createTls(settings) };
}

/**
 * Logs in, with one more try: when the server refuses the password, with the secret read again; when its certificate is
 * signed by no authority known, with the files of authorities read again. Nothing is set: that is
 * for {@link pinSession}, once it is known what answers.
 *
 * @param database - the database to connect to
 * @param options - how long the connection is for
 * @returns a connection that closes by itself when its time is over; end its client
 * @throws {PipelineError} DATABASE_UNREACHABLE, DATABASE_AUTH_FAILED, CONFIG_INVALID
 */
export async function logIn(database: Database, options: ConnectOptions): Promise<LoggedIn> {
  const login = await database.credentials.get();
  const { version } = database.tls;
  try {
    return await attempt(database, login, options);
  } catch (error) {
    const code = codeOf(error);
    const renewed = isUntrusted(error) && database.tls.renew(version) ? login : undefined;
    const other =
      renewed ?? (code === '28P01' || code === '28000' ? await database.credentials.after(login) : undefined);
    if (other === undefined) throw toPipelineError(error, { ...contextOf(database, login), connecting: true });
    return await attempt(database, other, options).catch((again: unknown) => {
      throw toPipelineError(again, { ...contextOf(database, other), connecting: true });
    });
  }
}

/**
 * Pins the session's settings.
 *
 * @param loggedIn - a connection to a server, or to a pool that shares no backends
 * @param pid - the process id of its backend
 * @param clock - for what is left of its time
 * @throws {PipelineError} CONFIG_INVALID on a server that is too old
 */
export async function pinSession(
  { client, context, options, plugin }: LoggedIn,
  pid: number,
  clock: Clock,
): Promise<Connection> {
  const now = clock.now();
  const row = await pinSettings(client, {
    statementsMs: Math.max(1_000, Math.ceil(options.deadline - now)),
    lifeMs: Math.max(1_000, Math.ceil(leaseExpiresAt(options) - now)),
    workMem: options.workMem === true,
  });
  if (row === undefined) throw new Error('the session settings gave no row');
  const versionNum = Number(row.version);
  if (versionNum < MIN_VERSION_NUM) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `The server at ${context.host}:${context.port} is PostgreSQL ${Math.floor(versionNum / 10000)}.${Math.floor(versionNum / 100) % 100}, and pg2kinesis reads 10 and later. Nothing was read.`,
    );
  }
  if (plugin.publications.length > 0 && versionNum < OLDEST_OF_PGOUTPUT) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `PLUGIN cannot be "pgoutput" with the server at ${context.host}:${context.port}, which is PostgreSQL 10: there it can be read a few times only. Nothing was read (allowed there: test_decoding).`,
    );
  }
  if (plugin.messages && plugin.publications.length > 0 && versionNum < OLDEST_OF_PGOUTPUT_MESSAGES) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `MESSAGES cannot be set with PLUGIN "pgoutput" and the server at ${context.host}:${context.port}, which is PostgreSQL ${Math.floor(versionNum / 10000)}: there pgoutput sends no logical messages. Nothing was read (allowed there: PLUGIN test_decoding, or no MESSAGES).`,
    );
  }
  const query = serialize(client);
  const identity = await readServerIdentity({ query });
  const connectedAt = clock.now();
  return { client, query, versionNum, pid, identity, connectedAt, encoding: row.encoding, plugin, context };
}

/**
 * @param error - what was caught, of any type
 * @param about - which server, database and slot, for the message
 * @returns the error to throw: translated where it can be, else as it is
 */
export function toPipelineError(error: unknown, about: ErrorContext): unknown {
  return translate(error, about) ?? error;
}

function contextOf({ settings, plugin }: Database, { host, port, database, user, password }: Login): ErrorContext {
  const { auth, secretArn } = settings;
  // Where a password is given it is used, and else the secret's, whatever the settings call it.
  const from =
    auth === 'iam' ? auth : settings.password === undefined && secretArn !== undefined ? 'secret' : 'password';
  return {
    host,
    port,
    database,
    user,
    auth: from,
    hasPassword: password !== '',
    userFrom: settings.user === undefined ? 'secret' : 'PGUSER',
    plugin: plugin.name,
    publications: plugin.publications,
  };
}

function leaseExpiresAt(options: ConnectOptions): number {
  return options.leaseExpiresAt ?? options.deadline + 5_000;
}

/** What a server never, and a pool often says to options in the startup packet. */
const OPTIONS_REFUSED = new Set(['08P01', '0A000']);

async function attempt(database: Database, login: Login, options: ConnectOptions): Promise<LoggedIn> {
  const context = contextOf(database, login);
  const { plugin } = database;
  try {
    const client = await connectClient(database, login, options, STARTUP_OPTIONS);
    return { client, context, options, plugin, optionsRefused: false };
  } catch (error) {
    if (!OPTIONS_REFUSED.has(codeOf(error))) throw error;
    // It may be a pool in session mode, which is as good as a server.
    const client = await connectClient(database, login, options, undefined);
    return { client, context, options, plugin, optionsRefused: true };
  }
}

/** What node-postgres puts into the startup packet, though its types do not say so. */
const REPLICATION: object = { replication: 'database' };

/**
 * How often a server may have a password hashed for a log-in (`scram_iterations` when it was set). By default node-postgres gives
 * up above 100,000; this many take a second or two.
 */
export const SCRAM_LIMIT: object = { scramMaxIterations: 4_000_000 };

async function connectClient(
  database: Database,
  login: Login,
  options: ConnectOptions,
  startupOptions: string | undefined,
): Promise<pg.Client> {
  const { clock } = database;
  options.signal?.throwIfAborted();
  const client = new pg.Client({
    host: login.host,
    port: login.port,
    user: login.user,
    database: login.database,
    // As a function: an empty text would have node-postgres look for PGPASSWORD and ~/.pgpass.
    password: () => login.password,
    ssl: database.tls.options(),
    // Empty, not undefined: then node-postgres does not look for PGOPTIONS.
    options: startupOptions ?? '',
    ...(options.replication === true ? REPLICATION : {}),
    ...SCRAM_LIMIT,
    application_name: 'pg2kinesis',
    client_encoding: 'UTF8',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: Math.max(1, Math.min(CONNECT_MS, options.deadline - clock.now())),
  });
  // A query under way is rejected when the connection is lost. A loss while there is none must not end the process.
  client.on('error', () => undefined);
  readSafely(client);
  options.signal?.addEventListener('abort', () => destroy(client));
  try {
    await client.connect();
  } catch (error) {
    // A log-in that we gave up (there is no password) leaves the connection open, and the process waiting for it.
    destroy(client);
    throw error;
  }
  closeAt(client, leaseExpiresAt(options), clock);
  return client;
}

/** One statement after the other, in the order in which they were asked for. */
function serialize(client: pg.Client): Queryable['query'] {
  let last: Promise<unknown> = Promise.resolve();
  return (text, values) => {
    const result = last.then(() => client.query<Record<string, unknown>>(text, values));
    last = result.catch(() => undefined);
    return result;
  };
}
