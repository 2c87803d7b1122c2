/**
 * A batch of a Kinesis data stream as Lambda gives it, turned into what the rules take; and the answer to Lambda. Pure.
 */
import type { KinesisStreamBatchResponse, KinesisStreamEvent } from 'aws-lambda';
import { lineRecords, type UserRecord, userRecords } from '../../lib/consumer/deaggregate.ts';
import { ReplicaError } from '../errors.ts';
import type { FastRecord } from '../rules/fast/fast-batch.ts';

/** A batch of one shard. */
export interface StreamBatch {
  readonly streamArn: string;
  readonly shard: string;
  readonly records: readonly FastRecord[];
}

/**
 * @param record - a Kinesis record, still aggregated
 * @returns its user records as text, with their own partition keys
 * @throws {ReplicaError} RECORD_UNUSABLE
 */
export function unpack(record: { readonly partitionKey: string; readonly data: Buffer }): {
  readonly texts: string[];
  readonly userKeys: string[];
} {
  const users = unpacked(record);
  return { texts: users.map(({ data }) => data.toString()), userKeys: users.map(({ partitionKey }) => partitionKey) };
}

function unpacked(record: { readonly partitionKey: string; readonly data: Buffer }): UserRecord[] {
  try {
    return userRecords(record).flatMap((user) => lineRecords(user));
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
    const what = `The stream holds a record that cannot be unpacked: ${why}. Nothing of it was applied.`;
    throw new ReplicaError('RECORD_UNUSABLE', what, { cause: error });
  }
}

/** @param event - what Lambda invokes with @returns undefined: there is nothing in it */
export function batchOf({ Records: records }: KinesisStreamEvent): StreamBatch | undefined {
  const [first] = records;
  if (first === undefined) return undefined;
  const shard = first.eventID.split(':')[0] ?? '';
  return {
    streamArn: first.eventSourceARN,
    shard,
    records: records.map(({ kinesis }) => ({
      shard,
      sequence: kinesis.sequenceNumber,
      arrivedMs: Math.round(kinesis.approximateArrivalTimestamp * 1000),
      partitionKey: kinesis.partitionKey,
      ...unpack({ partitionKey: kinesis.partitionKey, data: Buffer.from(kinesis.data, 'base64') }),
    })),
  };
}

/**
 * @param batch - that was given
 * @param done - how many records of it are done with
 * @returns the answer: Lambda gives the first one that is not done with again, and what is behind it
 */
export function answerOf({ records }: StreamBatch, done: number): KinesisStreamBatchResponse {
  const left = records[done];
  return { batchItemFailures: left === undefined ? [] : [{ itemIdentifier: left.sequence }] };
}
