/**
 * De-aggregation by AWS's own library, as a check of ours that shares no line with it.
 *
 * @see https://github.com/awslabs/kinesis-aggregation
 */
import { createRequire } from 'node:module';

/** A user record as a consumer library gives it. */
export interface Deaggregated {
  readonly partitionKey: string;
  /** Undefined where the Kinesis record was no aggregate. */
  readonly explicitHashKey: string | undefined;
  readonly data: Buffer;
}

interface Library {
  deaggregateSync(
    record: { readonly partitionKey: string; readonly sequenceNumber: string; readonly data: string },
    computeChecksums: boolean,
    done: (
      error: Error | undefined,
      records?: { readonly partitionKey: string; readonly explicitPartitionKey?: string; readonly data: string }[],
    ) => void,
  ): void;
}

// Its type declarations import a version of the SDK that is not installed.
const library = createRequire(import.meta.url)('aws-kinesis-agg') as Library;

/**
 * Takes a Kinesis record apart, with its checksum checked.
 *
 * @param record - as read from a stream or packed
 * @returns its user records in order; a record that is no aggregate is its only user record
 * @throws {Error} what the library finds wrong
 */
export function deaggregate(record: { readonly partitionKey: string; readonly data: Uint8Array }): Deaggregated[] {
  const wire = {
    partitionKey: record.partitionKey,
    sequenceNumber: '0',
    data: Buffer.from(record.data).toString('base64'),
  };
  const found: Deaggregated[] = [];
  let failure: Error | undefined;
  library.deaggregateSync(wire, true, (error, records = []) => {
    if (error) failure = error;
    for (const { partitionKey, explicitPartitionKey, data } of records) {
      found.push({ partitionKey, explicitHashKey: explicitPartitionKey, data: Buffer.from(data, 'base64') });
    }
  });
  if (failure !== undefined) throw failure;
  return found;
}
