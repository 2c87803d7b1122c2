/**
 * One lane's part of the open round: its content, its exact size, and which partition keys it has already.
 * Knows no limits and no other lane.
 */
import { ByteWriter } from '../format/byte-writer.ts';
import type { LaneContent, Layout } from './aggregation.ts';
import type { Lane } from './lanes.ts';

/** How many partition keys of a lane are remembered, by a part of their hash: a power of two. */
const SLOTS = 256;

/** Numbers a slot takes: the key's place among the lane's keys, counted from 1 (0: empty), its offset and its length. */
const SLOT = 3;

/** What a lane's writers begin with, in bytes. */
const CAPACITY = 1024;

/** A lane's part of the open round. */
export class OpenLane implements LaneContent {
  readonly lane: Lane;
  keys = new ByteWriter(CAPACITY);
  records = new ByteWriter(CAPACITY);
  /** The size of the Kinesis record's data, exactly. 0: the lane is not in the open round. */
  bytes = 0;
  /** How many user records it holds. */
  count = 0;
  readonly #layout: Layout;
  #keyCount = 0;
  /**
   * By a part of its hash, the newest partition key there. One that lost its slot is written again when it comes again,
   * which costs some bytes and nothing else; so a key costs one look, and memory has a bound.
   */
  readonly #slots = new Int32Array(SLOTS * SLOT);

  /**
   * @param lane - which
   * @param layout - how its user records are laid out
   */
  constructor(lane: Lane, layout: Layout) {
    this.lane = lane;
    this.#layout = layout;
  }

  /** The memory it holds, in bytes. */
  get capacity(): number {
    return this.keys.bytes.length + this.records.bytes.length;
  }

  /**
   * @param key - a partition key
   * @param head - its hash, 32 bits
   * @returns its place among the lane's keys, or -1 when it would be written anew
   */
  indexOf(key: Buffer, head: number): number {
    const at = (head & (SLOTS - 1)) * SLOT;
    const place = this.#slots[at] ?? 0;
    if (place === 0 || this.#slots[at + 2] !== key.length) return -1;
    const start = this.#slots[at + 1] ?? 0;
    const bytes = this.keys.bytes;
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
   * @param head - the key's hash
   * @param data - its data
   */
  add(index: number, key: Buffer, head: number, data: Buffer): void {
    if (this.bytes === 0) this.bytes = this.#layout.frameBytes(this.lane);
    this.bytes += this.growth(index, key.length, data.length);
    this.count++;
    if (index < 0 && this.#layout.carriesKeys) {
      index = this.#keyCount++;
      this.#layout.addKey(this, key);
      const at = (head & (SLOTS - 1)) * SLOT;
      this.#slots[at] = index + 1;
      this.#slots[at + 1] = this.keys.length - key.length;
      this.#slots[at + 2] = key.length;
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
      this.keys.clear();
      this.records.clear();
    } else {
      this.keys = new ByteWriter(CAPACITY);
      this.records = new ByteWriter(CAPACITY);
    }
    this.bytes = 0;
    this.count = 0;
    this.#keyCount = 0;
    this.#slots.fill(0);
  }
}
