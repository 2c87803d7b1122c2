/**
 * A snapshot of three large tables under writers, while the function is killed, the server crashes and backends are ended:
 * `npm run test:snapshot -- --rows 1000000`. A consumer that reads the stream alone ends with exactly the tables. Takes
 * minutes, so it is no part of `npm test`. `--format debezium`, `--lanes 2`, `--toasted 2`, `--plugin pgoutput`, `--version 13`, `--seconds 60`
 * of faults.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { startEnvironment } from '../chaos/environment.ts';
import { type Format, StreamConsumer } from './stream-consumer.ts';
import { compare, NAMES, tablesOf, write } from './workload.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '60' },
    plugin: { type: 'string', default: 'test_decoding' },
    format: { type: 'string', default: 'json' },
    lanes: { type: 'string', default: '1' },
    toasted: { type: 'string', default: '50' },
    version: { type: 'string' },
  },
});
const FORMATS: readonly Format[] = ['json', 'debezium', 'dms'];
const format = FORMATS.find((each) => each === values.format);
if (format === undefined) throw new Error(`--format is one of ${FORMATS.join(', ')}`);
const lanes = Number(values.lanes);
if (lanes > 1 && format !== 'json') throw new Error('only FORMAT=json says enough to merge lanes');
const rows = Number(values.rows);

const SETTINGS = {
  PLUGIN: values.plugin,
  FORMAT: format,
  DEBEZIUM_TRANSACTION: 'on',
  DMS_TRANSACTION: 'on',
  DMS_NULLS: 'include',
  AGGREGATION: 'lines',
  COMPRESSION: 'gzip',
  LANES: values.lanes,
  SNAPSHOT_SHARE: '90',
};
const happened = { runs: 0, kills: 0, crashes: 0, terminations: 0, writes: 0 };
const stop = new AbortController();
const environment = await startEnvironment({
  shards: lanes,
  ...(values.version === undefined ? {} : { version: values.version }),
});
try {
  const { server } = environment;
  await server.sql(tablesOf(rows, Number(values.toasted)));
  await server.sql('CREATE PUBLICATION pg2kinesis FOR ALL TABLES');
  await server.createSlot('pg2kinesis', values.plugin);
  const begun = performance.now();
  const first = await environment.container(SETTINGS);
  const asked = await first.invoke({ action: 'snapshot', tables: NAMES, maxSeconds: 5 });
  console.log(JSON.stringify(asked).slice(0, 400));
  const writing = [7, 99].map((seed) =>
    write(server, { rows, seed, signal: stop.signal, pauseMs: 5, onWritten: () => happened.writes++ }),
  );
  const until = Date.now() + Number(values.seconds) * 1000;
  let container = first;
  for (let done = false; !done; happened.runs++) {
    const harms = Date.now() < until;
    const dice = Math.random();
    const ending = container.invoke({ action: 'run', maxSeconds: 20 });
    if (harms && dice < 0.3) {
      await wait(500 + Math.random() * 4_000);
      await container.kill();
      happened.kills++;
    } else if (harms && dice < 0.5) {
      await wait(500 + Math.random() * 4_000);
      await server.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pg2kinesis until%'`,
      );
      happened.terminations++;
    } else if (harms && dice < 0.6) {
      await wait(500 + Math.random() * 4_000);
      await server.restart('immediate');
      happened.crashes++;
    }
    const outcome = await ending;
    const answer =
      outcome === 'killed'
        ? undefined
        : (outcome.answer as { snapshot?: { done: boolean; rowsRead: number; tablesLeft: number } } | undefined);
    if (answer?.snapshot !== undefined)
      console.log(
        `${((performance.now() - begun) / 1000).toFixed(0)} s: ${answer.snapshot.rowsRead} rows read, ${answer.snapshot.tablesLeft} tables left`,
      );
    else if (outcome !== 'killed' && outcome.error !== undefined) console.log(outcome.error.name);
    if (outcome === 'killed') container = await environment.container(SETTINGS);
    done = answer !== undefined && !harms && answer.snapshot?.done !== false;
  }
  const seconds = (performance.now() - begun) / 1000;
  stop.abort();
  await Promise.all(writing);
  await container.invoke({ action: 'drain' }, 600_000);
  const byLane = new Map<string, string[]>();
  for (const { partitionKey, data } of await environment.kinesis.readAll('pg2kinesis')) {
    const lane = byLane.get(partitionKey) ?? [];
    byLane.set(partitionKey, lane);
    for (const line of gunzipSync(data).toString().split('\n')) if (line !== '') lane.push(line);
  }
  const consumer = new StreamConsumer(format);
  consumer.consume([...byLane.values()]);
  const differing = await compare(server, consumer, console.log);
  if (lanes > 1) {
    // What comes of reading one lane after the other, though rows move between them.
    const careless = new StreamConsumer(format);
    for (const lane of byLane.values()) careless.consume([lane]);
    console.log(`lane after lane: ${await compare(server, careless, () => undefined)} rows would differ`);
  }
  const { reads, repeats } = consumer;
  console.log(
    JSON.stringify({
      format,
      lanes: byLane.size,
      ...happened,
      seconds: Math.round(seconds),
      reads,
      repeats,
      differing,
    }),
  );
  process.exitCode = differing === 0 ? 0 : 1;
} finally {
  stop.abort();
  await environment.stop();
}
