/**
 * The whole of it at once: tables with rows, of every type; writers; a snapshot; the function and the replica killed; both servers
 * crashed; the stream resharded, throttled and half failing. All the while a reader at the target sums transfers. For a short form
 * in `npm test` and for `npm run test:replica`.
 */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { MergeShardsCommand, SplitShardCommand } from '@aws-sdk/client-kinesis';
import type pg from 'pg';
import type { Mark } from '../../lib/consumer/consumer.ts';
import { eventually, NAME } from '../chaos/environment.ts';
import { randomOf } from './rules/model/random.ts';
import { BANK, Bank, BANK_TABLES, FILL, TOTAL } from './support/bank.ts';
import {
  bytesBehind,
  keepReplicating,
  keepRunning,
  keepWriting,
  type Replicas,
  type Runs,
} from './support/keep-going.ts';
import { hashes, ReplicaRig } from './support/replica-rig.ts';
import { SumReader } from './support/sum-reader.ts';
import { rowText, typedTables, TypedWriter } from './support/typed-tables.ts';

/** What is played. */
export interface RealRunOptions {
  readonly seed: number;
  /** For how long writers write after the snapshot has been asked for, at least. */
  readonly seconds: number;
  /** Of every so many types one is taken, by the seed. @default 1: all */
  readonly share?: number;
  /** The major version of both servers. */
  readonly version?: string;
  /** Is told what happens. */
  readonly tell?: (text: string) => void;
}

/** What came of it. */
export interface RealRun {
  readonly tables: number;
  /** Transactions that were written. */
  readonly written: number;
  /** How often the sum was read while the copy said that it equals the source. */
  readonly looks: number;
  readonly runs: Runs;
  readonly replicas: Replicas;
  readonly crashes: { source: number; target: number };
  readonly reshards: number;
  /** What happened to requests. */
  readonly refused: number;
}

/** Errors that a run of the function may end with while all this happens. */
const EXPECTED = ['DATABASE_UNREACHABLE', 'SLOT_BUSY', 'NO_PROGRESS', 'STREAM_THROTTLED'];
const LANES = { LANES: '8' };
/** It goes on until so much was seen: less proves nothing. */
const LEAST = { looks: 30, written: 60, kills: 2 } as const;
/** And it fails where that was not seen so long after the last crash: the short form takes a minute. */
const MOST_WAIT_MS = 600_000;
/** Writers wait while the slot is so many bytes behind. */
const MOST_BEHIND = 300_000;
/** A replica whose target goes away is to be started again. */
const STARTED_AGAIN = 1;

/**
 * Plays it.
 *
 * @returns what happened
 * @throws {AssertionError} where the copy was not equal at the end, or at some moment no state of the source
 */
