/**
 * The demo's consumer: unpacks the stream's records as a KCL application would, shows them and hands them to the
 * verifier. Knows the stream and the formats' readers, and none of the code that published.
 */
import type { Shard } from '@aws-sdk/client-kinesis';
import { lineRecords, type UserRecord, userRecords } from '../../lib/consumer/deaggregate.ts';
import type { StreamRecord } from '../stream-reader.ts';
import { type FormatName, parseRecord } from './parse-record.ts';
import type { Verifier } from './verifier.ts';

/** A shard's slice of the hash keys, both ends included. */
export interface HashKeyRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** What the consumer works with. */
export interface ConsumerOptions {
  readonly format: FormatName;
  readonly aggregation: 'kpl' | 'lines' | 'none';
  /** By shard id. */
  readonly shards: ReadonlyMap<string, HashKeyRange>;
  readonly verifier: Verifier;
  /** Shown each record: its shard's number and its text. */
  readonly onText: (shard: string, text: string) => void;
  /** Called with each row that a snapshot has read. @default they are no part of what is shown */
  readonly onRead?: () => void;
  /** For tests, which lose or swap records with it. @default each record as it is */
  readonly tamper?: ((record: UserRecord) => readonly UserRecord[]) | undefined;
}

/**
 * Makes a consumer.
 *
 * @param options - the format, the shards, and the verifier
 * @returns what to call with each Kinesis record, a shard's in order
 */
export function consumer(options: ConsumerOptions): (record: StreamRecord) => void {
  const { format, aggregation, shards, verifier, onText } = options;
  const tamper = options.tamper ?? ((record: UserRecord): readonly UserRecord[] => [record]);

  const take = (record: StreamRecord, user: UserRecord): void => {
    const text = user.data.toString();
    // With MARKS=on the stream holds marks, which are no changes.
    if (text.startsWith('{"op":"MARK",')) return;
    onText(shardNumber(record.shardId), text);
    // A row that was there before. Whether it is right is seen in the second PostgreSQL.
    if (options.onRead !== undefined && /^\{"id":"[^"]*","source":"(?:[^"\\]|\\.)*","op":"READ",/.test(text)) {
      options.onRead();
      return;
    }
    try {
      const parsed = parseRecord(text, format);
      const partitionKey = aggregation === 'lines' ? undefined : user.partitionKey;
      verifier.receive({ ...parsed, partitionKey, arrivedMs: record.arrivedMs });
    } catch (error) {
      verifier.unreadable(error instanceof Error ? error.message : String(error));
    }
  };

  return (record) => {
    for (const unpacked of userRecords(record)) {
      // KCL silently drops such a record, so it must not be in the stream.
      if (unpacked.explicitHashKey !== undefined && !inShard(shards.get(record.shardId), unpacked.explicitHashKey)) {
        verifier.unreadable(`KCL would discard it: hash key ${unpacked.explicitHashKey} is not of ${record.shardId}`);
        continue;
      }
      for (const user of aggregation === 'lines' ? lineRecords(unpacked) : [unpacked]) {
        for (const kept of tamper(user)) take(record, kept);
      }
    }
  };
}

/**
 * @param shards - as ListShards tells them
 * @returns each shard's slice of the hash keys, by its id
 */
export function hashKeyRanges(shards: readonly Shard[]): ReadonlyMap<string, HashKeyRange> {
  return new Map(
    shards.map(({ ShardId, HashKeyRange: range }) => [
      ShardId ?? '',
      { first: BigInt(range?.StartingHashKey ?? 0), last: BigInt(range?.EndingHashKey ?? -1) },
    ]),
  );
}

const inShard = (range: HashKeyRange | undefined, hashKey: string): boolean =>
  range !== undefined && BigInt(hashKey) >= range.first && BigInt(hashKey) <= range.last;

/** `shardId-000000000003` is 3. */
const shardNumber = (id: string): string => /([0-9]+)$/.exec(id)?.[1]?.replace(/^0+(?=.)/, '') ?? id;
