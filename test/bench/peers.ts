/**
 * What pg2kinesis is measured beside, on the same WAL: PostgreSQL's own client, the bare peek, which is the floor of reading
 * by SQL, and packages from npm that decode in JavaScript. None of them publishes anything.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type BenchEnvironment, measureProcess, pathOf } from './environment.ts';

const run = promisify(execFile);
/** What a peer is told, by the slot's plugin: for pgoutput a publication `bench` of all tables. */
const OPTIONS = {
  test_decoding: ['skip-empty-xacts=on', 'include-timestamp=on'],
  pgoutput: ['proto_version=1', 'publication_names=bench'],
  // As the function asks it.
  wal2json: [
    ...['format-version=2', 'include-xids=1', 'include-timestamp=1'],
    ...['include-types=0', 'include-type-oids=1', 'include-pk=1'],
  ],
} as const;

/** What a peer took. */
export interface PeerTime {
  readonly ms: number;
  readonly cpuMs?: number;
  readonly maxRssMb?: number;
}

/** A peer. */
export interface Peer {
  /** The slot's. */
  readonly plugin: keyof typeof OPTIONS;
  /** Reads a slot that nobody else reads. */
  readonly read: (environment: BenchEnvironment, slot: string) => Promise<PeerTime>;
}

/** A plugin that is measured. */
export type Plugin = Peer['plugin'];

/** Where the server's WAL ends. */
async function flushed({ server }: BenchEnvironment): Promise<string> {
  const [row] = await server.sql<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return row?.lsn ?? '';
}

/** `pg_recvlogical`, which writes to /dev/null. */
const recvlogical =
  (plugin: Plugin): Peer['read'] =>
  async (environment, slot) => {
    const { host, user, password, database } = environment.server.connection;
    const bindir = (await run('pg_config', ['--bindir'])).stdout.trim();
    const to = ['-h', host, '-p', String(environment.server.port), '-U', user, '-d', database, '-S', slot];
    const how = ['--start', '-n', '-f', '/dev/null', '-E', await flushed(environment)];
    const options = OPTIONS[plugin].flatMap((option) => ['-o', option]);
    const env = { ...process.env, PGPASSWORD: password };
    const began = performance.now();
    await run(`${bindir}/pg_recvlogical`, [...to, ...how, ...options], { env });
    return { ms: performance.now() - began };
  };

/** One peek of everything, whose rows the server counts. */
const barePeek =
  (plugin: Plugin): Peer['read'] =>
  async ({ server }, slot) => {
    const options = OPTIONS[plugin].flatMap((option) => option.split('=')).map((text) => `'${text}'`);
    const began = performance.now();
    await server.sql(
      `SELECT count(*) FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, ${options.join(', ')})`,
      [slot],
    );
    return { ms: performance.now() - began };
  };

/** A package from npm, by its program. It is told how many commits it has to see. */
const npmPeer =
  (program: string): Peer['read'] =>
  async ({ server, variables }, slot) => {
    const [row] = await server.sql<{ commits: string }>(
      `SELECT count(*) AS commits FROM pg_logical_slot_peek_changes('written', NULL, NULL, 'skip-empty-xacts', 'on') WHERE data LIKE 'COMMIT%'`,
    );
    const [time] = await measureProcess<PeerTime>([pathOf(program), slot, row?.commits ?? '0'], { ...variables }, 1);
    if (time === undefined) throw new Error(`${program} told nothing`);
    return time;
  };

/** All of them, by name. The first is what ratios are made with. */
export const PEERS: Readonly<Record<string, Peer>> = {
  pg_recvlogical: { plugin: 'test_decoding', read: recvlogical('test_decoding') },
  'bare peek': { plugin: 'test_decoding', read: barePeek('test_decoding') },
  'pg-logical-replication': { plugin: 'test_decoding', read: npmPeer('npm-peer.ts') },
  'pg_recvlogical, pgoutput': { plugin: 'pgoutput', read: recvlogical('pgoutput') },
  'bare peek, pgoutput': { plugin: 'pgoutput', read: barePeek('pgoutput') },
  'pg_recvlogical, wal2json': { plugin: 'wal2json', read: recvlogical('wal2json') },
  'bare peek, wal2json': { plugin: 'wal2json', read: barePeek('wal2json') },
  'pgwire, pgoutput': { plugin: 'pgoutput', read: npmPeer('pgwire-peer.ts') },
};
