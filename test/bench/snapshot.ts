/**
 * What a snapshot costs: `npm run bench:snapshot`. Rows a second, against `COPY table TO STDOUT` of the same table through
 * the same client; for each of several sizes, so that a cost that grows with the table shows; the memory of the process; and
 * how late changes are meanwhile. The stream takes everything at once.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { to as copyTo } from 'pg-copy-streams';
import { encodeMessage } from '../../lambda/snapshot/own-message.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { Pipeline } from '../support/real-pipeline.ts';

const { values } = parseArgs({ options: { rows: { type: 'string', default: '100000,1000000' } } });

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

/** @returns seconds, the largest memory of the process in MiB, and how late the changes were in milliseconds */
async function snapshot(
  server: PostgresServer,
  rows: number,
  writes: boolean,
): Promise<{ seconds: number; mib: number; late: number[] }> {
  const slot = `s${rows}${writes ? 'w' : ''}`;
  await server.createSlot(slot);
  const late: number[] = [];
  let mib = 0;
  const pipeline = new Pipeline(server, slot, {
    maxMs: 900_000,
    isSnapshot: true,
    onRecord: (data) => {
      const at = data.indexOf('"at":');
      if (at >= 0) late.push(Date.now() - Number(data.toString('latin1', at + 6, at + 19)));
      if (at >= 0 || Math.random() < 0.0001) mib = Math.max(mib, process.memoryUsage.rss() / 1024 / 1024);
    },
  });
  const content = encodeMessage(slot, { kind: 'begin', id: 'b', begunAt: 1, tables: ['public.t'], anew: false });
  await server.sql(`SELECT pg_logical_emit_message(false, 'pg2kinesis', $1::text), txid_current()`, [content]);
  const stop = new AbortController();
  const writer = (async () => {
    while (writes && !stop.signal.aborted) {
      await server.sql(`INSERT INTO changes VALUES (DEFAULT, '${Date.now()}')`);
      await wait(20);
    }
  })();
  const begun = performance.now();
  const answer = await pipeline.run();
  const seconds = (performance.now() - begun) / 1000;
  stop.abort();
  await writer;
  if (answer.snapshot?.done !== true || answer.snapshot.rowsPublished < rows) throw new Error(JSON.stringify(answer));
  await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
  return { seconds, mib, late };
}

const percentile = (of: readonly number[], share: number): number =>
  of.toSorted((a, b) => a - b)[Math.floor(of.length * share)] ?? 0;

const server = await startPostgres({ settings: { shared_buffers: '256MB' } });
try {
  console.log(
    '| rows | COPY rows/s | snapshot rows/s | share | MiB resident | changes late, p50 and p99, ms |\n|---|---|---|---|---|---|',
  );
  for (const rows of values.rows.split(',').map(Number)) {
    await server.sql(`DROP TABLE IF EXISTS t, changes; CREATE TABLE changes (id serial PRIMARY KEY, at text);
      CREATE TABLE t (id bigint PRIMARY KEY, name text, balance numeric, active boolean, made timestamptz, doc jsonb);
      INSERT INTO t SELECT g, 'name of ' || g, g * 1.25, g % 2 = 0, now(), '{"a": [1, 2, 3], "b": "text"}' FROM generate_series(1, ${rows}) g`);
    await copy(server);
    const copied = rows / (await copy(server));
    const { seconds, mib } = await snapshot(server, rows, false);
    const { late } = await snapshot(server, rows, true);
    const read = rows / seconds;
    console.log(
      `| ${rows} | ${Math.round(copied)} | ${Math.round(read)} | ${(read / copied).toFixed(2)} | ${Math.round(mib)} | ${percentile(late, 0.5)}, ${percentile(late, 0.99)} |`,
    );
  }
} finally {
  await server.stop();
}
