/** A stream in memory whose records are made by hand, with their times: what the emulator cannot do. */
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis';

interface MadeRecord {
  readonly sequence: string;
  readonly lane: string;
  readonly data: Buffer;
  readonly arrivedMs: number;
}

/** A stream of open shards. */
export class MadeStream {
  readonly arn: string;
  /** By shard; undefined: a record that was trimmed. */
  readonly #shards: Map<string, (MadeRecord | undefined)[]>;
  #sequence = 0;

  constructor(name: string, shards: readonly string[]) {
    this.arn = `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`;
    this.#shards = new Map(shards.map((shard) => [shard, []]));
  }

  /** Adds a Kinesis record. @param items - its user records, or its bytes @param arrivedMs - when the stream took it @default now */
  add(shard: string, lane: string, items: readonly object[] | Buffer, arrivedMs = Date.now()): void {
    const data = Buffer.isBuffer(items)
      ? items
      : Buffer.from(items.map((item) => `${JSON.stringify(item)}\n`).join(''));
    this.#shards.get(shard)?.push({ sequence: String(++this.#sequence), lane, data, arrivedMs });
  }

  /** Takes away what a shard holds. */
  trim(shard: string): void {
    this.#shards.get(shard)?.fill(undefined);
  }

  /** Reads it. */
  get client(): KinesisClient {
    const send = (command: object): Promise<object> => Promise.resolve(this.#answer(command));
    return { send, config: { region: () => Promise.resolve('us-east-1') } } as unknown as KinesisClient;
  }

  #answer(command: object): object {
    if (command instanceof DescribeStreamSummaryCommand)
      return { StreamDescriptionSummary: { StreamARN: this.arn, RetentionPeriodHours: 24 } };
    if (command instanceof ListShardsCommand)
      return { Shards: [...this.#shards.keys()].map((ShardId) => ({ ShardId })) };
    if (command instanceof GetShardIteratorCommand) {
      const { ShardId: shard = '', StartingSequenceNumber: sequence } = command.input;
      const from = (this.#shards.get(shard) ?? []).findIndex((each) => each?.sequence === sequence);
      return { ShardIterator: `${shard} ${Math.max(0, from)}` };
    }
    if (!(command instanceof GetRecordsCommand)) throw new Error('Nothing else is asked for.');
    const [shard = '', from = ''] = (command.input.ShardIterator ?? '').split(' ');
    const all = this.#shards.get(shard) ?? [];
    const Records = all.slice(Number(from)).flatMap((record) => {
      if (record === undefined) return [];
      const { sequence, lane, data, arrivedMs } = record;
      return [
        { Data: data, SequenceNumber: sequence, PartitionKey: lane, ApproximateArrivalTimestamp: new Date(arrivedMs) },
      ];
    });
    return { Records, NextShardIterator: `${shard} ${all.length}`, MillisBehindLatest: 0 };
  }
}
