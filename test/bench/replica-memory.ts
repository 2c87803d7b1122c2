/**
 * The most memory that `pg2kinesis replicate` takes for one large transaction: the command as a user runs it, in a process of its
 * own, without flags of Node.js. `npm run bench:replica-memory`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import type { MadeStream } from './made-stream.ts';

const TABLE = `CREATE TABLE public.rows (id integer PRIMARY KEY, name text, balance numeric, at timestamptz, flag boolean, doc jsonb, part integer, note text)`;

/** Says at a process's end how much it took at most. */
const MEASURE = `data:text/javascript,${encodeURIComponent(
  `import { isMainThread } from 'node:worker_threads';
   if (isMainThread) process.on('exit', () => console.error('maxRss ' + process.resourceUsage().maxRSS));`,
)}`;

/** What a replication came to. */
export interface Replicated {
  readonly maxRssMiB: number;
  readonly seconds: number;
  readonly rows: number;
}

/**
 * Replicates one transaction into an empty table.
 *
 * @param server - the target
 * @param made - the transaction
 * @param options - flags of Node.js, and of the command
 */
export async function replicateMade(
  server: PostgresServer,
  made: MadeStream,
  { node = [], flags = [] }: { readonly node?: readonly string[]; readonly flags?: readonly string[] } = {},
): Promise<Replicated> {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const stream = spawn(process.execPath, [path('made-stream.ts'), JSON.stringify(made)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface({ input: stream.stdout }), 'line')) as [string];
  try {
    await server.sql('DROP SCHEMA IF EXISTS pg2kinesis CASCADE');
    await server.sql('DROP TABLE IF EXISTS public.rows');
    await server.sql(TABLE);
    const { user, password, host, database } = server.connection;
    const began = performance.now();
    const args = [
      ...node,
      '--import',
      MEASURE,
      path('../../bin/pg2kinesis.js'),
      'replicate',
      '--once',
      '--stream',
      'made',
    ];
    const child = spawn(process.execPath, [...args, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'x',
        AWS_SECRET_ACCESS_KEY: 'x',
        AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}`,
        REPLICATE_TO: `postgres://${user}@${host}:${server.port}/${database}?sslmode=disable`,
        REPLICATE_PASSWORD: password,
      },
    });
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    const [status] = (await once(child, 'close')) as [number];
    if (status !== 0) throw new Error(`It ended with ${status}: ${err}`);
    const seconds = (performance.now() - began) / 1000;
    const [row] = await server.sql<{ n: number }>('SELECT count(*)::int AS n FROM public.rows');
    const [, kib] = /^maxRss (\d+)/m.exec(err) ?? [];
    return { maxRssMiB: Number(kib) / 1024, seconds, rows: row?.n ?? 0 };
  } finally {
    stream.stdin.end();
  }
}

if (import.meta.filename === process.argv[1]) {
  const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
  try {
    const node = process.argv.slice(2);
    for (const [what, made] of Object.entries({
      'of 1,000,000 rows': { rows: 1_000_000, shards: 4, noteChars: 96 },
      'of 20,000 rows of 20 KB': { rows: 20_032, shards: 4, noteChars: 20_000 },
    })) {
      const { maxRssMiB, seconds, rows } = await replicateMade(server, made, { node });
      console.log(
        `one transaction ${what}: ${rows} rows, ${seconds.toFixed(1)} s, at most ${Math.round(maxRssMiB)} MiB`,
      );
    }
  } finally {
    await server.stop();
  }
}
