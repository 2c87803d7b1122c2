/**
 * A partition key for each lane, for records that go into every lane. Pure.
 */
import { laneOf } from './lanes.ts';

/**
 * @param count - how many lanes: a power of two, 1 to 256
 * @returns for each lane a partition key that falls into it; always the same ones
 */
export function laneKeys(count: number): readonly Buffer[] {
  const keys = new Map<number, Buffer>();
  for (let n = 0; keys.size < count; n++) {
    const key = Buffer.from(`mark-${n}`);
    const lane = laneOf(key, count);
    if (!keys.has(lane)) keys.set(lane, key);
  }
  return Array.from({ length: count }, (_, lane) => keys.get(lane) ?? Buffer.alloc(0));
}
