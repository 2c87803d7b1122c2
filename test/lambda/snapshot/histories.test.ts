/**
 * Random histories: writers, runs that end anywhere, a snapshot in between. Each row that is read is true at its place of
 * the stream, and a consumer of the stream alone ends with exactly the table.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Chunk, type ChunkRequest, keyText } from '../../../lambda/snapshot/chunk.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { SnapshotTracker } from '../../../lambda/snapshot/tracker.ts';
import { KEYS, type Op, randomBy, type Row, World } from './world.ts';

const TABLE = 'public.t';
const SLOT = 'test';
const HISTORIES = 1_000;

/** A key as text, in an order that is the numbers' own. */
const text = (key: number): string => String(key).padStart(2, '0');

/** The two rules that are the run's, not the tracker's: they can be broken here. */
interface Rules {
  /** No transaction is read before it is over (I11). */
  readonly waitsForCommits: boolean;
  /** No chunk is read before what was in progress when it was asked for is over. */
  readonly keepsBarrier: boolean;
}

/** Applies the stream, key by key. */
class Consumer {
  readonly rows = new Map<number, Row>();
  fault: string | undefined;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  read(key: number, row: Row, place: number): void {
    const truth = this.#world.rowsAt(place).get(key);
    if (truth?.v !== row.v || truth.big !== row.big)
      this.fault ??= `READ of ${key} at ${place}: ${JSON.stringify(row)}, but it is ${JSON.stringify(truth)}`;
    this.rows.set(key, row);
  }

  apply({ operation, key, oldKey, v = 0, big }: Op): void {
    if (operation === 'TRUNCATE') return this.rows.clear();
    const old = this.rows.get(oldKey ?? key) ?? this.rows.get(key);
    this.rows.delete(oldKey ?? key);
    if (operation !== 'DELETE') this.rows.set(key, { v, big: big ?? old?.big ?? 'missing' });
  }

  requireEqual(truth: ReadonlyMap<number, Row>): void {
    for (let key = 0; key < KEYS; key++) {
      const [is, should] = [this.rows.get(key), truth.get(key)];
      if (is?.v !== should?.v || is?.big !== should?.big)
        this.fault ??= `at the end ${key} is ${JSON.stringify(is)}, not ${JSON.stringify(should)}`;
    }
  }
}

/** The slot, and who reads it. A position is how many entries of the WAL are consumed. */
class Pipeline {
  slot = 0;
  isFree = false;
  readonly #world: World;
  readonly #consumer: Consumer;
  readonly #random: () => number;
  readonly #rules: Rules;
  #marks = 0;

  constructor(world: World, consumer: Consumer, random: () => number, rules: Rules) {
    this.#world = world;
    this.#consumer = consumer;
    this.#random = random;
    this.#rules = rules;
  }

  /** One run. At each yield writers go on, or it ends for good. */
  *run(chunks: number): Generator<void> {
    const tracker = new SnapshotTracker<Row>(SLOT);
    tracker.begin(BigInt(this.slot));
    let read = this.slot;
    let left = chunks;
    for (let round = 0; round < 8; round++) {
      // Each peek begins where the slot is: what was read before is passed over.
      const peek = this.#read(tracker, read);
      for (let step = peek.next(); ; step = peek.next()) {
        if (step.done === true) {
          read = step.value;
          break;
        }
        yield;
      }
      tracker.acknowledged();
      this.slot = Math.max(this.slot, Number(tracker.bound ?? BigInt(read)));
      this.isFree = tracker.bound === undefined;
      if (this.isFree && this.#random() < 0.5) return;
      yield;
      if (tracker.progress !== undefined && tracker.progress.barrier === undefined)
        tracker.setBarrier(BigInt(this.#world.nextXid));
      const request = tracker.next();
      if (request === undefined || left === 0) continue;
      yield;
      const chunk = this.#chunk(request);
      yield;
      if (chunk !== undefined) left--;
      const mark = `m${this.#marks++}`;
      this.#world.wal.push({
        kind: 'message',
        content: chunk === undefined ? tracker.save(mark) : tracker.hold(chunk, mark),
      });
      yield;
    }
  }

  *#read(tracker: SnapshotTracker<Row>, from: number): Generator<void, number> {
    const { wal } = this.#world;
    const upto = wal.length;
    for (let at = this.slot; at < upto; at++) {
      const entry = wal[at];
      if (entry === undefined) continue;
      if (entry.kind === 'message') {
        for (const [key, row] of tracker.message(entry.content, BigInt(at + 1))?.rows ?? [])
          this.#consumer.read(Number(key), row, at);
      } else if (at >= from) {
        if (this.#rules.waitsForCommits && !this.#world.isOver(entry.xid)) return at;
        for (const op of entry.ops) this.#change(tracker, op, entry.xid);
        tracker.committed(BigInt(at + 1), false);
      }
      yield;
    }
    return Math.max(from, upto);
  }

  #change(tracker: SnapshotTracker<Row>, op: Op, xid: number): void {
    const { operation, key, oldKey, big } = op;
    if (operation === 'TRUNCATE') {
      tracker.changes.tableTruncated(TABLE, xid);
      return this.#consumer.apply(op);
    }
    const incomplete = operation === 'UPDATE' && big === undefined;
    const held = tracker.changes.changed({
      operation,
      table: TABLE,
      xid,
      key: [text(key)],
      oldKey: oldKey === undefined ? undefined : [text(oldKey)],
      incomplete,
      published: true,
    });
    this.#consumer.apply(held === undefined ? op : { ...op, big: held.big });
  }

