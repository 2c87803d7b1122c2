/** `replicate --fast`: which positions are saved while the records of some shard cannot be applied. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis';
import { FastReplication } from '../../../bin/replicate/fast-replication.ts';
import { ReplicaShardPlan } from '../../../bin/replicate/shard-plan.ts';
import { ReplicaError, type ReplicaErrorCode } from '../../../replica/errors.ts';
import type { FastApplier } from '../../../replica/rules/fast/fast-applier.ts';
import { Shards } from '../../../replica/rules/shards.ts';

/** A stream of two shards, a record a page. The first shard is closed after three. @param pages - of the second */
function twoShards(pages: number): KinesisClient {
  const send = (command: object): Promise<object> => {
    if (command instanceof ListShardsCommand) return Promise.resolve({ Shards: [{ ShardId: 'a' }, { ShardId: 'b' }] });
    if (command instanceof GetShardIteratorCommand)
      return Promise.resolve({ ShardIterator: `${command.input.ShardId ?? ''}1` });
    if (!(command instanceof GetRecordsCommand)) throw new Error('Nothing else is asked for.');
    const { ShardIterator: at = '' } = command.input;
    const n = Number(at.slice(1));
    return Promise.resolve({
      Records: [{ Data: Buffer.from('{}'), SequenceNumber: at, PartitionKey: 'lane-0-of-2' }]
        .map((record) => ({ ...record, ApproximateArrivalTimestamp: new Date(n * 1000) }))
        .slice(n > pages ? 1 : 0),
      ...(at[0] === 'a' && n === 3 ? {} : { NextShardIterator: `${at[0] ?? ''}${n + 1}` }),
      MillisBehindLatest: n < 3 ? 1000 : 0,
    });
  };
  return { send, config: { region: () => Promise.resolve('x') } } as unknown as KinesisClient;
}

/**
 * Replicates, where a record of the first shard cannot be applied.
 *
 * @param fault - why, or an error of the target
 * @param pages - of the second shard
 * @param refused - which record @default its second
 * @returns what was saved of the first shard each time, of when, how many records were applied, and what the replication threw
 */
async function saved(
  fault: ReplicaErrorCode | Error,
  patienceMs: number,
  stopAfter = Infinity,
  pages = 3,
  refused = 'a2',
) {
  const shards = new Shards();
  const stop = new AbortController();
  const positions: string[] = [];
  const ages: (number | undefined)[] = [];
  let attempts = 0;
  let applied = 0;
  const applier: Pick<FastApplier, 'apply'> = {
    async apply(records, given = new Map()) {
      const done = records.findIndex(({ sequence }) => sequence === refused);
      // The other shard's next batch waits by then.
      if (done >= 0) await wait(80);
      const outcome = { waiting: 0, appliedUpto: 0n, copying: [] };
      const counts = {
        changes: 0,
        repeats: 0,
        truncated: 0,
        deferred: 0,
        missing: 0,
        awaitingRead: 0,
        tooLarge: 0,
        foreign: 0,
      };
      if (done < 0) {
        const { sequence = '', atEnd = false, arrivedMs } = given.get('a') ?? {};
        ages.push(arrivedMs);
        applied += records.length;
        positions.push(`${sequence}${atEnd ? ' ended' : ''}`);
        return { ...outcome, counts: { ...counts, commitMs: 0 }, done: records.length, failure: undefined };
      }
      if (++attempts >= stopAfter) stop.abort();
      if (fault instanceof Error) throw fault;
      return { ...outcome, counts: { ...counts, commitMs: 0 }, done, failure: new ReplicaError(fault, 'It cannot.') };
    },
  };
  const replication = new FastReplication({
    client: twoShards(pages),
    stream: 'made',
    once: false,
    patienceMs,
    stop: stop.signal,
    applier,
    shards,
    plan: new ReplicaShardPlan({ shards, saved: new Map(), savedAtMs: 0, now: 0, retentionMs: 1 }),
    start: 0n,
    copying: [],
    tell: () => undefined,
  });
  const thrown = await replication.run().then(
    () => undefined,
    (error: unknown) => error,
  );
  return { positions, ages, applied, thrown };
}

describe('replicate --fast, where the records of a shard cannot be applied', () => {
  for (const [what, fault, patienceMs] of [
    ['wait for other lanes', 'LANES_CHANGED', 800],
    ['need somebody', 'MISSING_ROW', 0],
    ['meet an error of the target', new ReplicaError('TARGET_UNREACHABLE', 'It is gone.'), 0],
  ] as const) {
    it(`saves no position behind those that ${what}: they would be passed over after a restart`, async () => {
      const { positions, thrown } = await saved(fault, patienceMs);
      assert.ok(thrown instanceof ReplicaError);
      assert.ok(positions.includes('a1'), positions.join());
      assert.deepEqual(
        positions.filter((each) => each !== 'a1' && each !== ''),
        [],
      );
    });
  }

  it('ends without them when it is told to, and does not take their shard as read', async () => {
    const { positions, thrown } = await saved('LANES_CHANGED', 60_000, 2);
    assert.equal(thrown, undefined);
    assert.deepEqual(
      positions.filter((each) => each !== 'a1' && each !== ''),
      [],
    );
  });

  it('saves how old the first record of their shard is: a start after the stream had given it up would read on behind it', async () => {
    const { ages } = await saved('LANES_CHANGED', 800, Infinity, 9, 'a1');
    assert.equal(ages.at(-1), 1000);
  });

  it('waits for other lanes as long as records of another shard are applied', async () => {
    // Longer than a record of the other shard takes, and shorter than all of them do.
    const { thrown, applied } = await saved('LANES_CHANGED', 2_000, Infinity, 9);
    assert.ok(thrown instanceof ReplicaError);
    // The first shard's first one, and all of the second.
    assert.equal(applied, 10);
  });
});
