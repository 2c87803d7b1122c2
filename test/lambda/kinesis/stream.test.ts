/** Packer and publisher together, against the emulator: what consumers of the stream get. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MergeShardsCommand, SplitShardCommand } from '@aws-sdk/client-kinesis';
import { createPublisher } from '../../../lambda/kinesis/publisher.ts';
import { type Aggregation, createPacker } from '../../../lambda/pack/create-packer.ts';
import { laneOf } from '../../../lambda/pack/lanes.ts';
import type { Round } from '../../../lambda/pack/round.ts';
import { deaggregate } from '../../support/deaggregate.ts';
import { type FaultyEndpoint, startFaultyEndpoint } from '../../support/faulty-endpoint.ts';
import { type EmbeddedKinesis, startKinesis, type StoredRecord } from '../../support/kinesis.ts';
import { has, hashKeyOf, type Input } from '../pack/packer-fixtures.ts';
import { clientOf, hurried, memoryLog } from './publisher-fixtures.ts';

const LANES = 16;

/** What tells consumer libraries an aggregate. */
const KPL_MAGIC = Buffer.from('f3899ac2', 'hex');

let kinesis: EmbeddedKinesis;
let proxy: FaultyEndpoint;

before(async () => {
  kinesis = await startKinesis();
  proxy = await startFaultyEndpoint(kinesis.endpoint);
});
after(async () => {
  await proxy.stop();
  await kinesis.stop();
});

/** A generator of numbers in [0, 1), the same in each run: a failure can be seen again. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function makeInputs(count: number, from = 0): Input[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `public.users:${(from + i) % 97}`,
    data: Buffer.from(`#${from + i}`),
  }));
}

async function publishAll(stream: string, aggregation: Aggregation, inputs: readonly Input[]): Promise<number> {
  const client = clientOf(proxy.endpoint);
  const publisher = createPublisher({ client, stream, clock: hurried, log: memoryLog(), requestTimeoutMs: 20_000 });
  // Small rounds, so that there are many.
  const packer = createPacker({
    aggregation,
    lanes: LANES,
    maxRecordBytes: 1 << 20,
    limits: { requestBytes: aggregation === 'lines' ? 300 : 1_500 },
  });
  let rounds = 0;
  const send = async (round: Round | undefined) => {
    if (round === undefined) return;
    rounds++;
    const { complete } = await publisher.publish(round, Number.MAX_SAFE_INTEGER, new AbortController().signal);
    assert.equal(complete, true);
    packer.release(round);
  };
  for (const { key, data } of inputs) await send(packer.add(Buffer.from(key), data));
  await send(packer.flush());
  client.destroy();
  return rounds;
}

/** The user records that a consumer library hands on, which discards those of an aggregate outside of their shard. */
async function consume(stream: string, stored: readonly StoredRecord[]) {
  const shards = new Map(
    (await kinesis.shards(stream)).map(({ ShardId, HashKeyRange }) => [
      ShardId,
      { start: BigInt(HashKeyRange?.StartingHashKey ?? -1), end: BigInt(HashKeyRange?.EndingHashKey ?? -1) },
    ]),
  );
  return stored.flatMap((record) => {
    const shard = shards.get(record.shardId);
    assert.ok(shard !== undefined);
    const aggregated = record.data.subarray(0, 4).equals(KPL_MAGIC);
    return deaggregate(record).filter((one) => !aggregated || has(shard, hashKeyOf(one)));
  });
}

