/**
 * Rounds: what one PutRecords request carries, and how user records are gathered into them.
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

/** Gathers user records into rounds. */
export interface Packer {
  /**
   * Whether one user record can be sent at all.
   *
   * @param partitionKeyBytes - its partition key's length, UTF-8 bytes
   * @param dataBytes - its data's length
   */
  fits(partitionKeyBytes: number, dataBytes: number): boolean;
  /**
   * Adds a user record that fits. Copies both.
   *
   * @param partitionKey - UTF-8, at most 256 characters
   * @param data - the record's data
   * @param barrier - if given, the record's round holds only records of the same barrier
   * @returns the round that had to be closed before this record could be added, if any: send it
   */
  add(partitionKey: Buffer, data: Buffer, barrier?: string): Round | undefined;
  /** Closes the open round. @returns it, or undefined when there is none */
  flush(): Round | undefined;
  /** Gives a round's memory back once it is acknowledged. Its entries must not be read again. */
  release(round: Round): void;
}
