/**
 * A PostgreSQL of one's own: a server of any major version from 10 to 18, on a free port, gone without a trace
 * afterwards; and its standbys and copies. For the tests, the benchmarks and the demo; knows nothing of pg2kinesis.
 *
 * `PG2KINESIS_TEST_POSTGRES=13` runs whatever asks for no version on 13.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { type Account, binaries, INSTALLED, reachable, unprivileged } from './postgres-binaries.ts';
import { end, exited, freePort, keep, launchPostgres } from './postgres-process.ts';

const run = promisify(execFile);

/** The major version of the servers that ask for none: for tests of what came, or went, with a version. */
export const TESTED_MAJOR = Number(process.env['PG2KINESIS_TEST_POSTGRES'] ?? INSTALLED);

/** How a server is to be. */
export interface PostgresOptions {
  /** The major version. @default PG2KINESIS_TEST_POSTGRES, else 18 */
  readonly version?: string;
  /** Settings, as in postgresql.conf; they win over the defaults here. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The encoding of its databases. @default UTF8 */
  readonly encoding?: string;
  /** Lines of pg_hba.conf in place of the default one, which asks everybody for a password (scram-sha-256). */
  readonly hba?: readonly string[];
  /** How the server's own clients here speak TLS, where `hba` wants it. @default not at all */
  readonly clientSsl?: { readonly rejectUnauthorized: boolean };
  /** Files to lay beside the data, such as certificates: name and content. A setting names them as `../<name>`. */
  readonly files?: Readonly<Record<string, string>>;
}

/** What a client needs to connect. */
export interface PostgresConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}
/** How a standby is to be. */
export interface StandbyOptions {
  /** The physical slot that it uses; it is made if it is not there. @default none */
  readonly slot?: string;
  /** The port that it connects to: one that leads to the primary. @default the primary's */
  readonly through?: number;
  /** Settings that differ from the primary's. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A server's files as they once were. */
export interface PostgresCopy {
  /**
   * Starts a copy of them as a server of its own, as often as wanted, while the first server is there.
   *
   * @param options - settings that differ; `untilLsn`: replays what the first server still has, up to there, and is promoted
   */
  start(options?: {
    readonly settings?: Readonly<Record<string, string>>;
    readonly untilLsn?: string;
  }): Promise<PostgresServer>;
}

/** A running server. */
export interface PostgresServer {
  /** The major version: 18. */
  readonly version: number;
  /** As `server_version_num` gives it: 180004. */
  readonly versionNum: number;
  readonly port: number;
  /** The superuser, in database `postgres`. */
  readonly connection: PostgresConnection;
  /** A connected client of the superuser, ended with the server if not before. @param over - what to change */
  client(over?: pg.ClientConfig): Promise<pg.Client>;
  /** Runs one statement, or several without values, on a connection kept for this. @returns the rows */
  sql<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Makes a logical replication slot in database `postgres`. @param plugin - test_decoding unless given */
  createSlot(name: string, plugin?: string): Promise<void>;
  /** Stops the server and starts it on the same port: `fast` in good order, `immediate` as in a crash. */
  restart(mode: 'fast' | 'immediate'): Promise<void>;
  /** Stops the server and keeps its files, for {@link PostgresServer.start}. */
  halt(mode: 'fast' | 'immediate'): Promise<void>;
  /** Starts it again after a halt. @param settings - that are other than before */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Makes a physical standby: stops the server in good order, copies it, and starts both. A standby of a standby works, too.
   *
   * @param options - its slot, and how it differs
   */
  standby(options?: StandbyOptions): Promise<PostgresServer>;
  /** Ends a standby's recovery: it takes writes. @returns when it does */
  promote(): Promise<void>;
  /** Stops the server as a crash would, keeps a copy of its files, and starts it. @param slots - whether they are copied, as a disk snapshot does and a base backup does not */
  copy(slots: boolean): Promise<PostgresCopy>;
  /** Ends the server and removes all its files. Safe to call twice. */
  stop(): Promise<void>;
  /** @returns what the server has logged */
  log(): Promise<string>;
}
const SETTINGS: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_replication_slots: '20',
  max_wal_senders: '10',
  max_connections: '60',
  max_prepared_transactions: '10',
  shared_buffers: '32MB',
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  logging_collector: 'off',
  lc_messages: 'C',
  timezone: 'UTC',
};

