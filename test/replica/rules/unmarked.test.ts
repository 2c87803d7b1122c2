/** When changes without marks cannot be of a producer that writes marks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Change } from '../../../replica/rules/record.ts';
import { Unmarked } from '../../../replica/rules/unmarked.ts';

const MiB = 1024 * 1024;
const HOUR = 3_600_000;

function unmarked(
  ...changes: readonly (readonly [lsn: bigint, size: number, arrivedMs?: number, op?: string])[]
): Unmarked {
  const found = new Unmarked();
  for (const [lsn, size, arrivedMs = 0, op = 'INSERT'] of changes) found.take({ op, lsn, size } as Change, arrivedMs);
  return found;
}

describe('changes without marks', () => {
  it('lack them after 16 MiB of transactions that have ended, in whatever order lanes are read', () => {
    assert.equal(unmarked([1n, 15 * MiB], [2n, 15 * MiB]).lacksMarks, false);
    assert.equal(unmarked([1n, 15 * MiB], [2n, MiB], [3n, 1]).lacksMarks, true);
    assert.equal(unmarked([3n, 1], [1n, 15 * MiB], [2n, MiB]).lacksMarks, true);
    assert.equal(unmarked([1n, 15 * MiB], [2n, MiB]).lacksMarks, false);
    // Of the newest there may be more to come.
    assert.equal(unmarked([2n, 100 * MiB], [1n, MiB], [2n, 100 * MiB]).lacksMarks, false);
  });

  it('do not lack them after as many rows that a snapshot reads: no transaction ends between these', () => {
    assert.equal(unmarked([1n, 9 * MiB, 0, 'READ'], [2n, 9 * MiB, 0, 'READ'], [3n, 1]).lacksMarks, false);
  });

  it('lack them after longer than a run takes', () => {
    const long = 20 * 60_000;
    assert.equal(unmarked([1n, 1, 1], [2n, 1, long]).lacksMarks, false);
    assert.equal(unmarked([1n, 1, 0], [2n, 1, long]).lacksMarks, true);
    assert.equal(unmarked([2n, 1, long], [1n, 1, 0]).lacksMarks, true);
  });

  it('do not lack them while one transaction takes longer than that, whatever came before it', () => {
    const long = 60 * 60_000;
    assert.equal(unmarked([2n, 1, 0], [2n, 1, long]).lacksMarks, false);
    assert.equal(unmarked([1n, 1, 0], [2n, 1, 900], [2n, 1, long]).lacksMarks, false);
    assert.equal(unmarked([1n, 1, 0], [2n, 1, long], [2n, 1, 900]).lacksMarks, false);
    assert.equal(unmarked([2n, 1, 0, 'READ'], [3n, 1, long]).lacksMarks, false);
  });

  it('lack them before a change that came hours after the oldest record that the stream may still have', () => {
    assert.equal(unmarked([1n, 1, 30 * HOUR]).lacksMarksBefore(27 * HOUR), true);
    assert.equal(unmarked([1n, 1, 30 * HOUR - 1]).lacksMarksBefore(27 * HOUR), false);
    assert.equal(unmarked().lacksMarksBefore(0), false);
  });
});
