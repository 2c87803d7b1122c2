/**
 * What a procedure of docs/operations.md is tried on: a server, an emulated stream, and the command line as an engineer on
 * call uses it. Knows no procedure.
 */
import assert from 'node:assert/strict';
import { type Change, changesOf, identityOf } from '../../lib/consumer/consumer.ts';
import { type CliEnded, runCli } from '../support/cli.ts';
import { type EmbeddedKinesis, EMULATOR, startKinesis } from '../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

/** A pipeline: its variables, and what is done with it. */
export interface Pipeline {
  readonly env: Readonly<Record<string, string>>;
  /** Runs a command, which has to end so. @param status - the exit status @returns what it printed, both outputs */
  cli(status: number, ...args: string[]): Promise<string>;
  /** The same pipeline with other variables. */
  with(over: Readonly<Record<string, string>>): Pipeline;
  /** What its stream holds, each change once, shard by shard. */
  changes(): Promise<Change[]>;
  /** The keys of table `t` that its stream holds, in order of arrival, each change once. */
  ids(): Promise<number[]>;
}

/** The emulated Kinesis of a file's procedures. */
export function kinesisOf(): Promise<EmbeddedKinesis> {
  return startKinesis();
}

/**
 * A server with a role for the pipeline and a table `t`.
 *
 * @param version - the major version
 * @param settings - as in postgresql.conf
 */
export async function serverOf(
  version: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const server = await startPostgres({ version, settings });
  await server.sql(
    `CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'secret'; CREATE TABLE t (id int PRIMARY KEY, name text)`,
  );
  return server;
}

/**
 * @param server - where it reads
 * @param kinesis - where it publishes
 * @param stream - a stream that is there
 * @param over - other variables
 */
export function pipelineOf(
  server: PostgresServer,
  kinesis: EmbeddedKinesis,
  stream: string,
  over: Readonly<Record<string, string>> = {},
): Pipeline {
  const env = {
    PGHOST: '127.0.0.1',
    PGPORT: String(server.port),
    PGDATABASE: 'postgres',
    PGUSER: 'cdc',
    PGPASSWORD: 'secret',
    PGSSLMODE: 'disable',
    STREAM_NAME: stream,
    FORMAT: 'json',
    AWS_REGION: EMULATOR.region,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'y',
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
    ...over,
  };
  const changes = async (): Promise<Change[]> => {
    const seen = new Map<string, Change>();
    for (const record of await kinesis.readAll(env.STREAM_NAME))
      for (const change of changesOf(record)) if (!seen.has(identityOf(change))) seen.set(identityOf(change), change);
    return [...seen.values()];
  };
  return {
    env,
    with: (more) => pipelineOf(server, kinesis, stream, { ...over, ...more }),
    cli: async (status, ...args) => {
      const ended: CliEnded = await runCli(args, env);
      assert.equal(ended.status, status, `${args.join(' ')}\n${ended.out}${ended.err}`);
      return ended.out + ended.err;
    },
    changes,
    ids: async () =>
      (await changes())
        .filter(({ table, op }) => table === 't' && op === 'INSERT')
        .map(({ key }) => Number(key?.['id'])),
  };
}

/** How much WAL the server has on its disk, in bytes. */
export async function walOnDisk(server: PostgresServer): Promise<number> {
  const [row] = await server.sql<{ bytes: string }>('SELECT sum(size)::text AS bytes FROM pg_ls_waldir()');
  return Number(row?.bytes);
}

/** A list of numbers, both ends included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
