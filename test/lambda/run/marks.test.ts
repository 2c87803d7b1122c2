/** Marks in the lanes (MARKS=on): what is before each of them, when they come, and what they cost. Over fakes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatLsn, type Lsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { Publisher } from '../../../lambda/ports/publisher.ts';
import type { MarkOptions } from '../../../lambda/run/marks.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { coldState } from '../../../lambda/run/warm-state.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { FakeTable } from '../../support/fake-tables.ts';
import { type RunKit, runKit } from '../../support/run-kit.ts';

const LANES = 4;
const insert = (id: number): string => `table public.t: INSERT: id[integer]:${id}`;
const inserts = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => insert(from + i));
const MARKS: MarkOptions = {
  source: 'test/fake',
  lanes: LANES,
  system: '7312',
  timeline: 1,
  forks: () => Promise.resolve([]),
};

/** One user record of a lane, as it arrived. */
interface Arrived {
  /** The Kinesis record's partition key: the lane's name. */
  readonly partition: string;
  readonly op: string;
  readonly id?: string;
  readonly commitLsn: string;
  readonly [field: string]: unknown;
}

/** A pipeline that writes lines of JSON, and what arrived. */
class Pipeline {
  readonly slot = new FakeSlot();
  readonly kit: RunKit = runKit(this.slot, new FakeKeys({ 'public.t': {} }));
  readonly #lanes = new Map<string, string>();
  requests = 0;
  bytes = 0;
  marks: MarkOptions | undefined = MARKS;
  /** After how many advances the function is killed. */
  killedAfter = Infinity;

  constructor() {
    const advance = this.slot.advance.bind(this.slot);
    this.slot.advance = async (lsn) => {
      if (this.isDead) throw new Error('killed');
      const position = await advance(lsn);
      if (--this.killedAfter <= 0) throw new Error('killed');
      return position;
    };
  }

  get isDead(): boolean {
    return this.killedAfter <= 0;
  }

  readonly publisher: Publisher = {
    publish: (round, deadline, signal) => {
      if (this.isDead) return Promise.reject(new Error('killed'));
      this.requests++;
      this.bytes += round.bytes;
      for (const { data, partitionKey } of round.entries) this.#lanes.set(Buffer.from(data).toString(), partitionKey);
      return this.kit.publisher.publish(round, deadline, signal);
    },
  };

  async run(changes: Partial<RunOptions> = {}, limits?: { requestBytes: number; laneBytes: number }) {
    const packer = createPacker({
      aggregation: 'lines',
      lanes: LANES,
      maxRecordBytes: 1024 * 1024,
      ...(limits && { limits }),
    });
    return await run(
      { ...this.kit.ports, publisher: this.publisher },
      this.kit.options({
        format: FORMATS.json({ ...FORMAT_OPTIONS, source: 'test/fake', oneLine: true }),
        packer,
        marks: this.marks,
        ...changes,
      }),
    );
  }

  /** A new container: it remembers nothing. */
  forget(): void {
    Object.assign(this.kit.warmState, coldState());
  }

  get arrived(): Arrived[] {
    return this.kit.publisher.arrived.flatMap((data) =>
      data
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => ({
          ...(JSON.parse(line) as Arrived),
          partition: this.#lanes.get(data) ?? '',
        })),
    );
  }

  get marked(): Arrived[] {
    return this.arrived.filter(({ op }) => op === 'MARK');
  }
}

const lsnOf = (text: string): Lsn => parseLsn(text) ?? -1n;

/** I12, on what arrived once everything has. */
function assertMarksHold(arrived: readonly Arrived[]): void {
  const firsts = new Map<string, { at: number; partition: string; lsn: Lsn }>();
  for (const [at, { id, partition, commitLsn }] of arrived.entries())
    if (id !== undefined && !firsts.has(id)) firsts.set(id, { at, partition, lsn: lsnOf(commitLsn) });
  for (const [at, { op, partition, commitLsn }] of arrived.entries()) {
    if (op !== 'MARK') continue;
    for (const [id, first] of firsts)
      if (first.partition === partition && first.lsn <= lsnOf(commitLsn))
        assert.ok(first.at < at, `${id} of ${partition} came after the mark ${commitLsn}`);
  }
}

