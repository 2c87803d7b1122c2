/** Where a replica reads each shard from, and that it passes over nothing in silence. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReplicaShardPlan } from '../../../bin/replicate/shard-plan.ts';
import { type ShardPosition, Shards } from '../../../replica/rules/shards.ts';

const HOUR = 3_600_000;
const plan = (saved: Readonly<Record<string, ShardPosition>>, savedAtMs = 99 * HOUR): ReplicaShardPlan =>
  new ReplicaShardPlan({
    shards: new Shards(),
    saved: new Map(Object.entries(saved)),
    savedAtMs,
    now: 100 * HOUR,
    retentionMs: 24 * HOUR,
  });
const at = (sequence: string | undefined, arrivedMs: number | undefined, atEnd = false): ShardPosition => ({
  sequence,
  arrivedMs,
  atEnd,
});

describe('the shards that a replica reads', () => {
  it('are read from their position, from their beginning, or not at all', () => {
    const shards = plan({ a: at('7', 90 * HOUR), b: at(undefined, undefined), c: at('5', HOUR, true) });
    assert.deepEqual(
      ['a', 'b', 'c', 'new'].map((id) => shards.start(id)),
      [{ at: '7' }, 'trim-horizon', 'ended', 'trim-horizon'],
    );
    shards.refuseOther('a', '7');
    shards.refuseOther('a', '8');
    shards.onTip('a');
    shards.onEnd('b');
  });

  it('are all read once each was read to its tip, and the children of those that are closed', () => {
    const shards = plan({ old: at('5', 90 * HOUR, true) });
    const isRead = (): boolean => shards.isRead;
    assert.equal(isRead(), false);
    shards.addShard('old', []);
    shards.addShard('a', ['old']);
    shards.addShard('b', ['old']);
    for (const id of ['old', 'a', 'b']) shards.start(id);
    assert.equal(isRead(), false);
    shards.onTip('a');
    assert.equal(isRead(), false);
    shards.markRead('b');
    assert.equal(isRead(), true);
    // Between the end of a shard and the list of shards that has its children nothing of these was read.
    shards.onEnd('a');
    assert.equal(isRead(), false);
    shards.addShard('c', ['a']);
    assert.equal(isRead(), false);
    shards.markRead('c');
    assert.equal(isRead(), true);
    // It is known already which its children are.
    shards.addShard('d', ['c']);
    shards.onEnd('c');
    assert.equal(isRead(), false);
    shards.onEnd('d');
    shards.addShard('e', ['d']);
    shards.markRead('e');
    assert.equal(isRead(), true);
    assert.equal(shards.keptSinceMs, 76 * HOUR);
  });

  it('fail where the position is older than what the stream keeps', () => {
    assert.throws(
      () => plan({ a: at('7', 70 * HOUR) }),
      /POSITION_TRIMMED: The position in shard a is 30 hours old, .* for 24 hours/,
    );
    assert.throws(() => plan({ a: at(undefined, undefined) }, 70 * HOUR), /POSITION_TRIMMED/);
  });

  it('fail where that waits which a shard began with, and the stream has it no more, however late the position was saved', () => {
    const shards = new Shards();
    const first = shards.addRecord('a', '1', 75 * HOUR);
    shards.addRecord('a', '2', 98 * HOUR);
    const saved = (): Record<string, ShardPosition> => Object.fromEntries(shards.positions(new Map([['a', first]])));
    assert.throws(() => plan(saved()), /POSITION_TRIMMED: The position in shard a is 25 hours old/);
  });

  it('fail where the stream has given up what nothing is applied of yet, however late the positions of others were saved', () => {
    const saved = (shards: Shards): Record<string, ShardPosition> => Object.fromEntries(shards.positions(new Map()));
    const shards = new Shards();
    shards.addShard('a', []);
    shards.addShard('b', []);
    shards.addRecord('a', '1', 98 * HOUR);
    shards.noteWaiting('b', 75 * HOUR);
    shards.noteWaiting('b', 98 * HOUR);
    assert.throws(() => plan(saved(shards)), /POSITION_TRIMMED: The position in shard b is 25 hours old/);
    // Its first batch could not be applied.
    shards.rewind(shards.addRecord('b', '1', 75 * HOUR));
    assert.throws(() => plan(saved(shards)), /POSITION_TRIMMED/);
    // Another start, which has not read it yet.
    const again = new Shards();
    for (const [id, position] of Object.entries(saved(shards))) again.resume(id, position);
    again.addRecord('a', '2', 99 * HOUR);
    assert.throws(() => plan(saved(again)), /POSITION_TRIMMED/);
    shards.addRecord('b', '1', 75 * HOUR);
    shards.addRecord('b', '2', 99 * HOUR);
    assert.equal(plan(saved(shards)).start('b') instanceof Object, true);
  });

  it('fail where the stream may have given up what a child began with, which was not read before', () => {
    const shards = new Shards();
    shards.addShard('a', []);
    shards.addShard('child', ['a']);
    shards.addRecord('a', '1', 70 * HOUR);
    shards.markEnded('a');
    const saved = (): Record<string, ShardPosition> => Object.fromEntries(shards.positions(new Map()));
    assert.throws(() => plan(saved()), /POSITION_TRIMMED: The position in shard child is 30 hours old/);
    // Its parent was quiet until lately.
    shards.noteTip('a', 99 * HOUR);
    assert.equal(plan(saved()).start('child'), 'trim-horizon');
  });

  it('fail where that is so of a child that was not known yet when the end of its parents was saved', () => {
    const child = (saved: Readonly<Record<string, ShardPosition>>, savedAtMs?: number) => (): unknown => {
      const shards = plan(saved, savedAtMs);
      for (const id of Object.keys(saved)) shards.addShard(id, []);
      shards.addShard('child', ['a', 'b']);
      return shards.start('child');
    };
    const trimmed = /POSITION_TRIMMED: The stream may no longer have what shard child began with/;
    assert.throws(child({ a: at('7', 70 * HOUR, true), b: at('8', 75 * HOUR, true) }), trimmed);
    assert.throws(child({ a: at(undefined, undefined, true) }, 75 * HOUR), trimmed);
    for (const over of [{ tipMs: 80 * HOUR }, { arrivedMs: 80 * HOUR }])
      assert.equal(
        child({ a: at('7', 70 * HOUR, true), b: { ...at('8', 70 * HOUR, true), ...over } })(),
        'trim-horizon',
      );
    assert.equal(child({ a: at(undefined, undefined, true) })(), 'trim-horizon');
    // One of its parents is read on, and what that has is older.
    assert.equal(child({ a: at('7', 77 * HOUR), b: at('8', 70 * HOUR, true) })(), 'trim-horizon');
  });

  it('are read from what is left of them where nothing had come for long, up to a while ago', () => {
    const quiet = (tipMs: number): ShardPosition => ({ ...at('7', 70 * HOUR), tipMs });
    for (const saved of [quiet(99 * HOUR), { ...at(undefined, undefined), tipMs: 99 * HOUR }]) {
      const shards = plan({ a: saved }, 70 * HOUR);
      assert.equal(shards.start('a'), 'trim-horizon');
      shards.refuseOther('a', '8');
      shards.onTip('a');
    }
    assert.deepEqual(plan({ a: { ...at('7', 90 * HOUR), tipMs: 99 * HOUR } }).start('a'), { at: '7' });
    for (const tipMs of [75 * HOUR, 76 * HOUR + 1]) assert.throws(() => plan({ a: quiet(tipMs) }), /POSITION_TRIMMED/);
  });

  it('fail where the saved record does not come first', () => {
    assert.throws(
      () => plan({ a: at('7', 90 * HOUR) }).refuseOther('a', '8'),
      /Shard a begins with the record 8, .* at the record 7/,
    );
    assert.throws(() => plan({ a: at('7', 90 * HOUR) }).onTip('a'), /POSITION_TRIMMED: Shard a begins with nothing/);
    assert.throws(() => plan({ a: at('7', 90 * HOUR) }).onEnd('a'), /POSITION_TRIMMED/);
  });

  it('fail where a shard is gone, or its position is refused; other errors are what they are', () => {
    const shards = plan({ a: at('7', 90 * HOUR), b: at('5', HOUR, true) });
    assert.throws(() => shards.checkShards(new Set(['c'])), /POSITION_TRIMMED: The stream no longer has shard a/);
    const refused = Object.assign(new Error('no'), { name: 'InvalidArgumentException' });
    assert.match(String(shards.translateError('a', refused)), /POSITION_TRIMMED/);
    assert.equal(shards.translateError('new', refused), refused);
    const other = new Error('other');
    assert.equal(shards.translateError('a', other), other);
  });
});
