/** What a snapshot takes of a run, when it waits, when the slot is let go for it: whole runs over fakes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { fill, lined, SnapshotPipeline } from './snapshot-pipeline.ts';

const LOCKED = { kind: 'waiting', what: 'a lock on public.t' } as const;

/** A pipeline with a snapshot of so many rows, a second for each chunk of five. */
function slow(rows = 1_000): SnapshotPipeline {
  const pipeline = new SnapshotPipeline();
  fill(pipeline, rows);
  pipeline.ask();
  pipeline.table.chunkRows = 5;
  pipeline.table.onRead = () => {
    pipeline.kit.clock.time += 1_000;
    return undefined;
  };
  return pipeline;
}

/** What the newest message of ours in the WAL says. */
function written({ slot }: SnapshotPipeline) {
  const line = slot.wal.filter(({ message }) => message).at(-1)?.lines[0] ?? '';
  return decodeSnapshotMessage('fake', line.slice(line.indexOf('content:') + 'content:'.length));
}

describe('I7: the time that a snapshot takes', () => {
  it('ends in time for two chunks as slow as the last, also in a drain', async () => {
    const pipeline = slow();
    const { kit, table } = pipeline;
    const options = kit.options();
    await pipeline.run({ action: 'drain', deadline: options.deadline });
    // Of 50 s half a second is for the answer and two are for two rounds; a chunk and its rounds take 1,020 ms.
    assert.equal(table.requests.length, 45);
    assert.ok(kit.clock.time <= options.deadline);
  });

  it('ends in time where the server finds the next row too late, also in a drain', async () => {
    const pipeline = slow();
    const { kit, table } = pipeline;
    const deadline = kit.clock.time + 20_000;
    table.onRead = (_request, firstRowMs) => {
      kit.clock.time += firstRowMs;
      return { kind: 'waiting', what: 'the next row' };
    };
    const { snapshot } = await pipeline.run({ action: 'drain', isSnapshot: true, deadline });
    assert.equal(snapshot?.waitsFor, 'the next row');
    assert.ok(kit.clock.time <= deadline, `${kit.clock.time - deadline} ms too late`);
  });

  it('is a share of the time so far in a run that lingers', async () => {
    const pipeline = slow();
    const { kit, table } = pipeline;
    const begun = kit.clock.time;
    const at: number[] = [];
    const { onRead } = table;
    table.onRead = (request, firstRowMs) => {
      at.push(kit.clock.time - begun);
      return onRead(request, firstRowMs);
    };
    await pipeline.run({ lingerDutyPercent: 100, snapshotSharePercent: 25 });
    for (const [chunk, ms] of at.entries())
      assert.ok(ms * 0.25 >= (chunk - 1) * 1_000, `${chunk} chunks after ${ms} ms`);
    assert.ok(at.length >= 10 && at.length <= 13, `${at.length} chunks of a second in 50 s`);
  });
});

describe('a snapshot that has to wait', () => {
  it('is left to the next run, unless the run is there for it', async () => {
    const pipeline = slow();
    pipeline.table.onRead = () => LOCKED;
    const { snapshot, stopped } = await pipeline.run();
    assert.deepEqual([snapshot?.waitsFor, stopped, pipeline.kit.clock.slept], [LOCKED.what, 'caught-up', []]);
  });

  it('is waited for by a run that is there for it, which says so meanwhile', async () => {
    const pipeline = slow(5);
    let looks = 0;
    pipeline.table.onRead = () => (++looks < 5 ? LOCKED : undefined);
    const told: unknown[] = [];
    const { snapshot } = await pipeline.run(
      { action: 'drain', isSnapshot: true },
      { onProgress: (_published, _throttled, progress) => told.push(progress?.waitsFor) },
    );
    assert.equal(snapshot?.done, true);
    assert.deepEqual(pipeline.kit.clock.slept, [500, 500, 500]);
    assert.deepEqual(told.slice(0, 3), [LOCKED.what, LOCKED.what, LOCKED.what]);
  });

  it('is waited for no longer than until the run is asked to stop', async () => {
    const pipeline = slow();
    const stop = new AbortController();
    let looks = 0;
    pipeline.table.onRead = () => {
      if (++looks === 3) stop.abort();
      return LOCKED;
    };
    const { stopped } = await pipeline.run({ action: 'drain', isSnapshot: true }, { stop: stop.signal });
    assert.deepEqual([stopped, looks, pipeline.kit.clock.slept], ['interrupted', 3, [500]]);
  });

  it('is looked at again each second by a run that lingers, though nothing is written', async () => {
    const pipeline = slow(5);
    let looks = 0;
    pipeline.table.onRead = () => (++looks < 4 ? LOCKED : undefined);
    const begun = pipeline.kit.clock.time;
    const { snapshot } = await pipeline.run({ lingerDutyPercent: 100 });
    assert.deepEqual([snapshot?.done, looks], [true, 5]);
    assert.ok(pipeline.kit.clock.time - begun < 60_000);
  });
});

