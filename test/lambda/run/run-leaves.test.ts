/** What a run leaves in its container, says on its way, and says when it fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { KeyQuestion } from '../../../lambda/ports/catalogs.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { decodeSnapshotMessage, encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { FakeTable } from '../../support/fake-tables.ts';
import { type RunKit, runKit } from '../../support/run-kit.ts';

const insert = (id: number): string => `table public.t: INSERT: id[integer]:${id}`;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const entries = (requestEntries: number) => ({
  packer: createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024, limits: { requestEntries } }),
});
const usual = (slot = new FakeSlot()) => ({ slot, kit: runKit(slot, new FakeKeys({ 'public.t': {} })) });

describe('what a run leaves in its container', () => {
  it('is where the slot is, and how far anything was published', async () => {
    const { slot, kit } = usual();
    const lsn = slot.commit(insert(1));
    slot.idleWal(100n);
    await run(kit.ports, kit.options());
    assert.deepEqual([kit.warmState.position, kit.warmState.reached], [slot.confirmed, slot.confirmed]);
    assert.ok(slot.confirmed > lsn);
  });

  it('is the transaction, too, of which only a part was published', async () => {
    const { slot, kit } = usual();
    const before = slot.commit(insert(0));
    const lsn = slot.commit(...range(40).map(insert));
    kit.publisher.fate = (round) => (round < 3 ? 'acknowledged' : 'unanswered');
    const { resume } = await run(kit.ports, kit.options(entries(12)));
    assert.ok(resume !== undefined);
    assert.deepEqual([kit.warmState.position, kit.warmState.reached], [before, lsn]);
  });

  it('is what was acknowledged, where the slot could not be advanced over it', async () => {
    const { slot, kit } = usual();
    const start = slot.confirmed;
    const lsn = slot.commit(insert(1));
    slot.advance = () => Promise.reject(new Error('refused'));
    await assert.rejects(run(kit.ports, kit.options()), { message: 'refused' });
    assert.deepEqual([kit.warmState.position, kit.warmState.reached], [start, lsn]);
  });

  it('is never less than it was', async () => {
    const { slot, kit } = usual();
    kit.warmState.reached = 1_000_000n;
    slot.commit(insert(1));
    await run(kit.ports, kit.options());
    assert.equal(kit.warmState.reached, 1_000_000n);
  });

  it("is the deadline that it had, which is the function's where it needed that", async () => {
    const { slot, kit } = usual();
    slot.evidence = undefined;
    slot.commit(...range(60).map(insert));
    const options = kit.options({ functionDeadline: kit.clock.time + 600_000 });
    await run(kit.ports, { ...options, maxBatches: 0 });
    assert.equal(kit.warmState.deadline, options.deadline);
    slot.onBlock = () => (kit.clock.time += 20_000);
    const answer = await run(kit.ports, options);
    assert.equal(answer.stopped, 'caught-up');
    assert.equal(kit.warmState.deadline, options.functionDeadline);
    const told = kit.recorder.lines.filter((line) => line.includes('deadline of the function'));
    assert.deepEqual(told, [
      'warn The first transaction is larger than a run, and nothing says that the next run may go on with it: this run goes on until the deadline of the function.',
    ]);
  });
});

describe('a run on its way', () => {
  it('tells after each round how much is published and refused', async () => {
    const { slot, kit } = usual();
    slot.commit(...range(9).map(insert));
    const told: unknown[] = [];
    await run({ ...kit.ports, onProgress: (...args) => told.push(args) }, kit.options(entries(4)));
    assert.deepEqual(told, [
      [4, 0, undefined],
      [8, 0, undefined],
      [9, 0, undefined],
    ]);
  });

  it('gives the server seven tenths of what is left for the first row', async () => {
    const { slot, kit } = usual();
    slot.commit(insert(1));
    const timeouts: number[] = [];
    const peek = slot.peek.bind(slot);
    slot.peek = (upto, limit, timeoutMs) => {
      timeouts.push(timeoutMs);
      return peek(upto, limit, timeoutMs);
    };
    await run(kit.ports, kit.options());
    // Of 50 s half a second is for the answer, and two for two rounds.
    assert.deepEqual(timeouts, [Math.floor(47_500 * 0.7)]);
  });

  it('is interrupted where it is asked to stop, and out of time where it is not', async () => {
    const { slot, kit } = usual();
    for (const id of range(20)) slot.commit(insert(id));
    const stop = new AbortController();
    slot.onBlock = () => stop.abort();
    const stopped = await run({ ...kit.ports, stop: stop.signal }, kit.options());
    assert.equal(stopped.stopped, 'interrupted');
    slot.onBlock = () => (kit.clock.time += 60_000);
    const late = await run(kit.ports, kit.options({ functionDeadline: kit.clock.time + 50_000 })).catch(
      (error: unknown) => error as Error & { code: string },
    );
    assert.equal('code' in late ? late.code : late.stopped, 'NO_PROGRESS');
  });

  it('takes the deadline of the function where not even a small peek finishes in its own', async () => {
    const { slot, kit } = usual();
    slot.commit(insert(1));
    const itsOwn = kit.clock.time + 47_500;
    const peek = slot.peek.bind(slot);
    slot.failure = () => (kit.clock.time > itsOwn ? undefined : new PeekTooLargeError('too slow'));
    slot.peek = (upto, limit, timeoutMs) => {
      if (kit.clock.time > itsOwn) return peek(upto, limit, timeoutMs);
      const failing = peek(upto, limit, timeoutMs);
      kit.clock.time += timeoutMs + 3_000;
      return failing;
    };
    const { stopped, published } = await run(kit.ports, kit.options());
    assert.deepEqual([stopped, published], ['caught-up', 1]);
    assert.ok(
      kit.recorder.lines.includes(
        'warn Not even a small peek finishes in maxSeconds: this run goes on until the deadline of the function.',
      ),
    );
  });

  it('asks the WAL for a key that may be younger than its row, up to the last commit that is read, in half of its time', async () => {
    const slot = new FakeSlot();
    const keys = new FakeKeys({ 'public.t': { seenFrom: 10_000 } });
    const kit = runKit(slot, keys);
    const asked: KeyQuestion[] = [];
    Object.assign(kit.session, {
      keyHistory: {
        read: (question: KeyQuestion) => {
          asked.push(question);
          return Promise.resolve([]);
        },
      },
    });
    slot.commit(insert(1));
    const last = slot.commit(insert(2));
    slot.idleWal(1_000n);
    await run(kit.ports, kit.options());
    const [question] = asked;
    assert.ok(question !== undefined && asked.length === 1);
    assert.equal(question.upto, last);
    const halfMs = 47_500 / 2;
    assert.ok(Math.abs(question.deadline - 1_767_400_000_000 - halfMs) < 100, `${question.deadline}`);
  });

  it('does not publish what a snapshot has written into the WAL', async () => {
    const { slot, kit } = usual();
    const table = new FakeTable(slot);
    Object.assign(kit.session, { snapshots: table });
    table.emit('{"of":"nobody"}');
    slot.message('message: transactional: 0 prefix: mine, sz: 1 content:x');
    const format = FORMATS.json(FORMAT_OPTIONS);
    const messages = {
      prefixes: [/.*/],
      partitionKey: (_: unknown, out: { ascii(text: string): void }) => out.ascii('k'),
    };
    await run(kit.ports, kit.options({ format, messages }));
    assert.equal(kit.publisher.acknowledged.length, 1);
    assert.match(kit.publisher.acknowledged[0] ?? '', /"prefix":"mine"/);
  });
});

