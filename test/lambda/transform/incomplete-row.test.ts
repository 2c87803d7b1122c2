/** Which records would show a value that was too large to be kept. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Tuple, ValueKind } from '../../../lambda/decode/messages.ts';
import type { ChangeRecord } from '../../../lambda/format/record.ts';
import { bytesOfIncompleteRow } from '../../../lambda/transform/incomplete-row.ts';
import { recordOf, type RecordOptions } from '../../support/changes.ts';

/** A record whose change has a value `v` that was not kept in these rows. */
function record(line: string, elided: readonly ('newTuple' | 'oldTuple')[], options: RecordOptions = {}): ChangeRecord {
  const made = recordOf(`table public.t: ${line}`, { key: ['id'], ...options });
  assert.ok(made.change !== undefined);
  const without = (tuple: Tuple | undefined) =>
    tuple && {
      ...tuple,
      kinds: tuple.kinds.map((kind, i) => (tuple.headers[i]?.name === 'v' ? ValueKind.elided : kind)),
    };
  const { newTuple, oldTuple } = made.change;
  const change = {
    ...made.change,
    oversizeBytes: 600,
    newTuple: elided.includes('newTuple') ? without(newTuple) : newTuple,
    oldTuple: elided.includes('oldTuple') ? without(oldTuple) : oldTuple,
  };
  return { ...made, change };
}

it('a record would show it that has the row it is of, unless the column is left out', () => {
  const moved = "UPDATE: old-key: id[integer]:1 v[text]:'a' new-tuple: id[integer]:2 v[text]:'b'";
  for (const [what, made, expected] of [
    ['an INSERT', record("INSERT: id[integer]:1 v[text]:'a'", ['newTuple']), 600],
    ['an INSERT that was kept whole', record("INSERT: id[integer]:1 v[text]:'a'", []), 0],
    ['an INSERT without the column', record("INSERT: id[integer]:1 v[text]:'a'", ['newTuple'], { omitted: ['v'] }), 0],
    ['a DELETE', record("DELETE: id[integer]:1 v[text]:'a'", ['oldTuple']), 600],
    ['an UPDATE, of its old row', record(moved, ['oldTuple']), 600],
    ['the INSERT of a key change', record(moved, ['newTuple'], { half: 'INSERT' }), 600],
    ['the DELETE of a key change, which shows the old row', record(moved, ['newTuple'], { half: 'DELETE' }), 0],
  ] as const)
    assert.equal(bytesOfIncompleteRow(made), expected, what);
});

it('no record shows what a longer row before left behind', () => {
  const made = record("INSERT: id[integer]:1 v[text]:'a'", ['newTuple']);
  assert.ok(made.change?.newTuple !== undefined);
  const change = { ...made.change, newTuple: { ...made.change.newTuple, count: 1 } };
  assert.equal(bytesOfIncompleteRow({ ...made, change }), 0);
});
