/**
 * Rounds: what one PutRecords request carries.
 * Pure; knows no SDK and no PostgreSQL.
 */

/** One entry of a PutRecords request. */
export interface KinesisRecord {
  /** The record's data. */
  readonly data: Uint8Array;
  /** 1 to 256 characters. */
  readonly partitionKey: string;
  /** A decimal 128-bit number; undefined: the partition key's MD5 decides. */
  readonly explicitHashKey: string | undefined;
}

/** One PutRecords request. The next is not sent before every entry of this one is acknowledged (I3). */
export interface Round {
  /** At most 500; at most one of a lane (without aggregation: of a partition key). */
  readonly entries: readonly KinesisRecord[];
  /** Data and partition keys together, in bytes. */
  readonly bytes: number;
  /** How many user records are in it. */
  readonly userRecords: number;
}
