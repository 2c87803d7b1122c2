/** What a run keeps time for, where it stops, which deadline it takes, and the lag that it tells. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { Publisher } from '../../../lambda/ports/publisher.ts';
import { run } from '../../../lambda/run/run.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const insert = (id: number): string => `table public.t: INSERT: id[integer]:${id}`;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const usual = (): FakeKeys => new FakeKeys({ 'public.t': {} });
const roundsOf = (requestEntries: number) => ({
  packer: createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024, limits: { requestEntries } }),
});

describe('a run', () => {
  it('I7: answers in time though its last round takes all of its time, and two advances follow', async () => {
    const slot = new FakeSlot();
    for (const id of range(400)) slot.commit(insert(id));
    const kit = runKit(slot, usual());
    slot.onAdvance = () => (kit.clock.time += 4_000);
    const options = kit.options({ maxRows: 8, ...roundsOf(2) });
    const publisher: Publisher = {
      publish: (round, deadline, signal) => {
        const isLast = kit.clock.time > options.deadline - 20_000;
        kit.publisher.roundMs = isLast ? deadline - kit.clock.time : 10;
        return kit.publisher.publish(round, deadline, signal);
      },
    };
    const { stopped } = await run({ ...kit.ports, publisher }, options);
    assert.equal(stopped, 'deadline');
    assert.ok(kit.clock.now() <= options.deadline, `late by ${kit.clock.now() - options.deadline} ms`);
  });

  it('that has to stop in mid-transaction finishes it, and begins no other', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 20; i++) slot.commit(...range(5).map((id) => insert(5 * i + id)));
    // All of it comes in one block: the deadline is looked at after each round, too.
    slot.blockLines = 1_000;
    const kit = runKit(slot, usual());
    const stop = new AbortController();
    kit.publisher.fate = () => {
      stop.abort();
      return 'acknowledged';
    };
    // The ninth row, the fourth of the second transaction, closes the round that is sent when the stop comes.
    const answer = await run({ ...kit.ports, stop: stop.signal }, kit.options(roundsOf(8)));
    assert.deepEqual([answer.stopped, answer.transactions, answer.published], ['interrupted', 2, 10]);
    assert.equal(answer.resume, undefined);
  });

  it('tells as lag the age of the first transaction that is not published whole', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 10; i++) slot.commit(...range(4).map((id) => insert(4 * i + id)));
    slot.blockLines = 1_000;
    const kit = runKit(slot, usual());
    kit.publisher.fate = (round) => (round === 0 ? 'acknowledged' : 'unanswered');
    const answer = await run(kit.ports, kit.options(roundsOf(6)));
    const [, second] = slot.wal;
    assert.ok(second !== undefined);
    assert.deepEqual([answer.stopped, answer.published], ['deadline', 6]);
    assert.equal(answer.lagSeconds, (kit.clock.time * 1000 - Number(second.commitTimeMicros)) / 1e6);
  });

  it('tells as lag the age of the first transaction where not even its first changes were acknowledged', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 10; i++) slot.commit(...range(4).map((id) => insert(4 * i + id)));
    slot.blockLines = 1_000;
    const kit = runKit(slot, usual());
    kit.publisher.fate = () => 'throttled';
    await assert.rejects(run(kit.ports, kit.options(roundsOf(6))), { code: 'STREAM_THROTTLED' });
    const [first] = slot.wal;
    assert.ok(first !== undefined);
    const lag = Object.fromEntries(kit.recorder.values).LagSeconds;
    assert.equal(lag, (kit.clock.time * 1000 - Number(first.commitTimeMicros)) / 1e6);
  });

  it('I7: takes no longer for a large transaction once it has published another', async () => {
    const slot = new FakeSlot();
    slot.evidence = undefined;
    const first = slot.commit(insert(0));
    slot.commit(...range(100).map(insert));
    slot.blockLines = 10;
    const kit = runKit(slot, usual());
    const options = kit.options(roundsOf(1));
    // The slot has not followed yet when the time is over.
    const advance = slot.advance.bind(slot);
    slot.advance = async (lsn) => {
      for (let i = 0; i < 50; i++) await new Promise(setImmediate);
      return await advance(lsn);
    };
    let blocks = 0;
    slot.onBlock = () => {
      if (++blocks === 4) kit.clock.time = options.deadline - 3_000;
    };
    const answer = await run(kit.ports, options);
    assert.deepEqual([answer.stopped, slot.confirmed], ['deadline', first]);
    assert.ok(kit.clock.time <= options.deadline, `late by ${kit.clock.time - options.deadline} ms`);
  });

  it('I1: that lost the lock leaves no position behind in memory', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(40).map(insert));
    const kit = runKit(slot, usual());
    kit.publisher.fate = (round) => (round === 0 ? 'acknowledged' : 'unanswered');
    await run(kit.ports, kit.options(roundsOf(12)));
    assert.equal(kit.warmState.resume?.rows, 12);
    const lost = new Error('the lock is lost');
    kit.publisher.fate = () => {
      kit.lose(lost);
      return 'acknowledged';
    };
    await assert.rejects(run(kit.ports, kit.options(roundsOf(12))), lost);
    assert.equal(kit.warmState.resume, undefined);
  });

  it('I7: that has published takes no longer because a later peek does not finish', async () => {
    const slot = new FakeSlot();
    slot.idleWal(1000n);
    const first = slot.commit(...range(8).map(insert));
    for (const id of range(50)) slot.commit(insert(id));
    const kit = runKit(slot, usual());
    const peek = slot.peek.bind(slot);
    slot.peek = (upto, limit, timeoutMs) => {
      // Only the first peek finishes.
      if (slot.peeks.length > 0) {
        slot.walBytesInTime = 0;
        kit.clock.time += timeoutMs;
      }
      return peek(upto, limit, timeoutMs);
    };
    const options = kit.options({ maxRows: 8 });
    const answer = await run(kit.ports, options);
    assert.deepEqual([answer.stopped, answer.published, slot.confirmed], ['deadline', 8, first]);
    assert.ok(kit.clock.time <= options.deadline, `late by ${kit.clock.time - options.deadline} ms`);
  });
});
