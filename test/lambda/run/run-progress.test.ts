/** What counts as progress, which positions inside a transaction are kept, and what a run does not do twice. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
import { run } from '../../../lambda/run/run.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type Fate, type RunKit, runKit } from '../../support/run-kit.ts';

const insert = (id: number, table = 'public.t'): string => `table ${table}: INSERT: id[integer]:${id}`;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const MIB = 1024n * 1024n;

/** Twelve records a round. */
const twelve = () => ({
  packer: createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024, limits: { requestEntries: 12 } }),
});

/** A slot with a transaction of 40 rows, and a container whose first run published 12 of them. */
async function cutShort(slot = new FakeSlot()): Promise<{ slot: FakeSlot; kit: RunKit }> {
  slot.commit(...range(40).map((id) => insert(id)));
  const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
  kit.publisher.fate = (round) => (round === 0 ? 'acknowledged' : 'unanswered');
  const { resume, published } = await run(kit.ports, kit.options(twelve()));
  assert.deepEqual([published, resume?.rows], [12, 12]);
  return { slot, kit };
}

describe('progress', () => {
  for (const [fate, code] of [
    ['throttled', 'STREAM_THROTTLED'],
    ['unanswered', 'NO_PROGRESS'],
  ] as [Fate, string][]) {
    it(`I7: a run that went on inside a transaction and did nothing fails with ${code}, and keeps the position`, async () => {
      const { kit } = await cutShort();
      const position = kit.warmState.resume?.rows;
      for (let i = 0; i < 3; i++) {
        kit.publisher.fate = () => fate;
        await assert.rejects(run(kit.ports, kit.options(twelve())), { code });
        assert.equal(kit.warmState.resume?.rows, position);
      }
      kit.publisher.fate = () => 'acknowledged';
      const { published, stopped } = await run(kit.ports, kit.options(twelve()));
      assert.deepEqual([published, stopped, kit.publisher.acknowledged.length], [28, 'caught-up', 40]);
    });
  }

  it('I7: rows that were only counted are progress where the next run goes on behind them', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(60).map((id) => insert(id)));
    const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
    const filters = { tableInclude: [], tableExclude: [/^public\.t$/], columnExclude: [] };
    const rows: number[] = [];
    let filtered = 0;
    let stopped = '';
    for (let i = 0; i < 10 && stopped !== 'caught-up'; i++) {
      // What was done before is skipped in no time.
      let blocks = -Math.ceil((rows.at(-1) ?? 0) / slot.blockLines);
      slot.onBlock = () => (kit.clock.time += blocks++ < 0 ? 0 : 20_000);
      const answer = await run(kit.ports, kit.options({ filters, functionDeadline: kit.clock.time + 50_000 }));
      stopped = answer.stopped;
      filtered += answer.skipped.filtered;
      rows.push(answer.resume?.rows ?? 60);
    }
    assert.deepEqual([stopped, filtered], ['caught-up', 60]);
    assert.ok(rows.length > 2 && (rows[0] ?? 60) < (rows[1] ?? 0), `it took several runs: ${rows.join()}`);
  });

  it('I7: rows that were only counted are no progress where the next run cannot go on behind them', async () => {
    const slot = new FakeSlot();
    slot.evidence = undefined;
    slot.commit(...range(60).map((id) => insert(id)));
    const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
    slot.onBlock = () => (kit.clock.time += 20_000);
    const filters = { tableInclude: [], tableExclude: [/^public\.t$/], columnExclude: [] };
    const options = kit.options({ filters, functionDeadline: kit.clock.time + 50_000 });
    await assert.rejects(run(kit.ports, options), { code: 'NO_PROGRESS' });
  });
});

