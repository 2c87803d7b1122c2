/** What a replica takes of the stream: lanes that are changed, sources, histories, and records that it refuses. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FAST_TABLES } from '../../../replica/postgres/fast/fast-schema.ts';
import { Intake } from '../../../replica/rules/intake.ts';
import { Shards } from '../../../replica/rules/shards.ts';

const time = '2026-01-02T03:04:05Z';
const change = (lsn: number, over: object = {}): string =>
  JSON.stringify({
    op: 'INSERT',
    source: 's',
    schema: 'p',
    table: 't',
    key: { id: 1 },
    row: { id: 1 },
    commitLsn: `0/${lsn.toString(16)}`,
    ordinal: 1,
    commitTime: time,
    ...over,
  });
const mark = (lsn: number, lane: number, lanes: number, over: object = {}): string =>
  JSON.stringify({
    op: 'MARK',
    source: 's',
    commitLsn: `0/${lsn.toString(16)}`,
    commitTime: time,
    lane,
    lanes,
    system: '7',
    timeline: 1,
    ...over,
  });

/** An intake, and a reader of one shard. @param cut - of rows that were loaded before anything came into the stream, or after */
function begin(source?: string, cut = 0n, savedAtMs = 1) {
  const saved = { cut, source: undefined, system: undefined, timelines: [], forks: [], shards: new Map(), savedAtMs };
  const intake = new Intake(saved, new Shards(), source);
  let n = 0;
  const take = (lane: number, lanes: number, ...texts: string[]): boolean =>
    intake.take({ shard: 'a', sequence: String(++n), arrivedMs: 0, partitionKey: `lane-${lane}-of-${lanes}`, texts });
  return { intake, take };
}