/** A server's files, and how it is run. */
interface Home {
  readonly major: string;
  readonly dir: string;
  readonly data: string;
  readonly native: string;
  readonly account: Account;
  readonly env: NodeJS.ProcessEnv;
  readonly keeper: ChildProcess;
  readonly settings: Readonly<Record<string, string>>;
  readonly clientSsl: false | { readonly rejectUnauthorized: boolean };
}

/**
 * Starts a server.
 *
 * It also ends, and its files go, when this process is killed, even by SIGKILL: a shell that outlives us waits for
 * the end of a pipe only we hold.
 *
 * @param options - version, settings, encoding
 * @returns the server, ready for connections
 * @throws {Error} when it cannot be installed or started; the message holds its log
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const major = options.version ?? `${TESTED_MAJOR}`;
  const settings = { ...SETTINGS, ...options.settings };
  return await settleIn(major, settings, options.clientSsl ?? false, async ({ dir, data, native, account, env }) => {
    await mkdir(data, { mode: 0o700 });
    if (account) await chown(data, account.uid, account.gid);
    await writeFile(join(dir, 'password'), 'password\n');
    const flags = ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '-N', '--no-locale'];
    flags.push('-E', options.encoding ?? 'UTF8', `--pwfile=${join(dir, 'password')}`);
    await run(join(native, 'bin', 'initdb'), flags, { ...account, env, cwd: dir });
    for (const [name, content] of Object.entries(options.files ?? {})) {
      // The server refuses a private key that others can read.
      await writeFile(join(dir, name), content, { mode: 0o600 });
      if (account) await chown(join(dir, name), account.uid, account.gid);
    }
    if (options.hba) await writeFile(join(data, 'pg_hba.conf'), options.hba.join('\n') + '\n');
  });
}

/** Makes a directory, lets it be filled, and starts the server in it. */
async function settleIn(
  major: string,
  settings: Readonly<Record<string, string>>,
  clientSsl: Home['clientSsl'],
  fill: (home: Home) => Promise<void>,
): Promise<PostgresServer> {
  const installed = await binaries(major);
  const account = await unprivileged();
  const dir = await mkdtemp(join(tmpdir(), `pg2kinesis-postgres-${major}-`));
  const keeper = keep(dir);
  try {
    await chmod(dir, 0o755);
    const native = await reachable(installed, account, dir);
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', LD_LIBRARY_PATH: join(native, 'lib') };
    const home = { major, dir, data: join(dir, 'data'), native, account, env, keeper, settings, clientSsl };
    await fill(home);
    return await ready(home);
  } catch (error) {
    await end(keeper);
    throw error;
  }
}

