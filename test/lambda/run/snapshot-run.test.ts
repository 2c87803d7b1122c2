/** A run's work on a snapshot, step by step: what it asks of the tables, what it writes behind that, and what it answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import type { ReadChunk, SnapshotSource } from '../../../lambda/ports/snapshot-source.ts';
import { SnapshotRun, type SnapshotRunParts } from '../../../lambda/run/snapshot-run.ts';
import type { ChunkRequest } from '../../../lambda/snapshot/chunk.ts';
import { keyText } from '../../../lambda/snapshot/chunk.ts';
import { begin } from '../../../lambda/snapshot/progress.ts';
import type { HeldRow } from '../../../lambda/snapshot/row-set.ts';
import {
  decodeSnapshotMessage,
  encodeSnapshotMessage,
  SNAPSHOT_MESSAGE_PREFIX,
  type SnapshotMessage,
} from '../../../lambda/snapshot/snapshot-message.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

const SLOT = 'fake';
const KIB = 1024;
const WRITTEN = { xid: 777, micros: 1_767_323_045_678_901n };

/** Tables in memory: each reading is answered by the test, and each message goes into the WAL. */
class FakeTables implements SnapshotSource {
  readonly requests: ChunkRequest[] = [];
  readonly sizes: number[] = [];
  readonly timeouts: number[] = [];
  readonly wal: string[] = [];
  answer: (request: ChunkRequest) => ReadChunk = () => ({ kind: 'refused', why: 'no answer' });
  xid = 900n;

  nextXid(): Promise<bigint> {
    return Promise.resolve(this.xid);
  }

  write(content: string): Promise<typeof WRITTEN> {
    this.wal.push(content);
    return Promise.resolve(WRITTEN);
  }

  read(request: ChunkRequest, mostBytes: number, firstRowMs: number): Promise<ReadChunk> {
    this.requests.push(request);
    this.sizes.push(mostBytes);
    this.timeouts.push(firstRowMs);
    return Promise.resolve(this.answer(request));
  }
}

/** A chunk with rows of these keys. */
function chunk(table: string, keys: readonly string[], atEnd: boolean, asked?: ChunkRequest['asked']): ReadChunk {
  const rows = new Map(keys.map((key, index) => [keyText([key]), { rows: undefined, index } as unknown as HeldRow]));
  const last = asked === undefined && keys.length > 0 ? [keys.at(-1) ?? ''] : undefined;
  return { kind: 'chunk', chunk: { table, key: 'id', rows, last, atEnd, asked, sees: () => false }, bytes: 100 };
}

/** A run that has read a request for a snapshot of these tables. */
function requested(tables: readonly string[] = ['public.t'], changes: Partial<SnapshotRunParts> = {}) {
  const source = new FakeTables();
  const clock = new TestClock();
  const log = new Recorder();
  const memory: { chunkBytes: number | undefined } = { chunkBytes: undefined };
  const waits: number[] = [];
  const run = new SnapshotRun({
    source,
    clock,
    log,
    slotName: SLOT,
    warmState: memory,
    budgetMs: () => 60_000,
    hasTime: () => true,
    isPatient: false,
    onWaiting: () => void waits.push(clock.now()),
    ...changes,
  });
  let lsn = 100n;
  run.begin(lsn);
  /** Reads a message from the slot. */
  const read = (content: string, prefix = SNAPSHOT_MESSAGE_PREFIX) => {
    const bytes = Buffer.from(`<${content}>`);
    const [start, end] = [1, bytes.length - 1];
    return run.message(
      { kind: 'message', transactional: false, prefix, bytes, start, end, size: end - start },
      (lsn += 10n),
    );
  };
  const tell = (message: SnapshotMessage) => read(encodeSnapshotMessage(SLOT, message));
  if (tables.length > 0) tell({ kind: 'begin', id: 's1', begunAt: 5, tables, anew: false });
  /** Reads the message that was written last. */
  const readOn = () => {
    const published = read(source.wal.at(-1) ?? '');
    run.acknowledged();
    return published;
  };
  /** What the message that was written last says. */
  const written = () => decodeSnapshotMessage(SLOT, source.wal.at(-1) ?? '');
  return { run, source, clock, log, memory, waits, read, tell, readOn, written, lsn: () => lsn };
}

const own = (message: SnapshotMessage): string => encodeSnapshotMessage(SLOT, message);