describe('a run that cannot get as far as the next message of a snapshot', () => {
  /** A snapshot was asked for, and more is behind that than a run can publish. */
  function behind() {
    const pipeline = new SnapshotPipeline();
    fill(pipeline, 30);
    pipeline.ask();
    for (let id = 100; id < 140; id++) pipeline.table.put(id, { v: id, big: 'x' });
    return pipeline;
  }

  it('asks for what is left once more, behind what it published, and the slot goes on', async () => {
    for (const fate of ['unanswered', 'throttled'] as const) {
      const pipeline = behind();
      const { kit, slot } = pipeline;
      const before = slot.confirmed;
      kit.publisher.fate = (round) => (round < 3 ? 'acknowledged' : fate);
      const { published, snapshot } = await pipeline.run();
      assert.ok(published > 0 && slot.confirmed > before, fate);
      const message = written(pipeline);
      assert.ok(message?.kind === 'begin' && message.anew, fate);
      const left = { id: 's', done: false, tablesLeft: 1, rowsRead: 0, rowsPublished: 0 };
      assert.deepEqual([message.id, message.tables, snapshot], ['s', ['public.t'], left]);
      // So the next run repeats nothing, and the snapshot goes on.
      kit.publisher.fate = () => 'acknowledged';
      const next = await pipeline.run();
      assert.deepEqual([next.published, next.snapshot?.done], [40 - published, true]);
    }
  });

  it('leaves all as it is where it ends for another reason: the next one reads on', async () => {
    const pipeline = behind();
    const { stopped, published } = await pipeline.run({ maxBatches: 1 });
    assert.deepEqual([stopped, published], ['max-batches', 40]);
    assert.equal(written(pipeline)?.kind, 'state', 'that of its first chunk');
  });
});

