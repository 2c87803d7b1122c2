/** How many changes are committed at a time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Applier } from '../../../replica/rules/applier.ts';
import { Intake } from '../../../replica/rules/intake.ts';
import { Shards } from '../../../replica/rules/shards.ts';
import { SpillStore } from '../../../replica/store/spill-store.ts';

describe('a batch', () => {
  it('ends with the transaction that brings it to 50,000 changes', async () => {
    const begun = { cut: 0n, source: 's', system: '1', timelines: [1], forks: [], shards: new Map() };
    const intake = new Intake(begun, new Shards());
    using store = new SpillStore();
    const at = { source: 's', commitTime: '2026-01-02T03:04:05Z' };
    const sizes = [30_000, 19_999, 7, 30_000, 20_000, 60_000, 1];
    for (const [i, size] of sizes.entries()) {
      const commitLsn = `0/${(16 + i).toString(16)}`;
      const change = { ...at, op: 'DELETE', schema: 'p', table: 't', commitLsn };
      const texts = Array.from({ length: size }, (_, id) =>
        JSON.stringify({ ...change, ordinal: id + 1, key: { id } }),
      );
      texts.push(JSON.stringify({ ...at, op: 'MARK', commitLsn, lane: 0, lanes: 1, system: '1', timeline: 1 }));
      intake.take({ shard: 'a', sequence: String(i), arrivedMs: 0, partitionKey: 'lane-0-of-1', texts });
      store.spill(intake.lanes);
    }
    const { memory, stored } = intake.lanes.waiting;
    const mib = 1024 * 1024;
    assert.ok(memory <= 6 * mib && stored > 10 * mib, `${memory} in memory, ${stored} in files`);
    const nothing = () => Promise.resolve();
    const transaction = { write: nothing, commit: nothing, rollback: nothing };
    const applier = new Applier({ intake, store, target: { begin: () => Promise.resolve(transaction) } });
    const batches: number[] = [];
    for (let done = await applier.step(); done !== undefined; done = await applier.step()) batches.push(done.changes);
    assert.deepEqual(batches, [50_006, 50_000, 60_000, 1]);
  });
});
