/**
 * One lane's part of the open round: its content, its exact size, and which partition keys it has already.
 * Knows no limits and no other lane.
 */
import { ByteWriter } from '../format/byte-writer.ts';
import type { AggregateLayout, LaneContent } from './aggregation.ts';
import type { Lane } from './lanes.ts';

/** How many partition keys of a lane are remembered, by a part of their hash: a power of two. */
const KEY_CACHE_CELLS = 256;

/** The numbers of a cell: the key's place among the lane's keys, from 1 (0: the cell is empty), its offset, its length and its hash. */
const NUMBERS_PER_CELL = 4;

/** What a lane's writers begin with, in bytes. */
const INITIAL_BYTES = 1024;

/** A lane's part of the open round. */
export class OpenLane implements LaneContent {
  readonly lane: Lane;
  partitionKeys = new ByteWriter(INITIAL_BYTES);
  records = new ByteWriter(INITIAL_BYTES);
  /** The size of the Kinesis record's data, exactly. 0: the lane is not in the open round. */
  bytes = 0;
  /** How many user records it holds. */
  count = 0;
  readonly #layout: AggregateLayout;
  #keyCount = 0;
  /**
   * A hash table of partition keys without chains: a cell holds the newest key of its hash. A key that lost its cell is
   * written a second time when it comes again, which costs some bytes. So a key costs one look-up, and memory is bounded.
   */
  readonly #keyCache = new Int32Array(KEY_CACHE_CELLS * NUMBERS_PER_CELL);

  /**
   * @param lane - the lane
   * @param layout - how its user records are laid out
   */
  constructor(lane: Lane, layout: AggregateLayout) {
    this.lane = lane;
    this.#layout = layout;
  }

  /** The memory it holds, in bytes. */
  get capacity(): number {
    return this.partitionKeys.bytes.length + this.records.bytes.length;
  }

  /**
   * @param key - a partition key
   * @param hash - its hash, 32 bits
   * @returns its place among the lane's keys, or -1 if it has to be written (again)
   */
  indexOf(key: Buffer, hash: number): number {
    const at = (hash & (KEY_CACHE_CELLS - 1)) * NUMBERS_PER_CELL;
    const place = this.#keyCache[at] ?? 0;
    // The hash tells nearly all keys apart; their bytes are most often alike but for the last few.
    if (place === 0 || this.#keyCache[at + 3] !== (hash | 0) || this.#keyCache[at + 2] !== key.length) return -1;
    const start = this.#keyCache[at + 1] ?? 0;
    const bytes = this.partitionKeys.bytes;
    for (let i = 0; i < key.length; i++) if (bytes[start + i] !== key[i]) return -1;
    return place - 1;
  }

  /**
   * @param index - what {@link indexOf} said of the key
   * @param keyBytes - the key's length
   * @param dataBytes - the data's length
   * @returns by how much a user record makes the lane's Kinesis record longer, in bytes
   */
  growth(index: number, keyBytes: number, dataBytes: number): number {
    return index < 0
      ? this.#layout.recordBytes(this.#keyCount, keyBytes, dataBytes)
      : this.#layout.recordBytes(index, undefined, dataBytes);
  }

  /**
   * Appends a user record.
   *
   * @param index - what {@link indexOf} said of the key
   * @param key - its partition key
   * @param hash - the key's hash
   * @param data - its data
   */
  add(index: number, key: Buffer, hash: number, data: Buffer): void {
    if (this.bytes === 0) this.bytes = this.#layout.frameBytes(this.lane);
    this.bytes += this.growth(index, key.length, data.length);
    this.count++;
    if (index < 0 && this.#layout.carriesKeys) {
      index = this.#keyCount++;
      this.#layout.addKey(this, key);
      const at = (hash & (KEY_CACHE_CELLS - 1)) * NUMBERS_PER_CELL;
      this.#keyCache[at] = index + 1;
      this.#keyCache[at + 1] = this.partitionKeys.length - key.length;
      this.#keyCache[at + 2] = key.length;
      this.#keyCache[at + 3] = hash | 0;
    }
    this.#layout.addRecord(this, index, data);
  }

  /**
   * Forgets the round.
   *
   * @param keepMemory - whether the next round is to use the same memory
   */
  clear(keepMemory: boolean): void {
    if (keepMemory) {
      this.partitionKeys.clear();
      this.records.clear();
    } else {
      this.partitionKeys = new ByteWriter(INITIAL_BYTES);
      this.records = new ByteWriter(INITIAL_BYTES);
    }
    this.bytes = 0;
    this.count = 0;
    this.#keyCount = 0;
    this.#keyCache.fill(0);
  }
}
