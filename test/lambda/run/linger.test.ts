/** A run that stays: when it reads, what it costs the server, when it goes, and what it tells meanwhile. Over fakes and a clock that sleeping moves. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ValueKind } from '../../../lambda/decode/messages.ts';
import type { SnapshotSource } from '../../../lambda/ports/snapshot-source.ts';
import { run } from '../../../lambda/run/run.ts';
import { addRunMetrics, CountReporter } from '../../../lambda/run/run-metrics.ts';
import { type Chunk, keyText } from '../../../lambda/snapshot/chunk.ts';
import { CopyTextReader } from '../../../lambda/snapshot/copy-text-reader.ts';
import { type HeldRow, RowSet } from '../../../lambda/snapshot/row-set.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type RunKit, runKit } from '../../support/run-kit.ts';

const insert = (id: number, table = 'public.t'): string => `table ${table}: INSERT: id[integer]:${id}`;
const LINGER = { lingerDutyPercent: 10, maxRows: 1_000_000 };

interface Environment {
  readonly slot: FakeSlot;
  readonly kit: RunKit;
  /** Somebody waits for the lock. */
  awaited: boolean;
  /** Milliseconds since the run began. */
  readonly elapsed: () => number;
}

/** A run that lingers. @param onSleep - called each time that it sleeps */
function environment(onSleep: (environment: Environment) => void = () => undefined): Environment {
  const slot = new FakeSlot();
  const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
  const begun = kit.clock.time;
  const result: Environment = { slot, kit, awaited: false, elapsed: () => kit.clock.time - begun };
  (kit.ports.session as { isLockAwaited: () => boolean }).isLockAwaited = () => result.awaited;
  const sleep = kit.clock.sleep.bind(kit.clock);
  kit.clock.sleep = async (ms, signal) => {
    await sleep(Math.max(1, ms), signal);
    onSleep(result);
  };
  return result;
}

/** The values of one metric, in order. */
const values = (kit: RunKit, name: string): number[] =>
  kit.recorder.values.filter(([metric]) => metric === name).map(([, value]) => value);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** A chunk of one row. */
function chunkOf(table: string, id: number, atEnd: boolean): Chunk<HeldRow> {
  const reader = new CopyTextReader(1, 1024);
  reader.push(Buffer.from(`${id}\n`));
  const header = { id: 60_000, printed: 'id', name: 'id', type: 'integer' };
  const rows = new RowSet(
    { printed: table, schema: 'public', name: 't' },
    [{ header, kind: ValueKind.quoted }],
    ['id'],
    reader.values(),
  );
  const key = [String(id)];
  return {
    table,
    key: 'k',
    rows: new Map([[keyText(key), { rows, index: 0 }]]),
    last: key,
    atEnd,
    asked: undefined,
    sees: () => true,
  };
}