describe('a position inside a transaction', () => {
  it('outlives a run that advanced over WAL without transactions', async () => {
    const idle = new FakeSlot();
    idle.idleWal(50n * MIB);
    const { slot, kit } = await cutShort(idle);
    const position = kit.warmState.resume?.rows;
    slot.walBytesInTime = Number(20n * MIB);
    const { published, resume } = await run(kit.ports, kit.options({ ...twelve(), maxBatches: 1 }));
    assert.ok(kit.warmState.resume !== undefined && slot.confirmed > 1000n, 'it advanced');
    assert.deepEqual([published, resume?.rows], [0, position]);
    slot.walBytesInTime = Infinity;
    kit.publisher.fate = () => 'acknowledged';
    await run(kit.ports, kit.options(twelve()));
    assert.deepEqual(
      kit.publisher.acknowledged,
      range(40).map((id) => `0,CDC,700,public.t,INSERT,${id}`),
    );
  });

  it('I1: is gone once its transaction is', async () => {
    const { slot, kit } = await cutShort();
    kit.publisher.fate = () => 'acknowledged';
    await run(kit.ports, kit.options(twelve()));
    assert.equal(kit.warmState.resume, undefined);
    slot.commit(...range(5).map((id) => insert(id)));
    const { published } = await run(kit.ports, kit.options(twelve()));
    assert.equal(published, 5);
  });
});

describe('a cancellation that strikes behind the first rows', () => {
  /** The first peek ends so behind a number of blocks. */
  function cancelOnce(slot: FakeSlot, blocks: number): void {
    const peek = slot.peek.bind(slot);
    slot.peek = (...asked) => {
      const whole = peek(...asked);
      slot.peek = peek;
      return {
        get rows() {
          return whole.rows;
        },
        transactions: whole.transactions,
        lastCommit: undefined,
        leftOut: [],
        firstRowMs: 1,
        close: () => whole.close(),
        async *[Symbol.asyncIterator]() {
          let taken = 0;
          for await (const block of whole) {
            if (taken++ === blocks) throw new PeekTooLargeError('cancelled behind its first row');
            yield block;
          }
        },
      } satisfies Peek;
    };
  }

  it('I9: repeats and counts no transaction twice', async () => {
    for (const blocks of [1, 2, 3]) {
      const slot = new FakeSlot();
      for (const id of range(12)) slot.commit(insert(id));
      const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
      cancelOnce(slot, blocks);
      const { published, transactions, changes } = await run(kit.ports, kit.options());
      assert.deepEqual([published, transactions, changes], [12, 12, 12]);
      assert.deepEqual(
        kit.publisher.acknowledged,
        range(12).map((id) => `0,CDC,${700 + id},public.t,INSERT,${id}`),
      );
    }
  });

  it('I9: repeats and counts no row twice of the transaction that it cut', async () => {
    const slot = new FakeSlot();
    slot.commit(insert(0), insert(1));
    slot.commit(...range(40).map((id) => insert(id)));
    const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
    cancelOnce(slot, 3);
    const { published, transactions, skipped } = await run(kit.ports, kit.options());
    assert.deepEqual([published, transactions, skipped.filtered], [42, 2, 0]);
    assert.equal(kit.publisher.arrived.length, 42);
  });
});

describe('a run that took over from another', () => {
  const takingOver = async (over: { seconds: number; stop?: AbortSignal }) => {
    const slot = new FakeSlot();
    slot.commit(insert(1));
    const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
    const deadline = kit.clock.time + over.seconds * 1000;
    const ports = {
      ...kit.ports,
      session: { ...kit.session, tookOver: true },
      ...(over.stop ? { stop: over.stop } : {}),
    };
    const result = await run(ports, kit.options({ deadline })).then(
      (answer) => answer.stopped,
      (error: unknown) => String(error),
    );
    return { result, kit, late: kit.clock.time - deadline };
  };

  it('I6: waits for the last request of that one', async () => {
    const { result, kit } = await takingOver({ seconds: 50 });
    assert.equal(result, 'caught-up');
    assert.deepEqual(kit.clock.slept, [12_000]);
  });

  it('I7: answers in time, with nothing sent, where its own time is over first', async () => {
    const { result, kit, late } = await takingOver({ seconds: 5 });
    assert.match(result, /NO_PROGRESS: An earlier run had lost the lock.*Nothing was sent/);
    assert.ok(late <= 0, `${late} ms late`);
    assert.deepEqual(kit.publisher.rounds, []);
  });

  it('I7: does not wait where it is asked to stop', async () => {
    const { result, kit } = await takingOver({ seconds: 50, stop: AbortSignal.abort() });
    assert.deepEqual([result, kit.clock.slept, kit.publisher.rounds], ['interrupted', [], []]);
  });
});
