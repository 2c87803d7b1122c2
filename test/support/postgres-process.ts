/**
 * A server's processes: the server itself, and the one that ends it and removes its files when we are gone.
 * Knows no SQL.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Starts a server and waits until it accepts connections.
 *
 * @param binary - `postgres`
 * @param dir - its files: the directory `data`, and `log`
 * @param port - where it listens
 * @param settings - as in postgresql.conf
 * @param how - whom it runs as, and its environment
 * @throws {Error} with its log
 */
export async function launchPostgres(
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

/**
 * @param dir - a server's files
 * @returns a process that ends the server and removes the files when its standard input ends, however we end
 */
export function keep(dir: string): ChildProcess {
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

/** @param keeper - is asked to do its work, and waited for */
export async function end(keeper: ChildProcess): Promise<void> {
  const gone = exited(keeper);
  keeper.stdin?.end();
  await gone;
}

/** @param child - a process. @returns when it is over */
export function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  child.ref();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** Below the ports that a system gives to whoever asks for any: a server that is halted must find its own free again. */
const PORTS = [15_000, 30_000] as const;

/** @returns a port that nobody listens on just now, out of {@link PORTS} */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve, reject) => {
      probe.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
      );
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}
