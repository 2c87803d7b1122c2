/**
 * A random history of the model: the source commits, fails over, its runs and the replica are ended anywhere, shards are split and
 * merged. At each commit of the replica the target has to equal the source as it was then, and at the end as it is.
 */
import { setImmediate } from 'node:timers/promises';
import { formatLsn } from '../../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../../../replica/errors.ts';
import { tableId } from '../../../../replica/rules/copying.ts';
import { randomOf } from './random.ts';
import { type Broken, ModelTarget, replicate, TakenOver } from './replica.ts';
import { isSame, ModelSource, shown } from './source.ts';
import { type ModelContainer, type ModelSlot, ModelStream, produce } from './stream.ts';

/** How a history ended. */
export interface Ended {
  /** What was wrong. */
  readonly fault: string | undefined;
  readonly commits: number;
  /** Whether the replica stopped because the source's history had changed. */
  readonly stopped: boolean;
}

/** A replica under way, which waits for its turns. */
class Running {
  readonly #waiters: (() => void)[] = [];
  failure: unknown;
  over = false;

  readonly turn = (): Promise<void> => new Promise((resolve) => this.#waiters.push(resolve));

  begin(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.failure = error;
      this.over = true;
    });
  }

  /** Lets one part of it go on to where it waits again. */
  async step(int: (n: number) => number): Promise<void> {
    const [resolve] = this.#waiters.splice(int(this.#waiters.length), 1);
    resolve?.();
    await setImmediate();
  }
}

/** What a history is to have. */
export interface HistoryOptions {
  /** Failovers, for sure. */
  readonly failovers?: boolean;
  /** Rows that are older than the stream, which a snapshot brings. */
  readonly snapshot?: boolean;
  /** A target that takes long to write. */
  readonly slow?: boolean;
}

/**
 * Makes a history and looks at each state of the target.
 *
 * @param seed - of the random numbers
 * @param broken - a rule that is left out
 * @param options - what it is to have
 */
export async function history(
  seed: number,
  broken: Broken,
  { failovers = false, snapshot = false, slow = false }: HistoryOptions = {},
): Promise<Ended> {
  const random = randomOf(seed);
  const { next, int, pick } = random;
  const source = new ModelSource(random, false, snapshot);
  const stream = new ModelStream(random);
  const slot: ModelSlot = { position: 0, saved: 0 };
  const target = new ModelTarget(snapshot ? (seed % 2 === 0 ? 'awaited' : [tableId('public', 'rows')]) : []);
  const failsOver = next() < 0.25 || failovers;
  const found: { fault?: string } = {};
  let commits = 0;
  /** The target holds changes from behind this fork, which the source has lost: nothing can be asked of it any more. */
  let phantom = Infinity;

  const over = (): boolean => found.fault !== undefined || target.stopped;
  const onCommit = (lsn: bigint): void => {
    commits++;
    const cut = Number(lsn);
    const timelines = (target.position?.timelines ?? []).map((each) => each ?? 0);
    for (const [timeline, fork] of source.forks) {
      if (timeline > Math.min(...timelines) && cut > fork) phantom = Math.min(phantom, fork);
    }
    if (cut > phantom) return;
    const wanted = source.toldAt(cut);
    if (source.unreadAt(cut).size > 0 && target.position?.copying.length === 0)
      found.fault ??= `at ${formatLsn(lsn)} rows are still to come, and the target does not say so`;
    if (!isSame(wanted, target.rows))
      found.fault ??= `at ${formatLsn(lsn)} the target is ${shown(target.rows)}, and the source was ${shown(wanted)}`;
  };
  let isSlow = slow;
  const turns = (): number => (isSlow ? int(60) : 1);
  const begin = (): Running => {
    const running = new Running();
    running.begin(replicate(stream, target, random, running.turn, turns, broken, onCommit));
    return running;
  };
  const look = (running: Running): void => {
    if (running.failure instanceof ReplicaError && running.failure.code === 'HISTORY_CHANGED') target.stopped = true;
    else if (running.failure instanceof ReplicaError && running.failure.code === 'MISSING_ROW')
      found.fault ??= running.failure.message;
    else if (running.failure !== undefined && !(running.failure instanceof TakenOver)) throw asError(running.failure);
    if (target.refused !== undefined) found.fault ??= target.refused;
  };

  let container: ModelContainer = { timeline: 1, marked: 0 };
  let run: Generator<undefined, void> | undefined;
  let replicas: Running[] = [];
  const failOver = (): void => {
    const fork = source.failOver();
    slot.position = Math.min(slot.position, fork);
    slot.saved = Math.min(slot.saved, slot.position);
    run = undefined;
    if (Number(target.position?.cut ?? 0n) > fork) phantom = Math.min(phantom, fork);
  };
  for (let i = 0; i < 900 && !over(); i++) {
    stream.tick();
    const chance = next();
    if (snapshot && chance < 0.02) source.read();
    else if (chance < 0.12) source.commit();
    else if (chance < 0.13) stream.reshard();
    else if (chance < 0.14) slot.saved = slot.position;
    else if (chance < 0.145) {
      // The server crashes: the slot goes back.
      run = undefined;
      slot.position = slot.saved;
    } else if (chance < 0.16) {
      // The function is ended, at times with its container.
      run = undefined;
      if (next() < 0.6) container = { timeline: undefined, marked: undefined };
    } else if (failsOver && chance < (failovers ? 0.18 : 0.165) && source.wal.length > 3) failOver();
    else if (chance < 0.42) {
      run ??= produce(source, slot, stream, container, random, { calm: false, opens: broken !== 'history' });
      if (run.next().done === true) run = undefined;
    } else {
      if (replicas.length === 0 || (replicas.length < 2 && next() < 0.004)) replicas.push(begin());
      const running = pick(replicas);
      if (next() < 0.006) running.over = true;
      else await running.step(int);
      look(running);
      replicas = replicas.filter(({ over }) => !over);
    }
  }
  if (over()) return ended();
  while (source.unreadAt(source.flushed).size > 0) source.read();
  // The schedule goes on, everything becomes readable, and one replica reads on.
  for (let runs = 0; runs < 2; runs++) {
    const last = produce(source, slot, stream, container, random, { calm: true, opens: broken !== 'history' });
    while (last.next().done !== true);
  }
  stream.settle();
  isSlow = false;
  const left = broken === 'fence' ? [...replicas, begin()] : [begin()];
  for (let i = 0; i < 4_000 && !over(); i++) {
    const running = pick(left.filter(({ over }) => !over));
    await running.step(int);
    look(running);
    if (i % 100 === 0 && Number(target.position?.cut ?? 0n) >= source.flushed) break;
  }
  if (!over() && !isSame(source.stateAt(source.flushed), target.rows)) {
    found.fault = `at the end, cut ${formatLsn(target.position?.cut ?? 0n)} of ${source.flushed}: the target is ${shown(target.rows)}, and the source is ${shown(source.stateAt(source.flushed))}`;
  }
  // Where no row was left to be read before a mark came, the snapshot is still awaited.
  if (!over() && Array.isArray(target.position?.copying) && target.position.copying.length > 0)
    found.fault = 'at the end it still says that rows are to come';
  return ended();

  function ended(): Ended {
    if (target.stopped && phantom === Infinity) found.fault ??= 'the replica stopped, and its history had not changed';
    if (!target.stopped && phantom < Infinity)
      found.fault ??= `it has what was committed behind the fork at ${phantom}, and says nothing`;
    return { fault: found.fault, commits, stopped: target.stopped };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
