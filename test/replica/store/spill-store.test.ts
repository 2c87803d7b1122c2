/** What waits in files comes back as it was, in commit order, and files that are not needed are given up. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { Intake } from '../../../replica/rules/intake.ts';
import { Shards } from '../../../replica/rules/shards.ts';
import { SpillStore } from '../../../replica/store/spill-store.ts';

const text = (lsn: number, ordinal: number): string =>
  JSON.stringify({
    op: 'INSERT',
    source: 's',
    schema: 'public',
    table: 't',
    key: { id: lsn * 100 + ordinal },
    row: { id: lsn * 100 + ordinal, v: `line\n"é😀${'x'.repeat(200)}` },
    commitLsn: `0/${lsn.toString(16)}`,
    ordinal,
    commitTime: '2026-01-02T03:04:05Z',
  });

describe('what waits', () => {
  it('is the same from files, in commit order, and no file is left in sight', () => {
    const shards = new Shards();
    const intake = new Intake(
      { cut: 0n, source: 's', system: undefined, timelines: [1, 1, 1, 1], forks: [], shards: new Map() },
      shards,
    );
    using store = new SpillStore(2_000);
    const written: string[] = [];
    for (let lsn = 1; lsn <= 50; lsn++) {
      for (let lane = 0; lane < 4; lane++) {
        const texts = [text(lsn, lane + 1), text(lsn, lane + 5)];
        written.push(...texts);
        intake.take({ shard: 'a', sequence: `${lsn}-${lane}`, arrivedMs: 0, partitionKey: `lane-${lane}-of-4`, texts });
        assert.ok(store.spill(intake.lanes) > 0);
      }
    }
    const { memory, stored } = intake.lanes.waiting;
    assert.ok(memory <= 3_000 && stored > 50_000, `${memory} in memory, ${stored} in files`);
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith('pg2kinesis-replicate-')),
      [],
    );
    const read = [...intake.lanes.merged(30n, (record) => store.load(record))].map((change) => change.text);
    assert.deepEqual(
      read,
      written
        .map((each) => ({ each, at: JSON.parse(each) as { commitLsn: string; ordinal: number } }))
        .filter(({ at }) => parseInt(at.commitLsn.slice(2), 16) <= 30)
        .sort(
          (a, b) =>
            parseInt(a.at.commitLsn.slice(2), 16) - parseInt(b.at.commitLsn.slice(2), 16) ||
            a.at.ordinal - b.at.ordinal,
        )
        .map(({ each }) => each),
    );
    store.release(intake.lanes.release(50n));
    assert.ok(intake.lanes.isEmpty);
  });
});
