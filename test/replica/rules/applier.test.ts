/** What an applier gives its target at a time: never more than fits into memory, however large the transaction or its rows are. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Applier, type TargetTransaction } from '../../../replica/rules/applier.ts';
import { DELETED } from '../../../replica/rules/fold.ts';
import { Intake } from '../../../replica/rules/intake.ts';
import { Shards } from '../../../replica/rules/shards.ts';
import { SpillStore } from '../../../replica/store/spill-store.ts';

const MIB = 1024 * 1024;

/** Applies one transaction of INSERTs. @returns of each part that was written its rows, and the characters of their values */
async function partsOf(rows: number, chars: number): Promise<{ rows: number; chars: number }[]> {
  const intake = new Intake(
    { cut: 0n, source: 's', system: '1', timelines: [1], forks: [], shards: new Map() },
    new Shards(),
  );
  using store = new SpillStore();
  const at = { source: 's', commitLsn: '0/10', commitTime: '2026-01-02T03:04:05Z' };
  let sequence = 0;
  const take = (records: readonly object[]): void => {
    const texts = records.map((record) => JSON.stringify({ ...at, ...record }));
    intake.take({ shard: 'a', sequence: String(++sequence), arrivedMs: 0, partitionKey: 'lane-0-of-1', texts });
    store.spill(intake.lanes);
  };
  const insert = (id: number) => ({
    ...{ op: 'INSERT', schema: 'p', table: 't', ordinal: id },
    ...{ key: { id }, row: { id, v: 'x'.repeat(chars) } },
  });
  const ids = Array.from({ length: rows }, (_, i) => i + 1);
  for (let from = 0; from < rows; from += 500) take(ids.slice(from, from + 500).map(insert));
  take([{ op: 'MARK', lane: 0, lanes: 1, system: '1', timeline: 1 }]);
  const parts: { rows: number; chars: number }[] = [];
  const transaction: TargetTransaction = {
    write: (tables) => {
      const written = tables.flatMap((table) => [...table.rows.values()]);
      const values = written.flatMap((row) => (row === DELETED ? [] : row.values));
      parts.push({ rows: written.length, chars: values.reduce((sum, value) => sum + (value?.length ?? 0), 0) });
      return Promise.resolve();
    },
    commit: () => Promise.resolve(),
    rollback: () => Promise.resolve(),
  };
  const applier = new Applier({ intake, store, target: { begin: () => Promise.resolve(transaction) } });
  while ((await applier.step()) !== undefined);
  return parts;
}

describe('a part of a transaction', () => {
  it('is limited by its size where rows are large', async () => {
    const parts = await partsOf(12, MIB);
    assert.deepEqual(
      parts.map(({ rows }) => rows),
      [4, 4, 4],
    );
    assert.ok(parts.every(({ chars }) => chars < 5 * MIB));
  });

  it('is limited by its rows where they are small', async () => {
    const parts = await partsOf(12_000, 1);
    assert.deepEqual(
      parts.map(({ rows }) => rows),
      [5_000, 5_000, 2_000],
    );
  });
});