describe('a run where no snapshot was asked for', () => {
  it('asks the server for nothing, holds no slot and says nothing', async () => {
    const { run, source, read } = requested([]);
    assert.equal(await run.step(), false);
    await run.restartLater();
    assert.deepEqual([source.requests, source.wal], [[], []]);
    assert.deepEqual([run.isDue(), run.holdsSlot, run.answer()], [false, false, undefined]);
    assert.equal(read(own({ kind: 'stop', tables: undefined })), undefined);
    assert.equal(read('{"of":"somebody"}', 'else'), undefined);
    // Somebody else may write the same by another prefix.
    read(own({ kind: 'begin', id: 's1', begunAt: 5, tables: ['public.t'], anew: false }), 'else');
    assert.equal(run.holdsSlot, false);
  });
});

describe('a run that was asked for a snapshot', () => {
  it('reads a chunk, writes its message, and publishes its rows where it reads that message', async () => {
    const { run, source, readOn, written, lsn } = requested();
    assert.deepEqual([run.isDue(), run.holdsSlot], [true, true]);
    source.answer = ({ table }) => chunk(table, ['1', '2'], false);
    assert.equal(await run.step(), true);
    const request = { table: 'public.t', key: undefined, cursor: undefined, asked: undefined, barrier: 900n };
    assert.deepEqual(source.requests, [request]);
    assert.deepEqual([source.sizes, source.timeouts], [[1024 * KIB], [30_000]]);
    const message = written();
    assert.ok(message?.kind === 'state');
    assert.deepEqual(message.progress.current?.cursor, ['2']);
    const published = readOn();
    assert.deepEqual([...(published?.chunk.rows.keys() ?? [])], ['1', '2']);
    assert.deepEqual(published?.place, { xid: 777, commitLsn: lsn(), commitTimeMicros: WRITTEN.micros });
  });

  it('reads nothing more until its message was read', async () => {
    const { run, source, readOn } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    assert.equal(await run.step(), true);
    assert.equal(source.requests.length, 1);
    readOn();
    await run.step();
    assert.deepEqual(source.requests[1]?.cursor, ['1']);
    assert.equal(source.requests[1].key, 'id');
    assert.equal(source.requests[1].barrier, 900n, 'the barrier stays');
  });

  it('names each message otherwise', async () => {
    const { run, source, readOn } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    const marks = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await run.step();
      const message = decodeSnapshotMessage(SLOT, source.wal[i] ?? '');
      assert.ok(message?.kind === 'state');
      assert.match(message.mark, /^[0-9a-z]+-[0-9a-z]+-[0-9]+$/);
      marks.add(message.mark);
      readOn();
    }
    assert.equal(marks.size, 3);
  });

  it('names no message as another run does that began at the same moment', async () => {
    const names = new Set<string>();
    for (const random of [0.25, 0.5]) {
      const { run, source, clock, written } = requested();
      clock.random = () => random;
      source.answer = ({ table }) => chunk(table, ['1'], false);
      await run.step();
      const message = written();
      assert.ok(message?.kind === 'state');
      names.add(message.mark);
    }
    assert.equal(names.size, 2);
  });

  it('says how far it is, and that it is done', async () => {
    const { run, source, readOn } = requested(['public.a', 'public.b']);
    assert.deepEqual(run.answer(), { id: 's1', done: false, tablesLeft: 2, rowsRead: 0, rowsPublished: 0 });
    source.answer = ({ table, cursor }) =>
      chunk(table, cursor === undefined ? ['1', '2'] : ['3'], cursor !== undefined);
    await run.step();
    for (const outcome of ['published', 'published', 'leftOut'] as const) run.rowTaken(outcome);
    assert.equal(run.answer()?.rowsPublished, 0, 'they are not acknowledged');
    readOn();
    const half = {
      id: 's1',
      done: false,
      table: 'public.a',
      tablesLeft: 2,
      rowsRead: 2,
      rowsPublished: 2,
      rowsLeftOut: 1,
    };
    assert.deepEqual(run.answer(), half);
    for (let i = 0; i < 3; i++) {
      await run.step();
      readOn();
    }
    assert.deepEqual(run.answer(), {
      id: 's1',
      done: true,
      tablesLeft: 0,
      rowsRead: 6,
      rowsPublished: 2,
      rowsLeftOut: 1,
    });
    assert.deepEqual([run.holdsSlot, run.isDue(), await run.step()], [false, false, false]);
  });

  it('holds the slot before its message until everything is acknowledged, and is not done before', async () => {
    const { run, source, read } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], true);
    await run.step();
    assert.equal(run.tracker.bound, 100n);
    read(source.wal.at(-1) ?? '');
    assert.deepEqual([run.holdsSlot, run.answer()?.done, run.answer()?.tablesLeft], [true, false, 1]);
    run.acknowledged();
    assert.deepEqual([run.holdsSlot, run.answer()?.done, run.answer()?.tablesLeft], [false, true, 0]);
  });
});

