/**
 * What a benchmark runs on: a PostgreSQL, an endpoint that accepts everything, the function in a process of its own,
 * and the processor time that each of them takes. Knows no workload.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { limitCpu } from './cpu-limit.ts';
import type { Billed } from './sink.ts';

/** What one invocation took. */
export interface Invocation {
  readonly ms: number;
  readonly cpuMs: number;
  readonly maxRssMb: number;
  readonly answer: RunAnswer;
}

/** A server, an endpoint, and functions that publish from one to the other. */
export interface BenchEnvironment {
  readonly server: PostgresServer;
  /** The function's variables, but for its slot. */
  readonly variables: Readonly<Record<string, string>>;
  /** @returns what Kinesis would have billed since it was asked last */
  billed(): Promise<Billed>;
  /**
   * Invokes the function in a new process.
   *
   * @param slot - the slot
   * @param settings - environment variables
   * @param payloads - one invocation each
   * @param how - `checkout`: another one than this; `share`: of a core that the process may use
   */
  invoke(
    slot: string,
    settings: Readonly<Record<string, string>>,
    payloads: readonly object[],
    how?: { readonly checkout?: string; readonly share?: number },
  ): Promise<Invocation[]>;
  /** @returns the processor time of the server and of all its backends so far, ms; undefined where it is not told (Linux tells it) */
  serverCpuMs(): number | undefined;
  stop(): Promise<void>;
}

const SETTINGS = {
  max_wal_size: '8GB',
  shared_buffers: '256MB',
  max_replication_slots: '40',
  max_wal_senders: '10',
  max_locks_per_transaction: '1024',
};

/** @param server - the database @returns the variables that lead the function to it, and to AWS */
export function connectionVariables(server: PostgresServer): Readonly<Record<string, string>> {
  const { host, user, password, database } = server.connection;
  return {
    PGHOST: host,
    PGPORT: String(server.port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password,
    PGSSLMODE: 'disable',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
  };
}

/** Starts all of it. @param settings - the server's, besides */
export async function startEnvironment(settings: Readonly<Record<string, string>> = {}): Promise<BenchEnvironment> {
  const sink = spawn(process.execPath, [pathOf('sink.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: sink.stdout }), 'line')) as [string];
  const server = await startPostgres({ settings: { ...SETTINGS, ...settings } });
  const [row] = await server.sql<{ file: string }>(`SELECT pg_read_file('postmaster.pid') AS file`);
  const postmaster = Number((row?.file ?? '').split('\n')[0]);
  const variables = {
    PATH: process.env['PATH'] ?? '',
    ...connectionVariables(server),
    AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}`,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
    LOG_LEVEL: 'ERROR',
  };
  return {
    server,
    variables,
    billed: async () => (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as Billed,
    async invoke(slot, settings, payloads, { checkout, share = 1 } = {}) {
      const program = checkout === undefined ? pathOf('invoke.ts') : `${checkout}/test/bench/invoke.ts`;
      const env = { ...variables, SLOT_NAME: slot, ...settings };
      return await measureProcess([program, ...payloads.map((payload) => JSON.stringify(payload))], env, share);
    },
    serverCpuMs: () => cpuMsOf(postmaster),
    async stop() {
      sink.stdin.end();
      await server.stop();
    },
  };
}

/**
 * Runs a program that prints its measurements, each as `bench` and JSON.
 *
 * @param args - of Node.js
 * @param env - the whole environment
 * @param share - of a core
 * @throws {Error} when it fails; the message holds what it wrote
 */
export async function measureProcess<T = Invocation>(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  share: number,
): Promise<T[]> {
  const child = spawn(process.execPath, [...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const release = share < 1 && child.pid !== undefined ? limitCpu(child.pid, share) : () => undefined;
  const found: T[] = [];
  let said = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('bench ')) found.push(JSON.parse(line.slice(6)) as T);
    else said += `${line}\n`;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [status] = (await once(child, 'close')) as [number | null];
  release();
  if (status !== 0) throw new Error(`${args[0]} ended with ${status}: ${said.slice(-2000)}`);
  return found;
}

/** The path of a program beside this file. */
export function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** A tick of the kernel's accounting; 100 a second on every Linux. */
const TICK_MS = 10;

/** A process, its children that are over, and those that are not. */
function cpuMsOf(pid: number): number | undefined {
  try {
    const own = ticksOf(pid, ['utime', 'stime', 'cutime', 'cstime']);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    return TICK_MS * children.reduce((sum, child) => sum + ticksOf(child, ['utime', 'stime']), own);
  } catch {
    return undefined;
  }
}

/** Where /proc/<pid>/stat has them, behind the name in parentheses. */
const FIELDS = { utime: 11, stime: 12, cutime: 13, cstime: 14 } as const;

function ticksOf(pid: number, names: readonly (keyof typeof FIELDS)[]): number {
  if (!readdirSync(`/proc`).includes(String(pid))) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return names.reduce((sum, name) => sum + Number(fields[FIELDS[name]]), 0);
}
