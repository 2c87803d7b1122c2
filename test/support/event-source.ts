/**
 * Lambda's event source mapping of a Kinesis data stream, as far as its documentation says: shards side by side, children after
 * their parents, a batch again until it is done with, from the record on that the answer names, and in halves after an error.
 * No emulator has it. Records may come again at any time, which is done here on purpose.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-errors.html
 */
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
} from '@aws-sdk/client-kinesis';
import type { KinesisStreamBatchResponse, KinesisStreamEvent, KinesisStreamRecord } from 'aws-lambda';

/** What a mapping is given. */
export interface EventSourceOptions {
  readonly client: KinesisClient;
  readonly stream: string;
  readonly streamArn: string;
  /** Invokes the function with records of a shard. */
  readonly invoke: (shard: string, event: KinesisStreamEvent) => Promise<KinesisStreamBatchResponse>;
  /** 0 to 1. */
  readonly random: () => number;
  /** The largest batch. @default 100 */
  readonly batchSize?: number;
}

/** How often it did what it does after failures. */
export interface EventSourceCounts {
  invocations: number;
  /** Batches that were given once more though they were done with: the first one, and one in ten. */
  again: number;
  /** Answers that named a record. */
  partial: number;
  /** Invocations that failed, after which the batch was halved. */
  halved: number;
}

/** One event source mapping. */
export class EventSource {
  readonly counts: EventSourceCounts = { invocations: 0, again: 0, partial: 0, halved: 0 };
  readonly #options: EventSourceOptions;
  readonly #shards = new Map<string, { iterator: string | undefined; ended: boolean }>();

  constructor(options: EventSourceOptions) {
    this.#options = options;
  }

  /** Gives what is in the stream and is not done with, one shard after the other. */
  async runInTurn(): Promise<void> {
    for (;;) {
      const shards = await this.#list();
      let found = 0;
      for (const shard of shards) if (this.#isReadable(shard, shards)) found += await this.#read(shard.ShardId ?? '');
      if (found === 0) return;
    }
  }

  /** Goes on until it is told to end, and everything is done with that was in the stream then. @param end - tells it */
  async run(end: AbortSignal): Promise<void> {
    for (;;) {
      const last = end.aborted;
      const shards = await this.#list();
      const readable = shards.filter((shard) => this.#isReadable(shard, shards));
      const found = await Promise.all(readable.map((shard) => this.#read(shard.ShardId ?? '')));
      if (last && found.every((count) => count === 0)) return;
    }
  }

  #isReadable({ ShardId: id = '', ParentShardId: a, AdjacentParentShardId: b }: Shard, all: readonly Shard[]): boolean {
    if (this.#shards.get(id)?.ended === true) return false;
    return [a, b].every((parent) => {
      const shard = all.find(({ ShardId }) => ShardId === parent);
      return shard === undefined || this.#shards.get(parent ?? '')?.ended === true;
    });
  }

  async #list(): Promise<Shard[]> {
    const { Shards: shards = [] } = await this.#options.client.send(
      new ListShardsCommand({ StreamName: this.#options.stream }),
    );
    return shards;
  }

  /** Reads a page of a shard. @returns how many records it had, or 1 where the shard has ended */
  async #read(id: string): Promise<number> {
    const { client, stream, batchSize = 100 } = this.#options;
    let at = this.#shards.get(id);
    if (at === undefined) {
      const { ShardIterator: iterator } = await client.send(
        new GetShardIteratorCommand({ StreamName: stream, ShardId: id, ShardIteratorType: 'TRIM_HORIZON' }),
      );
      this.#shards.set(id, (at = { iterator, ended: false }));
    }
    const page = await client.send(new GetRecordsCommand({ ShardIterator: at.iterator, Limit: batchSize }));
    const records = (page.Records ?? []).map(
      ({ PartitionKey, SequenceNumber, Data, ApproximateArrivalTimestamp }): KinesisStreamRecord => ({
        awsRegion: 'us-east-1',
        eventID: `${id}:${SequenceNumber ?? ''}`,
        eventName: 'aws:kinesis:record',
        eventSource: 'aws:kinesis',
        eventSourceARN: this.#options.streamArn,
        eventVersion: '1.0',
        invokeIdentityArn: 'arn:aws:iam::000000000000:role/replica',
        kinesis: {
          kinesisSchemaVersion: '1.0',
          partitionKey: PartitionKey ?? '',
          sequenceNumber: SequenceNumber ?? '',
          data: Buffer.from(Data ?? []).toString('base64'),
          approximateArrivalTimestamp: (ApproximateArrivalTimestamp?.getTime() ?? 0) / 1000,
        },
      }),
    );
    await this.#give(id, records);
    at.iterator = page.NextShardIterator;
    at.ended = page.NextShardIterator === undefined;
    return at.ended ? 1 : records.length;
  }

  /** Gives records until all are done with. */
  async #give(shard: string, records: readonly KinesisStreamRecord[]): Promise<void> {
    if (records.length === 0) return;
    this.counts.invocations++;
    let answer: KinesisStreamBatchResponse;
    try {
      answer = await this.#options.invoke(shard, { Records: [...records] });
    } catch {
      this.counts.halved++;
      const half = Math.max(1, records.length >> 1);
      await this.#give(shard, records.slice(0, half));
      await this.#give(shard, records.slice(half));
      return;
    }
    const [first] = answer.batchItemFailures;
    if (first !== undefined) {
      this.counts.partial++;
      const from = records.findIndex(({ kinesis }) => kinesis.sequenceNumber === first.itemIdentifier);
      await this.#give(shard, records.slice(Math.max(0, from)));
    } else if (this.counts.again === 0 || this.#options.random() < 0.1) {
      this.counts.again++;
      await this.#give(shard, records);
    }
  }
}
