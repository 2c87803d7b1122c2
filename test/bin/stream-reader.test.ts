/** The stream reader against a made-up Kinesis: pages, splits and merges, expired iterators, throttling. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis';
import { type ReadOptions, readStream, type StreamRecord } from '../../bin/stream-reader.ts';
import { type EmbeddedKinesis, startKinesis } from '../support/kinesis.ts';

/** A shard of the fake: what it holds, and whether it is closed behind that. */
interface FakeShard {
  readonly id: string;
  readonly parents?: readonly string[];
  readonly closed?: boolean;
  readonly data: readonly string[];
}

/** A stream in memory that answers as Kinesis does, after refusing what `refusals` say, in their order. */
class FakeKinesis {
  readonly calls: string[] = [];
  readonly refusals: string[] = [];
  readonly shards: FakeShard[];
  /** How many records one answer gives. */
  page = 2;

  constructor(shards: FakeShard[]) {
    this.shards = shards;
  }

  get client(): KinesisClient {
    const send = (command: object): Promise<object> => {
      const [name, answer] = this.#answer(command);
      this.calls.push(name);
      const refusal = name.startsWith('read') ? this.refusals.shift() : undefined;
      return refusal === undefined ? Promise.resolve(answer()) : Promise.reject(refused(refusal));
    };
    return { send } as unknown as KinesisClient;
  }

  #answer(command: object): [name: string, answer: () => object] {
    if (command instanceof ListShardsCommand) {
      const first = command.input.NextToken === undefined;
      const shards = first ? this.shards.slice(0, 2) : this.shards.slice(2);
      const more = first && this.shards.length > 2;
      return [
        first ? 'list' : 'list more',
        () => ({ Shards: shards.map(describeShard), NextToken: more ? 'more' : undefined }),
      ];
    }
    if (command instanceof GetShardIteratorCommand) {
      const { ShardId, ShardIteratorType, StartingSequenceNumber } = command.input;
      const shard = this.shards.find(({ id }) => id === ShardId);
      const at =
        ShardIteratorType === 'LATEST'
          ? (shard?.data.length ?? 0)
          : ShardIteratorType === 'TRIM_HORIZON'
            ? 0
            : Number(StartingSequenceNumber) + 1;
      return [`place ${ShardId ?? ''} ${ShardIteratorType ?? ''}`, () => ({ ShardIterator: `${ShardId ?? ''} ${at}` })];
    }
    if (command instanceof GetRecordsCommand) {
      const [id = '', place = ''] = (command.input.ShardIterator ?? '').split(' ');
      const shard = this.shards.find((each) => each.id === id);
      const at = Number(place);
      const data = shard?.data.slice(at, at + this.page) ?? [];
      const next = at + data.length;
      const left = (shard?.data.length ?? 0) - next;
      return [
        `read ${id}`,
        () => ({
          Records: data.map((text, i) => ({
            Data: Buffer.from(text),
            SequenceNumber: String(at + i),
            PartitionKey: 'k',
            ApproximateArrivalTimestamp: new Date(7),
          })),
          NextShardIterator: shard?.closed === true && left === 0 ? undefined : `${id} ${next}`,
          MillisBehindLatest: left > 0 ? 1000 : 0,
        }),
      ];
    }
    throw new Error('not a call of a reader');
  }
}

/** An error as the SDK throws it: `name`, or `name status`. */
function refused(refusal: string): Error {
  const [name, status = '400'] = refusal.split(' ');
  return Object.assign(new Error(refusal), { name, $metadata: { httpStatusCode: Number(status) } });
}

const describeShard = ({ id, parents = [], closed }: FakeShard) => ({
  ShardId: id,
  ParentShardId: parents[0],
  AdjacentParentShardId: parents[1],
  HashKeyRange: { StartingHashKey: '0', EndingHashKey: '1' },
  SequenceNumberRange: { StartingSequenceNumber: '0', ...(closed === true ? { EndingSequenceNumber: '9' } : {}) },
});

/** Reads to the end of what there is. @returns the data by shard, and all of it in the order of arrival */
async function readAll(fake: FakeKinesis, over: Partial<ReadOptions> = {}) {
  const got: StreamRecord[] = [];
  const naps: number[] = [];
  await readStream({
    client: fake.client,
    stream: 's',
    from: 'trim-horizon',
    signal: new AbortController().signal,
    finish: AbortSignal.abort(),
    sleep: (ms) => {
      naps.push(ms);
      return Promise.resolve();
    },
    ...over,
    onRecord: (record) => {
      got.push(record);
      over.onRecord?.(record);
    },
  });
  const of = (id: string): string =>
    got
      .filter(({ shardId }) => shardId === id)
      .map(({ data }) => data.toString())
      .join('');
  return { got, of, text: got.map(({ data }) => data.toString()).join(''), naps };
}

