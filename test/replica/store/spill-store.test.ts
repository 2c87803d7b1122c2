/** What waits in files comes back as it was, in commit order, and files that are not needed are given up. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
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

/** A temporary directory of this test's own: other tests have files in sight for a moment. */
function ownDirectory(t: TestContext): string {
  const { TMPDIR } = process.env;
  const dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-test-'));
  process.env['TMPDIR'] = dir;
  t.after(() => {
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
    rmSync(dir, { recursive: true });
  });
  return dir;
}

describe('what waits', () => {
  it('is the same from files, in commit order, and no file is left in sight', (t) => {
    const dir = ownDirectory(t);
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
    assert.deepEqual(readdirSync(dir), []);
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
