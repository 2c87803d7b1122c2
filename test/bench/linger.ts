/**
 * How soon a lingering run publishes, and what it costs: `npm run bench:linger`.
 * A writer commits one row a transaction. The latency of each is measured from its COMMIT's answer to the answer of the
 * endpoint for the request that holds it; both ends are in this process, by one clock. Two containers take turns, so that
 * the slot is handed over at each tick. Prints a line of JSON and one of text for each case; asserts nothing but that
 * every row arrived once.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Container, startContainer } from '../chaos/container.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { cpuMs, limitCpu } from './cpu-limit.ts';
import { connectionVariables } from './environment.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string' },
    'tick-seconds': { type: 'string' },
    share: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const SHARE = Number(options.share);

/**
 * A case: transactions a second, MiB of WAL behind a transaction that stays open, how long it is measured, and how long a
 * run stays until the next one waits. A run begins with a peek, whatever the one before it has cost: where a peek takes
 * long, the share of the server is that of fewer hand-overs than elsewhere. There are five an hour in fact.
 */
const CASES = {
  tx100: { rate: 100, openMib: 0, seconds: 40, tickSeconds: 12 },
  tx1: { rate: 1, openMib: 0, seconds: 40, tickSeconds: 12 },
  idle: { rate: 0, openMib: 0, seconds: 40, tickSeconds: 12 },
  open100: { rate: 100, openMib: 100, seconds: 70, tickSeconds: 40 },
  open400: { rate: 100, openMib: 400, seconds: 130, tickSeconds: 100 },
} as const;

/** When a request with each row's key was answered. */
const answeredAt = new Map<number, number>();
let repeats = 0;

/** Accepts everything after 5 ms, and notes when. One csv record an entry. */
const sink = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { Records } = JSON.parse(Buffer.concat(chunks).toString()) as { Records: { Data: string }[] };
    const answer = {
      FailedRecordCount: 0,
      Records: Records.map(() => ({ SequenceNumber: '1', ShardId: 'shardId-0' })),
    };
    setTimeout(() => {
      const now = performance.now();
      for (const { Data } of Records) {
        const id = Number(Buffer.from(Data, 'base64').toString().split(',')[5]);
        if (answeredAt.has(id)) repeats++;
        else answeredAt.set(id, now);
      }
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify(answer));
    }, 5);
  });
});
await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
const endpoint = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;

for (const name of Object.keys(CASES) as (keyof typeof CASES)[]) {
  if (options.only !== undefined && !options.only.split(',').includes(name)) continue;
  const server = await startPostgres({ settings: { max_wal_size: '4GB' } });
  try {
    await measure(name, server);
  } finally {
    await server.stop();
  }
}
sink.close();