describe('readStream', () => {
  it('reads all shards, each in order, over as many pages as they take', async () => {
    const fake = new FakeKinesis([
      { id: 'a', data: ['1', '2', '3', '4', '5'] },
      { id: 'b', data: [] },
      { id: 'c', data: ['x'] },
    ]);
    const { of, got, naps } = await readAll(fake);
    assert.equal(of('a'), '12345');
    assert.equal(of('c'), 'x');
    assert.deepEqual(got[0], {
      shardId: 'a',
      sequenceNumber: '0',
      partitionKey: 'k',
      data: Buffer.from('1'),
      arrivedMs: 7,
    });
    assert.ok(
      naps.every((ms) => ms >= 200),
      'a shard takes five calls a second',
    );
  });

  it('reads parents to their end before their children, over several generations', async () => {
    const fake = new FakeKinesis([
      { id: 'd', parents: ['b', 'c'], data: ['7', '8'] },
      { id: 'b', parents: ['a'], closed: true, data: ['4', '5'] },
      { id: 'a', closed: true, data: ['1', '2', '3'] },
      { id: 'c', parents: ['a'], closed: true, data: ['6'] },
    ]);
    const { text } = await readAll(fake);
    assert.match(text, /^123(456|465|645)78$/);
  });

  it('reads a child whose parents are no longer kept', async () => {
    const { text } = await readAll(new FakeKinesis([{ id: 'b', parents: ['gone', 'gone too'], data: ['1'] }]));
    assert.equal(text, '1');
  });

  it('finds the children of a shard that is closed while it reads', async () => {
    const shards: FakeShard[] = [{ id: 'a', closed: true, data: ['1'] }];
    const { text } = await readAll(new FakeKinesis(shards), {
      onRecord: ({ shardId }) => {
        if (shardId === 'a') shards.push({ id: 'b', parents: ['a'], data: ['2'] });
      },
    });
    assert.equal(text, '12');
  });

  it('begins at the tip of the open shards for latest, and at the beginning of their later children', async () => {
    const shards: FakeShard[] = [
      { id: 'old', closed: true, data: ['1'] },
      { id: 'open', parents: ['old'], data: ['2', '3'] },
    ];
    const fake = new FakeKinesis(shards);
    let placed = 0;
    const { text } = await readAll(fake, {
      from: 'latest',
      onReady: () => {
        placed++;
        shards[1] = { id: 'open', parents: ['old'], closed: true, data: ['2', '3', '4'] };
        shards.push({ id: 'child', parents: ['open'], data: ['5', '6'] });
      },
    });
    assert.equal(text, '456');
    assert.equal(placed, 1);
    assert.ok(!fake.calls.some((call) => call.startsWith('place old')));
  });

  it('goes on behind the last record when its iterator has expired', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1', '2', '3', '4'] }]);
    const { text } = await readAll(fake, {
      onRecord: ({ sequenceNumber }) => {
        if (sequenceNumber === '1') fake.refusals.push('ExpiredIteratorException');
      },
    });
    assert.equal(text, '1234');
    assert.deepEqual(
      fake.calls.filter((call) => call.startsWith('place')),
      ['place a TRIM_HORIZON', 'place a AFTER_SEQUENCE_NUMBER'],
    );
  });

  it('begins anew when its first iterator has expired', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1'] }]);
    fake.refusals.push('ExpiredIteratorException');
    assert.equal((await readAll(fake)).text, '1');
  });

  it('waits longer and longer while it is throttled, and loses nothing', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1', '2'] }]);
    fake.refusals.push(...Array.from({ length: 7 }, () => 'ProvisionedThroughputExceededException'));
    const { text, naps } = await readAll(fake);
    assert.equal(text, '12');
    assert.deepEqual(naps.slice(0, 7), [250, 500, 1000, 2000, 4000, 8000, 8000]);
  });

  it('goes on after failures of the service, by status, and says what it waits for', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1', '2'] }]);
    fake.refusals.push(
      'InternalFailure 500',
      'SyntaxError 503',
      'Unknown 502',
      'Whatever 429',
      'ServiceUnavailable 400',
    );
    const waits: string[] = [];
    const { text } = await readAll(fake, { onWait: (why, ms) => waits.push(`${why}, ${ms} ms`) });
    assert.equal(text, '12');
    assert.deepEqual(waits, [
      'InternalFailure (HTTP 500), 250 ms',
      'an answer that is not of Kinesis (HTTP 503), 500 ms',
      'an answer that is not of Kinesis (HTTP 502), 1000 ms',
      'Whatever (HTTP 429), 2000 ms',
      'ServiceUnavailable (HTTP 400), 4000 ms',
    ]);
  });

  it('reads credentials anew once after a refusal', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1'] }]);
    fake.refusals.push('ExpiredTokenException');
    assert.equal((await readAll(fake)).text, '1');
    fake.refusals.push('ExpiredTokenException', 'ExpiredTokenException');
    await assert.rejects(readAll(fake), { name: 'ExpiredTokenException' });
  });

  it('fails with what the service refuses for good, once all shards have stopped', async () => {
    const fake = new FakeKinesis([
      { id: 'a', data: [] },
      { id: 'b', data: [] },
    ]);
    fake.refusals.push('AccessDeniedException', 'AccessDeniedException');
    await assert.rejects(readAll(fake), { name: 'AccessDeniedException' });
  });

  it('fails with what its caller throws', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1'] }]);
    await assert.rejects(
      readAll(fake, {
        onRecord: () => {
          throw new Error('mine');
        },
      }),
      /mine/,
    );
  });

  it('stops at once when told to, in the middle of a page', async () => {
    const fake = new FakeKinesis([{ id: 'a', data: ['1', '2', '3'] }]);
    const stop = new AbortController();
    const { text } = await readAll(fake, { signal: stop.signal, onRecord: () => stop.abort() });
    assert.equal(text, '1');
  });

  it('says nothing of shards that it did not come to list, where it is stopped meanwhile', async () => {
    for (const listed of ['nothing', 'a part']) {
      const fake = new FakeKinesis(['a', 'b', 'c'].map((id) => ({ id, data: ['1'] })));
      const stop = new AbortController();
      if (listed === 'nothing') stop.abort();
      const { client } = fake;
      const send = async (command: Parameters<KinesisClient['send']>[0]): Promise<unknown> => {
        const answer: unknown = await client.send(command);
        stop.abort();
        return answer;
      };
      const checked: unknown[] = [];
      const plan: ReadOptions['plan'] = {
        addShard: () => undefined,
        checkShards: (ids) => checked.push(ids),
        isReadable: () => true,
        start: () => 'trim-horizon',
        onEnd: () => undefined,
        onTip: () => undefined,
        translateError: (_, error) => error,
      };
      await readAll(fake, { client: { send } as unknown as KinesisClient, signal: stop.signal, plan });
      assert.deepEqual([fake.calls, checked], [listed === 'nothing' ? [] : ['list'], []]);
    }
  });

  it('names an ARN as an ARN', async () => {
    let asked: object = {};
    const fake = new FakeKinesis([]);
    const client = {
      send: (command: ListShardsCommand) => {
        asked = command.input;
        return (fake.client as unknown as { send(command: object): Promise<object> }).send(command);
      },
    } as unknown as KinesisClient;
    await readAll(fake, { client, stream: 'arn:aws:kinesis:us-east-1:000000000000:stream/s' });
    assert.deepEqual(asked, { StreamARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/s' });
  });
});

