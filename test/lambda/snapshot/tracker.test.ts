/**
 * Random histories: writers, runs that end anywhere, a snapshot in between. Each row that is read is true at its place of
 * the stream, and a consumer of the stream alone ends with exactly the table.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Chunk, type ChunkRequest, keyText } from '../../../lambda/snapshot/chunk.ts';
import { decodeSnapshotMessage, encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
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
      tracker.tableTruncated(TABLE, xid);
      return this.#consumer.apply(op);
    }
    const incomplete = operation === 'UPDATE' && big === undefined;
    const held = tracker.changed({
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

/** A run to which a test tells what it reads; positions grow by 10. */
class Reading {
  readonly tracker = new SnapshotTracker<string>(SLOT);
  #lsn = 0n;

  begin(...tables: string[]): void {
    this.message(encodeSnapshotMessage(SLOT, { kind: 'begin', id: 'a', begunAt: 1, tables, anew: false }));
  }

  stop(...tables: string[]): void {
    this.message(encodeSnapshotMessage(SLOT, { kind: 'stop', tables }));
  }

  message(content: string): readonly string[] | undefined {
    this.#lsn += 10n;
    return [...(this.tracker.message(content, this.#lsn)?.rows.values() ?? [])];
  }

  /** Holds a chunk whose snapshot sees nothing. @returns its message */
  hold(rows: readonly string[], changes: Partial<Chunk<string>> = {}): string {
    const request = this.tracker.next();
    const chunk: Chunk<string> = {
      table: request?.table ?? '',
      key: 'id',
      rows: new Map(rows.map((row) => [row, `row ${row}`])),
      last: rows.length === 0 ? undefined : [rows.at(-1) ?? ''],
      atEnd: false,
      asked: request?.asked,
      sees: () => false,
      ...changes,
    };
    return this.tracker.hold(chunk, `mark ${this.#lsn}`);
  }

  /** A row is moved without a value that did not change. */
  move(from: string, to: string, table = TABLE): string | undefined {
    const keys = { key: [to], oldKey: [from] };
    return this.tracker.changed({ operation: 'UPDATE', table, xid: 9, ...keys, incomplete: true, published: true });
  }

  change(operation: 'INSERT' | 'UPDATE' | 'DELETE', key: string, published = true): string | undefined {
    const keys = { key: [key], oldKey: undefined };
    return this.tracker.changed({ operation, table: TABLE, xid: 9, ...keys, incomplete: false, published });
  }

  get pending(): readonly string[] | undefined {
    return this.tracker.progress?.pending;
  }

  get barrier(): bigint | undefined {
    return this.tracker.progress?.barrier;
  }

  get doneRows(): number | undefined {
    return this.tracker.progress?.doneRows;
  }

  get again(): readonly string[] {
    return (this.tracker.progress?.current?.again ?? []).map(([key]) => key ?? '');
  }
}

describe('one run', () => {
  it('stands before the request, then before the newest message that says everything, once all is acknowledged', () => {
    const run = new Reading();
    run.tracker.committed(5n, false);
    run.begin(TABLE);
    assert.equal(run.tracker.bound, 0n);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, 5n);
    const mark = run.hold(['1', '2']);
    run.tracker.committed(17n, false);
    assert.deepEqual(run.message(mark), ['row 1', 'row 2']);
    assert.equal(run.tracker.bound, 5n);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, 17n);
    run.message(run.hold([], { atEnd: true }));
    assert.equal(run.tracker.progress, undefined);
    assert.equal(run.tracker.bound, 17n);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, undefined);
  });

  it('reads a row once more that came to a key without its values while that key was read', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1', '5']));
    run.move('7', '3');
    assert.deepEqual(run.again, ['3']);
    run.message(run.hold([], { atEnd: true }));
    assert.deepEqual(run.tracker.next()?.asked, [['3']]);
    const mark = run.hold(['3']);
    run.change('DELETE', '3');
    run.move('8', '3');
    run.message(mark);
    assert.deepEqual(run.again, ['3']);
    run.message(run.hold(['3']));
    assert.equal(run.tracker.progress, undefined);
  });

