/**
 * A pipeline and a second PostgreSQL: what end-to-end tests of `pg2kinesis replicate` stand on. Knows no table.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Environment, NAME, startEnvironment } from '../../chaos/environment.ts';
import { type CliEnded, runCli } from '../../support/cli.ts';
import { EMULATOR } from '../../support/kinesis.ts';
import { type PostgresOptions, type PostgresServer, startPostgres } from '../../support/postgres.ts';

/** A pipeline and a replica of it. */
export class ReplicaRig {
  readonly environment: Environment;
  readonly target: PostgresServer;

  private constructor(environment: Environment, target: PostgresServer) {
    this.environment = environment;
    this.target = target;
  }

  /**
   * Starts both servers and the stream, without a slot.
   *
   * @param options - the source's; `shards`: the stream's
   * @param options.target - the target's version @default that of servers which ask for none
   */
  static async start({
    target: version,
    ...options
  }: PostgresOptions & { readonly shards?: number; readonly target?: string } = {}): Promise<ReplicaRig> {
    const [environment, target] = await Promise.all([
      startEnvironment({ shards: 3, ...options }),
      startPostgres(version === undefined ? {} : { version }),
    ]);
    return new ReplicaRig(environment, target);
  }

  get source(): PostgresServer {
    return this.environment.server;
  }

  /** Makes the slot. Rows that are there by now are in no change. */
  async createSlot(): Promise<void> {
    await this.source.createSlot(NAME);
  }

  /** What the command is told. @param database - of the target */
  env(database = 'postgres'): Record<string, string> {
    const { user, password, host, port } = this.target.connection;
    return {
      PATH: process.env['PATH'] ?? '',
      AWS_REGION: EMULATOR.region,
      AWS_ACCESS_KEY_ID: EMULATOR.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: EMULATOR.credentials.secretAccessKey,
      AWS_ENDPOINT_URL_KINESIS: this.environment.kinesis.endpoint,
      REPLICATE_TO: `postgres://${user}@${host}:${port}/${database}?sslmode=disable`,
      REPLICATE_PASSWORD: password,
    };
  }

  /** The source's address, for `--from`. */
  get from(): string {
    const { user, password, host, port, database } = this.source.connection;
    return `postgres://${user}:${password}@${host}:${port}/${database}?sslmode=disable`;
  }

  /** Applies what is in the stream, in this process. */
  catchUp(flags: readonly string[] = [], database?: string): Promise<CliEnded> {
    return runCli(['replicate', '--once', '--json', ...flags], this.env(database));
  }

  /** A replica in a process of its own. */
  begin(flags: readonly string[] = [], over: Readonly<Record<string, string>> = {}): ChildProcess {
    const program = fileURLToPath(import.meta.resolve('../../../bin/pg2kinesis.ts'));
    return spawn(process.execPath, [program, 'replicate', '--json', ...flags], {
      env: { ...this.env(), ...over },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Runs the function until everything is published. */
  async drain(over: Readonly<Record<string, string>> = {}): Promise<void> {
    const container = await this.environment.container({ MARKS: 'on', ...over });
    await container.run({ action: 'drain' });
    await container.kill();
  }

  /** Publishes again and again until a command is over: what it waits for may be written after a drain has looked. */
  async drainDuring<T>(command: Promise<T>): Promise<T> {
    let isOver = false;
    const over = command.finally(() => (isOver = true));
    over.catch(() => undefined);
    while (!isOver) await this.drain();
    return await over;
  }

  async stop(): Promise<void> {
    await this.environment.stop();
    await this.target.stop();
  }
}

/** Ends a process at once. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/**
 * The number of rows of each table, and a hash of them.
 *
 * @param textOf - a table's row as text, of `t` @default what the server prints
 */
export async function hashes(
  server: PostgresServer,
  tables: readonly string[],
  database = 'postgres',
  textOf: (table: string) => string = () => 't::text',
): Promise<Record<string, string>> {
  const client = await server.client({ database });
  const found: Record<string, string> = {};
  for (const table of tables) {
    const { rows } = await client.query<{ hash: string }>(
      `SELECT count(*) || ' ' || md5(coalesce(string_agg(row, E'\\n' ORDER BY row), '')) AS hash FROM (SELECT ${textOf(table)} AS row FROM ${table} AS t) AS rows`,
    );
    found[table] = rows[0]?.hash ?? '';
  }
  await client.end();
  return found;
}