describe('a run at the end of its time, inside its first transaction', () => {
  const LONGER =
    'warn The first transaction is larger than a run, and nothing says that the next run may go on with it';

  /** A transaction that takes longer than a run, of which no run can go on. @returns whether the run took more time */
  async function takesLonger(prepare: (slot: FakeSlot, kit: RunKit) => Partial<RunOptions> & { stop?: AbortSignal }) {
    const { slot, kit } = usual();
    slot.evidence = undefined;
    const { stop, ...options } = prepare(slot, kit);
    slot.commit(...range(60).map(insert));
    const deadline = kit.clock.time + 50_000;
    slot.onBlock = () => (kit.clock.time += 9_000);
    await run({ ...kit.ports, ...(stop && { stop }) }, kit.options(options)).catch(() => undefined);
    const isLonger = kit.recorder.lines.some((line) => line.startsWith(LONGER));
    assert.equal(kit.clock.time > deadline + 10_000, isLonger);
    return isLonger;
  }

  it('takes the time of the function', async () => {
    assert.equal(await takesLonger(() => ({})), true);
  });

  it('takes no more where it has published a transaction before: the next run begins with this one', async () => {
    assert.equal(
      await takesLonger((slot) => {
        slot.commit(insert(1_000));
        return entries(1);
      }),
      false,
    );
  });

  it('takes no more where it has moved the slot before', async () => {
    const more = takesLonger((slot, kit) => {
      kit.warmState.peekLimits = { rows: 1_000, walBytes: 16 * 1024 * 1024 };
      slot.idleWal(17n * 1024n * 1024n);
      return {};
    });
    assert.equal(await more, false);
  });

  it('takes no more where it is asked to stop', async () => {
    const stop = new AbortController();
    const more = takesLonger((slot) => {
      const rows = slot.peek.bind(slot);
      slot.peek = (...asked) => {
        stop.abort();
        return rows(...asked);
      };
      return { stop: stop.signal };
    });
    assert.equal(await more, false);
  });
});