describe('readStream against an emulator', () => {
  let kinesis: EmbeddedKinesis;
  before(async () => {
    kinesis = await startKinesis();
  });
  after(() => kinesis.stop());

  it('follows a stream through a split and a merger', async () => {
    const stream = 'resharded';
    await kinesis.createStream(stream, 2);
    const sent: string[] = [];
    const put = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const data = String(sent.push('') - 1);
        await kinesis.client.send(
          new PutRecordCommand({ StreamName: stream, PartitionKey: `key ${i}`, Data: Buffer.from(`${i} ${data}`) }),
        );
      }
    };
    const got: string[] = [];
    const finish = new AbortController();
    const ready = new AbortController();
    const reading = readStream({
      client: kinesis.client,
      stream,
      from: 'trim-horizon',
      signal: new AbortController().signal,
      finish: finish.signal,
      onReady: () => ready.abort(),
      onRecord: ({ data }) => got.push(data.toString()),
    });
    if (!ready.signal.aborted) await once(ready.signal, 'abort');
    await put(6);
    await kinesis.client.send(
      new SplitShardCommand({ StreamName: stream, ShardToSplit: 'shardId-000000000000', NewStartingHashKey: '1000' }),
    );
    await settled(kinesis, stream);
    await put(6);
    const open = (await kinesis.shards(stream)).filter(
      (shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined,
    );
    open.sort((a, b) =>
      BigInt(a.HashKeyRange?.StartingHashKey ?? 0) < BigInt(b.HashKeyRange?.StartingHashKey ?? 0) ? -1 : 1,
    );
    await kinesis.client.send(
      new MergeShardsCommand({
        StreamName: stream,
        ShardToMerge: open[1]?.ShardId,
        AdjacentShardToMerge: open[2]?.ShardId,
      }),
    );
    await settled(kinesis, stream);
    await put(6);
    finish.abort();
    await reading;
    assert.equal(got.length, sent.length);
    // Each key in the order in which it was sent, across the generations of its shards.
    for (let i = 0; i < 6; i++) {
      const places = got.filter((text) => text.startsWith(`${i} `)).map((text) => Number(text.split(' ')[1]));
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
      assert.equal(places.length, 3);
    }
  });
});

/** Waits until a stream takes records again. */
async function settled(kinesis: EmbeddedKinesis, stream: string): Promise<void> {
  for (;;) {
    const { StreamDescriptionSummary: summary } = await kinesis.client.send(
      new DescribeStreamSummaryCommand({ StreamName: stream }),
    );
    if (summary?.StreamStatus === 'ACTIVE') return;
    await wait(20);
  }
}
