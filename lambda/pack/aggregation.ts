/**
 * How the user records of one lane become the data of one Kinesis record: the interface between the lane packer and its
 * layouts, `kpl` and `lines`. Types only.
 */
import type { ByteWriter } from '../format/byte-writer.ts';
import type { Lane } from './lanes.ts';

/** One lane's user records while its round is open. */
export interface LaneContent {
  /** The lane. */
  readonly lane: Lane;
  /** The lane's different partition keys, as the layout writes them; empty in a layout that carries none. */
  readonly partitionKeys: ByteWriter;
  /** The lane's user records, as the layout writes them. */
  readonly records: ByteWriter;
}

/** A way to lay out a lane's user records. Sizes are exact, in bytes. */
export interface AggregateLayout {
  /** Whether user records carry their partition keys. */
  readonly carriesKeys: boolean;
  /** @returns the size of a Kinesis record's data without any user record */
  frameBytes(lane: Lane): number;
  /**
   * @param keyIndex - the place of the user record's partition key among the lane's keys
   * @param keyBytes - the partition key's length, or undefined where the lane has it already
   * @param dataBytes - the data's length
   * @returns by how much the user record makes the data longer
   */
  recordBytes(keyIndex: number, keyBytes: number | undefined, dataBytes: number): number;
  /** Appends a partition key that the lane does not have yet; its bytes must come last. */
  addKey(content: LaneContent, key: Buffer): void;
  /** Appends a user record. */
  addRecord(content: LaneContent, keyIndex: number, data: Buffer): void;
  /** Appends the Kinesis record's data to `out`, which has room for it. */
  write(content: LaneContent, out: ByteWriter): void;
}
