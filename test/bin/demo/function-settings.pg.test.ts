/**
 * Each format with each aggregation, and the partition keys, lanes and filters, through the real handler: one database,
 * one set of changes, a slot and a stream for each, compared by the demo's own book and consumer.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { consumer, hashKeyRanges } from '../../../bin/demo/consumer.ts';
import { startFunction } from '../../../bin/demo/function.ts';
import { passedSettings, validateSettings } from '../../../bin/demo/function-settings.ts';
import { type Committed, Ledger } from '../../../bin/demo/ledger.ts';
import { type Servers, startServers } from '../../../bin/demo/servers.ts';
import { isConclusive, Verifier } from '../../../bin/demo/verifier.ts';
import { makeWriters } from '../../../bin/demo/writer.ts';
import { readStream } from '../../../bin/stream-reader.ts';

const CASES: readonly Readonly<Record<string, string>>[] = [
  { FORMAT: 'csv', AGGREGATION: 'kpl', PARTITION_BY: 'transaction' },
  { FORMAT: 'csv', AGGREGATION: 'none' },
  { FORMAT: 'csv-payload', AGGREGATION: 'kpl', PARTITION_BY: 'table' },
  { FORMAT: 'csv-payload', AGGREGATION: 'lines' },
  { FORMAT: 'csv-payload', AGGREGATION: 'none' },
  { FORMAT: 'json', AGGREGATION: 'kpl', LANES: '1', SOURCE_NAME: 'orders of Zoë' },
  { FORMAT: 'json', AGGREGATION: 'lines', PARTITION_BY: 'stream' },
  { FORMAT: 'json', AGGREGATION: 'none', LANES: '256' },
  { FORMAT: 'debezium', AGGREGATION: 'none' },
  { FORMAT: 'debezium', AGGREGATION: 'kpl', PARTITION_BY: 'table', DEBEZIUM_TRANSACTION: 'on' },
  { FORMAT: 'dms', AGGREGATION: 'lines', DMS_TRANSACTION: 'on', COMPRESSION: 'zstd' },
  { FORMAT: 'module', AGGREGATION: 'lines', COMPRESSION: 'gzip' },
  {
    FORMAT: 'json',
    AGGREGATION: 'kpl',
    OPERATIONS: 'insert,delete,truncate',
    TABLE_EXCLUDE_LIST: 'shop\\.order_lines,shop\\.readings_2025',
    COLUMN_EXCLUDE_LIST: '.*\\.bio,.*\\.value',
  },
];
const TRANSACTIONS = 150;
const LARGER = [60, 120] as const;

/** The same sequence each time. @see https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32 */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

describe('what is committed arrives, whatever the settings', { concurrency: 1 }, () => {
  const stack = new AsyncDisposableStack();
  const committed: Committed[] = [];
  let servers: Servers;
  const nameOf = (index: number): string => `case_${index}`;

  before(async () => {
    servers = await startServers(stack, 'unused', 1);
    for (const index of CASES.keys()) {
      await servers.postgres.createSlot(nameOf(index));
      await servers.kinesis.createStream(nameOf(index), 3);
    }
    const enough = new AbortController();
    const writers = await makeWriters({
      connect: () => servers.postgres.client(),
      rate: 1e6,
      larger: LARGER,
      random: seeded(42),
      onCommit: (transaction) => {
        if (committed.push(transaction) >= TRANSACTIONS) enough.abort();
      },
    });
    await Promise.all(writers.map((writer) => writer.write(enough.signal)));
  });
  after(() => stack.disposeAsync());

  it('holds every operation, a large transaction, moved keys and all seven tables', () => {
    const changes = committed.flatMap((transaction) => transaction.changes);
    for (const kind of ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const) {
      assert.ok(changes.filter((change) => change.kind === kind).length > 2, kind);
    }
    assert.ok(committed.some((transaction) => transaction.changes.length > LARGER[0]));
    const moved = changes.filter(
      (change) =>
        change.kind === 'UPDATE' && change.table.key.some((column) => change.before[column] !== change.row[column]),
    );
    assert.ok(moved.length > 5);
    assert.equal(new Set(changes.map((change) => change.table.name)).size, 7);
  });

  for (const [index, settings] of CASES.entries()) {
    it(
      Object.entries(settings)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
      async () => {
        const env = passedSettings({ ...settings, SLOT_NAME: nameOf(index), STREAM_NAME: nameOf(index) }, {});
        const config = validateSettings(env);
        const logged: string[] = [];
        const lambda = startFunction({ ...servers.env, ...env }, (line) => logged.push(line));
        try {
          const answer = (await lambda.invoke({ action: 'run', maxSeconds: 50 })) as {
            caughtUp: boolean;
            published: number;
          };
          assert.equal(answer.caughtUp, true);
          const verifier = new Verifier();
          const ledger = new Ledger({ ...config, source: config.source ?? `postgres/${config.slot}` });
          for (const transaction of committed)
            for (const expected of ledger.commit(transaction)) verifier.expect(expected);
          await readStream({
            client: servers.kinesis.client,
            stream: nameOf(index),
            from: 'trim-horizon',
            signal: new AbortController().signal,
            finish: AbortSignal.abort(),
            onRecord: consumer({
              ...config,
              verifier,
              shards: hashKeyRanges(await servers.kinesis.shards(nameOf(index))),
              onText: () => undefined,
            }),
          });
          const comparison = verifier.comparison();
          assert.ok(isConclusive(comparison, false), JSON.stringify(comparison, null, 2));
          assert.ok(comparison.distinct > 200);
          assert.equal(answer.published, ledger.keyed);
          assert.ok(
            logged.every((line) => line.startsWith('WARN ')),
            logged.join('\n'),
          );
        } finally {
          await lambda.stop();
        }
      },
    );
  }
});
