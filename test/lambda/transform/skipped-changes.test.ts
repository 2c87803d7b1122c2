/** Why a change is left out, what has to be known first, and what is counted and told of it. No run, no server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RowChange, Transaction } from '../../../lambda/decode/messages.ts';
import type { TableEntry } from '../../../lambda/ports/catalogs.ts';
import { compilePatterns, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { AlterationOrder, type Overlap } from '../../../lambda/transform/alterations.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { KeyHistoryCache } from '../../../lambda/transform/key-history-cache.ts';
import { SkippedChanges } from '../../../lambda/transform/skipped-changes.ts';
import { type LoggedReason, SkippedLog } from '../../../lambda/transform/skipped-log.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import type { TablePolicy } from '../../../lambda/transform/table-policy.ts';
import { recordOf } from '../../support/changes.ts';
import { FakeKeys } from '../../support/fake-slot.ts';
import { Recorder } from '../../support/run-kit.ts';

const T = { printed: 'public.t', schema: 'public', name: 't' };
const TRANSACTION: Transaction = { xid: 705, commitLsn: 100n, commitTimeMicros: 0n };
/** Transaction 700 altered the table, and may have committed after the row was written. */
const OVERLAP: Overlap = { from: 701, until: 720, after: 0n, alteredBy: [700] };
const ALTERED: Partial<TableEntry> = { ancestorsSince: 701, seenFrom: 720, alteredBy: [700] };
const at = (lsn: bigint) => ({ rowLsn: () => lsn });

/** Keeps each call: the real one tells a name once. */
class AllNotes extends SkippedLog {
  readonly notes: string[] = [];

  override note(reason: LoggedReason, table: string, commitLsn: bigint): void {
    this.notes.push(`${reason} ${table} ${commitLsn}`);
  }
}

function make(catalog: Record<string, Partial<TableEntry>> = {}) {
  const policies = new TablePolicies(new FakeKeys(catalog), {
    ...NO_FILTERS,
    tableExclude: compilePatterns('public\\.secret'),
  });
  const skippedLog = new AllNotes(new Recorder(), new Set());
  const counts = noCounts();
  const alterations = new AlterationOrder();
  const parts = { policies, keyHistory: new KeyHistoryCache(policies), alterations, skippedLog };
  return { policies, alterations, counts, notes: skippedLog.notes, skipped: new SkippedChanges(parts, counts) };
}

function policyWith(said: Partial<TablePolicy>): TablePolicy {
  return {
    skip: undefined,
    includedUntil: undefined,
    excludedUntil: undefined,
    doubts: [],
    overlaps: [],
    keyDoubt: undefined,
    hidden: false,
    keys: [['id']],
    wasKeyless: false,
    identityHoldsKey: true,
    omitted: new Set(),
    evaluatedColumns: new Set(),
    names: ['public.t'],
    version: 1,
    noted: undefined,
    ...said,
  };
}

describe('a change is left out', () => {
  for (const [skip, hidden, withItsKey] of [
    ['noPrimaryKey', false, undefined],
    ['droppedTable', false, undefined],
    ['droppedTable', true, 'droppedTable'],
    ['filtered', false, 'filtered'],
    ['notTable', false, 'notTable'],
    [undefined, false, undefined],
  ] as const)
    it(`${skip ?? 'not'}${hidden ? ', hidden' : ''}; with its own key at hand: ${withItsKey ?? 'not'}`, () => {
      const { skipped } = make();
      const policy = policyWith({ skip, hidden });
      for (const transaction of [TRANSACTION, undefined]) {
        assert.equal(skipped.reason(policy, transaction, at(1n)), skip);
        assert.equal(skipped.reason(policy, transaction, at(1n), ['id']), withItsKey);
      }
    });

  it('where its publication shows a part of the key only, unless the key was made wider since', () => {
    const { policies, skipped } = make({
      'public.t': { key: ['a', 'b'] },
      'public.wider': { key: ['a', 'b'], keySince: 700, seenFrom: 720 },
    });
    const reason = (
      name: string,
      historicKey?: readonly string[],
      transaction: Transaction | undefined = TRANSACTION,
    ) => skipped.reason(policies.of({ ...T, printed: `public.${name}`, name }), transaction, at(1n), historicKey);
    assert.equal(reason('t', ['a']), 'noReplicaIdentity');
    for (const whole of [['b', 'a'], ['c'], undefined]) assert.equal(reason('t', whole), undefined);
    assert.equal(reason('wider', ['a']), undefined);
    assert.equal(reason('wider', ['a'], { ...TRANSACTION, xid: 720 }), 'noReplicaIdentity');
  });

  it('where it was written before its table was altered, by its position', () => {
    const { skipped, alterations } = make();
    alterations.take(new Map([[700, 80n]]));
    const policy = policyWith({ overlaps: [OVERLAP] });
    assert.equal(skipped.reason(policy, TRANSACTION, at(79n)), 'filtered');
    assert.equal(skipped.reason(policy, TRANSACTION, at(80n)), undefined);
    assert.equal(skipped.reason(policy, undefined, at(79n)), undefined, 'in no transaction');
  });

  it('for the reason that it has already, wherever it was written', () => {
    const { skipped, alterations } = make();
    alterations.take(new Map([[700, 80n]]));
    for (const skip of ['filtered', 'noPrimaryKey'] as const)
      for (const lsn of [79n, 80n])
        assert.equal(skipped.reason(policyWith({ skip, overlaps: [OVERLAP] }), TRANSACTION, at(lsn)), skip);
  });
});

