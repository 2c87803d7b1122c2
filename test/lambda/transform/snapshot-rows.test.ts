/** What a snapshot is told of a change of its table: the key as COPY prints it, and whether values are missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RowChange, type Tuple, ValueKind } from '../../../lambda/decode/messages.ts';
import { NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { type KeyChange, RowChanges } from '../../../lambda/snapshot/row-changes.ts';
import type { HeldRow } from '../../../lambda/snapshot/row-set.ts';
import { RunState } from '../../../lambda/snapshot/run-state.ts';
import { SnapshotRows } from '../../../lambda/transform/snapshot-rows.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { recordOf } from '../../support/changes.ts';
import { FakeKeys } from '../../support/fake-slot.ts';

/** Reads `public.t`, and keeps what it is told. */
class Watched extends RowChanges<HeldRow> {
  readonly told: KeyChange[] = [];
  readonly unknown: string[] = [];

  override isReading(table: string): boolean {
    return table === 'public.t';
  }

  override changed(change: KeyChange): undefined {
    this.told.push(change);
  }

  override changedUnknown(table: string, xid: number): void {
    this.unknown.push(`${table} ${xid}`);
  }
}

function lineOf(line: string): RowChange {
  const { change } = recordOf(`table public.t: ${line}`);
  assert.ok(change !== undefined);
  return change;
}

/** @returns what the snapshot is told */
function observe(change: RowChange, key: readonly string[] = ['id'], published = true) {
  const changes = new Watched(new RunState());
  const policies = new TablePolicies(new FakeKeys({ 'public.t': { key }, 'public.u': { key } }), NO_FILTERS);
  const same = new SnapshotRows(changes).observe(change, policies.of(change.table), 705, published);
  assert.equal(same, change);
  return { told: changes.told[0], unknown: changes.unknown };
}

/** A row of which only the first columns are in use: a decoder uses the memory of a longer one again. */
const short = (tuple: Tuple | undefined, count: number): Tuple | undefined => tuple && { ...tuple, count };

describe('a snapshot', () => {
  it('that nobody asked for is not under way', () => {
    assert.equal(new SnapshotRows(new RowChanges(new RunState())).isUnderWay, false);
  });

  it('is told of no table that is not read', () => {
    const { change } = recordOf('table public.u: INSERT: id[integer]:1');
    assert.ok(change !== undefined);
    assert.deepEqual(observe(change), { told: undefined, unknown: [] });
  });

  it('is told of a change that shows no key', () => {
    assert.deepEqual(observe(lineOf('INSERT: v[integer]:1')), { told: undefined, unknown: ['public.t 705'] });
  });

  it('is told the operation, the key, the one before it where that is another, and what is published', () => {
    const common = { table: 'public.t', xid: 705, incomplete: false };
    assert.deepEqual(observe(lineOf('UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2')).told, {
      ...common,
      operation: 'UPDATE',
      key: ['2'],
      oldKey: ['1'],
      published: true,
    });
    assert.deepEqual(observe(lineOf('DELETE: id[integer]:3'), ['id'], false).told, {
      ...common,
      operation: 'DELETE',
      key: ['3'],
      oldKey: undefined,
      published: false,
    });
  });

  it('is told keys as COPY prints them', () => {
    const keyOf = (change: RowChange) => observe(change, ['ok', 'name']).told?.key;
    assert.deepEqual(keyOf(lineOf("INSERT: ok[boolean]:true name[text]:'it''s'")), ['t', "it's"]);
    assert.deepEqual(keyOf(lineOf("INSERT: ok[boolean]:false name[text]:'t'")), ['f', 't']);
    assert.deepEqual(keyOf(lineOf("INSERT: ok[integer]:7 name[text]:'true'")), ['7', 'true']);
    // A plugin that doubles no apostrophes: two of them are two.
    const plain = lineOf("INSERT: ok[boolean]:true name[text]:'a''b'");
    plain.newTuple?.kinds.splice(1, 1, ValueKind.quoted);
    assert.deepEqual(keyOf(plain), ['t', "a''b"]);
  });

  for (const [what, line, incomplete] of [
    ['has all values', "UPDATE: id[integer]:1 big[text]:'x'", false],
    ['lacks one that did not change', 'UPDATE: id[integer]:1 big[text]:unchanged-toast-datum', true],
    [
      'lacks one that the old row has',
      "UPDATE: old-key: id[integer]:1 big[text]:'x' new-tuple: id[integer]:1 big[text]:unchanged-toast-datum",
      false,
    ],
    [
      'lacks one that the old row does not have',
      'UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 big[text]:unchanged-toast-datum',
      true,
    ],
    [
      'lacks one that the old row lacks, too',
      'UPDATE: old-key: id[integer]:1 big[text]:unchanged-toast-datum new-tuple: id[integer]:1 big[text]:unchanged-toast-datum',
      true,
    ],
    ['is gone', 'DELETE: id[integer]:1', false],
  ] as const)
    it(`is told whether values are missing: the row ${what}`, () => {
      assert.equal(observe(lineOf(line)).told?.incomplete, incomplete);
    });

  it('is told nothing of what a longer row before left behind', () => {
    const whole = lineOf('UPDATE: id[integer]:1 big[text]:unchanged-toast-datum');
    assert.equal(observe({ ...whole, newTuple: short(whole.newTuple, 1) }).told?.incomplete, false);
    const known = lineOf(
      "UPDATE: old-key: id[integer]:1 big[text]:'x' new-tuple: id[integer]:1 big[text]:unchanged-toast-datum",
    );
    assert.equal(observe({ ...known, oldTuple: short(known.oldTuple, 1) }).told?.incomplete, true);
  });
});
