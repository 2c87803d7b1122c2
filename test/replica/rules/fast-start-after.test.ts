/** Changes that are applied as they come to rows that were loaded in another way (`--start-after`), at a source that has failed over. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FastApplier } from '../../../replica/rules/fast/fast-applier.ts';
import type { FastRecord } from '../../../replica/rules/fast/fast-batch.ts';
import { ModelFastTarget } from './model/fast-target.ts';

const BEGUN_MS = 1_000_000;
const at = { source: 's', commitTime: '2026-01-02T03:04:05Z' };
const lsnOf = (lsn: number): string => `0/${lsn.toString(16)}`;

/** A record that the stream took before the copy began, but for `later`. */
function recordOf(lane: number, item: object, later = false, count = 2): FastRecord {
  const arrivedMs = later ? BEGUN_MS + 1 : BEGUN_MS - 1;
  const texts = [JSON.stringify({ ...at, ...item })];
  return { shard: 'a', sequence: '1', arrivedMs, partitionKey: `lane-${lane}-of-${count}`, texts };
}

function markOf(lane: number, lsn: number, timeline = 1, later = false, count = 2): FastRecord {
  const forks = timeline === 1 ? [] : [[2, lsnOf(0x80)]];
  const mark = { op: 'MARK', commitLsn: lsnOf(lsn), lane, lanes: count, system: '1', timeline, forks };
  return recordOf(lane, mark, later, count);
}

function changeOf(lane: number, lsn: number): FastRecord {
  const key = { text: String(lsn) };
  const row = { ...key, v: lsn, u: null, big: 'B' };
  const change = { op: 'INSERT', schema: 'public', table: 'rows', key, row, commitLsn: lsnOf(lsn), ordinal: 1 };
  return recordOf(lane, change);
}

describe('rows that were loaded up to 0/100, of a source that left its timeline at 0/80', () => {
  const begin = () => {
    const target = new ModelFastTarget('none', false, { start: 0x100n, begunMs: BEGUN_MS });
    const applier = new FastApplier({ target, skipMissing: false });
    let said = '';
    /** Each record in a batch of its own, from what is kept. */
    const apply = async (...records: readonly FastRecord[]): Promise<string | undefined> => {
      for (const record of records) {
        const { failure } = await applier.apply([record]);
        if (failure !== undefined) {
          said = failure.message;
          return failure.code;
        }
      }
      return undefined;
    };
    const v = () => [...target.rows.values()].map((row) => row.v).sort((a, b) => a - b);
    return { apply, v, message: () => said };
  };

  it('are gone on from, where it left it before they were loaded', async () => {
    const { apply, v } = begin();
    // The first lane has marks of before, lost changes among them; of the other one the stream has only what came after.
    const before = [changeOf(0, 0x10), markOf(0, 0x10), changeOf(0, 0x90), markOf(0, 0x90)];
    const after = [markOf(0, 0x80, 2), markOf(1, 0x80, 2), changeOf(0, 0x100), changeOf(0, 0x101), changeOf(1, 0x102)];
    assert.equal(await apply(...before, ...after, markOf(0, 0x102, 2)), undefined);
    assert.deepEqual(v(), [0x101, 0x102]);
  });

  it('are gone on from, where LANES was changed meanwhile, too', async () => {
    const { apply, v } = begin();
    const before = [markOf(0, 0x90), markOf(1, 0x90)];
    const after = [0, 1, 2, 3].map((lane) => markOf(lane, 0x80, 2, false, 4));
    assert.equal(await apply(...before, ...after), undefined);
    assert.deepEqual(v(), []);
  });

  it('are not, where it left it after the copy had begun', async () => {
    const { apply } = begin();
    assert.equal(await apply(markOf(0, 0x10), markOf(0, 0x80, 2, true)), 'HISTORY_CHANGED');
  });

  it('are not, where a lane was read beyond them before', async () => {
    for (const [read, beyond] of [
      [changeOf(0, 0x101), '101'],
      [markOf(0, 0x100), '100'],
    ] as const) {
      const { apply, message } = begin();
      assert.equal(await apply(markOf(0, 0x10), read, markOf(0, 0x80, 2)), 'HISTORY_CHANGED');
      assert.match(
        message(),
        new RegExp(`beyond what the stream holds of the former timeline, 0/${beyond} at least: `),
      );
    }
  });
});