describe('a change that is left out', () => {
  it('is counted each time, and told once, with the first commit LSN', () => {
    const { skipped, counts, notes } = make();
    const policy = policyWith({ skip: 'noPrimaryKey' });
    skipped.count(T, policy, 'noPrimaryKey', TRANSACTION);
    skipped.count(T, policy, 'noPrimaryKey', { ...TRANSACTION, commitLsn: 200n });
    assert.deepEqual([counts.changes, counts.skipped.noPrimaryKey], [2, 2]);
    assert.deepEqual(notes, ['noPrimaryKey public.t 100']);
  });

  it('by the user’s own wish is counted, and told nowhere', () => {
    const { skipped, counts, notes } = make();
    const policy = policyWith({ skip: 'filtered' });
    const reason = skipped.reason(policy, TRANSACTION, at(1n));
    skipped.count(T, policy, reason, TRANSACTION);
    skipped.count(T, policy, undefined, TRANSACTION);
    skipped.count(T, policy, 'formatter', TRANSACTION);
    assert.deepEqual([counts.changes, counts.skipped.filtered, counts.skipped.formatter], [3, 2, 1]);
    assert.deepEqual(notes, []);
  });

  for (const [what, said] of [
    ['its transaction', { doubts: [{ before: 706, after: 0n }] }],
    ['its position', { overlaps: [OVERLAP] }],
  ] as const)
    it(`in doubt, by ${what}, is told as such; the next that is not is not`, () => {
      const { skipped, notes } = make();
      const policy = policyWith(said);
      const reason = skipped.reason(policy, TRANSACTION, at(1n));
      assert.equal(reason, 'filtered');
      skipped.count(T, policy, reason, TRANSACTION);
      assert.deepEqual(notes, ['filtered public.t 100']);
      const plain = policyWith({ skip: 'filtered' });
      skipped.count(T, plain, skipped.reason(plain, TRANSACTION, at(1n)), TRANSACTION);
      assert.equal(notes.length, 1);
    });
});

describe('the commits that have to be known first', () => {
  const changeOf = (name: string, historicKey?: readonly string[]): RowChange => {
    const { change } = recordOf(`table public.${name}: INSERT: id[integer]:1`);
    assert.ok(change !== undefined);
    return { ...change, historicKey };
  };

  it('are those of a table that was altered, and that is published', () => {
    const { skipped, alterations } = make({
      'public.t': ALTERED,
      'public.u': {},
      'public.bare': { ...ALTERED, key: [] },
      'public.secret': ALTERED,
    });
    const ask = (message: Parameters<typeof skipped.unknownAlterations>[0]) =>
      skipped.unknownAlterations(message, TRANSACTION, at(1n));
    const truncate = (...names: string[]) =>
      ({ kind: 'truncate', tables: names.map((name) => changeOf(name).table) }) as const;
    assert.deepEqual(ask(changeOf('t')), [700]);
    for (const name of ['u', 'bare', 'secret']) assert.deepEqual(ask(changeOf(name)), [], name);
    assert.deepEqual(ask(changeOf('bare', ['id'])), [700], 'it shows its key, and is published');
    assert.deepEqual(ask(truncate('u', 't', 'bare')), [700]);
    assert.deepEqual(ask(truncate('bare')), []);
    alterations.take(new Map([[700, 80n]]));
    assert.deepEqual(ask(changeOf('t')), []);
  });
});