export async function playRealRun(options: RealRunOptions): Promise<RealRun> {
  const { seed, seconds, share = 1, version, tell = () => undefined } = options;
  const random = randomOf(seed);
  const rig = await ReplicaRig.start(version === undefined ? {} : { version, target: version });
  const { source, target, environment } = rig;
  const reader = new SumReader(target);
  const written = new AbortController();
  try {
    const { proxy } = environment;
    const tables = await typedTables(source, { share, first: seed % share });
    for (const server of [source, target]) await server.sql(`${BANK}; ${tables.sql}`);
    const names = [...BANK_TABLES, ...tables.names];
    const typed = new TypedWriter(tables, seed);
    const filling = await source.client();
    await filling.query(FILL);
    await typed.fill(filling);
    await filling.end();
    await source.sql('GRANT USAGE ON SCHEMA public TO cdc; GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc');
    await rig.createSlot();
    tell(`${names.length} tables with rows`);

    let behind = 0;
    const going = { signal: written.signal, random, isHeld: () => behind > MOST_BEHIND };
    const goesOn = () => !written.signal.aborted;
    const crashes = { source: 0, target: 0 };
    let refused = 0;
    let isTargetAway = false;
    proxy.always(() => {
      const chance = random.next();
      if (chance < 0.2) refused++;
      if (chance < 0.08) return { kind: 'refuse', entries: (index) => index % 2 === 0 };
      if (chance < 0.12) return { kind: 'error', status: 400, type: 'ProvisionedThroughputExceededException' };
      return chance < 0.2 ? { kind: 'drop', when: chance < 0.16 ? 'before' : 'after' } : { kind: 'pass' };
    });
    const bank = new Map<unknown, Bank>();
    let banks = 0;
    let [killed, transactions] = [0, 0];
    const newBank = (client: pg.Client) => new Bank(client, seed + banks, (banks += 1) * 10_000);
    const writing = [
      keepWriting(
        () => source,
        async (client) => {
          // A connection is another writer.
          const its = bank.get(client) ?? newBank(client);
          bank.set(client, its);
          await its.write();
          transactions++;
        },
        going,
        50,
      ),
      keepWriting(
        () => source,
        async (client) => {
          await typed.write(client);
          transactions++;
        },
        going,
        40,
      ),
    ];
    // It comes to its end by the runs after it.
    const asking = await environment.container({ MARKS: 'on', ...LANES });
    const asked = await asking.invoke({ action: 'snapshot', tables: names, maxSeconds: 5 });
    // It is asked for by then, though the stream may have taken nothing in that time.
    const hasAsked =
      asked !== 'killed' && (asked.error === undefined || /^(NO_PROGRESS|STREAM_THROTTLED)$/.test(asked.error.name));
    assert.ok(hasAsked, JSON.stringify(asked));
    await asking.kill();
    const others = Promise.all([
      keepRunning(rig, going, LANES),
      keepReplicating(
        rig,
        going,
        ['--await-snapshot'],
        () => (crashes.target > 0 || isTargetAway ? [STARTED_AGAIN] : []),
        () => killed++,
      ),
      ...writing,
    ]);
    const measuring = (async () => {
      for (; goesOn(); await wait(100)) behind = (await bytesBehind(rig)) ?? behind;
    })();
    const failing = (async () => {
      const until = Date.now() + seconds * 1_000;
      let reshards = 0;
      while (goesOn()) {
        await wait(random.int(1_500));
        await reshard(rig);
        reshards++;
        await wait(random.int(1_500));
        if (random.next() < 0.5) await source.sql('CHECKPOINT');
        await source.restart('immediate');
        crashes.source++;
        await wait(random.int(1_500));
        isTargetAway = true;
        await target.restart('immediate');
        crashes.target++;
        const states = [...reader.states].map((state) => state.slice(0, 40));
        tell(`source and target crashed ${crashes.source} times; the copy was ${states.slice(-3).join(', then ')}`);
        if (Date.now() >= until) break;
      }
      // The snapshot takes as long as it takes, and so do kills.
      const isEnough = () => reader.looks >= LEAST.looks && transactions >= LEAST.written && killed >= LEAST.kills;
      const latest = Date.now() + MOST_WAIT_MS;
      for (; goesOn() && !isEnough(); await wait(100)) {
        const seen = { looks: reader.looks, written: transactions, kills: killed };
        assert.ok(Date.now() < latest, `too little was seen: ${JSON.stringify(seen)}`);
      }
      written.abort();
      return reshards;
    })();
    const all = [others, failing, measuring] as const;
    // Where one fails the others end, before the servers do.
    for (const each of all) each.catch(() => written.abort());
    await Promise.allSettled(all);
    const [[runs, replicas], reshards] = await Promise.all(all);
    for (const code of Object.keys(runs.errors)) assert.ok(EXPECTED.includes(code), code);
    proxy.always(() => ({ kind: 'pass' }));
    await eventually(async () => (await environment.lockHolder()) === undefined, 'the lock is free');
    // Once with everything that was left, and once more with what came after it.
    for (let i = 0; i < 2; i++) {
      await rig.drain(LANES);
      const { status, err } = await rig.catchUp();
      assert.equal(status, 0, err);
      if (i > 0) continue;
      const last = await source.client();
      const late = newBank(last);
      for (let left = 0; left < 20; left++) await late.write();
      for (let left = 0; left < 20; left++) await typed.write(last);
      await last.end();
    }
    await reader.stop();
    assert.deepEqual([...reader.sums], [String(TOTAL)], 'the sum of transfers was another');
    const [copied, original] = await Promise.all(
      [target, source].map((server) => hashes(server, names, 'postgres', rowText)),
    );
    assert.deepEqual(copied, original);
    // I12 of all of it. The marks of each lane tell of a snapshot, and those that a run opens with do not.
    const { marks } = await environment.marked();
    const told = marks
      .map(({ text }) => JSON.parse(text) as Mark)
      .filter(({ reading, read }) => (reading ?? read) !== undefined);
    assert.ok(told.length > 0 && told.every(({ forks }) => forks === undefined));
    return {
      tables: names.length,
      written: transactions,
      looks: reader.looks,
      runs,
      replicas,
      crashes,
      reshards,
      refused,
    };
  } finally {
    written.abort();
    await reader.stop().catch(() => undefined);
    await rig.stop();
  }
}

/** Splits an open shard, and merges its children at once: the two in the middle may hold nothing. */
async function reshard({ environment: { kinesis } }: ReplicaRig): Promise<void> {
  const open = async () =>
    (await kinesis.shards(NAME)).filter(({ SequenceNumberRange: range }) => range?.EndingSequenceNumber === undefined);
  const [shard] = await open();
  const { StartingHashKey: start = '0', EndingHashKey: end = '0' } = shard?.HashKeyRange ?? {};
  await kinesis.client.send(
    new SplitShardCommand({
      StreamName: NAME,
      ShardToSplit: shard?.ShardId,
      NewStartingHashKey: String((BigInt(start) + BigInt(end)) / 2n),
    }),
  );
  const [low, high] = (await open()).filter(({ ParentShardId: parent }) => parent === shard?.ShardId);
  await kinesis.client.send(
    new MergeShardsCommand({ StreamName: NAME, ShardToMerge: low?.ShardId, AdjacentShardToMerge: high?.ShardId }),
  );
}
