/**
 * A random history of the model, whose records are applied as they come: shards at their own speeds, batches that come again,
 * are halved, end in the middle, or are given once more after others. At the end the target has to equal the source.
 */
import { FastApplier } from '../../../../replica/rules/fast/fast-applier.ts';
import { type BrokenFast, Ended, ModelFastTarget } from './fast-target.ts';
import { randomOf } from './random.ts';
import { isSame, ModelSource, shown } from './source.ts';
import { LANES, type ModelContainer, type ModelShard, type ModelSlot, ModelStream, produce } from './stream.ts';

/** How a history ended. */
export interface FastEnded {
  /** What was wrong. */
  readonly fault: string | undefined;
  /** Whether it stopped because the source had lost what was applied. */
  readonly stopped: boolean;
  readonly batches: number;
}

/** What a history is to have. */
export interface FastHistoryOptions {
  /** Failovers, for sure. */
  readonly failovers?: boolean;
  /** Rows that are older than the stream, which a snapshot brings: one that is awaited, or that was asked for first of all. */
  readonly snapshot?: boolean;
}

/**
 * Makes a history.
 *
 * @param seed - of the random numbers
 * @param broken - a rule that is left out
 * @param options - what it is to have
 */
export async function fastHistory(
  seed: number,
  broken: BrokenFast,
  { failovers = false, snapshot = false }: FastHistoryOptions = {},
): Promise<FastEnded> {
  const random = randomOf(seed);
  const { next, int, pick } = random;
  const source = new ModelSource(random, true, snapshot);
  const isAwaited = snapshot && seed % 2 === 0;
  if (snapshot) source.request();
  const stream = new ModelStream(random);
  const slot: ModelSlot = { position: 0, saved: 0 };
  const target = new ModelFastTarget(broken, isAwaited);
  const applier = new FastApplier({ target, skipMissing: false });
  const failsOver = next() < 0.25 || failovers;
  /** How many records of each shard its reader is done with. */
  const done = new Map<string, number>();
  const doneOf = ({ id }: ModelShard): number => done.get(id) ?? 0;
  const found: { problem?: string; stopped?: true } = {};
  let batches = 0;

  const over = (): boolean => found.stopped === true || found.problem !== undefined;
  const isReadable = (shard: ModelShard): boolean =>
    broken === 'parents' ||
    shard.parents.every((id) => {
      const parent = stream.shards.find((each) => each.id === id);
      return parent === undefined || (doneOf(parent) === parent.entries.length && isReadable(parent));
    });

  const apply = async (shard: ModelShard, isCalm: boolean): Promise<void> => {
    const from = doneOf(shard);
    // A batch of before comes once more, as from an invocation that was given up and still ran.
    const begin = !isCalm && next() < 0.05 ? int(from + 1) : from;
    const records = shard.entries
      .slice(begin, Math.min(shard.visible, begin + 1 + int(6)))
      .map(({ lane, texts }, i) => ({
        shard: shard.id,
        sequence: String(begin + i),
        arrivedMs: 0,
        partitionKey: `lane-${lane}-of-${LANES}`,
        texts,
      }));
    if (records.length === 0) return;
    let steps = !isCalm && next() < 0.1 ? int(20) : Infinity;
    target.onStep = () => {
      if (steps-- <= 0) throw new Ended('ended');
    };
    try {
      const { done: applied, failure } = await applier.apply(records);
      batches++;
      // At times it is not heard of that it was committed.
      if (begin === from && (isCalm || next() > 0.08)) done.set(shard.id, from + applied);
      if (failure?.code === 'HISTORY_CHANGED') found.stopped = true;
      else if (failure !== undefined) found.problem = failure.message;
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    }
  };
  const readable = (): ModelShard[] => stream.shards.filter((each) => isReadable(each) && doneOf(each) < each.visible);

  let container: ModelContainer = { timeline: 1, marked: 0 };
  let run: Generator<undefined, void> | undefined;
  const begin = (calm: boolean): Generator<undefined, void> =>
    produce(source, slot, stream, container, random, {
      calm,
      opens: broken !== 'history',
      rounds: broken !== 'round',
      begins: broken !== 'begin',
      everyLane: broken !== 'lanes',
    });
  for (let i = 0; i < 900 && !over(); i++) {
    stream.tick();
    const chance = next();
    if (snapshot && next() < 0.01) source.read();
    if (chance < 0.12) source.commit();
    else if (chance < 0.13) stream.reshard();
    else if (chance < 0.14) slot.saved = slot.position;
    else if (chance < 0.145) {
      run = undefined;
      slot.position = slot.saved;
    } else if (chance < 0.16) {
      run = undefined;
      if (next() < 0.6) container = { timeline: undefined, marked: undefined };
    } else if (failsOver && chance < 0.18 && source.wal.length > 3) {
      const fork = source.failOver();
      slot.position = Math.min(slot.position, fork);
      slot.saved = Math.min(slot.saved, slot.position);
      run = undefined;
    } else if (chance < 0.5) {
      run ??= begin(false);
      if (run.next().done === true) run = undefined;
    } else {
      const shards = readable();
      if (shards.length > 0) await apply(pick(shards), false);
    }
  }
  // What is wrong with a key is mended by its next change: so there are not many.
  for (let commits = 0; commits < 8; commits++) {
    if (commits === 3) source.truncate();
    else source.commit();
  }
  while (!source.isRead) source.read();
  // The schedule goes on, everything becomes readable, and all of it is read, some shards long before others.
  for (let runs = 0; runs < 2; runs++) {
    const last = begin(true);
    while (last.next().done !== true);
  }
  stream.settle();
  for (let shards = readable(); shards.length > 0 && !over(); shards = readable()) {
    const shard = pick(shards);
    for (let left = int(8); left >= 0 && doneOf(shard) < shard.visible && !over(); left--) await apply(shard, true);
  }
  // What the source has lost may also be seen by a lane that has none of it itself: for example as a row that is not there.
  const isLost = [...source.forks.values()].some((fork) => target.positions.some(({ lsn }) => lsn > fork));
  const stopped = found.stopped === true || (found.problem !== undefined && isLost && broken === 'none');
  if (stopped) return { fault: undefined, stopped, batches };
  const wanted = source.stateAt(source.flushed);
  const fault =
    found.problem ??
    (isSame(wanted, target.rows)
      ? undefined
      : `the target is ${shown(target.rows)}, and the source is ${shown(wanted)}`) ??
    (target.left === 0 ? undefined : `${target.left} notes are left`);
  return { fault, stopped, batches };
}