describe('the slot while a snapshot is under way', () => {
  it('is let go where the first round took all of the time', async () => {
    const pipeline = new SnapshotPipeline();
    const { kit, slot, table } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    table.put(10, { v: 1, big: 'x' });
    kit.publisher.roundMs = 20_000;
    const { stopped, published } = await pipeline.run();
    assert.deepEqual([stopped, published], ['caught-up', 1]);
    const message = written(pipeline);
    assert.ok(message?.kind === 'begin' && message.anew);
    kit.publisher.roundMs = 10;
    assert.equal((await pipeline.run()).published, 0, 'nothing comes again');
    assert.equal(slot.confirmed, slot.flushed);
  });

  it('stays where rows of a chunk could not be published: they come again, and no table begins anew', async () => {
    const pipeline = new SnapshotPipeline();
    const { kit, slot, table } = pipeline;
    fill(pipeline, 30);
    pipeline.ask();
    table.chunkRows = 20;
    table.put(100, { v: 1, big: 'x' });
    kit.publisher.fate = (round) => (round < 3 ? 'acknowledged' : 'unanswered');
    const before = slot.confirmed;
    assert.equal((await pipeline.run()).published, 1);
    assert.deepEqual([slot.confirmed, written(pipeline)?.kind], [before, 'state']);
  });

  it('is not said to be done where rows of the last chunk could not be published', async () => {
    const pipeline = new SnapshotPipeline();
    const { kit } = pipeline;
    fill(pipeline, 30);
    pipeline.ask();
    kit.publisher.fate = (round) => (round < 3 ? 'acknowledged' : 'unanswered');
    const { snapshot } = await pipeline.run();
    assert.deepEqual([snapshot?.done, snapshot?.tablesLeft], [false, 1]);
    kit.publisher.fate = () => 'acknowledged';
    const next = await pipeline.run();
    assert.deepEqual([next.snapshot?.done, next.snapshot?.tablesLeft, next.snapshot?.rowsPublished], [true, 0, 30]);
  });

  for (const marks of [false, true])
    for (const fate of ['throttled', 'unanswered'] as const)
      it(`is not let go, nor said to be done, where the round with its last rows is ${fate}, marks ${marks ? 'on' : 'off'}`, async () => {
        const pipeline = new SnapshotPipeline();
        const { kit, slot, table } = pipeline;
        fill(pipeline, 10);
        pipeline.ask();
        table.put(100, { v: 1, big: 'x' });
        const publish = kit.publisher.publish.bind(kit.publisher);
        kit.publisher.publish = (round, ...more) => {
          const hasRows = round.entries.some(({ data }) => Buffer.from(data).includes('"READ"'));
          kit.publisher.fate = () => (hasRows ? fate : 'acknowledged');
          return publish(round, ...more);
        };
        // All rows fit into the open round, which is sent at the end of the batch.
        const { snapshot } = await pipeline.run(lined(marks));
        assert.deepEqual([snapshot?.done, snapshot?.tablesLeft, snapshot?.rowsPublished], [false, 1, 0]);
        assert.ok(slot.confirmed < slot.flushed);
        kit.publisher.publish = publish;
        kit.publisher.fate = () => 'acknowledged';
        const next = await pipeline.run();
        assert.deepEqual([next.snapshot?.done, next.snapshot?.rowsPublished], [true, 11]);
      });

  it('follows a message of ours only where something was published since', async () => {
    const pipeline = new SnapshotPipeline();
    const { kit, slot, table } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    table.put(100, { v: 1, big: 'x' });
    const begun = kit.clock.time;
    // What others write moves the end of the WAL, and the run looks again.
    const sleep = kit.clock.sleep.bind(kit.clock);
    kit.clock.sleep = async (ms, signal) => {
      await sleep(Math.max(1, ms), signal);
      slot.idleWal(100n);
    };
    await pipeline.run({ lingerDutyPercent: 100, snapshotSharePercent: 0, deadline: begun + 60_000 });
    assert.equal(slot.wal.filter(({ message }) => message).length, 2, 'what asked for it, and one more');
    assert.equal(written(pipeline)?.kind, 'state', 'by which it goes on: no table begins anew');
  });
});

describe('a snapshot beside a standby that lags', () => {
  it('waits for the standby where a message of it is to be read, and looks on', async () => {
    const pipeline = new SnapshotPipeline();
    const { slot, table } = pipeline;
    fill(pipeline, 20);
    // A message is read once the standby has what comes behind it, too.
    const emit = table.emit.bind(table);
    table.emit = (content) => {
      emit(content);
      slot.idleWal(2_000n);
    };
    pipeline.ask();
    table.chunkRows = 5;
    slot.standby = slot.flushed;
    let looks = 0;
    // Every third look finds that it has everything.
    slot.onBound = () => {
      if (++looks % 3 === 0) slot.standby = slot.flushed;
    };
    const { snapshot } = await pipeline.run({ action: 'drain' });
    assert.equal(snapshot?.done, true);
    // One that is always behind by what was written last.
    pipeline.ask();
    slot.onBound = () => {
      slot.standby = slot.flushed;
      slot.idleWal(3_000n);
    };
    assert.equal((await pipeline.run({ action: 'drain' })).snapshot?.done, true);
  });
});
