/**
 * The number of lanes of a stream, where changes are applied as they come. It changes with LANES, after a drain, and is seen only
 * when records are looked at. Pure, but for the state that it is given.
 */
import type { readRecord } from '../record.ts';
import { lanesChanged } from './fast-errors.ts';
import { type FastState, laneStart } from './fast-target.ts';
import { positionAt } from './lane-position.ts';

/** What a Kinesis record holds. */
type Items = readonly ReturnType<typeof readRecord>[];

/** The batch has to be the only one under way, and was not begun so: it is to be begun again. */
export class MustBeAloneError extends Error {
  override readonly name = 'MustBeAloneError';
}

/**
 * What a copy is of, for all of it: the first batch says so, and another that is under way at that moment could say something else.
 *
 * @param known - what the target holds
 * @param said - what the record says
 * @param alone - whether no other batch is under way
 * @throws {MustBeAloneError} where the batch has to be begun again
 */
export function settled<T>(known: T | undefined, said: T, alone: boolean): T {
  if (known === undefined && !alone) throw new MustBeAloneError();
  return known ?? said;
}

/**
 * Whether a record is of the lanes that are applied. Those of another number are taken up once all of the old ones are applied up
 * to the same mark.
 *
 * @param state - of the target, which changes then
 * @param count - how many lanes there are by the record
 * @param items - what is in it
 * @param alone - whether no other batch is under way
 * @returns false: it says nothing new, and is to be passed over
 * @throws {ReplicaError} LANES_CHANGED
 * @throws {MustBeAloneError} where the batch has to be begun again
 */
export function isOfLanes(state: FastState, count: number, items: Items, alone: boolean): boolean {
  // A source that was not known is settled with it.
  state.laneCount = settled(state.laneCount, count, alone);
  if (state.laneCount === count) return true;
  if (saysNothingNew(state, items)) return false;
  if (!alone) throw new MustBeAloneError();
  const ends = Array.from({ length: state.laneCount }, (_, lane) => state.lanes.get(lane)?.readUpto);
  const [readUpto] = ends;
  if (readUpto === undefined || ends.some((each) => each !== readUpto)) throw lanesChanged(state.laneCount, count);
  const { timeline, copying } = state.lanes.get(0) ?? laneStart(state);
  const isLoaded = [...state.lanes.values()].every((lane) => lane.isLoaded);
  state.start = readUpto;
  state.laneCount = count;
  state.lanes.clear();
  for (let lane = 0; lane < count; lane++) state.lanes.set(lane, positionAt(readUpto, copying, timeline, isLoaded));
  return true;
}

/** Whether records of another number of lanes are about what was applied before LANES was changed: they are given once more. */
function saysNothingNew({ start, system, lanes }: FastState, items: Items): boolean {
  const timelines = [...lanes.values()].flatMap(({ timeline }) => timeline ?? []);
  return items.every((item) => {
    if (item.kind === 'other') return true;
    const isKnown = item.kind === 'change' || (item.system === system && item.timeline <= Math.max(...timelines));
    return item.lsn <= start && isKnown;
  });
}
