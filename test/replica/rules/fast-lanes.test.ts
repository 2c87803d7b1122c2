/** Another number of lanes, where changes are applied as they come: records of the old ones that are given once more change nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FastApplier } from '../../../replica/rules/fast/fast-applier.ts';
import type { FastRecord } from '../../../replica/rules/fast/fast-batch.ts';
import { ModelFastTarget } from './model/fast-target.ts';

const at = { source: 's', commitTime: '2026-01-02T03:04:05Z' };
const lsnOf = (lsn: number): string => `0/${lsn.toString(16).toUpperCase()}`;

function recordOf(lane: number, count: number, ...items: readonly object[]): FastRecord {
  const texts = items.map((item) => JSON.stringify({ ...at, ...item }));
  return { shard: 'a', sequence: '1', arrivedMs: 0, partitionKey: `lane-${lane}-of-${count}`, texts };
}

function markOf(lane: number, count: number, lsn: number, over: object = {}): FastRecord {
  const mark = { op: 'MARK', commitLsn: lsnOf(lsn), lane, lanes: count, system: '1', timeline: 1, ...over };
  return recordOf(lane, count, mark);
}

function changeOf(lane: number, count: number, lsn: number): FastRecord {
  const key = { text: String(7919 * (3 + lane)) };
  const row = { ...key, v: lsn, u: null, big: 'B' };
  return recordOf(lane, count, {
    ...{ op: 'INSERT', schema: 'public', table: 'rows', key, row, commitLsn: lsnOf(lsn), ordinal: 1 },
  });
}

describe('another number of lanes', () => {
  const begun = async () => {
    const target = new ModelFastTarget('none');
    const applier = new FastApplier({ target, skipMissing: false });
    const apply = async (...records: readonly FastRecord[]): Promise<string | undefined> => {
      const { failure } = await applier.apply(records);
      return failure?.code;
    };
    const v = () => [...target.rows.values()].map((row) => row.v).sort((a, b) => a - b);
    // A drain of two lanes, and the run after it, with four.
    assert.equal(await apply(changeOf(0, 2, 0x10), markOf(0, 2, 0x10), markOf(1, 2, 0x10)), undefined);
    assert.equal(await apply(...[0, 1, 2, 3].map((lane) => markOf(lane, 4, 0xf, { forks: [] }))), undefined);
    return { apply, v };
  };

  it('is taken up once all old lanes are applied up to the same mark, and waits until then', async () => {
    const target = new ModelFastTarget('none');
    const applier = new FastApplier({ target, skipMissing: false });
    await applier.apply([changeOf(0, 2, 0x10), markOf(0, 2, 0x10)]);
    const early = await applier.apply([markOf(2, 4, 0x0f, { forks: [] }), changeOf(2, 4, 0x20)]);
    assert.deepEqual([early.failure?.code, early.done], ['LANES_CHANGED', 0]);
    await applier.apply([markOf(1, 2, 0x10)]);
    const then = await applier.apply([changeOf(2, 4, 0x20)]);
    assert.deepEqual([then.failure, then.done], [undefined, 1]);
  });

  it('stops a copy that is made anew from the stream again, and not one whose rows were loaded behind it', async () => {
    const records = [changeOf(0, 2, 0x10), markOf(0, 2, 0x10), markOf(1, 2, 0x20), changeOf(2, 4, 0x30)];
    for (const [start, code] of [
      [0n, 'LANES_CHANGED'],
      [0x2fn, undefined],
    ] as const) {
      const applier = new FastApplier({ target: new ModelFastTarget('none', false, { start }), skipMissing: false });
      assert.equal((await applier.apply(records)).failure?.code, code);
    }
  });

  it('stays, where marks of the old lanes are given once more', async () => {
    const { apply, v } = await begun();
    assert.equal(await apply(changeOf(2, 4, 0x20), markOf(2, 4, 0x20)), undefined);
    assert.equal(await apply(markOf(0, 2, 0x10)), undefined);
    assert.equal(await apply(changeOf(0, 2, 0x10), markOf(1, 2, 0x10), changeOf(3, 4, 0x30)), undefined);
    assert.deepEqual(v(), [0x10, 0x20, 0x30]);
  });

  it('is taken up again where marks of the old number are new, or of another server', async () => {
    const { apply } = await begun();
    assert.equal(await apply(changeOf(2, 4, 0x20)), undefined);
    assert.equal(await apply(markOf(0, 2, 0x21)), 'LANES_CHANGED');
    assert.equal(await apply(markOf(0, 2, 0x10, { system: '2' })), 'LANES_CHANGED');
    assert.equal(await apply(markOf(0, 2, 0x10, { timeline: 2, forks: [[2, '0/10']] })), 'LANES_CHANGED');
  });
});