  #chunk({ cursor, asked, barrier }: ChunkRequest): Chunk<Row> | undefined {
    const view = this.#world.view();
    if (this.#rules.keepsBarrier && barrier !== undefined && BigInt(view.xmin) < barrier) return undefined;
    const first = cursor === undefined ? 0 : Number(cursor[0]) + 1;
    const limit = 1 + Math.floor(this.#random() * 4);
    const rows = new Map<string, Row>();
    const wanted = asked?.map(([key]) => Number(key)) ?? Array.from({ length: KEYS - first }, (_, i) => first + i);
    for (const key of wanted) {
      const row = view.row(key);
      if (row !== undefined && (asked !== undefined || rows.size < limit)) rows.set(keyText([text(key)]), row);
    }
    const last = asked === undefined ? [...rows.keys()].at(-1) : undefined;
    return {
      table: TABLE,
      key: 'id',
      rows,
      last: last === undefined ? undefined : [last],
      atEnd: asked === undefined && rows.size < limit,
      asked,
      sees: (xid) => view.sees(xid),
    };
  }
}

/** Plays one history. @returns what is wrong; undefined: nothing; whether the snapshot came to its end */
function play(seed: number, rules: Rules): { readonly fault: string | undefined; readonly finished: boolean } {
  const random = randomBy(seed);
  const world = new World(random);
  const consumer = new Consumer(world);
  const pipeline = new Pipeline(world, consumer, random, rules);
  for (let i = 0; i < 30; i++) world.write();
  // A slot that was made a moment ago: what was committed before is not in it, whether it is visible or not.
  if (random() < 0.5) pipeline.slot = world.wal.length;
  const asked = { kind: 'begin', id: 's', begunAt: 0, tables: [TABLE], anew: false } as const;
  world.wal.push({ kind: 'message', content: encodeSnapshotMessage(SLOT, asked) });
  let hasBegun = false;
  for (let runs = 0; runs < 80 && consumer.fault === undefined; runs++) {
    const run = pipeline.run(1 + Math.floor(random() * 3));
    let steps = random() < 0.5 ? 1 + Math.floor(random() * 60) : Infinity;
    for (; steps > 0 && run.next().done !== true; steps--) {
      const burst = Math.floor(random() * (random() < 0.3 ? 8 : 2));
      for (let i = 0; i < burst; i++) world.write();
    }
    for (let i = 0; i < 10; i++) world.write();
    hasBegun ||= !pipeline.isFree;
    if (hasBegun && pipeline.isFree) break;
  }
  const finished = hasBegun && pipeline.isFree;
  if (finished && consumer.fault === undefined) {
    world.finish();
    for (let runs = 0; pipeline.slot < world.wal.length && runs < 9; runs++) drain(pipeline.run(9));
    consumer.requireEqual(world.rowsAt(world.wal.length));
  }
  return { fault: consumer.fault, finished };
}

function drain(steps: Generator<void>): void {
  while (steps.next().done !== true);
}

function isEverWrong(rules: Rules): boolean {
  for (let seed = 1; seed <= HISTORIES; seed++) if (play(seed, rules).fault !== undefined) return true;
  return false;
}

describe('the snapshot of a table', () => {
  it('shows each row as it is at its place of the stream, and leaves out none', () => {
    let finished = 0;
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const played = play(seed, { waitsForCommits: true, keepsBarrier: true });
      assert.equal(played.fault, undefined, `seed ${seed}`);
      if (played.finished) finished++;
    }
    assert.ok(finished > HISTORIES * 0.8, `only ${finished} of ${HISTORIES} came to their end`);
  });

  it('would not, if a transaction were published before it is visible', () => {
    assert.ok(isEverWrong({ waitsForCommits: false, keepsBarrier: true }));
  });

  it('would not, if a chunk were read before what was in progress is over', () => {
    assert.ok(isEverWrong({ waitsForCommits: true, keepsBarrier: false }));
  });
});
