/** The loop against a made-up slot and stream: what it publishes, where it advances to, when it stops, what it counts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatLsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { run } from '../../../lambda/run/run.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type Fate, runKit } from '../../support/run-kit.ts';

const insert = (id: number | string, table = 'public.t'): string => `table ${table}: INSERT: id[integer]:${id}`;
const inserts = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => insert(from + i));
const usual = (): FakeKeys => new FakeKeys({ 'public.t': {}, 'public.keyless': { key: [] } });
const keysOf = (records: readonly string[]): number[] => records.map((record) => Number(record.split(',').at(-1)));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('run', () => {
  it('publishes what the slot holds in commit order and advances over it', async () => {
    const slot = new FakeSlot();
    slot.commit(insert(0), insert(1));
    slot.commit(insert(2), insert(9, 'public.keyless'));
    const kit = runKit(slot, usual());
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual(keysOf(kit.publisher.acknowledged), [0, 1, 2]);
    assert.equal(slot.confirmed, slot.flushed);
    assert.deepEqual(
      { ...answer, bytes: 0, kinesisRecords: 0 },
      {
        action: 'run',
        slot: 'fake',
        caughtUp: true,
        stopped: 'caught-up',
        batches: 1,
        transactions: 2,
        changes: 4,
        published: 3,
        records: 3,
        messages: 0,
        messagesSkipped: 0,
        skipped: {
          noPrimaryKey: 1,
          keyUnknown: 0,
          noReplicaIdentity: 0,
          keyTooLarge: 0,
          droppedTable: 0,
          notTable: 0,
          filtered: 0,
          formatter: 0,
        },
        truncated: 0,
        kinesisRecords: 0,
        bytes: 0,
        advancedTo: formatLsn(slot.flushed),
        lagBytes: 0,
        lagSeconds: 0,
        throttledEntries: 0,
        durationMs: kit.publisher.roundMs,
      },
    );
    assert.deepEqual(
      kit.recorder.lines.filter((line) => line.includes('public.keyless')).length,
      1,
      'a table without a primary key is named once',
    );
  });

  it('advances an idle slot to the flush LSN, twice, and then asks for nothing', async () => {
    const slot = new FakeSlot();
    slot.idleWal(5_000n);
    const kit = runKit(slot, usual());
    await run(kit.ports, kit.options());
    assert.deepEqual(slot.advances, [slot.flushed, slot.flushed]);
    const answer = await run(kit.ports, kit.options());
    assert.equal(slot.peeks.length, 1);
    assert.deepEqual([answer.stopped, answer.batches, answer.lagBytes], ['caught-up', 0, 0]);
  });

  it('stops after maxBatches', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 9; i++) slot.commit(...inserts(i * 10, 10));
    const kit = runKit(slot, usual());
    const answer = await run(kit.ports, kit.options({ maxBatches: 2, maxRows: 12 }));
    assert.deepEqual([answer.stopped, answer.batches, answer.published], ['max-batches', 2, 20]);
  });

  it('I2: advances only to boundaries and to what a peek that was not full was asked to read', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 20; i++) slot.commit(...inserts(i * 5, 5));
    const kit = runKit(slot, usual());
    // What is committed while a peek is read is above what the peek saw, and must not be consumed by it.
    let late = 100;
    slot.onBlock = () => {
      if (late < 110) slot.commit(insert(late++));
    };
    await run(kit.ports, kit.options({ maxRows: 21 }));
    assert.deepEqual(keysOf(kit.publisher.acknowledged), range(110));
    const boundaries = new Set(slot.wal.map(({ commitLsn }) => commitLsn));
    const uptos = new Set(slot.peeks.map(({ upto }) => upto));
    for (const target of slot.advances)
      assert.ok(boundaries.has(target) || uptos.has(target), `${target} is no target`);
  });

  it('I2: a batch as large as its limit is advanced over to its last COMMIT, not to what it was asked to read', async () => {
    const slot = new FakeSlot();
    const first = slot.commit(...inserts(0, 8));
    slot.commit(...inserts(8, 8));
    const kit = runKit(slot, usual());
    await run(kit.ports, kit.options({ maxRows: 10, maxBatches: 1 }));
    assert.equal(slot.confirmed, first);
  });

  it('gets past more messages outside transactions than a batch holds', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 40; i++) slot.message();
    slot.commit(insert(1));
    const kit = runKit(slot, usual());
    const answer = await run(kit.ports, kit.options({ maxRows: 10 }));
    assert.equal(answer.caughtUp, true);
    assert.deepEqual(keysOf(kit.publisher.acknowledged), [1]);
    assert.equal(slot.peeks[1]?.limit, undefined);
  });

  it('I1: never advances past a change that is not acknowledged, whatever fails, and loses none', async () => {
    const fate = fc.oneof(
      { weight: 6, arbitrary: fc.constant<Fate>('acknowledged') },
      fc.constantFrom<Fate>('throttled', 'unanswered', new PipelineError('STREAM_MISSING', 'Gone.')),
    );
    const plan = fc.record({
      sizes: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 12 }),
      fates: fc.array(fate, { maxLength: 12 }),
      maxRows: fc.integer({ min: 1, max: 60 }),
      roundMs: fc.constantFrom(1, 400, 4_000),
      resume: fc.boolean(),
      // All rows of one key: then each is a round, and every cut is inside a transaction.
      oneKey: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ sizes, fates, maxRows, roundMs, resume, oneKey }) => {
        const slot = new FakeSlot();
        const keys = new FakeKeys({ 'public.t': oneKey ? { key: ['same'] } : {} });
        let id = 0;
        const line = (n: number): string => `table public.t: INSERT: id[integer]:${n} same[integer]:1`;
        for (const size of sizes) slot.commit(...range(size).map(() => line(id++)));
        const kit = runKit(slot, keys);
        kit.publisher.roundMs = roundMs;
        kit.publisher.fate = (round) => fates[round] ?? 'acknowledged';
        const seen = (): Set<string> => new Set(kit.publisher.acknowledged);
        slot.onAdvance = (target) => {
          let acknowledged = 0;
          for (const { commitStart, lines } of slot.wal) {
            if (commitStart < target && target > slot.confirmed) acknowledged += lines.length;
          }
          const records = oneKey ? kit.publisher.acknowledged.length : seen().size;
          if (target > slot.confirmed)
            assert.ok(
              records >= acknowledged,
              `I1: advanced over ${acknowledged} changes with ${records} acknowledged`,
            );
        };
        for (let runs = 0; runs < 60 && slot.confirmed < slot.flushed; runs++) {
          if (!resume) slot.evidence = undefined;
          await run(kit.ports, kit.options({ maxRows })).catch((error: unknown) => {
            if (!(error instanceof PipelineError)) throw error;
          });
        }
        assert.equal(slot.confirmed, slot.flushed);
        if (!oneKey)
          assert.deepEqual(
            [...seen()].map((record) => keysOf([record])[0]).sort((a, b) => Number(a) - Number(b)),
            range(id),
          );
      }),
      { numRuns: 300 },
    );
  });

  it('I6: stops sending when the connection that holds the lock is lost, and answers with no request in flight', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 10; i++) slot.commit(insert(i), insert(i), insert(i));
    const kit = runKit(slot, usual());
    const reason = new PipelineError('DATABASE_UNREACHABLE', 'The connection was lost.');
    kit.publisher.fate = (round) => {
      if (round === 4) kit.lose(reason);
      return 'acknowledged';
    };
    await assert.rejects(run(kit.ports, kit.options()), reason);
    assert.equal(kit.publisher.rounds.length <= 6, true);
    const sent = kit.publisher.rounds.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(kit.publisher.rounds.length, sent);
  });

  it('I6: waits out the request time-out when it had to end another holder', async () => {
    const slot = new FakeSlot();
    slot.commit(insert(1));
    const kit = runKit(slot, usual());
    await run({ ...kit.ports, session: { ...kit.session, tookOver: true } }, kit.options());
    assert.deepEqual(kit.clock.slept, [12_000]);
  });

  describe('I7: the deadline', () => {
    it('ends a run in mid-batch, which succeeds with what it did', async () => {
      const slot = new FakeSlot();
      for (let i = 0; i < 40; i++) slot.commit(insert(1), insert(1));
      const kit = runKit(slot, usual());
      kit.publisher.roundMs = 2_000;
      const options = kit.options();
      const answer = await run(kit.ports, options);
      assert.equal(answer.stopped, 'deadline');
      assert.equal(answer.caughtUp, false);
      assert.ok(answer.published > 0);
      assert.ok(kit.clock.now() <= options.deadline, 'answers in time');
      for (const { deadline } of kit.publisher.rounds) assert.ok(deadline < options.deadline);
      assert.equal(answer.advancedTo, formatLsn(slot.confirmed));
      const boundary = slot.wal.filter(({ commitLsn }) => commitLsn <= slot.confirmed).length;
      assert.equal(boundary, Math.floor(answer.published / 2));
      assert.ok((answer.lagSeconds ?? 0) > 0 && (answer.lagBytes ?? 0) > 0);
    });

    it('leaves room for the advances by the cost it has measured', async () => {
      const slot = new FakeSlot();
      for (let i = 0; i < 400; i++) slot.commit(insert(1), insert(1));
      const kit = runKit(slot, usual());
      slot.onAdvance = () => (kit.clock.time += 4_000);
      kit.publisher.roundMs = 500;
      const options = kit.options({ maxRows: 8 });
      await run(kit.ports, options);
      assert.ok(kit.clock.now() <= options.deadline, `over by ${kit.clock.now() - options.deadline} ms`);
    });

    it('fails with NO_PROGRESS when nothing could be done at all', async () => {
      const slot = new FakeSlot();
      slot.commit(insert(1));
      const kit = runKit(slot, usual());
      kit.publisher.fate = () => 'unanswered';
      await assert.rejects(run(kit.ports, kit.options()), { code: 'NO_PROGRESS' });
      assert.equal(slot.confirmed, 1000n);
    });

    it('fails with STREAM_THROTTLED when Kinesis took nothing for the whole run', async () => {
      const slot = new FakeSlot();
      slot.commit(insert(1));
      const kit = runKit(slot, usual());
      kit.publisher.fate = () => 'throttled';
      await assert.rejects(run(kit.ports, kit.options()), { code: 'STREAM_THROTTLED' });
    });

    it('succeeds, and says so, when Kinesis throttled after some progress', async () => {
      const slot = new FakeSlot();
      for (let i = 0; i < 5; i++) slot.commit(insert(1));
      const kit = runKit(slot, usual());
      kit.publisher.fate = (round) => (round < 3 ? 'acknowledged' : 'throttled');
      const answer = await run(kit.ports, kit.options());
      assert.deepEqual([answer.stopped, answer.published, answer.throttledEntries], ['throttled', 3, 3]);
    });
  });

  describe('a transaction larger than a run', () => {
    const large = (): FakeSlot => {
      const slot = new FakeSlot();
      slot.commit(...range(20).map(() => insert(1)));
      return slot;
    };

    it('is gone on with where the last round was acknowledged', async () => {
      const slot = large();
      const kit = runKit(slot, usual());
      kit.publisher.fate = (round) => (round === 8 ? 'unanswered' : 'acknowledged');
      const first = await run(kit.ports, kit.options());
      assert.deepEqual([first.stopped, first.published, first.resume?.ordinal], ['deadline', 8, 8]);
      // The stream is ahead of the slot, which was not moved: the next run must not take that for an older state of it.
      assert.equal(kit.warmState.position, (await slot.position()).confirmedFlush);
      assert.equal(formatLsn(kit.warmState.reached ?? 0n), first.resume?.commitLsn);
      const second = await run(kit.ports, kit.options());
      assert.deepEqual([second.stopped, second.published, second.resume], ['caught-up', 12, undefined]);
      assert.equal(kit.publisher.acknowledged.length, 20);
    });

    it('keeps its position through a run that acknowledges nothing of it', async () => {
      const slot = large();
      const kit = runKit(slot, usual());
      kit.publisher.fate = (round) => (round === 8 || round === 9 ? 'unanswered' : 'acknowledged');
      await run(kit.ports, kit.options());
      await assert.rejects(run(kit.ports, kit.options()), { code: 'NO_PROGRESS' });
      assert.equal(kit.warmState.resume?.ordinal, 8);
      assert.equal((await run(kit.ports, kit.options())).published, 12);
    });

    it('is gone on with from the answer of a run in another container', async () => {
      const slot = large();
      const kit = runKit(slot, usual());
      kit.publisher.fate = (round) => (round === 8 ? 'unanswered' : 'acknowledged');
      const { resume } = await run(kit.ports, kit.options());
      assert.ok(resume !== undefined);
      const other = runKit(slot, usual());
      assert.equal((await run(other.ports, other.options({ resume }))).published, 12);
    });

    it("takes the function's own deadline in time, also where all of it comes in one block", async () => {
      const slot = large();
      slot.evidence = undefined;
      slot.blockLines = 1_000;
      const kit = runKit(slot, usual());
      kit.publisher.roundMs = 5_000;
      const answer = await run(kit.ports, kit.options());
      assert.deepEqual([answer.stopped, answer.published], ['caught-up', 20]);
    });

    it('fails with NO_PROGRESS where that deadline is not enough either, and no run can go on inside the transaction', async () => {
      const slot = new FakeSlot();
      slot.commit(...range(60).map(() => insert(1)));
      slot.evidence = undefined;
      slot.blockLines = 1;
      const kit = runKit(slot, usual());
      kit.publisher.roundMs = 20_000;
      await assert.rejects(run(kit.ports, kit.options()), (error: Error) => {
        assert.match(
          error.message,
          new RegExp(`^NO_PROGRESS: The transaction with commit LSN ${formatLsn(slot.flushed)} is larger`),
        );
        return true;
      });
      assert.equal(slot.confirmed, 1000n);
    });

    it("is finished within the function's own deadline where going on is not possible", async () => {
      const slot = large();
      slot.evidence = undefined;
      const kit = runKit(slot, usual());
      kit.publisher.roundMs = 4_000;
      const answer = await run(kit.ports, kit.options());
      assert.deepEqual([answer.stopped, answer.published], ['caught-up', 20]);
    });

    for (const [what, change] of [
      ['somebody else has read the slot since', (slot: FakeSlot) => slot.peek(slot.flushed, 1, 1)],
      ['the server cannot tell', (slot: FakeSlot) => (slot.evidence = undefined)],
      [
        'another transaction is at its LSN',
        (slot: FakeSlot) => {
          const [old] = slot.wal;
          assert.ok(old !== undefined);
          slot.wal[0] = { ...old, commitTimeMicros: old.commitTimeMicros + 1n };
        },
      ],
    ] as const) {
      it(`I1: starts over when ${what}`, async () => {
        const slot = large();
        const kit = runKit(slot, usual());
        kit.publisher.fate = (round) => (round === 8 ? 'unanswered' : 'acknowledged');
        await run(kit.ports, kit.options());
        change(slot);
        assert.equal((await run(kit.ports, kit.options())).published, 20);
      });
    }
  });

  describe('a transaction that cannot be published', () => {
    it('fails with its commit LSN after everything before it is published and advanced over', async () => {
      const slot = new FakeSlot();
      const before = slot.commit(insert(1), insert(2));
      const failing = slot.commit(insert(3), 'table public.t: INSERT: other[integer]:4');
      slot.commit(insert(5));
      const kit = runKit(slot, usual());
      await assert.rejects(run(kit.ports, kit.options({ unknownKey: 'fail' })), (error: unknown) => {
        assert.ok(error instanceof PipelineError);
        assert.equal(error.code, 'KEY_UNRESOLVED');
        assert.ok(error.message.includes(`commit LSN ${formatLsn(failing)}`));
        return true;
      });
      assert.equal(slot.confirmed, before);
      assert.deepEqual(keysOf(kit.publisher.acknowledged), [1, 2, 3]);
      // The next run fails the same way and repeats nothing.
      await assert.rejects(run(kit.ports, kit.options({ unknownKey: 'fail' })), { code: 'KEY_UNRESOLVED' });
      assert.deepEqual(keysOf(kit.publisher.acknowledged), [1, 2, 3]);
    });

    it('fails with what the stream said, the slot where it was', async () => {
      const slot = new FakeSlot();
      slot.commit(insert(1));
      const kit = runKit(slot, usual());
      const error = new PipelineError('STREAM_MISSING', 'There is no such stream.');
      kit.publisher.fate = () => error;
      await assert.rejects(run(kit.ports, kit.options()), error);
      assert.equal(slot.confirmed, 1000n);
    });
  });

  describe('a peek that takes too long', () => {
    it('is asked for less until it finishes, and the next run remembers', async () => {
      const slot = new FakeSlot();
      slot.idleWal(3_000_000_000n);
      slot.commit(insert(1));
      slot.walBytesInTime = 150_000_000;
      // Every peek of the fake starts from where the slot is.
      slot.onAdvance = (target) => (slot.restart = target);
      const kit = runKit(slot, usual());
      slot.onBlock = () => (kit.clock.time += 10);
      const answer = await run(kit.ports, kit.options());
      assert.deepEqual([answer.stopped, answer.published], ['caught-up', 1]);
      assert.ok((kit.warmState.peekLimits?.walBytes ?? 0) <= 600_000_000);
    });

    it("goes on until the function's own deadline when not even the smallest finishes in time", async () => {
      const slot = new FakeSlot();
      slot.idleWal(100_000_000n);
      slot.commit(insert(1));
      const kit = runKit(slot, usual());
      slot.walBytesInTime = 0;
      const peek = slot.peek.bind(slot);
      const budgets: number[] = [];
      slot.peek = (upto, limit, timeoutMs) => {
        budgets.push(timeoutMs);
        if (timeoutMs > 100_000) slot.walBytesInTime = Number.MAX_SAFE_INTEGER;
        else kit.clock.time += timeoutMs;
        return peek(upto, limit, timeoutMs);
      };
      const answer = await run(kit.ports, kit.options());
      assert.equal(answer.caughtUp, true);
      assert.ok((budgets.at(-1) ?? 0) > 100_000);
    });

    it('fails where the function has too little time to decode one transaction, and a longer drain publishes it', async () => {
      const slot = new FakeSlot();
      slot.commit(insert(1));
      const peek = slot.peek.bind(slot);
      const kit = runKit(slot, usual());
      slot.peek = (upto, limit, timeoutMs) => {
        // The server needs 2,000 seconds.
        slot.walBytesInTime = timeoutMs > 2_000_000 ? Number.MAX_SAFE_INTEGER : 0;
        kit.clock.time += Math.min(timeoutMs, 2_000_000);
        return peek(upto, limit, timeoutMs);
      };
      await assert.rejects(run(kit.ports, kit.options()), {
        code: 'NO_PROGRESS',
        message: /decoded not even one transaction in the \d{3} seconds.* pg2kinesis drain --max-seconds 14400 /s,
      });
      const deadline = kit.clock.time + 14_400_000;
      const answer = await run(kit.ports, kit.options({ action: 'drain', deadline, functionDeadline: deadline }));
      assert.deepEqual([answer.caughtUp, answer.published], [true, 1]);
    });
  });

  it('I9: every change read is published or counted under a reason', async () => {
    const slot = new FakeSlot();
    slot.commit(
      insert(1),
      insert(2, 'public.keyless'),
      insert(3, 'public.gone'),
      insert(4, 'audit.log'),
      'table public.t: DELETE: (no-tuple-data)',
      'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:7',
      'table public.t, public.keyless: TRUNCATE: (no-flags)',
    );
    const keys = new FakeKeys({ 'public.t': {}, 'public.keyless': { key: [] }, 'audit.log': {} });
    const kit = runKit(slot, keys);
    const answer = await run(
      kit.ports,
      kit.options({ filters: { tableInclude: [], tableExclude: [/^audit\..*$/], columnExclude: [] } }),
    );
    assert.deepEqual(answer.skipped, {
      noPrimaryKey: 2,
      keyUnknown: 0,
      noReplicaIdentity: 1,
      keyTooLarge: 0,
      droppedTable: 1,
      notTable: 0,
      filtered: 1,
      formatter: 0,
    });
    assert.deepEqual([answer.changes, answer.published, answer.records], [8, 3, 4]);
    const left = Object.values<number>({ ...answer.skipped }).reduce((sum, count) => sum + count, 0);
    assert.equal(answer.changes, answer.published + left);
  });

  it('reports health each minute of a long run that makes progress', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 300; i++) slot.commit(insert(1));
    const kit = runKit(slot, usual());
    kit.publisher.roundMs = 1_000;
    await run(kit.ports, kit.options({ action: 'drain', deadline: kit.clock.now() + 900_000 }));
    const beats = kit.recorder.values.filter(([name]) => name === 'RunHealthy').length;
    assert.ok(beats >= 4 && beats <= 5, `${beats} beats in 300 s`);
    assert.equal(kit.recorder.flushes, beats);
  });

  it('finishes its round, advances and answers when it is asked to stop', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 100; i++) slot.commit(insert(1));
    const kit = runKit(slot, usual());
    const stop = new AbortController();
    kit.publisher.fate = (round) => {
      if (round === 5) stop.abort();
      return 'acknowledged';
    };
    const answer = await run({ ...kit.ports, stop: stop.signal }, kit.options());
    assert.equal(answer.stopped, 'interrupted');
    assert.ok(answer.published >= 6 && answer.published < 20);
    assert.equal(slot.confirmed, parseLsn(answer.advancedTo ?? ''));
  });
});