describe('the intake of a replica', () => {
  it('leaves out the tables in which the source keeps a position, where it is a copy itself, and no others', () => {
    const { intake, take } = begin();
    const own = ['replica', ...FAST_TABLES].map((table, i) => change(5 + i, { schema: 'pg2kinesis', table }));
    assert.ok(take(0, 1, ...own, change(20, { schema: 'pg2kinesis', table: 'replicas' }), change(21)));
    assert.deepEqual([intake.counts.leftOut, intake.counts.changes], [own.length, 2]);
  });

  it('takes another number of lanes once all of the old ones are applied up to the same mark, and not before', () => {
    const { intake, take } = begin();
    assert.ok(take(0, 2, change(5), mark(6, 0, 2)));
    assert.ok(!take(1, 4, change(9)), 'the other old lane has no mark');
    assert.ok(take(1, 2, mark(6, 1, 2)));
    assert.ok(!take(1, 4, change(9)), 'it is not applied');
    assert.equal(intake.lanes.cut.lsn, 6n);
    intake.lanes.release(6n);
    assert.ok(take(1, 4, change(9), mark(9, 1, 4)));
    assert.equal(intake.lanes.lanes.length, 4);
    assert.equal(intake.lanes.cut.lsn, 6n, 'the other new lanes have no mark');
    for (const lane of [0, 2, 3]) assert.ok(take(lane, 4, mark(9, lane, 4)));
    assert.equal(intake.lanes.cut.lsn, 9n);
    // Read again, after a restart from a position of before the change.
    assert.ok(take(0, 2, change(5)));
    assert.ok(take(0, 2, mark(6, 0, 2)), 'marks that say nothing new');
    assert.equal(intake.lanes.lanes.length, 4);
    assert.ok(!take(0, 2, change(12)), 'the old lanes go on');
  });

  it('does not change back and forth where one shard is read into the new lanes before another has left the old ones', () => {
    const { intake, take } = begin();
    for (const lane of [0, 1]) assert.ok(take(lane, 2, change(5, { ordinal: lane + 1 }), mark(6, lane, 2)));
    intake.lanes.release(6n);
    // A new container opens with marks, and a drain that finds nothing ends with some.
    for (const lane of [0, 1, 2]) assert.ok(take(lane, 3, mark(6, lane, 3, { forks: [] })));
    for (const lane of [0, 1]) assert.ok(take(lane, 2, mark(6, lane, 2)));
    assert.equal(intake.lanes.lanes.length, 2);
    assert.ok(take(2, 3, change(8), mark(9, 2, 3)));
    for (const lane of [0, 1]) assert.ok(take(lane, 2, mark(6, lane, 2)));
    for (const lane of [0, 1]) assert.ok(take(lane, 3, mark(9, lane, 3)));
    assert.equal(intake.lanes.cut.lsn, 9n);
  });

  it('refuses a history that has lost what was applied, in other lanes, too', () => {
    const { intake, take } = begin();
    take(0, 1, change(5), mark(6, 0, 1));
    intake.lanes.release(6n);
    assert.throws(() => take(0, 2, mark(4, 0, 2, { timeline: 2, forks: [[2, '0/5']] })), /HISTORY_CHANGED/);
  });

  it('applies nothing before each lane had a mark, though all were read beyond', () => {
    const { intake, take } = begin();
    for (const lane of [0, 1]) assert.ok(take(lane, 2, change(5), change(9)));
    assert.ok(take(0, 2, mark(9, 0, 2)));
    assert.equal(intake.lanes.cut.lsn, 0n);
    assert.ok(take(1, 2, mark(9, 1, 2)));
    assert.equal(intake.lanes.cut.lsn, 9n);
  });

  it('refuses changes from before the first marks where the server has left its history in between them', () => {
    const opening = (lane: number, ...forks: unknown[]) => mark(12, lane, 2, { timeline: 3, forks });
    const read = (...forks: unknown[]) => {
      const { take } = begin();
      assert.ok(take(0, 2, change(5)));
      assert.ok(take(0, 2, opening(0, ...forks)));
      // One lane alone holds nothing of before.
      assert.ok(take(1, 2, change(9), change(10)));
      take(1, 2, opening(1, ...forks));
    };
    for (const fork of [5, 9]) {
      assert.throws(
        () => read([3, `0/${fork}`]),
        new RegExp(
          `HISTORY_CHANGED: The source went to another timeline at 0/${fork} while no marks.* after 0/0 was not applied\\. .*--start-after`,
        ),
      );
    }
    // Before all, after all, and of a history that is not known.
    read([2, '0/1'], [3, '0/4']);
    read([3, '0/A']);
    read([3, '0/0']);
    // Marks that come later tell what is lost.
    const { take } = begin();
    for (const lane of [0, 1]) assert.ok(take(lane, 2, change(5), change(9), mark(9, lane, 2, { forks: [] })));
    for (const lane of [0, 1]) assert.ok(take(lane, 2, mark(12, lane, 2, { timeline: 2, forks: [[2, '0/7']] })));
  });

  it('refuses a history that was left while marks had stopped for long: what is behind the fork may be of either', () => {
    const read = (fork: number, minutes: number) => {
      const saved = { cut: 5n, source: 's', system: '7', timelines: [1], forks: [], shards: new Map() };
      const intake = new Intake(saved, new Shards());
      const take = (at: number, ...texts: string[]): boolean =>
        intake.take({ shard: 'a', sequence: `${at}`, arrivedMs: at * 60_000, partitionKey: 'lane-0-of-1', texts });
      take(0, change(8));
      take(minutes, change(9));
      take(60, mark(9, 0, 1, { timeline: 2, forks: [[2, `0/${fork}`]] }));
      return intake.lanes.isEmpty;
    };
    assert.throws(() => read(8, 20), /HISTORY_CHANGED: .* at 0\/8 while no marks .* after 0\/5 was not applied/);
    // Of a run that has failed before its marks.
    assert.equal(read(7, 19), true);
    // Nothing of them is lost.
    assert.equal(read(9, 20), false);
  });

  it('goes on where rows were loaded after the source had left a history of which they are no part, and only there', () => {
    const fork = (lane: number) => mark(22, lane, 2, { timeline: 2, forks: [[2, '0/7']] });
    const read = (cut: bigint, reached: number, savedAtMs?: number) => {
      const { intake, take } = begin(undefined, cut, savedAtMs);
      for (const lane of [0, 1]) take(lane, 2, mark(2, lane, 2, { forks: [] }), change(5), mark(reached, lane, 2));
      for (const lane of [0, 1]) take(lane, 2, fork(lane), change(25), mark(25, lane, 2, { timeline: 2 }));
      return intake;
    };
    const intake = read(20n, 9);
    assert.equal(intake.lanes.cut.lsn, 25n);
    assert.equal(intake.counts.repeats, 2);
    assert.equal(read(6n, 6).lanes.cut.lsn, 25n, 'loaded before the fork');
    // Of the former history there is as much, so the rows may be of it; or they were loaded before it was left.
    assert.throws(
      () => read(20n, 20),
      /HISTORY_CHANGED: The source went on from 0\/7 on timeline 2, .* beyond what .* former timeline, 0\/14 at least: /,
    );
    assert.equal(read(21n, 20).lanes.cut.lsn, 25n, 'loaded anew, as that says');
    assert.throws(() => read(20n, 9, 0), /HISTORY_CHANGED/);
  });

  it('copies one source: another is refused, or left out where it is told which', () => {
    const one = begin();
    one.take(0, 1, change(1));
    assert.throws(
      () => one.take(0, 1, change(2, { source: 'other' })),
      /STREAM_CHANGED: .*"other" besides those of "s"/,
    );
    const named = begin('s');
    assert.ok(named.take(0, 1, change(1, { source: 'other' }), change(2)));
    assert.deepEqual({ ...named.intake.counts }, { changes: 1, marks: 0, repeats: 0, leftOut: 1 });
  });

  it('refuses to go on with another source than the copy is of, and leaves out records of its former name', () => {
    const saved = { cut: 5n, system: '7', timelines: [1], forks: [], shards: new Map() };
    assert.throws(
      () => new Intake({ ...saved, source: 'it' }, new Shards(), "it's"),
      /STREAM_CHANGED: The copy is of the source "it", and "it's" is asked for\. Nothing was applied\. .*SET source = 'it''s' WHERE name/,
    );
    const at = { shard: 'a', sequence: '1', arrivedMs: 0, partitionKey: 'lane-0-of-1' };
    for (const source of [undefined, 'new']) {
      const intake = new Intake({ ...saved, source: 'new' }, new Shards(), source);
      const take = (): boolean =>
        intake.take({ ...at, texts: [change(5, { source: 'old' }), mark(9, 0, 1, { source: 'new' })] });
      if (source === undefined) assert.throws(take, /STREAM_CHANGED/);
      else assert.ok(take());
      assert.equal(intake.lanes.cut.lsn, source === undefined ? 5n : 9n);
    }
  });

  it('refuses another server', () => {
    const { take } = begin();
    take(0, 1, mark(1, 0, 1));
    assert.throws(
      () => take(0, 1, mark(2, 0, 1, { system: '8' })),
      /HISTORY_CHANGED: .*system identifier 8; this copy is of 7, .*: set SOURCE_NAME, .* begin with --source and --start-after/,
    );
    const anew = (source?: string) => {
      const { intake, take } = begin(source, 3n);
      take(0, 1, mark(1, 0, 1), change(9), mark(9, 0, 1));
      take(0, 1, mark(2, 0, 1, { system: '8' }));
      const at = { system: '8', ...(source === undefined ? {} : { source }) };
      take(0, 1, mark(2, 0, 1, at), change(3, at), change(4, at), mark(4, 0, 1, at));
      return [intake.counts.changes, intake.lanes.cut.lsn];
    };
    assert.throws(() => anew(), /HISTORY_CHANGED: .*system identifier 8; this copy is of 7/);
    assert.deepEqual(anew('renamed'), [1, 4n]);
  });

  it('refuses a history that has lost what was applied, and takes one that has not', () => {
    const { intake, take } = begin();
    take(0, 1, change(5), change(9), mark(9, 0, 1));
    intake.lanes.release(5n);
    take(
      0,
      1,
      mark(0, 0, 1, { timeline: 2, forks: [[2, '0/7']] }),
      change(8, { ordinal: 2 }),
      mark(8, 0, 1, { timeline: 2 }),
    );
    const merged = [...intake.lanes.merged(9n, (record) => record.entries ?? [])];
    assert.deepEqual(
      merged.map(({ lsn }) => lsn),
      [8n],
    );
    intake.lanes.release(8n);
    const lost = mark(0, 0, 1, {
      timeline: 3,
      forks: [
        [2, '0/7'],
        [3, '0/6'],
      ],
    });
    assert.throws(
      () => take(0, 1, lost),
      /HISTORY_CHANGED: The source went on from 0\/6 on timeline 3, .* committed up to 0\/8/,
    );
  });

  it('does not notice a second history that has the timeline of the first, or that left the one before it later', () => {
    for (const [timeline, fork] of [
      [2, '0/4'],
      [3, '0/9'],
    ] as const) {
      const { intake, take } = begin();
      take(0, 1, mark(1, 0, 1), mark(6, 0, 1, { timeline: 2, forks: [[2, '0/5']] }), mark(8, 0, 1, { timeline: 2 }));
      intake.lanes.release(8n);
      assert.ok(take(0, 1, mark(8, 0, 1, { timeline, forks: [[timeline, fork]] })));
    }
  });

  it('counts messages as left out, and refuses what is no change, or in no lane, without showing it', () => {
    const { intake, take } = begin();
    take(0, 1, JSON.stringify({ op: 'MESSAGE', source: 's', prefix: 'p', content: 'x' }));
    assert.equal(intake.counts.leftOut, 1);
    for (const text of ['secret', '{"op":"INSERT","source":"s"', '0,CDC,{"xid": "secret"}', '{"secret":1}', '[1]'])
      assert.throws(
        () => take(0, 1, text),
        (error: Error) =>
          /RECORD_UNUSABLE: .* another stream, or wait until/.test(error.message) && !error.message.includes('secret'),
        text,
      );
    const record = { shard: 'a', sequence: '1', arrivedMs: 0, partitionKey: 'public.t:1', texts: [change(1)] };
    assert.throws(() => intake.take(record), /RECORD_UNUSABLE: .*AGGREGATION=none/);
  });
});
