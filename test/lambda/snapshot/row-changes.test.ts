/** What changes do to the rows that a snapshot holds, and which rows it reads once more for them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Reading, TABLE } from './reading.ts';

describe('a change of a table that is being read', () => {
  it('reads a row once more that came to a key without its values while that key was read', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1', '5']));
    run.move('7', '3');
    assert.deepEqual(run.again, ['3']);
    run.message(run.hold([], { atEnd: true }));
    assert.deepEqual(run.tracker.next()?.asked, [['3']]);
    const mark = run.hold(['3']);
    run.change('DELETE', '3');
    run.move('8', '3');
    run.message(mark);
    assert.deepEqual(run.again, ['3']);
    run.message(run.hold(['3']));
    assert.equal(run.tracker.progress, undefined);
  });

  it('gives the values that a change lacks from the row that it was made from, once', () => {
    const run = new Reading();
    run.begin(TABLE);
    const mark = run.hold(['1']);
    assert.equal(run.move('1', '2'), 'row 1');
    assert.equal(run.move('2', '3'), undefined);
    assert.deepEqual(run.message(mark), []);
    assert.deepEqual(run.again, ['3']);
  });

  it('reads a row once more whose change is not published', () => {
    const run = new Reading();
    run.begin(TABLE);
    const mark = run.hold(['1', '2']);
    run.change('UPDATE', '1', false);
    run.change('DELETE', '2', false);
    assert.deepEqual(run.message(mark), []);
    assert.deepEqual(run.again, ['1']);
  });

  it('reads a chunk again after a change that may be of any row', () => {
    const run = new Reading();
    run.begin(TABLE);
    const mark = run.hold(['1']);
    run.tracker.changes.changedUnknown(TABLE, 9);
    assert.equal(run.tracker.next(), undefined);
    assert.deepEqual(run.message(mark), []);
    const { cursor } = run.tracker.next() ?? assert.fail();
    assert.equal(cursor, undefined);
  });

  it('begins a table anew where there is too much to be read again', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1']));
    for (let key = 0; key <= 10_000; key++) run.move('x', `k${key}`);
    assert.deepEqual(run.again, []);
    const { cursor } = run.tracker.next() ?? assert.fail();
    assert.equal(cursor, undefined);
  });

  it('lists none while all of the table is still to be read, and again once no more of it is', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1']));
    for (let key = 0; key <= 10_010; key++) run.move('x', `k${key}`);
    assert.deepEqual(run.again, []);
    const mark = run.hold([], { atEnd: true, last: undefined });
    run.move('y', 'z');
    run.message(mark);
    assert.deepEqual(run.again, ['z']);
    run.move('y', 'a');
    assert.deepEqual(run.again, ['z', 'a']);
  });

  it('looks at each key that is to be read again a few times, however many there are', () => {
    const run = new Reading();
    run.begin(TABLE);
    run.message(run.hold(['1']));
    let looks = 0;
    for (let n = 0; n < 2_000; n++) {
      const key = new Proxy(['k', `${n}`], {
        get(parts, name) {
          if (name === 'length') looks++;
          return Reflect.get(parts, name) as unknown;
        },
      });
      const keys = { key, oldKey: ['k', 'x'] };
      run.tracker.changes.changed({
        operation: 'UPDATE',
        table: TABLE,
        xid: 9,
        ...keys,
        incomplete: true,
        published: true,
      });
    }
    assert.equal(run.again.length, 2_000);
    assert.ok(looks < 20 * 2_000, `${looks} looks`);
  });
});
