/**
 * The most memory that the function of a `StreamReplica` takes for full events: its bundle under AWS's own runtime client, with as
 * much heap as Node.js takes in a container of so much memory. `npm run bench:replica-function-memory`, with the sizes in MiB
 * @default 512, which is the construct's. Linux only: the process's peak is read from /proc.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KinesisStreamEvent } from 'aws-lambda';
import { bundleReplicaFunction } from '../../scripts/bundle.ts';
import { installRuntimeClient, startContainer } from '../deploy/runtime.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { eventsOf } from './replica-fast.ts';
import { aggregate, changeText, compressed, LanePacker, type Packed, rowOf, TABLE } from './replica-records.ts';

/** What an event is made of. */
interface EventMaking {
  readonly rows: number;
  readonly noteChars: number;
  /** Changes of a Kinesis record. */
  readonly most: number;
  readonly pack: (each: Packed) => Buffer;
  /** @default 100, which is the construct's */
  readonly batchSize?: number;
}

/** What an event holds, in Kinesis records of about 250 KiB before compression. */
const CASES = {
  'small rows': { rows: 11_000, noteChars: 96, most: 600, pack: aggregate },
  'rows of 20 KB': { rows: 230, noteChars: 20_000, most: 12, pack: aggregate },
  'a row of 4 MB': { rows: 1, noteChars: 4_000_000, most: 1, pack: aggregate },
  'small rows, compressed by zstd': { rows: 60_000, noteChars: 96, most: 600, pack: compressed },
  'the same, with a batchSize of 1000': { rows: 150_000, noteChars: 96, most: 600, pack: compressed, batchSize: 1000 },
} as const satisfies Readonly<Record<string, EventMaking>>;

/** One full event, and what it takes until it is full. */
function fullEvent({ rows, noteChars, most, pack, batchSize }: EventMaking): KinesisStreamEvent {
  const packer = new LanePacker(most);
  const packed: Packed[] = [];
  for (let id = 0; id < rows; id++)
    packed.push(...packer.add(id, changeText('INSERT', rowOf(id, 0, noteChars), '0/10', id + 1)));
  packed.push(...packer.mark('0/10'));
  const [event] = eventsOf(packed, pack, batchSize);
  if (event === undefined) throw new Error('There is no event.');
  return event;
}

function peakMib(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function measure(server: PostgresServer, client: string, folder: string, memoryMib: number): Promise<void> {
  const { user, password, host, port, database } = server.connection;
  for (const [what, made] of Object.entries<EventMaking>(CASES)) {
    await server.sql('DROP SCHEMA IF EXISTS pg2kinesis CASCADE; TRUNCATE public.rows');
    const container = await startContainer({
      client,
      folder,
      handler: 'handler.handler',
      functionName: 'replica',
      memoryMib,
      timeoutSeconds: 300,
      environment: {
        ...{ PGHOST: host, PGPORT: String(port), PGDATABASE: database, PGUSER: user, PGPASSWORD: password },
        ...{ PGSSLMODE: 'disable', AWS_REGION: 'us-east-1' },
        // V8 takes half of a container's memory for old objects.
        NODE_OPTIONS: `--enable-source-maps --max-old-space-size=${Math.floor(memoryMib / 2)}`,
      },
    });
    const start = peakMib(container.pid);
    const event = fullEvent(made);
    const times: number[] = [];
    // Twice: what is given again is read again.
    for (let round = 0; round < 2; round++) {
      const began = performance.now();
      const { answer, error } = await container.invoke(event);
      times.push(Math.round(performance.now() - began));
      if (error !== undefined || (answer as { batchItemFailures: unknown[] }).batchItemFailures.length > 0)
        throw new Error(`${error?.errorMessage ?? 'A record was not applied.'}\n${container.output()}`);
    }
    const peak = peakMib(container.pid);
    await container.stop();
    const [row] = await server.sql<{ n: number }>('SELECT count(*)::int AS n FROM public.rows');
    const size = (JSON.stringify(event).length / 1024 / 1024).toFixed(1);
    console.log(
      `${memoryMib} MiB: an event of ${what} (${size} MiB, ${event.Records.length} records, ${row?.n ?? 0} rows): at most ${Math.round(peak)} MiB (${Math.round(start)} before), ${times.join(' and ')} ms`,
    );
  }
}

const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-replica-'));
try {
  await server.sql(TABLE);
  await bundleReplicaFunction(folder);
  const client = installRuntimeClient(console.error);
  const sizes = process.argv.slice(2).map(Number);
  for (const memoryMib of sizes.length === 0 ? [512] : sizes) await measure(server, client, folder, memoryMib);
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
