/** When a run knows of every table that a snapshot reads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KnownTables } from '../../../lambda/run/known-tables.ts';

describe('the tables that a snapshot reads', () => {
  it('are all known once everything was read that was in the WAL at the first look', () => {
    let flush = 0n;
    const known = new KnownTables({ flush: () => flush, wasRequestedAnew: () => false }, false);
    known.readTo(50n);
    assert.equal(known.areAll, false, 'nobody has looked at the end of the WAL');
    flush = 100n;
    known.readTo(60n);
    flush = 900n;
    known.readTo(99n);
    assert.deepEqual([known.areAll, known.hasMoreBehind(99n), known.areAllAt(100n)], [false, true, false]);
    known.readTo(100n);
    assert.deepEqual([known.areAll, known.hasMoreBehind(900n)], [true, false]);
    assert.deepEqual([known.areAllAt(99n), known.areAllAt(100n)], [false, true], 'the next run reads on from there');
  });

  it('are all known where what was there at the first look had been read before', () => {
    let flush = 0n;
    const known = new KnownTables({ flush: () => flush, wasRequestedAnew: () => false }, false);
    known.readTo(100n);
    flush = 100n;
    known.readTo(60n);
    assert.equal(known.areAll, true);
  });

  it('are all known where the last run knew them, and where there can be none', () => {
    for (const [hasSnapshots, wereAll, areAll] of [
      [true, true, true],
      [true, false, false],
      [false, false, true],
    ] as const) {
      const known = new KnownTables({ hasSnapshots, flush: () => 100n, wasRequestedAnew: () => false }, wereAll);
      assert.deepEqual([known.areAll, known.areAllAt(1n)], [areAll, areAll]);
    }
  });

  it('are not known to the next run where this one has requested some anew', () => {
    const known = new KnownTables({ flush: () => 100n, wasRequestedAnew: () => true }, true);
    known.readTo(100n);
    assert.deepEqual([known.areAll, known.areAllAt(100n)], [true, false]);
  });
});
