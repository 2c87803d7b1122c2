/**
 * How user records are gathered into rounds: what every packer offers. Types only; `create-packer.ts` chooses one.
 */
import type { Round } from './round.ts';

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