  it('does not stand before a message that what came meanwhile is not in', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['5']));
    run.tracker.acknowledged();
    const { bound } = run.tracker;
    const state = run.tracker.save('alone');
    run.move('7', '3');
    run.message(state);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, bound);
    assert.ok(run.tracker.hasUnsavedState);
    run.message(run.tracker.save('again'));
    run.tracker.acknowledged();
    assert.ok((run.tracker.bound ?? 0n) > (bound ?? 0n));
  });

  it('gives the values that a change lacks from the row that it was made from, once', () => {
    const run = new Reading();
    run.begin(TABLE);
    const mark = run.hold(['1']);
    assert.equal(run.move('1', '2'), 'row 1');
    assert.equal(run.move('2', '3'), undefined);
    assert.deepEqual(run.message(mark), []);
    assert.deepEqual(run.again, ['3']);
  });

  it('reads a row once more whose change is not published', () => {
    const run = new Reading();
    run.begin(TABLE);
    const mark = run.hold(['1', '2']);
    run.change('UPDATE', '1', false);
    run.change('DELETE', '2', false);
    assert.deepEqual(run.message(mark), []);
    assert.deepEqual(run.again, ['1']);
  });

  it('reads a chunk again after a change that may be of any row', () => {
    const run = new Reading();
    run.begin(TABLE);
    const mark = run.hold(['1']);
    run.tracker.changedUnknown(TABLE, 9);
    assert.equal(run.tracker.next(), undefined);
    assert.deepEqual(run.message(mark), []);
    const { cursor } = run.tracker.next() ?? assert.fail();
    assert.equal(cursor, undefined);
  });

  it('begins a table anew where there is too much to be read again', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1']));
    for (let key = 0; key <= 10_000; key++) run.move('x', `k${key}`);
    assert.deepEqual(run.again, []);
    const { cursor } = run.tracker.next() ?? assert.fail();
    assert.equal(cursor, undefined);
  });

  it('lists none while all of the table is still to be read, and again once no more of it is', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1']));
    for (let key = 0; key <= 10_010; key++) run.move('x', `k${key}`);
    assert.deepEqual(run.again, []);
    const mark = run.hold([], { atEnd: true, last: undefined });
    run.move('y', 'z');
    run.message(mark);
    assert.deepEqual(run.again, ['z']);
    run.move('y', 'a');
    assert.deepEqual(run.again, ['z', 'a']);
  });

  it('looks at each key that is to be read again a few times, however many there are', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1']));
    let looks = 0;
    for (let n = 0; n < 2_000; n++) {
      const key = new Proxy(['k', `${n}`], {
        get(parts, name) {
          if (name === 'length') looks++;
          return Reflect.get(parts, name) as unknown;
        },
      });
      const keys = { key, oldKey: ['k', 'x'] };
      run.tracker.changed({ operation: 'UPDATE', table: TABLE, xid: 9, ...keys, incomplete: true, published: true });
    }
    assert.equal(run.again.length, 2_000);
    assert.ok(looks < 20 * 2_000, `${looks} looks`);
  });

  it('ends when it is stopped, and publishes nothing of what it holds', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.tracker.acknowledged();
    const mark = run.hold(['1']);
    run.stop(TABLE);
    assert.equal(run.tracker.progress, undefined);
    run.tracker.acknowledged();
    // Its message is not read yet: a slot that stood before it would begin all over.
    assert.notEqual(run.tracker.bound, undefined);
    assert.deepEqual(run.message(mark), []);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, undefined);
  });

  it('takes more tables, and goes on with those that are left when one is stopped or given up', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.tracker.setBarrier(5n);
    run.message(run.hold(['1']));
    run.begin('public.a', TABLE);
    run.begin('public.b');
    assert.equal(run.barrier, undefined);
    assert.deepEqual(run.pending, ['public.a', 'public.b']);
    run.stop('public.a');
    run.tracker.giveUp(TABLE);
    assert.equal(run.tracker.next()?.table, 'public.b');
    assert.equal(run.doneRows, 1);
  });

  it('takes no message of state for true that it has not come from', () => {
    const leftover = encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'm', progress: stateOf('public.b') });
    const run = new Reading();
    run.tracker.committed(5n, false);
    run.message(leftover);
    assert.equal(run.tracker.progress, undefined);
    const other = new Reading();
    other.tracker.committed(5n, true);
    other.message(leftover);
    assert.deepEqual(other.pending, ['public.b']);
    other.message(encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'n', progress: stateOf('public.c') }));
    assert.deepEqual(other.pending, ['public.b']);
  });

  it('takes the first message of state behind a change where other publications have shown nothing in front of it', () => {
    const leftover = (publications: readonly string[] | undefined, table: string): string =>
      encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'm', publications, progress: stateOf(table) });
    for (const [written, read, isTaken] of [
      [['one'], ['one', 'two'], true],
      [['one'], [], true],
      [['one', 'two'], ['two', 'one'], false],
      [undefined, ['one'], false],
    ] as const) {
      const tracker = new SnapshotTracker<string>(SLOT, read);
      tracker.committed(5n, false);
      tracker.message(leftover(written, 'public.b'), 15n);
      tracker.message(leftover(written, 'public.c'), 25n);
      assert.deepEqual(tracker.progress?.pending, isTaken ? ['public.b'] : undefined);
      tracker.acknowledged();
      assert.equal(tracker.bound, isTaken ? 5n : undefined);
    }
    const own = new SnapshotTracker<string>(SLOT, ['one']);
    own.message(encodeSnapshotMessage(SLOT, { kind: 'begin', id: 'a', begunAt: 1, tables: [TABLE], anew: false }), 5n);
    const saved = decodeSnapshotMessage(SLOT, own.save('m'));
    assert.deepEqual(saved?.kind === 'state' && saved.publications, ['one']);
  });

  it('hands what is left over to a request further on, where it cannot get as far as its own message', () => {
    const run = new Reading();
    run.begin(TABLE, 'public.b');
    run.message(run.hold(['1']));
    const request = run.tracker.restartRequest();
    run.tracker.release();
    assert.equal(run.tracker.bound, undefined);
    run.message(request);
    assert.deepEqual(run.pending, [TABLE, 'public.b']);
  });
});

