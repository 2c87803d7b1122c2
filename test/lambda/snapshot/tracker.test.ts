/** Where the slot may stand during a snapshot, and which messages a run goes by. Whether all of it comes true: `histories.test.ts`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeSnapshotMessage, encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { SnapshotTracker } from '../../../lambda/snapshot/tracker.ts';
import { Reading, SLOT, TABLE } from './reading.ts';

describe('one run', () => {
  it('stands before the request, then before the newest message that says everything, once all is acknowledged', () => {
    const run = new Reading();
    run.tracker.committed(5n, false);
    run.begin(TABLE);
    assert.equal(run.tracker.bound, 0n);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, 5n);
    const mark = run.hold(['1', '2']);
    run.tracker.committed(17n, false);
    assert.deepEqual(run.message(mark), ['row 1', 'row 2']);
    assert.equal(run.tracker.bound, 5n);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, 17n);
    run.message(run.hold([], { atEnd: true }));
    assert.equal(run.tracker.progress, undefined);
    assert.equal(run.tracker.bound, 17n);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, undefined);
  });

  it('does not stand before a message that what came meanwhile is not in', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['5']));
    run.tracker.acknowledged();
    const { bound } = run.tracker;
    const state = run.tracker.save('alone');
    run.move('7', '3');
    run.message(state);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, bound);
    assert.ok(run.tracker.hasUnsavedState);
    run.message(run.tracker.save('again'));
    run.tracker.acknowledged();
    assert.ok((run.tracker.bound ?? 0n) > (bound ?? 0n));
  });

  it('ends when it is stopped, and publishes nothing of what it holds', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.tracker.acknowledged();
    const mark = run.hold(['1']);
    run.stop(TABLE);
    run.tracker.stopRepeated();
    assert.equal(run.tracker.progress, undefined);
    run.tracker.acknowledged();
    // Its message is not read yet: a slot that stood before it would begin all over.
    assert.notEqual(run.tracker.bound, undefined);
    assert.deepEqual(run.message(mark), []);
    run.tracker.acknowledged();
    assert.equal(run.tracker.bound, undefined);
  });

  it('repeats a stop that ended everything, once, for that snapshot alone', () => {
    const run = new Reading();
    run.begin(TABLE, 'public.b');
    run.stop(TABLE);
    assert.equal(run.tracker.repeatedStop(), undefined, 'some are left, and a message of this run will say which');
    run.stop();
    assert.notEqual(run.tracker.progress, undefined, 'none was named');
    run.stop('public.b', 'public.c');
    const repeated = run.tracker.repeatedStop() ?? '';
    assert.deepEqual(decodeSnapshotMessage(SLOT, repeated), { kind: 'stop', id: 'a', tables: ['public.b'] });
    run.tracker.acknowledged();
    assert.notEqual(run.tracker.bound, undefined, 'where it cannot be written, the next run has to do so');
    run.tracker.stopRepeated();
    run.tracker.acknowledged();
    assert.deepEqual([run.tracker.repeatedStop(), run.tracker.bound], [undefined, undefined]);
    for (const [id, left] of [
      ['b', ['public.b']],
      ['a', undefined],
    ] as const) {
      const next = new Reading();
      const progress = { ...stateOf('public.b'), id };
      next.message(encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'm', progress }));
      next.message(repeated);
      assert.deepEqual(next.pending, left);
      assert.equal(next.tracker.repeatedStop(), undefined);
    }
  });

  it('takes more tables, and goes on with those that are left when one is stopped or given up', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.tracker.setBarrier(5n);
    run.message(run.hold(['1']));
    run.begin('public.a', TABLE);
    run.begin('public.b');
    assert.equal(run.barrier, undefined);
    assert.deepEqual(run.pending, ['public.a', 'public.b']);
    run.stop('public.a');
    run.tracker.giveUp(TABLE);
    assert.equal(run.tracker.next()?.table, 'public.b');
    assert.equal(run.doneRows, 1);
  });

  it('takes no message of state for true that it has not come from', () => {
    const leftover = encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'm', progress: stateOf('public.b') });
    const run = new Reading();
    run.tracker.committed(5n, false);
    run.message(leftover);
    assert.equal(run.tracker.progress, undefined);
    const other = new Reading();
    other.tracker.committed(5n, true);
    other.message(leftover);
    assert.deepEqual(other.pending, ['public.b']);
    other.message(encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'n', progress: stateOf('public.c') }));
    assert.deepEqual(other.pending, ['public.b']);
  });

  it('takes the first message of state behind a change where other publications have shown nothing in front of it', () => {
    const leftover = (publications: readonly string[] | undefined, table: string): string =>
      encodeSnapshotMessage(SLOT, { kind: 'state', mark: 'm', publications, progress: stateOf(table) });
    for (const [written, read, isTaken] of [
      [['one'], ['one', 'two'], true],
      [['one'], [], true],
      [['one', 'two'], ['two', 'one'], false],
      [undefined, ['one'], false],
    ] as const) {
      const tracker = new SnapshotTracker<string>(SLOT, read);
      tracker.committed(5n, false);
      tracker.message(leftover(written, 'public.b'), 15n);
      tracker.message(leftover(written, 'public.c'), 25n);
      assert.deepEqual(tracker.progress?.pending, isTaken ? ['public.b'] : undefined);
      tracker.acknowledged();
      assert.equal(tracker.bound, isTaken ? 5n : undefined);
    }
    const own = new SnapshotTracker<string>(SLOT, ['one']);
    own.message(encodeSnapshotMessage(SLOT, { kind: 'begin', id: 'a', begunAt: 1, tables: [TABLE], anew: false }), 5n);
    const saved = decodeSnapshotMessage(SLOT, own.save('m'));
    assert.deepEqual(saved?.kind === 'state' && saved.publications, ['one']);
  });

  it('hands what is left over to a request further on, where it cannot get as far as its own message', () => {
    const run = new Reading();
    run.begin(TABLE, 'public.b');
    run.message(run.hold(['1']));
    const request = run.tracker.restartRequest();
    run.tracker.release();
    assert.equal(run.tracker.bound, undefined);
    run.message(request);
    assert.deepEqual(run.pending, [TABLE, 'public.b']);
  });
});

function stateOf(...pending: string[]) {
  return { id: 'b', begunAt: 1, barrier: undefined, current: undefined, pending, doneTables: 0, doneRows: 0 };
}
