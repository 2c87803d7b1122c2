/**
 * A model of Kinesis and of the producer: entries become readable some time after they were acknowledged, shards are split and
 * merged, entries of a request fail or are stored twice, and a run may be ended anywhere.
 */
import type { Random } from './random.ts';
import type { ModelChange, ModelSource } from './source.ts';

/** What an entry holds: user records as JSON. */
interface Entry {
  readonly lane: number;
  readonly texts: readonly string[];
}

/** A shard. */
export interface ModelShard {
  readonly id: string;
  readonly lanes: readonly number[];
  readonly parents: readonly string[];
  readonly entries: Entry[];
  /** How many of them can be read. */
  visible: number;
  closed: boolean;
}

export const LANES = 4;

/** A stream in memory, and what writes to it. */
export class ModelStream {
  readonly shards: ModelShard[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    if (random.next() < 0.5) this.#add([0, 1, 2, 3], []);
    else {
      this.#add([0, 1], []);
      this.#add([2, 3], []);
    }
  }

  put({ lane, texts }: Entry): void {
    this.shards.find(({ closed, lanes }) => !closed && lanes.includes(lane))?.entries.push({ lane, texts });
  }

  /** Time goes by. */
  tick(): void {
    for (const shard of this.shards) {
      if (this.#random.next() < 0.4)
        shard.visible = Math.min(shard.entries.length, shard.visible + this.#random.int(5));
    }
  }

  /** Everything is readable. */
  settle(): void {
    for (const shard of this.shards) shard.visible = shard.entries.length;
  }

  /** Splits a shard, or merges two. */
  reshard(): void {
    const { next, int, pick } = this.#random;
    const open = this.shards.filter(({ closed }) => !closed).sort((a, b) => (a.lanes[0] ?? 0) - (b.lanes[0] ?? 0));
    const wide = open.filter(({ lanes }) => lanes.length > 1);
    if (next() < 0.5 && wide.length > 0) {
      const shard = pick(wide);
      const at = 1 + int(shard.lanes.length - 1);
      shard.closed = true;
      this.#add(shard.lanes.slice(0, at), [shard.id]);
      this.#add(shard.lanes.slice(at), [shard.id]);
    } else if (open.length > 1) {
      const at = int(open.length - 1);
      const [a, b] = open.slice(at, at + 2);
      if (a === undefined || b === undefined) return;
      a.closed = b.closed = true;
      this.#add([...a.lanes, ...b.lanes], [a.id, b.id]);
    }
  }

  #add(lanes: readonly number[], parents: readonly string[]): void {
    this.shards.push({ id: `shard-${this.shards.length}`, lanes, parents, entries: [], visible: 0, closed: false });
  }
}

/** The slot: how far it was advanced, and how far that is saved. */
export interface ModelSlot {
  position: number;
  saved: number;
}

/** What a container of the function knows from its last run. */
export interface ModelContainer {
  timeline: number | undefined;
  marked: number | undefined;
}

/** The lane of a key's text. */
function laneOf(text: string): number {
  return (Buffer.from(text).reduce((hash, byte) => (Math.imul(hash, 31) + byte) | 0, 7) >>> 3) & (LANES - 1);
}

const lsnText = (lsn: number): string => `0/${lsn.toString(16).toUpperCase()}`;

function changeText(change: ModelChange): string {
  const { op, key, newKey, oldKey, row, unchanged, lsn, ordinal } = change;
  const of = (text: string | undefined) => (text === undefined ? undefined : { text });
  return JSON.stringify({
    id: `${lsn}#${ordinal}`,
    source: 'model',
    op,
    schema: 'public',
    table: 'rows',
    key: of(key) ?? null,
    newKey: of(newKey),
    oldKey: of(oldKey),
    row,
    unchanged: unchanged === true ? ['big'] : undefined,
    commitLsn: lsnText(lsn),
    ordinal,
    commitTime: '2026-01-02T03:04:05.678901Z',
  });
}

/** What else a run goes by. */
export interface RunOptions {
  /** Nothing fails. */
  readonly calm: boolean;
  /** Whether it opens with marks that tell the server's history. */
  readonly opens: boolean;
  /** Whether a TRUNCATE has a round of its own. @default false: who waits for marks needs none */
  readonly rounds?: boolean;
  /** Whether a snapshot is told of where it is asked for. @default true */
  readonly begins?: boolean;
  /** Whether marks tell of a snapshot in each lane. @default true */
  readonly everyLane?: boolean;
}

/** One run of the producer, in steps: it may be given up between any two. */
export function* produce(
  source: ModelSource,
  slot: ModelSlot,
  stream: ModelStream,
  container: ModelContainer,
  { next, int }: Random,
  { calm, opens, rounds = false, begins = true, everyLane = true }: RunOptions,
): Generator<undefined, void> {
  function* send(round: Map<number, string[]>): Generator<undefined, void> {
    let pending = [...round].map(([lane, texts]): Entry => ({ lane, texts }));
    while (pending.length > 0) {
      yield;
      const failed: Entry[] = [];
      for (const entry of pending) {
        const chance = calm ? 1 : next();
        if (chance >= 0.15) stream.put(entry);
        if (chance < 0.25) failed.push(entry);
        yield;
      }
      pending = failed;
    }
  }
  const add = (round: Map<number, string[]>, lane: number, text: string): void => {
    const texts = round.get(lane) ?? [];
    texts.push(text);
    round.set(lane, texts);
  };
  let marked = slot.position;
  // Before it has read the slot to its end, a run knows only of the snapshots that it has read of.
  const knows = container.marked === slot.position || source.stateAt(0).size === 0;
  const mark = (
    round: Map<number, string[]>,
    lsn: number,
    { forks, isRequest = false }: { forks?: readonly (readonly [number, string])[]; isRequest?: boolean } = {},
  ): void => {
    const isPartial = !knows && lsn < source.flushed && forks === undefined;
    const isSilent = isPartial && !isRequest && next() < 0.7;
    for (let lane = 0; lane < LANES; lane++) {
      const table = [['public', 'rows']];
      const tells = (lane === 0 || everyLane) && forks === undefined && !isSilent;
      const reading = tells && source.unreadAt(lsn).size > 0 && lsn >= source.requestedAt ? table : undefined;
      const read = tells && !isPartial && source.hasReadBetween(marked, lsn) ? table : undefined;
      const fields = {
        lane,
        lanes: LANES,
        system: '1',
        timeline: source.timeline,
        forks,
        reading,
        read,
        ...(isPartial && { partial: true }),
      };
      const at = { commitLsn: lsnText(lsn), commitTime: '2026-01-02T03:04:05.678901Z' };
      add(round, lane, JSON.stringify({ op: 'MARK', source: 'model', ...at, ...fields }));
    }
    if (!isPartial) marked = lsn;
  };
  if (container.timeline !== source.timeline && opens) {
    const round = new Map<number, string[]>();
    mark(round, 0, { forks: [...source.forks].map(([timeline, lsn]) => [timeline, lsnText(lsn)] as const) });
    yield* send(round);
    container.timeline = source.timeline;
  }
  let round = new Map<number, string[]>();
  let count = 0;
  let published = false;
  let boundary = slot.position;
  const flushed = source.flushed;
  for (const { lsn, changes, isRequest } of source.wal.filter(
    (each) => each.lsn > slot.position && each.lsn <= flushed,
  )) {
    if (isRequest === true && begins) mark(round, lsn, { isRequest });
    for (const change of changes) {
      const isAlone = rounds && change.op === 'TRUNCATE';
      if (isAlone) {
        yield* send(round);
        round = new Map();
        count = 0;
      }
      add(round, laneOf(change.key ?? 'TRUNCATE'), changeText(change));
      published = true;
      if (++count <= 3 + int(6) && !isAlone) continue;
      yield* send(round);
      round = new Map();
      count = 0;
      if (boundary > slot.position && next() < 0.5) slot.position = boundary;
    }
    boundary = lsn;
    if (next() < 0.2) mark(round, lsn);
  }
  if (published || container.marked !== slot.position) mark(round, flushed);
  yield* send(round);
  yield;
  slot.position = Math.max(slot.position, flushed);
  yield;
  container.marked = slot.position;
}
