/**
 * What a snapshot costs: `npm run bench:snapshot`. The real handler in a process of its own, with the memory that a function of
 * 256 MB has: rows a second against `COPY table TO STDOUT` of the same table through the same client, processor time a row and the
 * most memory, for each of several sizes, so that a cost that grows with the table shows. Then how late changes are meanwhile. The
 * stream takes everything at once. `-- --rows 1000000,10000000 --narrow` with rows of two columns.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { to as copyTo } from 'pg-copy-streams';
import { encodeSnapshotMessage } from '../../lambda/snapshot/snapshot-message.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { Pipeline } from '../support/real-pipeline.ts';
import { startEnvironment } from './environment.ts';

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '100000,1000000' }, narrow: { type: 'boolean', default: false } },
});
/** A function's, in MB, and what Lambda tells Node.js of it. */
const MEMORY_MB = 256;
const NODE_OPTIONS = `--max-semi-space-size=${Math.floor(MEMORY_MB * 0.05)} --max-old-space-size=${Math.floor(MEMORY_MB * 0.9)}`;

/** @returns seconds */
async function copy(server: PostgresServer): Promise<number> {
  const client = await server.client();
  const begun = performance.now();
  let bytes = 0;
  for await (const chunk of client.query(copyTo('COPY t TO STDOUT'))) bytes += (chunk as Buffer).length;
  const seconds = (performance.now() - begun) / 1000;
  await client.end();
  if (bytes === 0) throw new Error('COPY gave nothing');
  return seconds;
}

/** @returns how late changes were that were committed while a snapshot was taken, in milliseconds, in order */
async function lateness(server: PostgresServer, slot: string): Promise<number[]> {
  await server.createSlot(slot);
  const late: number[] = [];
  const pipeline = new Pipeline(server, slot, {
    maxMs: 900_000,
    isSnapshot: true,
    onRecord: (data) => {
      const at = data.indexOf('"at":');
      if (at >= 0) late.push(Date.now() - Number(data.toString('latin1', at + 6, at + 19)));
    },
  });
  const content = encodeSnapshotMessage(slot, {
    kind: 'begin',
    id: 'b',
    begunAt: 1,
    tables: ['public.t'],
    anew: false,
  });
  await server.sql(`SELECT pg_logical_emit_message(false, 'pg2kinesis', $1::text), txid_current()`, [content]);
  const stop = new AbortController();
  const writing = (async () => {
    while (!stop.signal.aborted) {
      await server.sql(`INSERT INTO changes VALUES (DEFAULT, '${Date.now()}')`);
      await wait(20);
    }
  })();
  const answer = await pipeline.run();
  stop.abort();
  await writing;
  if (answer.snapshot?.done !== true) throw new Error(JSON.stringify(answer));
  await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
  return late.sort((a, b) => a - b);
}

const ROW = values.narrow
  ? { columns: 'id bigint PRIMARY KEY, v int', values: 'g, g % 1000' }
  : {
      columns: 'id bigint PRIMARY KEY, name text, balance numeric, active boolean, made timestamptz, doc jsonb',
      values: `g, 'name of ' || g, g * 1.25, g % 2 = 0, now(), '{"a": [1, 2, 3], "b": "text"}'`,
    };

const environment = await startEnvironment();
try {
  const { server } = environment;
  console.log(
    '| rows | COPY rows/s | snapshot rows/s | share | processor time a row, us | most memory, MB | changes late, p50 and p99, ms |\n|---|---|---|---|---|---|---|',
  );
  for (const rows of values.rows.split(',').map(Number)) {
    await server.sql(`DROP TABLE IF EXISTS t, changes; CREATE TABLE changes (id serial PRIMARY KEY, at text);
      CREATE TABLE t (${ROW.columns}); INSERT INTO t SELECT ${ROW.values} FROM generate_series(1, ${rows}) g`);
    await server.sql('VACUUM ANALYZE t');
    await copy(server);
    const copied = rows / (await copy(server));
    const slot = `s${rows}`;
    await server.createSlot(slot);
    const settings = { FORMAT: 'json', NODE_OPTIONS, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(MEMORY_MB) };
    const [taken] = await environment.invoke(slot, settings, [{ action: 'snapshot', tables: ['public.t'] }]);
    if (taken?.answer.snapshot?.done !== true || taken.answer.snapshot.rowsPublished < rows)
      throw new Error(JSON.stringify(taken));
    await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
    const late = rows > 1_000_000 ? [] : await lateness(server, `late${rows}`);
    const percentile = (share: number): string => String(late[Math.floor(late.length * share)] ?? 'not measured');
    const read = (rows * 1000) / taken.ms;
    console.log(
      `| ${rows} | ${Math.round(copied)} | ${Math.round(read)} | ${(read / copied).toFixed(2)} | ${((taken.cpuMs * 1000) / rows).toFixed(1)} | ${Math.round(taken.maxRssMb)} | ${percentile(0.5)}, ${percentile(0.99)} |`,
    );
  }
} finally {
  await environment.stop();
}