describe('a run that is not there to stay', () => {
  it('gives the slot to nobody before it is done', async () => {
    const { slot, kit } = usual();
    for (const id of range(30)) slot.commit(insert(id));
    Object.assign(kit.session, { isLockAwaited: () => true });
    const { stopped, published } = await run(kit.ports, kit.options({ maxRows: 12 }));
    assert.deepEqual([stopped, published], ['caught-up', 30]);
  });
});

describe('a run that fails', () => {
  it('says what was published before, in the log and in the metrics', async () => {
    const { slot, kit } = usual();
    const committed = slot.commit(...range(8).map(insert));
    slot.commit(insert(9));
    const refused = new Error('refused');
    kit.publisher.fate = (round) => (round === 2 ? refused : 'acknowledged');
    await assert.rejects(run(kit.ports, kit.options(entries(4))), refused);
    assert.equal(slot.confirmed, committed);
    const values = Object.fromEntries(kit.recorder.values);
    assert.equal(values['ChangesPublished'], 8);
    assert.equal(values['LagSeconds'], (kit.clock.time - 1_767_323_045_000 - 701_000) / 1000);
    const [fields] = kit.recorder.fieldsOf('Published before the failure.');
    assert.deepEqual([fields?.['published'], fields?.['records'], fields?.['throttledEntries']], [8, 8, 0]);
  });

  it('says so where it cannot advance over what was published, and fails with what made it fail', async () => {
    const { slot, kit } = usual();
    slot.commit(...range(4).map(insert));
    slot.commit(insert(9));
    const refused = new Error('refused');
    kit.publisher.fate = (round) => (round === 1 ? refused : 'acknowledged');
    slot.advance = () => Promise.reject(new Error('the server is gone'));
    await assert.rejects(run(kit.ports, kit.options(entries(4))), refused);
    assert.ok(
      kit.recorder.lines.includes(
        'warn After the failure the slot could not be advanced over what was acknowledged; it will be published again.',
      ),
    );
    assert.deepEqual(kit.recorder.fieldsOf('After the failure'), [{ reason: 'the server is gone' }]);
  });

  it('leaves a position inside the transaction that it was in', async () => {
    const { slot, kit } = usual();
    slot.commit(...range(20).map(insert));
    kit.publisher.fate = (round) => (round === 2 ? new Error('refused') : 'acknowledged');
    await assert.rejects(run(kit.ports, kit.options(entries(4))), { message: 'refused' });
    assert.equal(kit.warmState.resume?.rows, 8);
  });

  it('at what skip-transaction gets past lets go of the slot that a snapshot holds: it has to be the first that is left', async () => {
    for (const [line, isSkippable] of [
      ['table public.t: INSERT: other[integer]:1', true],
      [insert(7), false],
    ] as const) {
      const { slot, kit } = usual();
      const table = new FakeTable(slot);
      table.rows.set(1, { v: 1, big: 'x' });
      Object.assign(kit.session, { snapshots: table });
      table.emit(
        encodeSnapshotMessage('fake', { kind: 'begin', id: 's', begunAt: 1, tables: ['public.t'], anew: false }),
      );
      const good = slot.commit(insert(5));
      slot.commit(line);
      if (!isSkippable) kit.publisher.fate = (round) => (round === 1 ? new Error('refused') : 'acknowledged');
      await assert.rejects(run(kit.ports, kit.options({ unknownKey: 'fail', ...entries(1) })));
      const written = slot.wal.filter(({ message }) => message).at(-1)?.lines[0] ?? '';
      const message = decodeSnapshotMessage('fake', written.slice(written.indexOf('content:') + 'content:'.length));
      assert.equal(message?.kind === 'begin' && message.anew, isSkippable);
      assert.equal(slot.confirmed >= good, isSkippable, 'the slot has passed what is before it');
    }
  });
});