async function measure(name: keyof typeof CASES, server: PostgresServer): Promise<void> {
  const { rate, openMib } = CASES[name];
  const given = Number(options.seconds ?? CASES[name].seconds);
  const tickSeconds = Number(options['tick-seconds'] ?? CASES[name].tickSeconds);
  answeredAt.clear();
  repeats = 0;
  await server.sql('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE big (note text)');
  await server.createSlot('pg2kinesis');
  const open = await server.client();
  if (openMib > 0) {
    await open.query('BEGIN');
    await open.query(`INSERT INTO big SELECT repeat(md5(i::text), 32) FROM generate_series(1, $1::int) i`, [
      openMib * 1000,
    ]);
  }
  const environment = {
    ...connectionVariables(server),
    AWS_ENDPOINT_URL_KINESIS: endpoint,
    FORMAT: 'csv',
    AGGREGATION: 'none',
    LINGER: 'on',
  };
  const containers = await Promise.all([startContainer(environment), startContainer(environment)]);
  const release = SHARE < 1 ? containers.map(({ child }) => limitCpu(child.pid ?? 0, SHARE)) : [];
  const over = new AbortController();
  const ticking = tick(containers, tickSeconds, over.signal);
  await eventuallyLocked(server);
  const cpuBefore = sum(containers.map(({ child }) => cpuMs(child.pid ?? 0) ?? 0));
  const backends = watchBackends(server);
  const begun = performance.now();
  const committed = await write(server, rate, begun, given);
  const seconds = (performance.now() - begun) / 1000;
  const serverMs = await backends.stop();
  const functionMs = sum(containers.map(({ child }) => cpuMs(child.pid ?? 0) ?? 0)) - cpuBefore;
  // What was written last has to come, too.
  for (let i = 0; i < 1_200 && answeredAt.size < committed.size; i++) await wait(100);
  over.abort();
  await Promise.all(containers.map((each) => each.kill()));
  for (const each of release) each();
  await ticking;
  await open.end();
  const latencies = [...committed].flatMap(([id, at]) => {
    const answered = answeredAt.get(id);
    return answered === undefined ? [] : [answered - at];
  });
  latencies.sort((a, b) => a - b);
  const times = [...answeredAt.values()].sort((a, b) => a - b);
  const gap = Math.max(0, ...times.slice(1).map((at, i) => at - (times[i] ?? at)));
  const slow = containers
    .flatMap(({ lines }) => lines)
    .filter(({ message }) => String(message).startsWith('Lingering slowly'));
  const handOvers = containers
    .flatMap(({ lines }) => lines)
    .filter(({ answer }) => (answer as { stopped?: string } | undefined)?.stopped === 'handed-over').length;
  const result = {
    case: name,
    share: SHARE,
    committed: committed.size,
    missing: committed.size - latencies.length,
    repeats,
    handOvers,
    p50Ms: Math.round(quantile(latencies, 0.5)),
    p99Ms: Math.round(quantile(latencies, 0.99)),
    maxMs: Math.round(latencies.at(-1) ?? 0),
    longestGapMs: Math.round(gap),
    serverCpuPercent: round(serverMs / seconds / 10),
    functionCpuPercent: round(functionMs / seconds / 10),
    saidWhyItIsSlow: slow.length,
    // Written each minute: a case that takes less has none.
    peekMs: Math.max(0, ...containers.flatMap(({ lines }) => lines).map((line) => Number(line['PeekMs'] ?? 0))),
  };
  console.log(JSON.stringify(result));
  if (result.missing > 0) process.exitCode = 1;
}

/** Invokes the containers in turn; each stays until the next one waits. */
async function tick(containers: readonly Container[], seconds: number, over: AbortSignal): Promise<void> {
  const invocations: Promise<unknown>[] = [];
  for (let i = 0; !over.aborted; i++) {
    const container = containers[i % containers.length];
    // Handing over takes a moment, and a container does one thing at a time.
    if (container !== undefined)
      invocations.push(container.invoke({ action: 'run', maxSeconds: 50 }, (seconds + 60) * 1000));
    await wait(seconds * 1000, undefined, { signal: over }).catch(() => undefined);
    await invocations[i - 1];
  }
  await Promise.all(invocations);
}

async function eventuallyLocked(server: PostgresServer): Promise<void> {
  while ((await server.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted`)).length < 2)
    await wait(50);
  await wait(500);
}

/** Commits a row a transaction. @returns when each COMMIT was answered */
async function write(
  server: PostgresServer,
  rate: number,
  begun: number,
  seconds: number,
): Promise<Map<number, number>> {
  const committed = new Map<number, number>();
  const client = await server.client();
  for (let id = 1; performance.now() - begun < seconds * 1000; id++) {
    if (rate === 0) {
      await wait(seconds * 1000);
      break;
    }
    await client.query('INSERT INTO t VALUES ($1)', [id]);
    committed.set(id, performance.now());
    await wait(Math.max(0, begun + (id * 1000) / rate - performance.now()));
  }
  await client.end();
  return committed;
}

/** Sums up the processor time of the function's backends, looked at often enough that none ends unseen. */
function watchBackends(server: PostgresServer): { stop(): Promise<number> } {
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  let stopped = false;
  const look = async (): Promise<void> => {
    while (!stopped) {
      const rows = await server.sql<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pg2kinesis until %'`,
      );
      for (const { pid } of rows) {
        const used = cpuMs(pid);
        if (used === undefined) continue;
        // A backend that is new has done all of it for the function.
        if (!first.has(pid)) first.set(pid, first.size < 2 ? used : 0);
        last.set(pid, used);
      }
      await wait(200);
    }
  };
  const looking = look();
  return {
    async stop() {
      stopped = true;
      await looking;
      return sum([...last].map(([pid, used]) => used - (first.get(pid) ?? 0)));
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