describe('the size of a chunk', () => {
  /** Reads and publishes chunks that take so long each. @returns what was asked for */
  async function sizes(...took: readonly number[]): Promise<readonly number[]> {
    const { run, source, clock, readOn } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    for (const ms of took) {
      await run.step();
      readOn();
      clock.time += ms;
    }
    await run.step();
    return source.sizes.map((bytes) => bytes / KIB);
  }

  it('doubles where it is quick to be published, up to 2 MiB', async () => {
    assert.deepEqual(await sizes(999, 999, 999), [1024, 2048, 2048, 2048]);
  });

  it('halves where it is slow, down to 64 KiB', async () => {
    assert.deepEqual(await sizes(4_001, 4_001, 4_001, 4_001, 9_000, 9_000), [1024, 512, 256, 128, 64, 64, 64]);
  });

  it('stays where it is neither', async () => {
    assert.deepEqual(await sizes(1_000, 4_000, 2_000), [1024, 1024, 1024, 1024]);
  });

  it('stays while there is no time for another', async () => {
    let budgetMs = 60_000;
    const { run, source, clock, readOn, memory } = requested(['public.t'], { budgetMs: () => budgetMs });
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    budgetMs = 0;
    for (const ms of [2_000, 60_000]) {
      clock.time += ms;
      assert.deepEqual([await run.step(), memory.chunkBytes], [false, 1024 * KIB]);
    }
  });

  it('is remembered by the container', async () => {
    const memory = { chunkBytes: 100 * KIB };
    const { run, source } = requested(['public.t'], { warmState: memory });
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    assert.deepEqual(source.sizes, [100 * KIB]);
    assert.equal(await run.step(), true);
    assert.equal(memory.chunkBytes, 200 * KIB);
  });

  it('is a quarter after a chunk that was not published whole, and the slot stays', async () => {
    const { run, source, memory } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    run.abandon('public.t');
    assert.equal(memory.chunkBytes, 256 * KIB);
    memory.chunkBytes = 100 * KIB;
    run.abandon('public.t');
    assert.equal(memory.chunkBytes, 64 * KIB);
    assert.equal(run.tracker.bound, 100n);
    assert.equal(await run.step(), true);
    assert.equal(source.requests.length, 1, 'it reads nothing more');
    assert.equal(memory.chunkBytes, 64 * KIB, 'and what it took counts for nothing');
  });
});

describe('the tables that marks name', () => {
  it('include one whose last chunk was not published whole, though it was read to its end', async () => {
    const { run, source, readOn } = requested(['public.t']);
    source.answer = ({ table }) => chunk(table, ['1'], true);
    await run.step();
    readOn();
    assert.deepEqual(run.tables, [], 'the state says that nothing is left');
    run.abandon('public.t');
    assert.deepEqual(run.tables, ['public.t']);
    assert.equal(run.answer()?.done, false);
  });

  it('name it once where more of it is to be read', async () => {
    const { run, source, readOn } = requested(['public.t', 'public.u']);
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    run.abandon('public.t');
    assert.deepEqual(run.tables, ['public.t', 'public.u']);
  });
});