function stateOf(...pending: string[]) {
  return { id: 'b', begunAt: 1, barrier: undefined, current: undefined, pending, doneTables: 0, doneRows: 0 };
}

describe('a message of a snapshot', () => {
  it('is read as it was written', () => {
    const progress = {
      id: 'a',
      begunAt: 5,
      barrier: 2n ** 40n,
      current: { name: TABLE, key: 'k', cursor: ['1', 'ü"'], atEnd: false, again: [['2', '3']], rows: 7 },
      pending: ['public."Order items"'],
      doneTables: 1,
      doneRows: 9,
    };
    for (const message of [
      { kind: 'state', mark: 'm', progress },
      { kind: 'state', mark: 'm', publications: ['"One"', 'two'], progress },
      { kind: 'state', mark: 'm', progress: { ...progress, barrier: undefined, current: undefined } },
      { kind: 'begin', id: 'a', begunAt: 1, tables: [TABLE], anew: true },
      { kind: 'stop', tables: undefined },
      { kind: 'stop', tables: [TABLE] },
    ] as const)
      assert.deepEqual(decodeSnapshotMessage(SLOT, encodeSnapshotMessage(SLOT, message)), message);
  });

  it('is none of ours where it is for another slot, or anything else', () => {
    const stop = encodeSnapshotMessage('other', { kind: 'stop', tables: undefined });
    for (const content of [
      stop,
      '',
      '{',
      'null',
      '[]',
      '{"kind":"stop"}',
      '{"slot":"test","kind":"begin","tables":"t"}',
    ])
      assert.equal(decodeSnapshotMessage(SLOT, content), undefined, content);
  });
});