describe('marks', () => {
  it('I12: hold whatever fails, and the last ones say that everything arrived', async () => {
    const step = fc.record({
      transactions: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 6 }),
      fates: fc.array(fc.constantFrom('acknowledged', 'acknowledged', 'throttled', 'unanswered'), { maxLength: 12 }),
      container: fc.constantFrom('same', 'same', 'new', 'other'),
      during: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
      killedAfter: fc.constantFrom(Infinity, 1, 2, 3),
      lingers: fc.boolean(),
      forgetsAdvance: fc.boolean(),
      maxRows: fc.integer({ min: 5, max: 60 }),
      blockMs: fc.constantFrom(0, 400, 15_000),
    });
    const end = fc.record({
      lastLingers: fc.boolean(),
      lastContainer: fc.constantFrom('same', 'new', 'other'),
      lastHandsOver: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), end, async (steps, how) => {
        const { lastLingers, lastContainer, lastHandsOver } = how;
        const pipeline = new Pipeline();
        const { slot, kit } = pipeline;
        let next = 0;
        let other = coldState();
        const sleep = kit.clock.sleep.bind(kit.clock);
        for (const {
          transactions,
          fates,
          container,
          during,
          killedAfter,
          lingers,
          forgetsAdvance,
          maxRows,
          blockMs,
        } of steps) {
          for (const size of transactions) slot.commit(...inserts((next += 100), size));
          if (container === 'new') pipeline.forget();
          if (container === 'other') {
            const left = { ...kit.warmState, marks: kit.warmState.marks && { ...kit.warmState.marks } };
            Object.assign(kit.warmState, other);
            other = left;
          }
          const before = slot.confirmed;
          const first = kit.publisher.rounds.length;
          kit.publisher.fate = (round) => fates[round - first] ?? 'acknowledged';
          slot.onBlock = () => (kit.clock.time += blockMs);
          const options = { maxRows, ...(lingers ? { lingerDutyPercent: 100 } : {}) };
          // A run that did nothing at all fails, which is right.
          pipeline.killedAfter = killedAfter;
          const written = [...during];
          kit.clock.sleep = async (ms, signal) => {
            await sleep(Math.max(1, ms), signal);
            // What comes while a run lingers is marked later than it is published.
            const size = lingers ? written.shift() : undefined;
            if (size !== undefined) slot.commit(...inserts((next += 100), size));
          };
          await pipeline.run(options, { requestBytes: 3_000, laneBytes: 1_000 }).catch(() => undefined);
          if (pipeline.isDead) pipeline.forget();
          pipeline.killedAfter = Infinity;
          // After a crash the server knows an older position.
          if (forgetsAdvance) slot.confirmed = before;
        }
        slot.onBlock = () => undefined;
        kit.publisher.fate = () => 'acknowledged';
        // Nothing is written any more: what comes last is marked all the same, however the next run ends.
        const last = slot.wal.at(-1)?.commitLsn ?? 0n;
        const options = lastLingers ? { lingerDutyPercent: 100, deadline: kit.clock.time + 10_000 } : {};
        if (lastContainer === 'new') pipeline.forget();
        if (lastContainer === 'other') Object.assign(kit.warmState, other);
        const begun = kit.clock.time;
        kit.session.isLockAwaited = () => lastHandsOver && kit.clock.time > begun + 5_000;
        await pipeline.run(options);
        const { arrived } = pipeline;
        assertMarksHold(arrived);
        for (let lane = 0; lane < LANES; lane++) {
          const reach = arrived
            .filter((each) => each.op === 'MARK' && each.partition === `lane-${lane}-of-${LANES}`)
            .reduce((most, { commitLsn }) => (lsnOf(commitLsn) > most ? lsnOf(commitLsn) : most), 0n);
          assert.ok(reach >= last, `lane ${lane} is marked up to ${reach} only, not ${last}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('I12: are acknowledged before the slot is advanced over what they mark', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    for (let i = 0; i < 40; i++) slot.commit(...inserts(i * 100, 20));
    kit.publisher.roundMs = 350;
    const unmarked: Lsn[] = [];
    slot.onAdvance = (target) => {
      const { arrived } = pipeline;
      const published = arrived.filter(({ op }) => op !== 'MARK').map(({ commitLsn }) => lsnOf(commitLsn));
      const marked = arrived.filter(({ op }) => op === 'MARK').map(({ commitLsn }) => lsnOf(commitLsn));
      const most = published.filter((lsn) => lsn <= target).reduce((a, b) => (a > b ? a : b), 0n);
      if (!marked.some((lsn) => lsn >= most)) unmarked.push(target);
    };
    const answer = await pipeline.run({ maxRows: 1_000_000 }, { requestBytes: 3_000, laneBytes: 1_000 });
    assert.equal(answer.stopped, 'caught-up');
    assert.ok(slot.advances.length > 3, `${slot.advances.length} advances`);
    assert.deepEqual(unmarked, []);
  });

  it('say what a replica has to know, and in a new container come first, with the forks', async () => {
    const pipeline = new Pipeline();
    pipeline.marks = {
      ...MARKS,
      timeline: 3,
      forks: () => Promise.resolve([[2, 0x10n] as const, [3, 0x20n] as const]),
    };
    const lsn = pipeline.slot.commit(insert(1));
    await pipeline.run();
    const { arrived } = pipeline;
    assert.deepEqual(
      arrived.map(({ op }) => op),
      ['MARK', 'MARK', 'MARK', 'MARK', 'INSERT', 'MARK', 'MARK', 'MARK', 'MARK'],
    );
    const forks = [
      [2, '0/10'],
      [3, '0/20'],
    ];
    assert.deepEqual(
      arrived.map((each) => each['forks']),
      [forks, forks, forks, forks, undefined, undefined, undefined, undefined, undefined],
    );
    assert.ok(
      arrived.every((each) => !('reading' in each || 'read' in each)),
      'no table is being read',
    );
    const { partition, ...mark } = arrived.at(-1) as Arrived;
    assert.deepEqual(mark, {
      op: 'MARK',
      source: 'test/fake',
      commitLsn: formatLsn(lsn),
      commitTime: arrived.find(({ op }) => op === 'INSERT')?.['commitTime'],
      lane: Number(partition.split('-')[1]),
      lanes: LANES,
      system: '7312',
      timeline: 3,
    });
  });

  it('open a run on another timeline, after an hour without any, and no other', async () => {
    const pipeline = new Pipeline();
    const opened = async (): Promise<number> => {
      const before = pipeline.marked.length;
      await pipeline.run();
      return (pipeline.marked.length - before) / LANES;
    };
    // Two rounds: nothing is known of the last run, so the run's end tells of snapshots, too.
    assert.equal(await opened(), 2);
    assert.equal(await opened(), 0);
    pipeline.marks = { ...MARKS, timeline: 2 };
    assert.equal(await opened(), 2);
    assert.equal(await opened(), 0);
    pipeline.kit.clock.time += 3_600_000;
    assert.equal(await opened(), 1);
    assert.equal(await opened(), 0);
  });

  it('tell in the run after one that was cut short that no snapshot reads any more, at a newer position than the first marks', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    slot.commit(insert(1));
    // What is published is acknowledged, and the container is gone before its marks.
    kit.publisher.fate = (round) => (round === 1 ? 'unanswered' : 'acknowledged');
    await pipeline.run().catch(() => undefined);
    kit.publisher.fate = () => 'acknowledged';
    slot.confirmed = slot.flushed;
    pipeline.forget();
    const before = pipeline.marked.length;
    await pipeline.run();
    const [opening, last] = [pipeline.marked.slice(before, before + LANES), pipeline.marked.slice(before + LANES)];
    assert.ok(opening.every((mark) => 'forks' in mark));
    assert.deepEqual(
      last.map((mark) => ['forks' in mark, 'reading' in mark, lsnOf(mark.commitLsn)]),
      Array.from({ length: LANES }, () => [false, false, slot.confirmed]),
    );
    assert.ok(opening.every(({ commitLsn }) => lsnOf(commitLsn) < slot.confirmed));
    // Once is enough.
    await pipeline.run();
    assert.equal(pipeline.marked.length, before + 2 * LANES);
  });

  describe('of what a killed run has published last', () => {
    /** A run that lingers publishes a transaction, and is killed before its marks. @returns the pipeline, and that transaction */
    async function killed(container: 'new' | 'other') {
      const pipeline = new Pipeline();
      const { slot, kit } = pipeline;
      slot.commit(insert(1));
      await pipeline.run();
      const other = { ...kit.warmState, marks: kit.warmState.marks && { ...kit.warmState.marks } };
      pipeline.forget();
      let last = 0n;
      const sleep = kit.clock.sleep.bind(kit.clock);
      const begun = kit.clock.time;
      kit.clock.sleep = async (ms, signal) => {
        await sleep(Math.max(1, ms), signal);
        if (last !== 0n || kit.clock.time < begun + 300) return;
        last = slot.commit(insert(2));
        pipeline.killedAfter = 1;
      };
      await pipeline.run({ lingerDutyPercent: 100 }).catch(() => undefined);
      assert.ok(pipeline.isDead && slot.confirmed === last);
      pipeline.killedAfter = Infinity;
      assert.ok(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? '') < last);
      if (container === 'other') Object.assign(kit.warmState, other);
      else pipeline.forget();
      return { pipeline, kit, slot, last, begun: kit.clock.time };
    }

    for (const container of ['new', 'other'] as const) {
      it(`come in ${container === 'new' ? 'a new' : 'the other'} container from a run that ends soon, once`, async () => {
        const { pipeline, last } = await killed(container);
        await pipeline.run();
        assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), last);
        const count = pipeline.marked.length;
        await pipeline.run();
        assert.equal(pipeline.marked.length, count);
      });

      for (const how of ['handed-over', 'caught-up'] as const)
        it(`come in ${container === 'new' ? 'a new' : 'the other'} container from one that lingers before it waits, and ends ${how}`, async () => {
          const { pipeline, kit, last, begun } = await killed(container);
          let markedAt = Infinity;
          kit.session.isLockAwaited = () => {
            if (lsnOf(pipeline.marked.at(-1)?.commitLsn ?? '') >= last) markedAt = Math.min(markedAt, kit.clock.time);
            return how === 'handed-over' && kit.clock.time > begun + 60_000;
          };
          const { stopped } = await pipeline.run({ lingerDutyPercent: 100, deadline: begun + 120_000 });
          assert.equal(stopped, how);
          assert.ok(markedAt < begun + 1_000, `${markedAt - begun} ms`);
        });

      it(`come in ${container === 'new' ? 'a new' : 'the other'} container from one that waits for a standby`, async () => {
        const { pipeline, kit, slot, last } = await killed(container);
        Object.assign(kit.session, { snapshots: new FakeTable(slot) });
        slot.standby = slot.confirmed;
        slot.commit(insert(3));
        assert.equal((await pipeline.run()).stopped, 'waiting-for-standby');
        assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), last);
        const count = pipeline.marked.length;
        await pipeline.run();
        assert.equal(pipeline.marked.length, count, 'once');
        // What a snapshot reads is told once the slot is read to its end.
        assert.equal(pipeline.marked.at(-1)?.['partial'], true);
        // One that stays owes to tell it, and cannot: it waits all the same.
        const begun = kit.clock.time;
        const stays = await pipeline.run({ lingerDutyPercent: 100, deadline: begun + 20_000 });
        assert.deepEqual([stays.stopped, pipeline.marked.length], ['waiting-for-standby', count]);
        assert.ok(kit.clock.time - begun > 10_000);
        slot.standby = undefined;
        await pipeline.run();
        assert.equal(pipeline.marked.at(-1)?.['partial'], undefined);
      });
    }

    it('come from the next run, where this one had no time, or was refused', async () => {
      const { pipeline, kit, last } = await killed('other');
      kit.publisher.fate = () => 'throttled';
      await pipeline.run().catch(() => undefined);
      kit.publisher.fate = () => 'acknowledged';
      await pipeline.run();
      assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), last);
    });
  });

  it('end a drain at the slot’s position, though nothing was published', async () => {
    const pipeline = new Pipeline();
    const { slot } = pipeline;
    await pipeline.run({ action: 'drain' });
    const before = pipeline.marked.length;
    slot.flushed += 0x1000n;
    await pipeline.run({ action: 'run' });
    assert.equal(pipeline.marked.length, before);
    slot.flushed += 0x1000n;
    await pipeline.run({ action: 'drain' });
    assert.equal(pipeline.marked.length, before + LANES);
    assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), slot.confirmed);
    assert.equal(slot.confirmed, slot.flushed);
  });

  it('fork at 0/0 where the server does not tell its history', async () => {
    const pipeline = new Pipeline();
    pipeline.marks = { ...MARKS, timeline: 2, forks: () => Promise.resolve(undefined) };
    await pipeline.run();
    assert.deepEqual(pipeline.marked[0]?.['forks'], [[2, '0/0']]);
  });

  it('come once a second at most while a run lingers, and at its end', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    const begun = kit.clock.time;
    let next = 0;
    const sleep = kit.clock.sleep.bind(kit.clock);
    kit.clock.sleep = async (ms, signal) => {
      await sleep(Math.max(1, ms), signal);
      if (kit.clock.time - begun < 20_000) slot.commit(insert(next++));
    };
    await pipeline.run({ lingerDutyPercent: 100, deadline: begun + 30_000 });
    const rounds = pipeline.marked.length / LANES;
    assert.ok(next > 60, `${next} were written`);
    assert.ok(rounds > 10 && rounds <= 23, `${rounds} times`);
    assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), slot.wal.at(-1)?.commitLsn);
  });

  it('come for what was published in the last second of a run that lingers, too', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    const begun = kit.clock.time;
    const sleep = kit.clock.sleep.bind(kit.clock);
    const at = [26_500, 27_000];
    let last = 0n;
    kit.clock.sleep = async (ms, signal) => {
      await sleep(Math.max(1, ms), signal);
      // The first is marked at once; the marks of the second are not due any more before the time is over.
      if (kit.clock.time - begun < (at[0] ?? Infinity)) return;
      at.shift();
      last = slot.commit(insert(1));
    };
    slot.commit(insert(0));
    await pipeline.run({ lingerDutyPercent: 100, deadline: begun + 30_000 });
    assert.deepEqual(at, []);
    assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), last);
  });

  it('that were held back come when they are due, though nothing more is written', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    const begun = kit.clock.time;
    const sleep = kit.clock.sleep.bind(kit.clock);
    const arrivedAt: number[] = [];
    // The first is marked at once, the second is held back.
    const at = [10_100, 10_500];
    let last = 0n;
    kit.clock.sleep = async (ms, signal) => {
      await sleep(Math.max(1, ms), signal);
      if (kit.clock.time - begun > (at[0] ?? Infinity)) {
        at.shift();
        last = slot.commit(insert(at.length));
      }
      if (at.length === 0 && pipeline.marked.at(-1)?.commitLsn === formatLsn(last))
        arrivedAt.push(kit.clock.time - begun);
    };
    slot.commit(insert(0));
    await pipeline.run({ lingerDutyPercent: 100, deadline: begun + 30_000 });
    assert.ok((arrivedAt[0] ?? Infinity) < 12_500, `${arrivedAt[0]} ms`);
  });

  it('seal a drain that is caught up, and no other', async () => {
    const pipeline = new Pipeline();
    const { slot } = pipeline;
    slot.commit(insert(1));
    slot.idleWal(1_000n);
    const last = slot.commit(insert(2));
    await pipeline.run({ action: 'drain', maxRows: 2, maxBatches: 1 });
    assert.ok(pipeline.marked.length > 0);
    assert.ok(slot.confirmed < last);
    assert.equal(pipeline.marked.length % LANES, 0);
    assert.equal(pipeline.marked.length / LANES, 2, 'those that open it, and those of its batch');
    // There is no snapshot where tables cannot be read.
    assert.ok(pipeline.marked.every((mark) => !('partial' in mark)));
  });

  it('seal no drain that ends before, though it has come further than its last transaction', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    const first = slot.commit(insert(1));
    slot.idleWal(200n);
    slot.commit(insert(2));
    kit.warmState.peekLimits = { rows: 100, walBytes: 100 };
    const { stopped } = await pipeline.run({ action: 'drain', maxBatches: 1 });
    assert.deepEqual([stopped, slot.confirmed > first], ['max-batches', true]);
    assert.equal(lsnOf(pipeline.marked.at(-1)?.commitLsn ?? ''), first);
  });

  it('that are refused end a run that would stay: it would find them due again and again', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    slot.commit(...inserts(100, 3));
    await pipeline.run({ lingerDutyPercent: 10 });
    pipeline.forget();
    kit.publisher.fate = () => 'throttled';
    const begun = kit.clock.time;
    await assert.rejects(pipeline.run({ lingerDutyPercent: 10 }), { code: 'STREAM_THROTTLED' });
    assert.ok(kit.clock.time - begun < 100, 'at once');
    kit.publisher.fate = () => 'acknowledged';
    assert.equal((await pipeline.run()).stopped, 'caught-up');
  });

  it('that are refused while a run stays end it at once, too', async () => {
    const pipeline = new Pipeline();
    const { slot, kit } = pipeline;
    slot.commit(...inserts(100, 3));
    await pipeline.run();
    slot.commit(...inserts(200, 3));
    const begun = kit.clock.time;
    // The run before has left something without marks: they are owed before this one waits.
    if (kit.warmState.marks !== undefined) kit.warmState.marks.isOwed = true;
    slot.idleWal(100n);
    const first = kit.publisher.rounds.length;
    // Those that open it, and its batch; what it settles is refused.
    kit.publisher.fate = (round) => (round - first < 2 ? 'acknowledged' : 'throttled');
    const { stopped } = await pipeline.run({ lingerDutyPercent: 10 });
    assert.deepEqual([stopped, kit.publisher.rounds.length - first], ['throttled', 3]);
    assert.ok(kit.clock.time - begun < 100, `${kit.clock.time - begun} ms`);
  });

  it('cost nothing where they are off, and little in a drain', async () => {
    const costs: { requests: number; bytes: number }[] = [];
    for (const marks of [undefined, MARKS]) {
      const pipeline = new Pipeline();
      pipeline.marks = marks;
      for (let i = 0; i < 200; i++) pipeline.slot.commit(...inserts(i * 100, 100));
      await pipeline.run();
      const { requests, bytes } = pipeline;
      costs.push({ requests, bytes });
      if (marks === undefined) assert.deepEqual(pipeline.marked, []);
    }
    const [off, on] = costs as [(typeof costs)[0], (typeof costs)[0]];
    // One request opens; the others carry marks beside data.
    assert.equal(on.requests, off.requests + 1);
    assert.ok(on.bytes - off.bytes < 20_000, `${on.bytes - off.bytes} bytes for 20,000 changes`);
  });
});