describe('the state without a chunk', () => {
  it('is written where there is no time for one and something was published, at most every ten seconds', async () => {
    let isHeldBack = true;
    const parts = { budgetMs: () => 0, isHeldBack: () => isHeldBack };
    const { run, source, clock, readOn, written } = requested(['public.t'], parts);
    assert.equal(await run.step(), true);
    const message = written();
    assert.ok(message?.kind === 'state');
    assert.equal(message.progress.barrier, 900n, 'what the next run waits for is settled');
    readOn();
    for (const [ms, messages] of [
      [9_000, 1],
      [1_000, 2],
      [9_999, 2],
    ] as const) {
      clock.time += ms;
      if (await run.step()) readOn();
      assert.equal(source.wal.length, messages, `after ${ms} ms`);
    }
    isHeldBack = false;
    clock.time += 60_000;
    assert.equal(await run.step(), false);
    assert.equal(source.requests.length, 0);
  });

  it('is not written again before the last one was read, nor where there is no time at all', async () => {
    let hasTime = true;
    const parts = { budgetMs: () => 0, hasTime: () => hasTime, isHeldBack: () => true };
    const { run, source, clock, readOn } = requested(['public.t'], parts);
    await run.step();
    clock.time += 60_000;
    assert.deepEqual([await run.step(), source.wal.length], [false, 1]);
    readOn();
    hasTime = false;
    assert.deepEqual([await run.step(), source.wal.length], [false, 1]);
    hasTime = true;
    assert.deepEqual([await run.step(), source.wal.length], [true, 2]);
  });

  it('is written now and then while rows are waited for, as changes go on', async () => {
    const { run, source, clock, readOn } = requested(['public.t'], { isHeldBack: () => true });
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    for (let second = 0; second < 25; second++) {
      clock.time += 1_000;
      if (await run.step()) readOn();
    }
    assert.equal(source.wal.length, 3);
  });
});

describe('I7: the time of a run', () => {
  it('is asked for before each chunk: for twice what the last one took', async () => {
    const asked: number[] = [];
    const { run, source, clock, readOn } = requested(['public.t'], { hasTime: (ms) => asked.push(ms) < 3 });
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    clock.time += 2_500;
    await run.step();
    readOn();
    clock.time += 10;
    assert.equal(await run.step(), false);
    assert.deepEqual(asked, [600, 5_000, 20]);
    assert.equal(source.requests.length, 2);
  });

  it('is shared with the changes: it takes no more than its budget', async () => {
    const { run, source, clock, readOn } = requested(['public.t'], { budgetMs: () => 1_000 });
    source.answer = ({ table }) => {
      clock.time += 400;
      return chunk(table, ['1'], false);
    };
    await run.step();
    readOn();
    run.addWorkMs(599);
    assert.equal(run.isDue(), true);
    await run.step();
    readOn();
    assert.equal(source.requests.length, 2);
    assert.deepEqual([run.isDue(), await run.step()], [false, false]);
    assert.equal(source.requests.length, 2);
  });

  it('counts what it takes to write down what is left, too', async () => {
    const { run, source, clock, readOn } = requested(['public.t'], { budgetMs: () => 1_000 });
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    const change = { operation: 'UPDATE', table: 'public.t', xid: 950, incomplete: true, published: true } as const;
    run.tracker.changes.changed({ ...change, key: ['2'], oldKey: ['old'] });
    const write = source.write.bind(source);
    source.write = (content) => {
      clock.time += 1_000;
      return write(content);
    };
    assert.equal(await run.step(), true);
    readOn();
    assert.equal(run.isDue(), false);
  });
});

