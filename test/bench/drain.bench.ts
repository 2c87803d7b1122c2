/**
 * What a drain costs from end to end: `node test/bench/drain.bench.ts [changes]`. A real PostgreSQL, the real handler in
 * a process of its own, an endpoint that accepts everything. Prints; asserts nothing.
 *
 * The peer is `pg_recvlogical` writing the same WAL to /dev/null: the server's own client, which decodes once and keeps
 * nothing. The two run in turn, and the ratio of their medians is what counts; both see the same machine.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

const run = promisify(execFile);
const CHANGES = Number(process.argv[2] ?? 500_000);
const ROUNDS = 3;
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Invocation {
  readonly ms: number;
  readonly maxRssMb: number;
  readonly answer: RunAnswer;
}

const sink = spawn(process.execPath, [here('sink.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
const [port] = (await once(createInterface({ input: sink.stdout }), 'line')) as [string];
const server = await startPostgres({
  settings: { max_wal_size: '8GB', shared_buffers: '256MB', max_replication_slots: '40', max_wal_senders: '10' },
});

/** Invokes the handler in a new process. */
async function invoke(slot: string, settings: Record<string, string>, ...payloads: object[]): Promise<Invocation[]> {
  const { host, user, password, database } = server.connection;
  const env = {
    PATH: process.env['PATH'],
    PGHOST: host,
    PGPORT: String(server.port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password,
    PGSSLMODE: 'disable',
    SLOT_NAME: slot,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}`,
    LOG_LEVEL: 'ERROR',
    ...settings,
  };
  const args = [here('invoke.ts'), ...payloads.map((payload) => JSON.stringify(payload))];
  const { stdout } = await run(process.execPath, args, { env, maxBuffer: 1 << 26 });
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('bench '))
    .map((line) => JSON.parse(line.slice(6)) as Invocation);
}

const drain = { action: 'drain' };
let copies = 0;

/** A slot at the same position as another, so that the same WAL can be read again. */
async function copyOf(slot: string): Promise<string> {
  const name = `copy_${copies++}`;
  await server.sql('SELECT pg_copy_logical_replication_slot($1, $2)', [slot, name]);
  return name;
}

/** Commits rows in transactions of five changes, or all in one. */
async function write(on: PostgresServer, changes: number, oneTransaction = false): Promise<void> {
  const row = `i + (SELECT coalesce(max(id), 0) FROM t), 'user ' || i, i * 1.5, now(), md5(i::text) || md5(i::text) || md5(i::text), i`;
  if (oneTransaction) {
    await on.sql(`INSERT INTO t SELECT ${row} FROM generate_series(1, ${changes}) i`);
    return;
  }
  const values = `'user ' || i, i * 1.5, now(), md5(i::text) || md5(i::text) || md5(i::text), i`;
  await on.sql(`DO $$ DECLARE base bigint := (SELECT coalesce(max(id), 0) FROM t); BEGIN
    FOR i IN 1..${changes / 5} LOOP
      INSERT INTO t VALUES (base + 3 * i, ${values}), (base + 3 * i + 1, ${values}), (base + 3 * i + 2, ${values});
      UPDATE t SET n = n + 1 WHERE id = base + 3 * i;
      UPDATE t SET n = n + 1 WHERE id = base + 3 * i + 1;
      COMMIT;
    END LOOP; END $$`);
}

async function recvlogical(slot: string): Promise<number> {
  const [{ lsn } = { lsn: '' }] = await server.sql<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  const bindir = (await run('pg_config', ['--bindir'])).stdout.trim();
  const { host, user, password, database } = server.connection;
  const args = [
    '-h',
    host,
    '-p',
    String(server.port),
    '-U',
    user,
    '-d',
    database,
    '-S',
    slot,
    '--start',
    '-E',
    lsn,
    '-n',
    '-f',
    '/dev/null',
  ];
  args.push('-o', 'skip-empty-xacts=on', '-o', 'include-timestamp=on');
  const began = performance.now();
  await run(`${bindir}/pg_recvlogical`, args, { env: { ...process.env, PGPASSWORD: password } });
  return performance.now() - began;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const whole = (value: number): string => value.toFixed(0);

/** One drain's milliseconds, checked to have published everything. */
async function drainOnce(slot: string, settings: Record<string, string>, expected: number): Promise<Invocation> {
  const copy = await copyOf(slot);
  const [first] = await invoke(copy, settings, drain);
  await server.sql('SELECT pg_drop_replication_slot($1)', [copy]);
  if (first?.answer.published !== expected || !first.answer.caughtUp)
    throw new Error(`not all was published: ${JSON.stringify(first?.answer)}`);
  return first;
}

try {
  await server.sql(
    'CREATE TABLE t (id bigint PRIMARY KEY, name text, balance numeric, at timestamptz, note text, n int)',
  );

  await server.createSlot('peer');
  await write(server, CHANGES);
  const times: Record<string, number[]> = {};
  const sizes: Record<string, string> = {};
  for (let round = 0; round < ROUNDS; round++) {
    const copy = await copyOf('peer');
    (times['pg_recvlogical'] ??= []).push(await recvlogical(copy));
    await server.sql('SELECT pg_drop_replication_slot($1)', [copy]);
    for (const FORMAT of ['json', 'csv-payload', 'csv']) {
      const { ms, answer } = await drainOnce('peer', { FORMAT }, CHANGES);
      (times[FORMAT] ??= []).push(ms);
      sizes[FORMAT] = `, ${whole(answer.bytes / CHANGES)} bytes a change in ${answer.kinesisRecords} Kinesis records`;
    }
  }
  const peer = median(times['pg_recvlogical'] ?? []);
  console.log(`drain of ${CHANGES} changes in ${CHANGES / 5} transactions, kpl; medians of ${ROUNDS}`);
  for (const [name, values] of Object.entries(times)) {
    console.log(
      `  ${name.padEnd(15)} ${whole(median(values))} ms (${values.map(whole).join(', ')})  ${(peer / median(values)).toFixed(2)}x the peer's throughput${sizes[name] ?? ''}`,
    );
  }
  await server.sql("SELECT pg_drop_replication_slot('peer')");

  await server.createSlot('small');
  await write(server, CHANGES / 10);
  const small: number[] = [];
  for (let round = 0; round < ROUNDS; round++)
    small.push((await drainOnce('small', { FORMAT: 'json' }, CHANGES / 10)).ms / (CHANGES / 10));
  await server.sql("SELECT pg_drop_replication_slot('small')");
  const large = median(times['json'] ?? []) / CHANGES;
  console.log(
    `cost of a change when the backlog is 10 times larger: ${(large / median(small)).toFixed(2)}x (${(1000 * median(small)).toFixed(2)} us, then ${(1000 * large).toFixed(2)} us)`,
  );

  await server.createSlot('held');
  const open = await server.client();
  await open.query("BEGIN; INSERT INTO t VALUES (-1, 'open')");
  await write(server, CHANGES);
  const held: number[] = [];
  for (let round = 0; round < ROUNDS; round++)
    held.push((await drainOnce('held', { FORMAT: 'json' }, CHANGES)).ms / CHANGES);
  await open.query('ROLLBACK');
  await server.sql("SELECT pg_drop_replication_slot('held')");
  console.log(
    `cost of a change while another transaction is open since before the backlog: ${(median(held) / large).toFixed(2)}x`,
  );

  await server.createSlot('huge');
  await write(server, 1_000_000, true);
  for (const FORMAT of ['json', 'csv-payload']) {
    const { maxRssMb, ms } = await drainOnce('huge', { FORMAT }, 1_000_000);
    console.log(
      `one transaction of 1,000,000 rows, ${FORMAT}: ${whole(ms)} ms, at most ${whole(maxRssMb)} MB resident`,
    );
  }

  await server.sql("SELECT pg_drop_replication_slot('huge')");
  await server.createSlot('idle');
  const idle = await invoke('idle', {}, ...Array.from({ length: 30 }, () => ({ action: 'run', maxSeconds: 50 })));
  const warm = idle.slice(5).map(({ ms }) => ms);
  console.log(`an idle run, warm: median ${median(warm).toFixed(1)} ms, slowest ${Math.max(...warm).toFixed(1)} ms`);
} finally {
  sink.stdin.end();
  await server.stop();
}