async function ready(home: Home): Promise<PostgresServer> {
  const { dir, data, native, account, env, keeper, clientSsl: ssl } = home;
  let { settings: own } = home;
  const launch = (at: number) => launchPostgres(join(native, 'bin', 'postgres'), dir, at, own, { ...account, env });
  let port = await freePort();
  let server: ChildProcess | undefined;
  for (let attempt = 1; server === undefined; attempt++) {
    try {
      server = await launch(port);
    } catch (error) {
      // Between our look and the server's somebody else may take the port.
      if (attempt === 3 || !String(error).includes('Address already in use')) throw error;
      port = await freePort();
    }
  }
  const connection: PostgresConnection = {
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: 'password',
    database: 'postgres',
  };
  const clients = new Set<pg.Client>();
  const client = async (over: pg.ClientConfig = {}): Promise<pg.Client> => {
    const made = new pg.Client({ ...connection, ssl, ...over });
    // The server's end is a test's business only where it looks: queries under way reject all the same.
    made.on('error', () => undefined);
    await made.connect();
    clients.add(made);
    made.on('end', () => clients.delete(made));
    return made;
  };
  let admin: pg.Client | undefined;
  const sql = async <Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]> => {
    if (admin === undefined || !clients.has(admin)) admin = await client();
    return (await admin.query<Row>(text, values && [...values])).rows;
  };
  const halt = async (mode: 'fast' | 'immediate'): Promise<void> => {
    if (server === undefined) return;
    const gone = exited(server);
    server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await gone;
    server = undefined;
  };
  const start: PostgresServer['start'] = async (over = {}) => {
    own = { ...own, ...over };
    server ??= await launch(port);
  };
  const [row] = await sql<{ num: string }>(`SELECT current_setting('server_version_num') AS num`);
  const versionNum = Number(row?.num);
  return {
    version: Math.floor(versionNum / 10000),
    versionNum,
    port,
    connection,
    client,
    sql,
    createSlot: async (name, plugin = 'test_decoding') => {
      await sql('SELECT pg_create_logical_replication_slot($1, $2)', [name, plugin]);
    },
    restart: async (mode) => {
      await halt(mode);
      await start();
    },
    halt,
    start,
    standby: async (wanted = {}) => {
      if (wanted.slot !== undefined) await makePhysicalSlot(sql, wanted.slot);
      await halt('fast');
      const streaming = { primary_conninfo: conninfo(wanted.through ?? port), primary_slot_name: wanted.slot ?? '' };
      const { settings, recovery } = recoverySettings(versionNum, streaming, 'standby');
      const started = settleIn(home.major, { ...home.settings, ...settings, ...wanted.settings }, ssl, (its) =>
        copyData(data, its, false, recovery).then(() => start()),
      );
      return await started;
    },
    promote: async () => {
      await run(join(native, 'bin', 'pg_ctl'), ['promote', '-W', '-D', data], { ...account, env, cwd: dir });
      while ((await sql<{ r: boolean }>('SELECT pg_is_in_recovery() AS r'))[0]?.r !== false) await sleep(10);
    },
    copy: async (slots) => {
      const wasRunning = server !== undefined;
      await halt('immediate');
      const kept = await mkdtemp(join(dir, 'copy-'));
      await run('cp', ['-a', data, kept]);
      if (wasRunning) await start();
      return {
        start: async ({ settings: over, untilLsn } = {}) => {
          const until = { restore_command: `cp ${data}/pg_wal/%f %p`, recovery_target_lsn: untilLsn ?? '' };
          const { settings, recovery } =
            untilLsn === undefined
              ? { settings: {}, recovery: {} }
              : recoverySettings(versionNum, { ...until, recovery_target_action: 'promote' }, 'recovery');
          return await settleIn(home.major, { ...home.settings, ...settings, ...over }, ssl, (its) =>
            copyData(join(kept, 'data'), its, slots, recovery),
          );
        },
      };
    },
    stop: async () => {
      await Promise.all([...clients].map((each) => each.end().catch(() => undefined)));
      await halt('immediate');
      await end(keeper);
    },
    log: () => readFile(join(dir, 'log'), 'utf8'),
  };
}

async function makePhysicalSlot(sql: PostgresServer['sql'], name: string): Promise<void> {
  const there = await sql('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [name]);
  if (there.length === 0) await sql('SELECT pg_create_physical_replication_slot($1, true)', [name]);
}

function conninfo(port: number): string {
  return `host=127.0.0.1 port=${port} user=postgres password=password dbname=postgres application_name=standby`;
}

/** Up to 11 what concerns recovery stands in a file of its own. */
function recoverySettings(
  versionNum: number,
  settings: Readonly<Record<string, string>>,
  mode: 'standby' | 'recovery',
): { settings: Readonly<Record<string, string>>; recovery: Readonly<Record<string, string>> } {
  if (versionNum >= 120_000) return { settings, recovery: { [`${mode}.signal`]: '' } };
  const lines = Object.entries({ ...settings, standby_mode: mode === 'standby' ? 'on' : 'off' });
  return {
    settings: {},
    recovery: {
      'recovery.conf': lines
        .filter(([, value]) => value !== '')
        .map(([name, value]) => `${name} = '${value}'\n`)
        .join(''),
    },
  };
}

/** Copies a server's files, which nobody writes meanwhile. */
async function copyData(
  from: string,
  { data, account }: Home,
  slots: boolean,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await run('cp', ['-a', from, data]);
  await rm(join(data, 'postmaster.pid'), { force: true });
  if (!slots) {
    const dir = join(data, 'pg_replslot');
    for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true });
  }
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(data, name), content);
    if (account) await chown(join(data, name), account.uid, account.gid);
  }
}