describe('a run that lingers', () => {
  it('publishes what comes until the function ends, each within half a second', async () => {
    let written = 0;
    let writtenAt = 0;
    const waits: number[] = [];
    const { kit } = environment(({ slot, kit: { clock, publisher }, elapsed }) => {
      if (publisher.acknowledged.length < written) return;
      if (writtenAt > 0) waits.push(clock.time - writtenAt);
      writtenAt = 0;
      if (elapsed() < written * 1_000 || elapsed() > 800_000) return;
      slot.commit(insert(written++));
      writtenAt = clock.time;
    });
    const answer = await run(kit.ports, kit.options({ ...LINGER, deadline: kit.clock.time + 900_000 }));
    assert.equal(answer.stopped, 'caught-up');
    assert.equal(answer.published, written);
    assert.ok(written > 700, `${written} were written`);
    // One look each 400 ms at most, and the round.
    assert.ok(Math.max(...waits) <= 500, `one waited ${Math.max(...waits)} ms`);
  });

  it('I7: ends in time for the function to answer', async () => {
    const { kit, elapsed } = environment();
    const answer = await run(kit.ports, kit.options({ ...LINGER, deadline: kit.clock.time + 100_000 }));
    assert.equal(answer.stopped, 'caught-up');
    assert.ok(elapsed() > 95_000 && elapsed() < 98_500, `after ${elapsed()} ms`);
  });

  it('I6: goes as soon as somebody waits for the slot, with everything acknowledged and advanced', async () => {
    const test = environment((it) => {
      if (it.elapsed() > 5_000 && !it.awaited) {
        it.slot.commit(insert(2));
        it.awaited = true;
      }
    });
    test.slot.commit(insert(1));
    const answer = await run(test.kit.ports, test.kit.options(LINGER));
    assert.equal(answer.stopped, 'handed-over');
    assert.ok(test.elapsed() < 6_000);
    // The last one is the successor's.
    assert.equal(test.slot.unconsumed().length, 1);
    assert.equal(test.kit.publisher.acknowledged.length, 1);
  });

  it('I6: goes as soon as somebody waits, also where nothing is written', async () => {
    const test = environment((it) => (it.awaited ||= it.elapsed() > 5_000));
    const answer = await run(test.kit.ports, test.kit.options(LINGER));
    assert.deepEqual([answer.stopped, answer.batches], ['handed-over', 0]);
    assert.ok(test.elapsed() < 6_000, `after ${test.elapsed()} ms`);
  });

  it('I3: goes in the middle of a backlog, too, between two transactions', async () => {
    const test = environment();
    for (let id = 0; id < 50; id++) test.slot.commit(insert(id), insert(id + 1_000));
    test.slot.onBlock = () => (test.awaited ||= test.slot.advances.length > 0 || test.kit.clock.time > 0);
    const blocks = { ...LINGER };
    const answer = await run(test.kit.ports, test.kit.options(blocks));
    assert.equal(answer.stopped, 'handed-over');
    assert.ok(answer.transactions < 50);
    assert.equal(test.kit.publisher.acknowledged.length, answer.records);
    assert.equal(answer.records % 2, 0, 'no transaction was cut');
    assert.equal(answer.resume, undefined);
  });

  it('is woken from each pause when it is asked to stop', async () => {
    const { kit } = environment();
    const stop = new AbortController();
    const signals = new Set<AbortSignal | undefined>();
    const sleep = kit.clock.sleep.bind(kit.clock);
    kit.clock.sleep = async (ms, signal) => {
      signals.add(signal);
      await sleep(ms, signal);
      if (kit.clock.slept.length === 20) stop.abort();
    };
    const { stopped } = await run({ ...kit.ports, stop: stop.signal }, kit.options(LINGER));
    assert.deepEqual([stopped, kit.clock.slept.length, [...signals]], ['caught-up', 20, [stop.signal]]);
  });

  it('publishes something before it goes, however many wait', async () => {
    const test = environment();
    for (let id = 0; id < 5; id++) test.slot.commit(insert(id));
    test.awaited = true;
    const answer = await run(test.kit.ports, test.kit.options(LINGER));
    assert.equal(answer.stopped, 'handed-over');
    assert.ok(answer.published > 0);
  });

  it('I6: waits for the last request of a holder that was ended, from then on, though another had the lock since', async () => {
    const waited = async (agoMs: number | undefined) => {
      const test = environment((it) => (it.awaited = true));
      const tookOverAt = agoMs === undefined ? undefined : test.kit.clock.time - agoMs;
      Object.assign(test.kit.ports.session, { tookOver: true, tookOverAt });
      await run(test.kit.ports, test.kit.options({ ...LINGER, inFlightGraceMs: 12_000 }));
      return test.kit.clock.slept[0];
    };
    assert.equal(await waited(undefined), 12_000);
    assert.equal(await waited(9_000), 3_000);
    // As good as none.
    assert.equal(await waited(13_000), 1);
  });

  it('keeps the share of the server, and says once why it is slow', async () => {
    let peekMs = 0;
    let reads = 0;
    const test = environment(({ slot }) => slot.commit(insert(reads)));
    test.slot.onBlock = () => {
      if (test.slot.peeks.length === reads) return;
      reads = test.slot.peeks.length;
      test.kit.clock.time += 300;
      peekMs += 300;
    };
    test.slot.commit(insert(0));
    await run(test.kit.ports, test.kit.options({ ...LINGER, deadline: test.kit.clock.time + 300_000 }));
    assert.ok(reads > 20, `${reads} peeks`);
    assert.ok(peekMs / test.elapsed() <= 0.105, `${peekMs} ms of ${test.elapsed()} ms`);
    const told = test.kit.recorder.lines.filter((line) => line.includes('Lingering slowly'));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /a peek took 300 ms.*oldest open transaction is backend 4711 \(user app\)/s);
    assert.ok(values(test.kit, 'PeekMs').length >= 4);
    assert.equal(Math.max(...values(test.kit, 'PeekMs')), 300);
  });

  it('I9: tells the metrics each minute, and each count once', async () => {
    let written = 0;
    const { kit } = environment(({ slot, elapsed }) => {
      if (elapsed() > written * 10_000)
        slot.commit(insert(written++), `table public.u: INSERT: id[integer]:${written}`);
    });
    const reporter = new CountReporter(kit.recorder);
    const answer = await run(
      { ...kit.ports, reporter },
      kit.options({ ...LINGER, deadline: kit.clock.time + 600_000 }),
    );
    const healthy = values(kit, 'RunHealthy').length;
    assert.ok(healthy >= 9 && healthy <= 10, `healthy ${healthy} times`);
    assert.equal(kit.recorder.flushes, healthy);
    assert.deepEqual([...new Set(values(kit, 'Stalled'))], [0]);
    assert.deepEqual([...new Set(values(kit, 'LagBytes'))], [0]);
    addRunMetrics(kit.recorder, answer, { moved: true, retainedWalBytes: 0 }, reporter);
    assert.equal(sum(values(kit, 'ChangesPublished')), written);
    assert.equal(sum(values(kit, 'SkippedDroppedTable')), written);
    assert.equal(answer.changes, 2 * written);
  });

  it('tells the metrics each minute of a snapshot that it takes, and each row once', async () => {
    const session = environment();
    const { kit, slot } = session;
    const message = (content: string) =>
      slot.message(`message: transactional: 0 prefix: pg2kinesis, sz: ${content.length} content:${content}`);
    let chunks = 0;
    slot.onBlock = () => (kit.clock.time += 200);
    const source: SnapshotSource = {
      nextXid: () => Promise.resolve(1n),
      write: (content) => {
        message(content);
        return Promise.resolve({ xid: 1, micros: 1n });
      },
      read: ({ table }) => {
        // About one a second: it takes two minutes.
        kit.clock.time += 1_000;
        return Promise.resolve({ kind: 'chunk', bytes: 9, chunk: chunkOf(table, ++chunks, chunks === 120) });
      },
    };
    (kit.ports.session as { snapshots?: SnapshotSource }).snapshots = source;
    message(encodeSnapshotMessage('fake', { kind: 'begin', id: 's', begunAt: 1, tables: ['public.t'], anew: false }));
    const reporter = new CountReporter(kit.recorder);
    const options = { ...LINGER, snapshotSharePercent: 100, deadline: kit.clock.time + 600_000 };
    const answer = await run({ ...kit.ports, reporter }, kit.options(options));
    assert.equal(answer.snapshot?.done, true);
    const told = values(kit, 'SnapshotRowsPublished');
    assert.ok(told.length >= 2 && told.length <= 5, `told ${told.length} times: ${String(told)}`);
    addRunMetrics(kit.recorder, answer, { moved: true, retainedWalBytes: 0 }, reporter);
    assert.equal(sum(values(kit, 'SnapshotRowsPublished')), 120);
    assert.deepEqual([...new Set(values(kit, 'SnapshotTablesLeft'))], [1, 0]);
    // What it costs the server has a share of its own: nobody waits for changes because of it.
    assert.deepEqual(
      kit.recorder.lines.filter((line) => line.includes('Lingering slowly')),
      [],
    );
  });

  it('waits for a standby as long as it takes, tells so each minute, and goes on', async () => {
    const test = environment(({ slot, elapsed }) => {
      if (elapsed() > 130_000) slot.standby = slot.flushed;
    });
    test.slot.standby = test.slot.flushed;
    test.slot.commit(insert(1));
    const answer = await run(test.kit.ports, test.kit.options({ ...LINGER, deadline: test.kit.clock.time + 200_000 }));
    assert.deepEqual([answer.stopped, answer.published], ['caught-up', 1]);
    assert.equal(values(test.kit, 'WaitingForStandby').length, 2);
    assert.ok(test.kit.recorder.lines.some((line) => line.includes('before these standbys have confirmed it: "phys"')));
  });

  it('I9: is stalled in a minute in which nothing moves and something is left', async () => {
    const test = environment();
    test.slot.standby = test.slot.flushed;
    test.slot.commit(insert(1));
    const answer = await run(test.kit.ports, test.kit.options({ ...LINGER, deadline: test.kit.clock.time + 200_000 }));
    assert.equal(answer.stopped, 'waiting-for-standby');
    assert.deepEqual(values(test.kit, 'Stalled'), [0, 1, 1]);
    assert.equal(values(test.kit, 'RunHealthy').length, 1);
  });

  it('I2: is not caught up with what a standby has not confirmed of what came while it stayed', async () => {
    let isConfirmed = false;
    const test = environment(({ slot, elapsed }) => {
      if (isConfirmed || elapsed() < 1_000) return;
      isConfirmed = true;
      slot.standby = slot.flushed;
      slot.commit(insert(2));
    });
    test.slot.standby = test.slot.flushed;
    test.slot.commit(insert(1));
    const answer = await run(test.kit.ports, test.kit.options({ ...LINGER, deadline: test.kit.clock.time + 20_000 }));
    assert.deepEqual([answer.stopped, answer.published], ['waiting-for-standby', 1]);
    assert.ok((answer.lagBytes ?? 0) > 0);
  });

  it('I7: is no failure where it waited for a standby all the time, however its pauses fall', async () => {
    for (let seconds = 20; seconds < 21; seconds += 0.1) {
      const test = environment();
      test.slot.standby = test.slot.flushed;
      test.slot.commit(insert(1));
      const deadline = test.kit.clock.time + seconds * 1_000;
      const answer = await run(test.kit.ports, test.kit.options({ ...LINGER, deadline }));
      assert.deepEqual([answer.stopped, answer.waitsFor], ['waiting-for-standby', ['phys']], `${seconds} s`);
    }
  });

  it('stops where it is asked to', async () => {
    const stop = new AbortController();
    const test = environment(({ elapsed }) => (elapsed() > 3_000 ? stop.abort() : undefined));
    const answer = await run({ ...test.kit.ports, stop: stop.signal }, test.kit.options(LINGER));
    assert.ok(test.elapsed() < 4_000);
    assert.equal(answer.caughtUp, true);
  });

  it('costs nothing where it is off: no sleep, no look at who waits, one peek', async () => {
    const test = environment();
    test.awaited = true;
    test.slot.commit(insert(1));
    const answer = await run(test.kit.ports, test.kit.options());
    assert.equal(answer.stopped, 'caught-up');
    assert.equal(test.slot.peeks.length, 1);
    assert.deepEqual(test.kit.clock.slept, []);
  });
});
