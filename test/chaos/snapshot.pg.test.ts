/**
 * A snapshot under writers while containers are killed, the server crashes, backends are ended and the stream refuses: whoever
 * reads the stream alone ends with exactly the tables. A long form of it is `npm run test:snapshot`.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { StreamConsumer } from '../snapshot/stream-consumer.ts';
import { compare, NAMES, tablesOf, write } from '../snapshot/workload.ts';
import { DRAIN_MS } from './container.ts';
import { type Arrived, eventually, startEnvironment } from './environment.ts';
import { assertMarkedToTheEnd } from './mark-assertions.ts';
import { seeded } from './workload.ts';

const ROWS = 3_000;
/** Each a fault, in turn until the snapshot is done; all of them once at least. */
const FAULTS = ['kill', 'terminate', 'crash', 'kill', 'none', 'terminate'] as const;

describe('a snapshot while everything fails', () => {
  it('I1, I3, I12: gives a consumer of the stream alone exactly the tables, and no mark is ahead of its lane', async (t) => {
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    const random = seeded(seed);
    const environment = await startEnvironment({ shards: 2 });
    const stop = new AbortController();
    try {
      const { server, proxy } = environment;
      const plugin = server.version >= 14 && random() < 0.5 ? 'pgoutput' : 'test_decoding';
      const settings = { PLUGIN: plugin, AGGREGATION: 'lines', LANES: '2', SNAPSHOT_SHARE: '90' };
      await server.sql(tablesOf(ROWS, 2));
      await server.sql('CREATE PUBLICATION pg2kinesis FOR ALL TABLES');
      await server.createSlot('pg2kinesis', plugin);
      // It refuses, and is slow.
      let requests = 0;
      let writes = 0;
      proxy.always(() => {
        requests++;
        return random() < 0.2
          ? { kind: 'refuse', entries: () => random() < 0.5 }
          : { kind: 'delay', ms: random() * 100 };
      });
      const options = { rows: ROWS, signal: stop.signal, pauseMs: 5, onWritten: () => writes++ };
      const writing = [1, 2].map((owner) => write(server, { ...options, seed: owner + Math.floor(random() * 1e6) }));
      let container = await environment.container(settings);
      // On a machine that is busy enough three seconds may be over before it is asked for.
      while (!container.output.includes('A snapshot was asked for'))
        await container.invoke({ action: 'snapshot', tables: NAMES, maxSeconds: 3 });
      let isDone = false;
      for (let turn = 0; turn < FAULTS.length || !isDone; turn++) {
        assert.ok(turn < 60, 'the snapshot does not end');
        const fault = FAULTS[turn] ?? 'none';
        const sent = requests;
        // Once all faults were there, a run has time on any machine.
        const ending = container.invoke({ action: 'run', maxSeconds: turn < FAULTS.length ? 4 : 20 });
        // Once it sends something, so that a fault has something to hit.
        for (let i = 0; fault !== 'none' && requests < sent + 2 && i < 100; i++) await wait(20);
        await wait(fault === 'none' ? 0 : random() * 400);
        if (fault === 'kill') await container.kill();
        if (fault === 'terminate')
          await server.sql(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pg2kinesis until%'`,
          );
        if (fault === 'crash') await server.restart('immediate');
        const outcome = await ending;
        if (outcome === 'killed') container = await environment.container(settings);
        else if (fault === 'none' && outcome.error !== undefined) {
          // On a machine that is busy enough, four seconds are too short.
          assert.equal(outcome.error.name, 'NO_PROGRESS', outcome.error.message);
        }
        if (outcome === 'killed' || outcome.answer === undefined) continue;
        isDone = (outcome.answer as { snapshot?: { done: boolean } }).snapshot?.done !== false;
      }
      await eventually(() => writes > 50, 'enough is written to prove something');
      stop.abort();
      await Promise.all(writing);
      proxy.always(() => ({ kind: 'pass' }));
      assert.equal((await container.run({ action: 'drain' }, DRAIN_MS)).caughtUp, true);
      const lanes = new Map<string, string[]>();
      const { records, reaches } = await environment.marked(undefined, ({ partitionKey: lane, data }) =>
        Buffer.from(data)
          .toString()
          .split('\n')
          .filter(Boolean)
          .map((text) => ({ ...(JSON.parse(text) as Arrived), lane, partitionKey: '', text })),
      );
      assertMarkedToTheEnd(records, reaches, 2);
      for (const { lane, text } of records) lanes.set(lane, [...(lanes.get(lane) ?? []), text]);
      assert.equal(lanes.size, 2);
      const consumer = new StreamConsumer('json');
      consumer.consume([...lanes.values()]);
      const lines: string[] = [];
      const differing = await compare(server, consumer, (line) => lines.push(line));
      assert.equal(differing, 0, `with CHAOS_SEED=${seed}: ${lines.join('\n')}`);
      t.diagnostic(`${plugin}: ${consumer.reads} rows read, ${consumer.repeats} repeats, ${writes} writes`);
    } finally {
      stop.abort();
      await environment.stop();
    }
  });
});
