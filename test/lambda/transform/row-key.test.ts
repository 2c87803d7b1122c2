/** Where a row's key is found among its columns, and when two keys are the same. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Tuple, ValueKind } from '../../../lambda/decode/messages.ts';
import { emptyKey, locateKey, sameKey } from '../../../lambda/transform/row-key.ts';
import { recordOf } from '../../support/changes.ts';

const { bare: plain, null: none, unchanged, elided } = ValueKind;

/** A row of these columns; each is its kind, and has no text. */
function row(columns: Readonly<Record<string, number>>): Tuple {
  const names = Object.keys(columns);
  return {
    count: names.length,
    headers: names.map((name, id) => ({ id, printed: name, name, type: 'integer' })),
    kinds: Object.values(columns),
    starts: names.map(() => 0),
    ends: names.map(() => 0),
  };
}

describe('a key', () => {
  const old = row({ x: plain, b: plain, a: plain });
  for (const [what, tuple, fallback, expected, columns, fromOld] of [
    [
      'is found in the order of the key',
      row({ a: plain, c: plain, b: plain }),
      undefined,
      'found',
      [2, 0],
      [false, false],
    ],
    ['is absent without one of its columns', row({ b: plain, c: plain }), old, 'absent', [0], [false]],
    ['is absent where a part is NULL', row({ a: none, b: plain }), old, 'absent', [1], [false]],
    ['is not sent where a part did not change', row({ a: unchanged, b: plain }), undefined, 'unsent', [1], [false]],
    ['takes such a part from the old row', row({ a: unchanged, b: plain }), old, 'found', [1, 2], [false, true]],
    ['takes all its parts from the old row', row({ a: unchanged, b: unchanged }), old, 'found', [1, 2], [true, true]],
    [
      'is not sent where the old row lacks the part',
      row({ a: plain, b: unchanged }),
      row({ a: plain }),
      'unsent',
      [],
      [],
    ],
    ['is not sent where the old row has NULL', row({ a: plain, b: unchanged }), row({ b: none }), 'unsent', [], []],
    [
      'is not sent where the old row has it as unchanged',
      row({ b: unchanged }),
      row({ b: unchanged }),
      'unsent',
      [],
      [],
    ],
    ['is elided where a part was too large', row({ a: elided, b: plain }), old, 'elided', [1], [false]],
    [
      'is elided where the old row elided it, whatever its place',
      row({ a: plain, b: unchanged }),
      row({ a: plain, b: elided }),
      'elided',
      [],
      [],
    ],
    ['is elided where the old row elided it', row({ a: plain, b: unchanged }), row({ b: elided }), 'elided', [], []],
  ] as const)
    it(what, () => {
      const key = emptyKey();
      assert.equal(locateKey(['b', 'a'], tuple, fallback, key), expected);
      assert.deepEqual(key.columns, columns);
      assert.deepEqual(
        key.tuples.map((each) => each === fallback),
        fromOld,
      );
      assert.equal(key.count, 2);
    });

  it('is not taken from what a longer row before left behind', () => {
    // A decoder fills the same tuple again and again, and only the first columns are of this row.
    const tuple = Object.assign(row({ a: plain, b: plain }), { count: 1 });
    const key = emptyKey();
    assert.equal(locateKey(['b'], tuple, undefined, key), 'absent');
    key.columns.push(1);
    assert.equal(locateKey(['b'], tuple, undefined, key), 'absent', 'not by the place of the last row either');
    assert.equal(locateKey(['b'], row({ b: plain }), undefined, key), 'found');
    assert.deepEqual(key.columns, [0]);
  });
});

describe('the keys of an old and a new row', () => {
  for (const [what, line, key, same] of [
    ['are the same', "old-key: a[integer]:12 b[text]:'x' new-tuple: b[text]:'x' a[integer]:12", ['a', 'b'], true],
    [
      'differ in the first part',
      'old-key: a[integer]:12 b[integer]:3 new-tuple: a[integer]:42 b[integer]:3',
      ['a', 'b'],
      false,
    ],
    [
      'differ in the last part',
      'old-key: a[integer]:12 b[integer]:3 new-tuple: a[integer]:12 b[integer]:4',
      ['a', 'b'],
      false,
    ],
    ['differ in their last byte', 'old-key: a[integer]:12 new-tuple: a[integer]:13', ['a'], false],
    ['differ in length alone', 'old-key: a[integer]:1 new-tuple: a[integer]:12', ['a'], false],
    ['differ, the new one being shorter', 'old-key: a[integer]:12 new-tuple: a[integer]:1', ['a'], false],
    [
      'are the same where a part is from the old row',
      "old-key: a[text]:'x' new-tuple: a[text]:unchanged-toast-datum",
      ['a'],
      true,
    ],
    ['differ where one part is empty', "old-key: a[text]:'' new-tuple: a[text]:'x'", ['a'], false],
  ] as const)
    it(what, () => {
      const { change } = recordOf(`table public.t: UPDATE: ${line}`);
      assert.ok(change?.oldTuple && change.newTuple);
      const [before, after] = [emptyKey(), emptyKey()];
      assert.equal(locateKey(key, change.oldTuple, undefined, before), 'found');
      assert.equal(locateKey(key, change.newTuple, change.oldTuple, after), 'found');
      assert.equal(sameKey(before, after, change.bytes), same);
      assert.equal(sameKey(after, before, change.bytes), same);
    });

  it('are compared by all their parts, of which none is missing', () => {
    const { change } = recordOf('table public.t: UPDATE: old-key: a[integer]:1 new-tuple: a[integer]:1');
    assert.ok(change?.oldTuple && change.newTuple);
    const whole = { count: 1, tuples: [change.oldTuple], columns: [0] };
    assert.equal(sameKey(whole, { count: 1, tuples: [], columns: [] }, change.bytes), false);
    assert.equal(sameKey({ count: 1, tuples: [], columns: [] }, whole, change.bytes), false);
  });
});
