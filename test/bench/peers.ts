/**
 * What pg2kinesis is measured beside, on the same WAL: PostgreSQL's own client, the bare peek, which is the floor of reading
 * by SQL, and a package from npm that decodes in JavaScript. None of them publishes anything.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type BenchEnvironment, measureProcess, pathOf } from './environment.ts';

const run = promisify(execFile);
const OPTIONS = ['skip-empty-xacts=on', 'include-timestamp=on'];

/** What a peer took. */
export interface PeerTime {
  readonly ms: number;
  readonly cpuMs?: number;
  readonly maxRssMb?: number;
}

/** Reads a slot that nobody else reads. */
type Peer = (environment: BenchEnvironment, slot: string) => Promise<PeerTime>;

/** Where the server's WAL ends. */
async function flushed({ server }: BenchEnvironment): Promise<string> {
  const [row] = await server.sql<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return row?.lsn ?? '';
}

/** `pg_recvlogical`, which writes to /dev/null. */
const recvlogical: Peer = async (environment, slot) => {
  const { host, user, password, database } = environment.server.connection;
  const bindir = (await run('pg_config', ['--bindir'])).stdout.trim();
  const to = ['-h', host, '-p', String(environment.server.port), '-U', user, '-d', database, '-S', slot];
  const how = ['--start', '-n', '-f', '/dev/null', '-E', await flushed(environment)];
  const options = OPTIONS.flatMap((option) => ['-o', option]);
  const env = { ...process.env, PGPASSWORD: password };
  const began = performance.now();
  await run(`${bindir}/pg_recvlogical`, [...to, ...how, ...options], { env });
  return { ms: performance.now() - began };
};

/** One peek of everything, whose rows the server counts. */
const barePeek: Peer = async ({ server }, slot) => {
  const options = OPTIONS.flatMap((option) => option.split('=')).map((text) => `'${text}'`);
  const began = performance.now();
  await server.sql(`SELECT count(*) FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, ${options.join(', ')})`, [
    slot,
  ]);
  return { ms: performance.now() - began };
};

/** A package from npm. */
const npmPeer: Peer = async ({ server }, slot) => {
  const [row] = await server.sql<{ commits: string }>(
    `SELECT count(*) AS commits FROM pg_logical_slot_peek_changes($1, NULL, NULL, 'skip-empty-xacts', 'on') WHERE data LIKE 'COMMIT%'`,
    [slot],
  );
  const { host, user, password, database } = server.connection;
  const env = {
    PATH: process.env['PATH'],
    PGHOST: host,
    PGPORT: String(server.port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
  };
  const [time] = await measureProcess<PeerTime>([pathOf('npm-peer.ts'), slot, row?.commits ?? '0'], env, 1);
  if (time === undefined) throw new Error('pg-logical-replication told nothing');
  return time;
};

/** All of them, by name. The first is what ratios are made with. */
export const PEERS: Readonly<Record<string, Peer>> = {
  pg_recvlogical: recvlogical,
  'bare peek': barePeek,
  'pg-logical-replication': npmPeer,
};
