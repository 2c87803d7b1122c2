/** By which columns a change's key is found where the plugin shows the key at write time, and which UPDATEs move it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RowChange } from '../../../lambda/decode/messages.ts';
import { NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { ChangeKeys } from '../../../lambda/transform/change-keys.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { recordOf } from '../../support/changes.ts';
import { FakeKeys } from '../../support/fake-slot.ts';

function changeOf(line: string): RowChange {
  const { change } = recordOf(`table public.t: ${line}`);
  assert.ok(change !== undefined);
  return change;
}

/** The policy of a table that had these keys, the newest first. */
function policyOf(change: RowChange, ...known: (readonly string[])[]) {
  const keys = new FakeKeys({ 'public.t': { key: known.at(-1) ?? [] } });
  for (const key of known.slice(0, -1).reverse()) {
    keys.catalog.set('public.t', { key });
    void keys.reload();
  }
  const policy = new TablePolicies(keys, NO_FILTERS).of(change.table);
  assert.deepEqual(policy.keys, known);
  return policy;
}

describe('a change that shows its own key', () => {
  const row = changeOf('INSERT: a[integer]:1 b[integer]:2 c[integer]:3');
  const found = (historicKey: readonly string[], ...known: (readonly string[])[]) => {
    const keys = new ChangeKeys();
    const search = keys.find({ ...row, historicKey }, policyOf(row, ...known));
    return search === 'found' ? keys.key.columns.slice(0, keys.key.count) : search;
  };

  it('has it in the order of the catalogs, if they know a key of just these columns', () => {
    assert.deepEqual(found(['a', 'b'], ['a'], ['a', 'c'], ['a', 'b', 'c'], ['b', 'a']), [1, 0]);
  });

  it('has it in its own order if they know none, and is never found by another', () => {
    assert.deepEqual(found(['a', 'b'], ['c']), [0, 1]);
    assert.deepEqual(found(['b'], ['a'], ['a', 'b']), [1]);
    assert.equal(found(['gone'], ['a']), 'unknown');
  });
});

describe('a key moves', () => {
  const moves = (line: string, columns?: readonly string[]) => {
    const change = changeOf(line);
    const keys = new ChangeKeys();
    keys.find(change, policyOf(change, ['id']));
    return keys.moves(change, columns);
  };

  it('where an UPDATE shows another one before it', () => {
    assert.equal(moves('UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2'), true);
    assert.equal(moves('UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:1'), false);
    assert.equal(moves('UPDATE: id[integer]:2'), false);
    assert.equal(moves('INSERT: id[integer]:2'), false);
    assert.equal(moves('DELETE: id[integer]:2'), false);
  });

  it('by the columns that are asked for, and by none never', () => {
    const line = 'UPDATE: old-key: id[integer]:1 v[integer]:3 new-tuple: id[integer]:2 v[integer]:3';
    assert.deepEqual([moves(line, ['id']), moves(line, ['v']), moves(line, [])], [true, false, false]);
  });
});
