/**
 * Whole runs with a snapshot under way, over fakes: the changes go on, the rows come between them, and whoever reads the
 * stream alone ends with the table.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { Publisher } from '../../../lambda/ports/publisher.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { coldState } from '../../../lambda/run/warm-state.ts';
import { begin } from '../../../lambda/snapshot/progress.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { Copying } from '../../../replica/rules/copying.ts';
import { readRecord } from '../../../replica/rules/record.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeTable } from '../../support/fake-tables.ts';
import { consume, fill, lined, SnapshotPipeline, sorted } from './snapshot-pipeline.ts';

/** What the test reads of a record or a mark. */
interface Line {
  readonly op: string;
  readonly reading?: unknown;
  readonly read?: unknown;
}

describe('a run while a snapshot is under way', () => {
  it('publishes every row as READ, true at its place, and lets the slot go', async () => {
    const pipeline = new SnapshotPipeline();
    const { slot, table } = pipeline;
    fill(pipeline, 10);
    pipeline.ask();
    table.chunkRows = 4;
    const answer = await pipeline.run();
    assert.equal(answer.stopped, 'caught-up');
    assert.deepEqual(answer.snapshot, { id: 's', done: true, tablesLeft: 0, rowsRead: 10, rowsPublished: 10 });
    assert.deepEqual([answer.published, answer.changes], [0, 0], 'rows are no changes');
    assert.deepEqual(consume(pipeline.records()), table.rows);
    const reads = pipeline.records('READ');
    assert.deepEqual(
      reads.map(({ ordinal }) => ordinal),
      [1, 2, 3, 4, 1, 2, 3, 4, 1, 2],
      'ordinals count in the chunk',
    );
    assert.equal(new Set(reads.map(({ commitLsn }) => commitLsn)).size, 3, 'each chunk has a place of its own');
    assert.equal(slot.confirmed, slot.flushed);
    assert.equal(await pipeline.run().then(({ snapshot }) => snapshot), undefined);
  });

  it('I12: says in marks that a table is read before anything that comes after the request, and that it was read only once all lanes have its rows', async () => {
    const pipeline = new SnapshotPipeline();
    const { slot, table, kit } = pipeline;
    fill(pipeline, 10);
    slot.confirmed = slot.flushed;
    pipeline.ask();
    for (let id = 0; id < 10; id++) table.change(id, 100);
    table.chunkRows = 4;
    const lanes = new Map<string, Line[]>();
    const rounds: { readonly lines: readonly Line[]; readonly underWay: number }[] = [];
    let underWay = 0;
    const publisher: Publisher = {
      async publish(round, ...rest) {
        const text = round.entries.map(({ data }) => data.toString()).join('');
        const lines = text.split('\n').filter(Boolean);
        rounds.push({ lines: lines.map((line) => JSON.parse(line) as Line), underWay: underWay++ });
        for (const { partitionKey, data } of round.entries) {
          const lane = lanes.get(partitionKey) ?? [];
          lanes.set(partitionKey, lane);
          for (const line of data.toString().split('\n').filter(Boolean)) lane.push(JSON.parse(line) as Line);
        }
        return await kit.publisher.publish(round, ...rest).finally(() => underWay--);
      },
    };
    const marks = { source: 'test/fake', lanes: 4, system: '1', timeline: 1, forks: () => Promise.resolve([]) };
    const packer = createPacker({ aggregation: 'lines', lanes: 4, maxRecordBytes: 1024 * 1024 });
    const format = FORMATS.json({ ...FORMAT_OPTIONS, oneLine: true });
    const { snapshot } = await pipeline.run({ marks, packer, format }, { publisher });
    assert.equal(snapshot?.done, true);
    assert.equal(slot.confirmed, slot.flushed);
    const hasRows = ({ lines }: (typeof rounds)[number]) => lines.some(({ op }) => op === 'READ');
    const isEnd = ({ lines }: (typeof rounds)[number]) =>
      lines.some(({ op, reading, read }) => op === 'MARK' && reading === undefined && read !== undefined);
    const lastRows = rounds.findLastIndex(hasRows);
    const end = rounds.findIndex(isEnd);
    assert.ok(lastRows >= 0 && end > lastRows, `rows in round ${lastRows}, their end in round ${end}`);
    assert.equal(rounds[end]?.underWay, 0, 'the rows are acknowledged by then');
    assert.equal(lanes.size, 4);
    for (const [lane, lines] of lanes) {
      const told = lines.findIndex(({ op, reading }) => op === 'MARK' && reading !== undefined);
      const change = lines.findIndex(({ op }) => op !== 'MARK');
      assert.ok(told >= 0 && (change < 0 || told < change), `${lane}: told at ${told}, changes from ${change} on`);
    }
  });

  describe('I12: before it has read the slot to its end, says in marks that there may be more tables', () => {
    /** Transactions, and behind them a request. @returns the marks of a run, but for those that open it: whether they may lack tables */
    async function partial(changes: Partial<RunOptions>, onBlock?: (pipeline: SnapshotPipeline) => void) {
      const pipeline = new SnapshotPipeline();
      fill(pipeline, 2);
      for (let id = 10; id < 18; id++) pipeline.table.put(id, { v: id, big: 'x' });
      pipeline.ask();
      pipeline.slot.onBlock = () => onBlock?.(pipeline);
      await pipeline.run({ ...lined(true), ...changes });
      const lines = pipeline.kit.publisher.arrived.flatMap((text) => text.split('\n').filter(Boolean));
      const marks = lines.map((line) => JSON.parse(line) as Line & { forks?: unknown; partial?: boolean });
      return marks.filter(({ op, forks }) => op === 'MARK' && forks === undefined).map((mark) => mark.partial);
    }

    it('where its peek was full', async () => {
      // Two transactions of three rows each.
      for (const maxRows of [5, 6])
        assert.deepEqual(await partial({ maxRows, maxBatches: 1 }), [true, true, true, true]);
    });

    it('where it had no time for all of its peek', async () => {
      let blocks = 0;
      const marks = await partial({}, ({ kit }) => {
        if (++blocks === 2) kit.clock.time += 48_000;
      });
      assert.ok(marks.length > 0 && marks.every((isPartial) => isPartial === true), marks.join());
    });

    it('and no longer, from the marks of the batch on that reads to the end', async () => {
      const pipeline = new SnapshotPipeline();
      pipeline.table.put(1, { v: 1, big: 'x' });
      await pipeline.run(lined(true));
      const lines = pipeline.kit.publisher.arrived.flatMap((text) => text.split('\n').filter(Boolean));
      const marks = lines.filter((line) => line.includes('"MARK"'));
      assert.deepEqual([marks.length, marks.filter((mark) => mark.includes('partial'))], [8, []]);
      pipeline.table.put(2, { v: 1, big: 'x' });
      await pipeline.run(lined(true));
      const arrived = pipeline.kit.publisher.arrived.length;
      await pipeline.run(lined(true));
      assert.equal(pipeline.kit.publisher.arrived.length, arrived, 'and a run after it has nothing to tell');
    });
  });

  it('I12: never says in marks that no table is read before all of its rows are published, whatever container begins it anew further on', async () => {
    const step = fc.record({
      burst: fc.integer({ min: 0, max: 60 }),
      roundMs: fc.constantFrom(10, 400, 1_000),
      maxBatches: fc.constantFrom(1, 3, 100),
      container: fc.constantFrom('same', 'new', 'other'),
      lingers: fc.boolean(),
    });
    let anew = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
        const pipeline = new SnapshotPipeline();
        const { kit, table } = pipeline;
        fill(pipeline, 12);
        await pipeline.run(lined(true));
        pipeline.ask();
        table.chunkRows = 5;
        let other = coldState();
        let id = 100;
        for (const { burst, roundMs, maxBatches, container, lingers } of steps) {
          if (container === 'new') Object.assign(kit.warmState, coldState());
          if (container === 'other') {
            const left = { ...kit.warmState, marks: kit.warmState.marks && { ...kit.warmState.marks } };
            Object.assign(kit.warmState, other);
            other = left;
          }
          for (let i = 0; i < burst; i++) table.put(id++, { v: 1, big: 'x'.repeat(40) });
          kit.publisher.roundMs = roundMs;
          const options = {
            maxBatches,
            deadline: kit.clock.time + 12_000,
            ...(lingers ? { lingerDutyPercent: 100 } : {}),
          };
          // A run that did nothing at all fails, which is right.
          const limits = { requestBytes: 1_500, laneBytes: 500 };
          await pipeline.run({ ...lined(true, limits), ...options }).catch(() => undefined);
        }
        kit.publisher.roundMs = 10;
        for (let i = 0; i < 2; i++) await pipeline.run(lined(true));
        anew += kit.recorder.lines.filter((line) => line.includes('begins anew')).length;
        const told = new Set<number>();
        const copying = new Copying('awaited');
        const all = kit.publisher.arrived.flatMap((text) => text.split('\n').filter(Boolean));
        for (const record of all.map(readRecord)) {
          if (record.kind === 'change' && record.op === 'READ') told.add(Number(record.key?.match(/\d+/)?.[0]));
          if (record.kind !== 'mark' || record.lane !== 0 || record.snapshot === undefined) continue;
          copying.take(record.lsn, record.snapshot, 0n);
          const left = copying.at(record.lsn);
          const missing = Array.from({ length: 12 }, (_, row) => row).filter((row) => !told.has(row));
          if (Array.isArray(left) && left.length === 0) assert.deepEqual(missing, [], formatLsn(record.lsn));
        }
        assert.deepEqual(copying.at(1n << 60n), [], 'in the end it does');
      }),
      { numRuns: 60 },
    );
    assert.ok(anew > 5, `${anew} begun anew`);
  });

  it('publishes a row once that was changed before its message, as its change with all of its values', async () => {
    const pipeline = new SnapshotPipeline();
    const { table } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    const read = table.read.bind(table);
    table.read = async (request) => {
      const chunk = await read(request);
      table.change(1, 100);
      table.remove(2);
      return chunk;
    };
    const { snapshot } = await pipeline.run();
    assert.equal(snapshot?.rowsPublished, 1);
    assert.deepEqual(
      pipeline.records().map(({ op, key, row }) => [op, key?.id, row?.big]),
      [
        ['UPDATE', 1, 'b1'],
        ['DELETE', 2, undefined],
        ['READ', 0, 'b0'],
      ],
    );
  });

  it('leaves the changes of a table that is truncated meanwhile as they are', async () => {
    const pipeline = new SnapshotPipeline();
    const { table } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    const read = table.read.bind(table);
    table.read = async (request) => {
      const chunk = await read(request);
      table.truncate();
      return chunk;
    };
    const { snapshot } = await pipeline.run();
    assert.deepEqual([snapshot?.rowsPublished, snapshot?.done], [0, true]);
    assert.deepEqual(
      pipeline.records().map(({ op }) => op),
      ['TRUNCATE'],
    );
  });

  it('I1: keeps the slot before the message from which the next run goes on, whatever container that has', async () => {
    const pipeline = new SnapshotPipeline();
    const { slot, table, kit } = pipeline;
    fill(pipeline, 20);
    pipeline.ask();
    table.chunkRows = 5;
    const first = await pipeline.run({ snapshotSharePercent: 0 });
    assert.deepEqual([first.snapshot?.rowsRead, first.snapshot?.done], [0, false]);
    assert.ok(slot.confirmed < slot.flushed);
    table.put(100, { v: 1, big: 'new' });
    Object.assign(kit.warmState, coldState());
    const second = await pipeline.run();
    assert.deepEqual([second.snapshot?.done, second.published], [true, 1]);
    assert.deepEqual(sorted(consume(pipeline.records())), sorted(table.rows));
    assert.equal(slot.confirmed, slot.flushed);
  });

  it('I9: counts what it publishes of changes once, though it reads them again for the slot', async () => {
    const pipeline = new SnapshotPipeline();
    const { slot, table } = pipeline;
    fill(pipeline, 12);
    pipeline.ask();
    table.chunkRows = 2;
    table.onRead = () => {
      const id = 1_000 + slot.peeks.length;
      table.put(id, { v: id, big: 'x' });
      return undefined;
    };
    // The last chunk is the one that finds less than it asks for.
    table.chunkRows = 30;
    const answer = await pipeline.run();
    assert.equal(answer.changes, pipeline.records('INSERT').length);
    assert.equal(new Set(pipeline.records('INSERT').map(({ key }) => key?.id)).size, answer.changes);
  });

  it('I2: lets the slot follow in a run that has no time for a chunk: each change is published once', async () => {
    const pipeline = new SnapshotPipeline();
    const { table, slot } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    for (let i = 0; i < 5; i++) {
      table.put(10 + i, { v: i, big: 'y' });
      const { snapshot } = await pipeline.run({ snapshotSharePercent: 0 });
      assert.deepEqual([snapshot?.done, snapshot?.rowsPublished], [false, 0]);
    }
    assert.equal(pipeline.records('INSERT').length, 5);
    const written = slot.wal.length;
    await pipeline.run({ snapshotSharePercent: 0 });
    assert.equal(slot.wal.length, written, 'and where nothing was published, nothing is written');
    assert.equal((await pipeline.run()).snapshot?.done, true);
    assert.deepEqual(sorted(consume(pipeline.records())), sorted(table.rows));
  });

  it('goes on with what the first message says, though transactions without changes lie before it, and heeds none behind a change', async () => {
    const progress = begin({ id: 's', begunAt: 1, tables: ['public.t'] });
    const state = encodeSnapshotMessage('fake', { kind: 'state', mark: 'of another run', progress });
    for (const [isEmpty, id] of [
      [true, 's'],
      [false, undefined],
    ] as const) {
      const pipeline = new SnapshotPipeline();
      fill(pipeline, 3);
      if (isEmpty) pipeline.slot.commit();
      else pipeline.table.put(9, { v: 9, big: 'x' });
      pipeline.table.emit(state);
      const { snapshot } = await pipeline.run();
      assert.deepEqual([snapshot?.id, snapshot?.rowsPublished], [id, isEmpty ? 3 : undefined]);
    }
  });

  for (const isAskedAnew of [false, true]) {
    it(`does not go on with one that was stopped, though a run that failed has left a message behind the stop and the next begins there${isAskedAnew ? ', and reads all rows once it is asked for anew' : ''}`, async () => {
      const pipeline = new SnapshotPipeline();
      const { table, slot, kit } = pipeline;
      fill(pipeline, 12);
      table.chunkRows = 4;
      pipeline.ask();
      let behindStop = 0n;
      const write = table.write.bind(table);
      table.write = async (content) => {
        if (table.requests.length === 0) return await write(content);
        table.emit(encodeSnapshotMessage('fake', { kind: 'stop', tables: undefined }));
        slot.idleWal(1_000n);
        behindStop = slot.flushed;
        slot.idleWal(1_000n);
        await write(content);
        throw new Error('killed');
      };
      await assert.rejects(pipeline.run(), /killed/);
      table.write = write;
      slot.standby = behindStop;
      Object.assign(kit.warmState, coldState());
      await pipeline.run();
      assert.equal(slot.confirmed, behindStop);
      slot.standby = undefined;
      if (isAskedAnew) pipeline.ask();
      Object.assign(kit.warmState, coldState());
      await pipeline.run();
      assert.equal(pipeline.records('READ').length, isAskedAnew ? 12 : 0);
      assert.equal((await pipeline.run()).snapshot, undefined);
    });
  }

  it('I1: keeps the slot before a stop that it could not repeat', async () => {
    const pipeline = new SnapshotPipeline();
    const { table, slot } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    table.put(9, { v: 9, big: 'x' });
    table.emit(encodeSnapshotMessage('fake', { kind: 'stop', tables: undefined }));
    const before = slot.confirmed;
    const write = table.write.bind(table);
    table.write = () => Promise.reject(new Error('not written'));
    await assert.rejects(pipeline.run(), /not written/);
    assert.equal(slot.confirmed, before);
    table.write = write;
    await pipeline.run();
    assert.deepEqual([slot.confirmed > before, pipeline.records('READ')], [true, []]);
  });

  it('sends rows and the changes behind them in one request, where there are no marks', async () => {
    const pipeline = new SnapshotPipeline();
    const { table, kit } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    const write = table.write.bind(table);
    table.write = async (content) => {
      const written = await write(content);
      table.put(9, { v: 9, big: 'x' });
      return written;
    };
    assert.equal((await pipeline.run(lined(false))).snapshot?.rowsPublished, 3);
    assert.equal(kit.publisher.rounds.length, 1);
  });

  it('I9: counts apart the rows that the formatter leaves out', async () => {
    const pipeline = new SnapshotPipeline();
    fill(pipeline, 3);
    pipeline.ask();
    const json = FORMATS.json(FORMAT_OPTIONS);
    const format: RunOptions['format'] = {
      supportsDeleteWithoutKey: true,
      showsRow: true,
      write: json.write.bind(json),
      decide: (record, out) => {
        if (record.ordinal === 2) return false;
        json.write(record, out);
        return true;
      },
    };
    const { snapshot } = await pipeline.run({ format });
    assert.deepEqual([snapshot?.rowsPublished, snapshot?.rowsLeftOut, snapshot?.done], [2, 1, true]);
  });

  it('publishes a chunk whole that fits into a request, though it is asked to stop meanwhile', async () => {
    const pipeline = new SnapshotPipeline();
    const { table, slot } = pipeline;
    fill(pipeline, 3);
    pipeline.ask();
    const write = table.write.bind(table);
    table.write = (content) => {
      table.put(50, { v: 5, big: 'x' });
      return write(content);
    };
    const stop = new AbortController();
    // The request and a change of three rows lie before the message at which the rows come.
    slot.blockLines = 1;
    let blocks = 0;
    slot.onBlock = () => {
      if (table.requests.length > 0 && ++blocks === 5) stop.abort();
    };
    const { stopped, snapshot, published } = await pipeline.run(lined(false), { stop: stop.signal });
    assert.deepEqual([stopped, published, snapshot?.rowsPublished], ['interrupted', 1, 3]);
  });

  it('gives up a table that filters exclude since', async () => {
    const pipeline = new SnapshotPipeline();
    fill(pipeline, 3);
    pipeline.ask();
    const filters = { tableInclude: [], tableExclude: [/^public\.t$/], columnExclude: [] };
    const { snapshot } = await pipeline.run({ filters });
    assert.deepEqual([snapshot?.rowsPublished, snapshot?.done], [0, true]);
    assert.deepEqual(
      snapshot?.givenUp?.map(({ why }) => why),
      ['TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST leaves it out now'],
    );
    assert.deepEqual(pipeline.records(), []);
  });

  it('gives up a table with a row that no record can hold, and publishes its changes all the same', async () => {
    const pipeline = new SnapshotPipeline();
    const { table } = pipeline;
    table.rows.set(1, { v: 1, big: 'x'.repeat(2_000) });
    pipeline.ask();
    table.put(2, { v: 2, big: 'y' });
    const packer = createPacker({ aggregation: 'none', lanes: 4, maxRecordBytes: 1_000 });
    const answer = await pipeline.run({ packer, oversize: 'fail' });
    assert.deepEqual(answer.snapshot?.givenUp, [
      { table: 'public.t', why: 'a row cannot be published: RECORD_TOO_LARGE' },
    ]);
    assert.deepEqual([answer.published, answer.stopped], [1, 'caught-up']);
  });

  it('I7: takes half of the time of a run with many changes, and all of a drain', async () => {
    const chunks = async (changes: Partial<RunOptions>): Promise<number> => {
      const pipeline = new SnapshotPipeline();
      fill(pipeline, 1_000);
      pipeline.ask();
      const { table, kit } = pipeline;
      table.chunkRows = 5;
      table.onRead = () => {
        kit.clock.time += 1_000;
        return undefined;
      };
      await pipeline.run(changes);
      return table.requests.length;
    };
    const share = await chunks({});
    assert.ok(share >= 23 && share <= 26, `${share} chunks of a second in a run of 50 s`);
    const quarter = await chunks({ snapshotSharePercent: 25 });
    assert.ok(quarter >= 11 && quarter <= 13, `${quarter} chunks`);
    const drain = await chunks({ action: 'drain' });
    assert.ok(drain >= 40, `${drain} chunks`);
  });

  it('publishes rows again that were not acknowledged, fewer at once, and none is lost', async () => {
    const pipeline = new SnapshotPipeline();
    const { table, kit, slot } = pipeline;
    fill(pipeline, 30);
    pipeline.ask();
    table.chunkRows = 30;
    kit.publisher.fate = (round) => (round < 3 ? 'acknowledged' : 'unanswered');
    const before = slot.confirmed;
    await pipeline.run();
    assert.equal(slot.confirmed, before, 'the slot did not move');
    assert.equal(kit.warmState.chunkBytes, 256 * 1024);
    kit.publisher.fate = () => 'acknowledged';
    const { snapshot } = await pipeline.run();
    assert.equal(snapshot?.done, true);
    assert.deepEqual(sorted(consume(pipeline.records())), sorted(table.rows));
  });

  it('ends with the table for whoever reads the stream alone, whatever is written, fails and is forgotten', async () => {
    const step = fc.record({
      writes: fc.array(
        fc.record({
          what: fc.constantFrom('put', 'change', 'change', 'move', 'remove', 'truncate'),
          id: fc.nat(19),
          to: fc.nat(19),
        }),
        { maxLength: 6 },
      ),
      chunkRows: fc.integer({ min: 1, max: 6 }),
      fates: fc.array(fc.constantFrom('acknowledged', 'acknowledged', 'acknowledged', 'throttled', 'unanswered'), {
        maxLength: 8,
      }),
      isCold: fc.boolean(),
      lingers: fc.boolean(),
      readMs: fc.constantFrom(0, 200, 9_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
        const pipeline = new SnapshotPipeline();
        const { table, kit } = pipeline;
        let v = 1_000;
        const write = ({ what, id, to }: { what: string; id: number; to: number }): void => {
          v++;
          const isFree = !table.rows.has(to);
          if (what === 'put' && !table.rows.has(id)) table.put(id, { v, big: `n${v}` });
          if (what === 'change') table.change(id, v);
          if (what === 'move' && isFree) table.change(id, v, to);
          if (what === 'remove') table.remove(id);
          if (what === 'truncate' && id === 0) table.truncate();
        };
        fill(pipeline, 12);
        pipeline.ask();
        for (const { writes, chunkRows, fates, isCold, lingers, readMs } of steps) {
          const during = [...writes];
          for (const each of during.splice(0, 2)) write(each);
          table.chunkRows = chunkRows;
          table.onRead = () => {
            kit.clock.time += readMs;
            for (const each of during.splice(0, 1)) write(each);
            return undefined;
          };
          const read = FakeTable.prototype.read.bind(table);
          table.read = async (request) => {
            const chunk = await read(request);
            for (const each of during.splice(0, 1)) write(each);
            return chunk;
          };
          if (isCold) Object.assign(kit.warmState, coldState());
          const first = kit.publisher.rounds.length;
          kit.publisher.fate = (round) => fates[round - first] ?? 'acknowledged';
          // A run that did nothing at all fails, which is right.
          await pipeline.run(lingers ? { lingerDutyPercent: 10 } : {}).catch(() => undefined);
        }
        kit.publisher.fate = () => 'acknowledged';
        table.onRead = () => undefined;
        table.read = FakeTable.prototype.read.bind(table);
        let last = await pipeline.run();
        for (let i = 0; i < 5 && last.snapshot?.done === false; i++) last = await pipeline.run();
        assert.notEqual(last.snapshot?.done, false, 'the snapshot comes to its end');
        assert.deepEqual(sorted(consume(pipeline.records())), sorted(table.rows));
      }),
      { numRuns: 100 },
    );
  });
});
