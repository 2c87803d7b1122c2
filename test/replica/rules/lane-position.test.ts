/** How far a lane is applied, where changes are applied as they come. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tableId } from '../../../replica/rules/copying.ts';
import { afterChange, afterMark, type LanePosition, positionAt } from '../../../replica/rules/fast/lane-position.ts';
import { readRecord } from '../../../replica/rules/record.ts';

/** A lane behind a mark. */
function marked(position: LanePosition, lsn: number, over: object = {}): LanePosition {
  const at = { source: 's', commitLsn: `0/${lsn.toString(16)}`, commitTime: '2026-01-02T03:04:05Z' };
  const mark = readRecord(JSON.stringify({ op: 'MARK', ...at, lane: 3, lanes: 4, system: '7', timeline: 1, ...over }));
  assert.ok(mark.kind === 'mark');
  const after = afterMark(position, mark, false);
  assert.ok(!('lost' in after));
  return after;
}

describe('a lane that is applied as changes come', () => {
  it('has not read a new history as far as marks of the lost one said: a TRUNCATE would be forgotten before older changes come', () => {
    const before = marked(positionAt(0x10n), 0x100);
    assert.equal(before.readUpto, 0x100n);
    const after = marked(before, 0x4f, { timeline: 2, forks: [[2, '0/50']] });
    assert.deepEqual([after.readUpto, after.timeline], [0x50n, 2]);
    assert.equal(marked(after, 0x60, { timeline: 2 }).readUpto, 0x60n);
  });

  it('follows its own marks of a snapshot, not those that come again after a crash, nor those that a run opens with', () => {
    const tables = [tableId('public', 't')];
    const reading = { reading: [['public', 't']] };
    const awaited = marked(positionAt(0x10n, 'awaited'), 0x20);
    assert.equal(awaited.copying, 'awaited');
    const begun = marked(awaited, 0x30, reading);
    assert.deepEqual(begun.copying, tables);
    assert.deepEqual(marked(begun, 0x40, { forks: [] }).copying, tables);
    const ended = marked(begun, 0x40, { read: [['public', 't']] });
    assert.deepEqual(ended.copying, []);
    assert.deepEqual(marked(ended, 0x30, reading).copying, []);
    assert.deepEqual(marked(ended, 0x40, reading).copying, tables, 'at the same place as before');
    assert.deepEqual(afterChange(begun, { lsn: 0x50n, ordinal: 1 }, 0)?.copying, tables);
  });
});
