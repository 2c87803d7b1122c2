/** A batch that is to be over by some time, where changes are applied as they come. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FastApplier } from '../../../replica/rules/fast/fast-applier.ts';
import type { FastRecord } from '../../../replica/rules/fast/fast-batch.ts';
import { ModelFastTarget } from './model/fast-target.ts';

function recordOf(lsn: number): FastRecord {
  const key = { text: String(7919 * lsn) };
  const row = { ...key, v: lsn, u: null, big: 'B' };
  const commit = { commitLsn: `0/${lsn}`, ordinal: 1, commitTime: '2026-01-02T03:04:05Z' };
  const text = JSON.stringify({ ...commit, source: 's', op: 'INSERT', schema: 'public', table: 'rows', key, row });
  return { shard: 'a', sequence: String(lsn), arrivedMs: 0, partitionKey: 'lane-0-of-1', texts: [text] };
}

const RECORDS = [...[1, 2, 3, 4].map(recordOf), { ...recordOf(5), texts: ['no JSON'] }];

/** Applies them, each in 10 milliseconds. @returns how many are done, why not the next, and whether their shards are read so far */
async function applyUntil(endsMs: number | undefined): Promise<[number, string | undefined, boolean]> {
  const target = new ModelFastTarget('none');
  let [nowMs, saved] = [0, false];
  target.onStep = () => void (nowMs += 10 / 4);
  const begin = target.begin.bind(target);
  target.begin = async (...given) => {
    const transaction = await begin(...given);
    const commit = transaction.commit.bind(transaction);
    transaction.commit = (shards) => ((saved = shards.size > 0), commit(shards));
    return transaction;
  };
  const applier = new FastApplier({ target, skipMissing: false, now: () => nowMs });
  const shards = new Map([['a', { sequence: '5', arrivedMs: 0, atEnd: false }]]);
  const { done, failure } = await applier.apply(RECORDS.slice(0, endsMs === undefined ? 4 : 5), shards, endsMs);
  assert.equal(target.rows.size, done);
  return [done, failure?.code, saved];
}

describe('a batch that is to be over by some time', () => {
  it('ends before a record that may take too long, however much is left behind it', async () => {
    assert.deepEqual(await applyUntil(45), [3, undefined, false]);
    assert.deepEqual(await applyUntil(1_000), [4, 'RECORD_UNUSABLE', false]);
    assert.deepEqual(await applyUntil(undefined), [4, undefined, true]);
  });

  it('gets past one record at least', async () => {
    assert.deepEqual(await applyUntil(0), [1, undefined, false]);
  });
});