describe('a run whose snapshot has to wait', () => {
  const cases: readonly (readonly [answer: ReadChunk, why: string])[] = [
    [{ kind: 'waiting', what: 'transaction 850, which began before it' }, 'transaction 850, which began before it'],
    [{ kind: 'waiting', what: 'a lock on public.t' }, 'a lock on public.t'],
  ];
  for (const [answer, why] of cases) {
    it(`writes once what it waits for into the WAL, then lets the next run look again: ${answer.kind}`, async () => {
      const { run, source, clock, waits, readOn, written } = requested();
      source.answer = () => answer;
      assert.equal(await run.step(), true);
      const message = written();
      assert.ok(message?.kind === 'state');
      assert.equal(message.progress.barrier, 900n);
      assert.equal(waits.length, 0);
      readOn();
      source.xid = 2_000n;
      assert.equal(await run.step(), false);
      assert.deepEqual([source.wal.length, waits.length, source.requests[1]?.barrier], [1, 1, 900n]);
      assert.equal(run.answer()?.waitsFor, why);
      assert.deepEqual(clock.slept, []);
      assert.equal(run.isDue(), false);
      clock.time += 999;
      assert.equal(run.isDue(), false);
      clock.time += 1;
      assert.equal(run.isDue(), true);
    });
  }

  it('pauses half a second where it is patient, and is woken by the stop signal', async () => {
    const stop = new AbortController();
    const { run, source, clock, waits, readOn } = requested(['public.t'], { isPatient: true, stop: stop.signal });
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    await run.step();
    readOn();
    assert.equal(await run.step(), true);
    assert.deepEqual([clock.slept, waits.length], [[500], 1]);
    stop.abort();
    assert.equal(await run.step(), true);
    assert.deepEqual(clock.slept, [500]);
  });

  it('goes on where that has ended, and says no more that it waits', async () => {
    const { run, source, readOn } = requested();
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    await run.step();
    readOn();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    assert.equal(run.answer()?.waitsFor, undefined);
    assert.ok(readOn() !== undefined);
  });

  it('writes that down of the next snapshot, too, in the same run', async () => {
    const { run, source, tell, readOn, written } = requested();
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    await run.step();
    readOn();
    source.answer = ({ table }) => chunk(table, ['1'], true);
    await run.step();
    readOn();
    assert.equal(run.answer()?.done, true);
    tell({ kind: 'begin', id: 's2', begunAt: 6, tables: ['public.t'], anew: false });
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    source.xid = 2_000n;
    assert.equal(await run.step(), true);
    const message = written();
    assert.ok(message?.kind === 'state');
    assert.deepEqual([message.progress.id, message.progress.barrier, source.wal.length], ['s2', 2_000n, 3]);
  });

  it('writes it down once, too, where an earlier run has: the slot follows the WAL of others up to there', async () => {
    const { run, source, tell, readOn, written } = requested([]);
    const begun = begin({ id: 's1', begunAt: 5, tables: ['public.t'] });
    tell({ kind: 'state', mark: 'of that run', progress: { ...begun, barrier: 850n } });
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    assert.equal(await run.step(), true);
    const message = written();
    assert.ok(message?.kind === 'state');
    assert.deepEqual([message.progress.barrier, source.wal.length], [850n, 1]);
    readOn();
    assert.deepEqual([await run.step(), source.wal.length], [false, 1]);
  });

  it('takes a barrier anew where tables are added, and writes that one down, too', async () => {
    const { run, source, tell, readOn, written } = requested();
    source.answer = () => ({ kind: 'waiting', what: 'a lock on public.t' });
    await run.step();
    readOn();
    tell({ kind: 'begin', id: 's1', begunAt: 5, tables: ['public.u'], anew: false });
    source.xid = 2_000n;
    await run.step();
    const message = written();
    assert.ok(message?.kind === 'state');
    assert.deepEqual([message.progress.barrier, source.wal.length], [2_000n, 2]);
  });
});

describe('a table that cannot be read', () => {
  it('is given up, by name, and the others are read', async () => {
    const { run, source, log, readOn } = requested(['public.a', 'public.b']);
    source.answer = ({ table }) =>
      table === 'public.a' ? { kind: 'refused', why: 'it is gone' } : chunk(table, ['1'], true);
    // That it is given up is written down first.
    assert.equal(await run.step(), true);
    assert.equal(readOn(), undefined);
    assert.equal(await run.step(), true);
    assert.deepEqual(
      source.requests.map(({ table }) => table),
      ['public.a', 'public.b'],
    );
    assert.deepEqual(run.answer()?.givenUp, [{ table: 'public.a', why: 'it is gone' }]);
    assert.deepEqual(log.lines, ['warn The snapshot reads public.a no further: it is gone.']);
  });

  it('lets the slot go where it was the only one', async () => {
    const { run, source } = requested();
    source.answer = () => ({ kind: 'refused', why: 'it is gone' });
    assert.equal(await run.step(), false);
    assert.deepEqual([source.wal, run.holdsSlot], [[], false]);
    assert.equal(run.answer()?.done, true);
  });

  it('is one with a row that no record can have: the code is in the answer, the reason in the log', () => {
    const { run, log } = requested();
    run.refuseRow('public.t', new PipelineError('RECORD_TOO_LARGE', 'A row is too large.'));
    const why = 'a row cannot be published: RECORD_TOO_LARGE';
    assert.deepEqual(run.answer()?.givenUp, [{ table: 'public.t', why }]);
    assert.equal(log.lines[0], `warn The snapshot reads public.t no further: ${why}.`);
    assert.match(
      log.lines[1] ?? '',
      /^warn The snapshot reads public\.t no further: RECORD_TOO_LARGE: A row is too large/,
    );
  });
});