describe('the stream', () => {
  for (const aggregation of ['kpl', 'lines', 'none'] as const) {
    it(`I3: each lane is in commit order under random failures, ${aggregation}`, async () => {
      const name = `order-${aggregation}`;
      await kinesis.createStream(name, 3);
      const roll = dice(42);
      // Half of all requests have refused entries. Whole requests do not fail: what was stored then would come twice.
      proxy.always(() => (roll() < 0.5 ? { kind: 'refuse', entries: () => roll() < 0.5 } : { kind: 'pass' }));
      const before = proxy.seen.length;
      const inputs = makeInputs(1000);
      const rounds = await publishAll(name, aggregation, inputs);
      const seen = proxy.seen.slice(before);
      assert.ok(rounds > 5);
      assert.ok(seen.length > rounds + 5, 'too few requests were sent again for this to mean anything');
      assert.ok(
        seen.every(({ overlapped }) => !overlapped),
        'a round was begun while another was in flight',
      );

      const stored = await kinesis.readAll(name);
      // Kinesis' own order: across shards by time of arrival is not known, within a lane or key it is.
      const order = ({ key }: { key: string }) => (aggregation === 'none' ? key : `${laneOf(Buffer.from(key), LANES)}`);
      const keyOfData = new Map(inputs.map(({ key, data }) => [data.toString(), key]));
      const got = (await consume(name, stored)).flatMap(({ data }) => data.toString().split('\n').filter(Boolean));
      assert.equal(got.length, inputs.length);
      for (const group of new Set(inputs.map(order))) {
        assert.deepEqual(
          got.filter((data) => order({ key: keyOfData.get(data) ?? '' }) === group),
          inputs.filter((input) => order(input) === group).map(({ data }) => data.toString()),
        );
      }
    });
  }

  for (const shards of [1, 3, 100]) {
    it(`I5: a consumer library gets every user record, ${shards} shards`, async () => {
      const name = `shards-${shards}`;
      await kinesis.createStream(name, shards);
      proxy.always(() => ({ kind: 'pass' }));
      const inputs = makeInputs(500);
      await publishAll(name, 'kpl', inputs);
      const got = await consume(name, await kinesis.readAll(name));
      const texts = (all: readonly { data: Buffer }[]) => all.map(({ data }) => data.toString()).sort();
      assert.deepEqual(texts(got), texts(inputs));
    });
  }

  it('I5: a consumer library gets every user record after a split and a merge', async () => {
    const name = 'reshard';
    await kinesis.createStream(name, 4);
    proxy.always(() => ({ kind: 'pass' }));
    await publishAll(name, 'kpl', makeInputs(300));
    const [first, second] = await kinesis.shards(name);
    const { StartingHashKey = '0', EndingHashKey = '0' } = second?.HashKeyRange ?? {};
    // A cut inside of a lane's slice, not at its edge.
    const cut = (BigInt(StartingHashKey) + BigInt(EndingHashKey)) / 2n + 12345n;
    await kinesis.client.send(
      new SplitShardCommand({ StreamName: name, ShardToSplit: second?.ShardId, NewStartingHashKey: String(cut) }),
    );
    await publishAll(name, 'kpl', makeInputs(300, 300));
    const child = (await kinesis.shards(name)).find(
      ({ ShardId, HashKeyRange }) => ShardId !== second?.ShardId && HashKeyRange?.StartingHashKey === StartingHashKey,
    );
    await kinesis.client.send(
      new MergeShardsCommand({ StreamName: name, ShardToMerge: first?.ShardId, AdjacentShardToMerge: child?.ShardId }),
    );
    await publishAll(name, 'kpl', makeInputs(300, 600));
    const stored = await kinesis.readAll(name);
    assert.ok(new Set(stored.map(({ shardId }) => shardId)).size > 4, 'no record is in a new shard');
    const got = (await consume(name, stored)).map(({ data }) => data.toString());
    assert.deepEqual(
      got.sort(),
      makeInputs(900)
        .map(({ data }) => data.toString())
        .sort(),
    );
  });

  it('takes a full round of the default limits', async () => {
    const name = 'full';
    await kinesis.createStream(name, 4);
    proxy.always(() => ({ kind: 'pass' }));
    const packer = createPacker({ aggregation: 'kpl', lanes: 64, maxRecordBytes: 1 << 20 });
    let round: Round | undefined;
    for (let i = 0; round === undefined; i++) round = packer.add(Buffer.from(`public.t:${i}`), Buffer.alloc(1000, 'd'));
    const client = clientOf(kinesis.endpoint);
    const publisher = createPublisher({
      client,
      stream: name,
      clock: hurried,
      log: memoryLog(),
      requestTimeoutMs: 60_000,
    });
    const published = await publisher.publish(round, Date.now() + 120_000, new AbortController().signal);
    client.destroy();
    assert.deepEqual(published, { complete: true, throttledEntries: 0 });
    const stored = await kinesis.readAll(name);
    assert.equal(
      stored.reduce((sum, record) => sum + deaggregate(record).length, 0),
      round.userRecords,
    );
  });
});