describe('rows that get another key while their table is read', () => {
  /** Tells of an UPDATE that gives a row that the chunk lacks another key, without all of its values. */
  const move = (run: SnapshotRun, to: string, table = 'public.t'): void => {
    const change = { operation: 'UPDATE', table, xid: 950, incomplete: true, published: true } as const;
    run.tracker.changes.changed({ ...change, key: [to], oldKey: ['old'] });
  };

  it('are written down before the next chunk, so that the slot may follow, five times at most', async () => {
    const { run, source, readOn, written } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    for (let i = 0; i < 5; i++) {
      move(run, `k${i}`);
      assert.equal(await run.step(), true);
      const message = written();
      assert.ok(message?.kind === 'state');
      assert.equal(message.progress.current?.again.length, i + 1);
      assert.equal(source.requests.length, 1, 'no chunk is read');
      // Another row is moved before that message is read.
      if (i < 4) move(run, `k${i + 1}`);
      readOn();
    }
    move(run, 'k9');
    await run.step();
    assert.equal(source.requests.length, 2, 'then a chunk is read all the same');
    readOn();
    move(run, 'k10');
    await run.step();
    assert.equal(source.requests.length, 3, 'and another, as the table moves on and on');
    readOn();
    await run.step();
    readOn();
    move(run, 'k11');
    await run.step();
    assert.equal(source.requests.length, 4, 'after a quiet one they are written down again');
  });

  it('make their table begin anew where no message could hold them', async () => {
    const { run, source, readOn } = requested();
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    await run.step();
    // Each takes six bytes a character in a message.
    for (let i = 0; i < 300; i++) move(run, `${i}-${'ü'.repeat(200)}`);
    for (let i = 0; i < 3; i++) {
      readOn();
      await run.step();
    }
    assert.ok(source.wal.every((content) => content.length < 512 * KIB));
    assert.ok(source.requests.slice(2).some(({ cursor }) => cursor === undefined));
    assert.equal(run.answer()?.givenUp, undefined);
  });

  it('end the snapshot of their table where one key is too large for a message', async () => {
    const { run, source, log } = requested();
    source.answer = ({ table }) => chunk(table, ['x'.repeat(600 * KIB)], false);
    await run.step();
    const why = 'its keys are too large to be named in a message';
    assert.deepEqual(run.answer()?.givenUp, [{ table: 'public.t', why }]);
    assert.ok(log.lines.includes(`warn The snapshot reads public.t no further: ${why}.`));
    assert.equal(run.answer()?.done, true);
  });

  it('and the next table is read: no message is waited for that was not written', async () => {
    const { run, source, readOn } = requested(['public.t', 'public.u']);
    source.answer = ({ table }) =>
      table === 'public.t' ? chunk(table, ['x'.repeat(600 * KIB)], false) : chunk(table, ['1'], true);
    for (let i = 0; i < 2; i++) {
      await run.step();
      readOn();
    }
    assert.deepEqual([run.answer()?.givenUp?.length, run.answer()?.done], [1, true]);
  });
});

describe('a snapshot that has to restart further on', () => {
  it('is asked for anew further on, the table under way first, and holds the slot no more', async () => {
    const warned: unknown[] = [];
    const log = new Recorder();
    const { run, source, read, readOn, written } = requested(['public.a', 'public.b'], {
      log: Object.assign(log, { warn: (message: string, fields?: object) => void warned.push([message, fields]) }),
    });
    source.answer = ({ table }) => chunk(table, ['1'], false);
    await run.step();
    readOn();
    assert.equal(run.wasRequestedAnew, false);
    await run.restartLater();
    assert.equal(run.wasRequestedAnew, true);
    assert.deepEqual(written(), {
      kind: 'begin',
      id: 's1',
      begunAt: 5,
      tables: ['public.a', 'public.b'],
      anew: true,
    });
    assert.equal(run.holdsSlot, false);
    // Marks go on naming them until the message is read, and the answer says that they are left.
    read('{"of":"somebody"}', 'else');
    assert.deepEqual(run.tables, ['public.a', 'public.b']);
    assert.deepEqual(run.answer(), { id: 's1', done: false, tablesLeft: 2, rowsRead: 0, rowsPublished: 0 });
    readOn();
    assert.deepEqual([run.holdsSlot, run.answer()?.tablesLeft], [true, 2]);
    assert.match(JSON.stringify(warned), /more than one run can publish.*"table":"public\.a"/);
    source.answer = ({ table }) => chunk(table, ['1'], true);
    for (let i = 0; i < 2; i++) {
      await run.step();
      readOn();
    }
    assert.deepEqual([run.answer()?.done, run.tables], [true, []]);
  });
});
