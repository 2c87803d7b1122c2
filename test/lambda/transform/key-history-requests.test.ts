/** What one batch asks of the WAL, what an answer covers, and which policy it makes for a row. No run, no server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RowChange, TableName, Transaction } from '../../../lambda/decode/messages.ts';
import type { KeyHistoryEntry } from '../../../lambda/decode/wal2json/key-history-entry.ts';
import type { TableEntry } from '../../../lambda/ports/catalogs.ts';
import { compilePatterns, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { KeyHistoryCache, type KeyHistoryRequest } from '../../../lambda/transform/key-history-cache.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { recordOf } from '../../support/changes.ts';
import { FakeKeys } from '../../support/fake-slot.ts';

const named = (name: string): TableName => ({ printed: `public.${name}`, schema: 'public', name });
const transaction = (commitLsn = 100n): Transaction => ({ xid: 700, commitLsn, commitTimeMicros: 0n });
/** In doubt: with a key, and without one. */
const KEYED = { seenFrom: 10_000 };
const BARE = { key: [], seenFrom: 10_000 };

function make(catalog: Record<string, Partial<TableEntry>>, tableExclude = '', keys = new FakeKeys(catalog)) {
  const policies = new TablePolicies(keys, {
    ...NO_FILTERS,
    tableExclude: compilePatterns(tableExclude),
  });
  const past = new KeyHistoryCache(policies);
  const ask = (name: string, operation: RowChange['operation'] = 'INSERT', old = false) => {
    const { oldTuple } = changeOf('old-key: id[integer]:1 new-tuple: id[integer]:2', 'UPDATE');
    return past.question({ table: named(name), operation, oldTuple: old ? oldTuple : undefined }, transaction());
  };
  const policy = (change: RowChange, commitLsn = 100n, lsn = 0n) =>
    past.policy(policies.of(change.table), change, transaction(commitLsn), () => lsn);
  return { policies, past, ask, policy };
}

function changeOf(row: string, operation = 'INSERT'): RowChange {
  const { change } = recordOf(`table public.t: ${operation}: ${row}`);
  assert.ok(change !== undefined);
  return change;
}
const stretch = (said: Partial<KeyHistoryEntry> = {}): KeyHistoryEntry => ({
  commitLsn: 100n,
  lsn: 0n,
  inserted: true,
  schema: 'public',
  table: 't',
  key: ['id'],
  ...said,
});
const shown = (asked: KeyHistoryRequest | undefined) =>
  asked && [asked.tables?.map(({ name }) => name), asked.except.map(({ name }) => name), asked.insertsOnly];
const ALL: KeyHistoryRequest = { tables: undefined, except: [], insertsOnly: false };
const many = (count: number, entry: Partial<TableEntry>) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`public.t${i}`, entry]));

describe('what a batch asks', () => {
  it('first for the tables with a key that are in doubt, then for all but those without one', () => {
    const { past, ask } = make({
      'public.t': KEYED,
      'public.u': KEYED,
      'public.sure': { seenFrom: 1 },
      'public.b': BARE,
    });
    assert.equal(ask('sure'), undefined);
    const first = ask('t');
    assert.deepEqual(shown(first), [['t', 'u'], [], false]);
    assert.ok(first);
    past.take(first, []);
    assert.equal(ask('u'), undefined, 'covered');
    const second = ask('gone');
    assert.deepEqual(shown(second), [undefined, ['b'], false]);
    assert.ok(second);
    past.take(second, []);
    assert.equal(ask('gone_too'), undefined, 'all are covered');
    assert.deepEqual(shown(ask('b')), [['b'], [], true], 'but those without a key');
  });

  it('for all at once from the second question on, even of tables with a key', () => {
    const { past, ask } = make({ 'public.t': KEYED, 'public.b': BARE });
    past.take({ tables: [named('b')], except: [], insertsOnly: true }, []);
    assert.deepEqual(shown(ask('t')), [undefined, ['b'], false]);
  });

  it('for all at once where the names would be more than a hundred', () => {
    assert.deepEqual(make(many(100, KEYED)).ask('t0')?.tables?.length, 100);
    assert.deepEqual(shown(make(many(101, KEYED)).ask('t0')), [undefined, [], false]);
    assert.deepEqual(make(many(100, BARE)).ask('t0')?.tables?.length, 100);
    assert.deepEqual(shown(make(many(101, BARE)).ask('t0')), [undefined, [], true]);
    assert.deepEqual(make(many(100, BARE)).ask('gone')?.except.length, 100);
    assert.deepEqual(shown(make(many(101, BARE)).ask('gone')), [undefined, [], true]);
  });

  it('for the INSERTs of a table without a key once, and for the rest of it where an old row was sent', () => {
    const { past, ask } = make({ 'public.t': BARE, 'public.u': BARE });
    const first = ask('t', 'UPDATE');
    assert.deepEqual(shown(first), [['t', 'u'], [], true]);
    assert.deepEqual(shown(ask('t', 'INSERT', true)), [['t', 'u'], [], true], 'an INSERT has no old row');
    assert.ok(first);
    past.take(first, []);
    assert.equal(ask('u', 'UPDATE'), undefined);
    const second = ask('t', 'UPDATE', true);
    assert.deepEqual(shown(second), [['t'], [], false]);
    assert.ok(second);
    past.take(second, []);
    assert.equal(ask('t', 'DELETE', true), undefined, 'covered');
    assert.deepEqual(shown(ask('u', 'DELETE', true)), [['u'], [], false]);
  });

  it('for the rest of such a table where an INSERT showed a key, and of others with it, three times never', () => {
    const { past, ask } = make({ 'public.t': BARE, 'public.u': BARE, 'public.v': BARE, 'public.w': BARE });
    const inserts = { tables: ['t', 'u', 'v', 'w'].map(named), except: [], insertsOnly: true };
    past.take(inserts, [
      stretch(),
      stretch({ table: 'u', key: [] }),
      stretch({ table: 'u' }),
      stretch({ table: 'v', key: [] }),
    ]);
    assert.deepEqual(shown(ask('t', 'UPDATE')), [['t', 'u'], [], false]);
    assert.equal(ask('v', 'UPDATE'), undefined, 'its INSERTs showed none');
    past.take({ tables: [named('v')], except: [], insertsOnly: false }, []);
    assert.ok(ask('t', 'UPDATE'));
    past.take({ tables: [named('w')], except: [], insertsOnly: false }, []);
    assert.equal(ask('t', 'UPDATE'), undefined);
  });

  it('for such a table however often tables with a key were asked for', () => {
    const { past, ask } = make({ 'public.t': KEYED, 'public.b': BARE });
    for (let i = 0; i < 2; i++) past.take({ tables: [named('t')], except: [], insertsOnly: false }, []);
    assert.deepEqual(shown(ask('b', 'UPDATE', true)), [['b'], [], false]);
  });

  it('twice at most, together with others, too', () => {
    const { past, ask } = make({ 'public.t': KEYED, 'public.b': BARE, 'public.c': BARE });
    for (let i = 0; i < 2; i++) past.take({ tables: [named('t'), named('c')], except: [], insertsOnly: false }, []);
    assert.equal(ask('b', 'UPDATE', true), undefined);
  });

  it('for itself and a hundred others without a key at most, of which an INSERT showed one', () => {
    const { past, ask } = make(many(102, BARE));
    past.take(
      { ...ALL, tables: [named('t0')], insertsOnly: true },
      Array.from({ length: 102 }, (_, i) => stretch({ table: `t${i}` })),
    );
    const { tables } = ask('t0', 'UPDATE') ?? {};
    assert.deepEqual([tables?.length, tables?.[0]?.name, tables?.at(-1)?.name], [101, 't0', 't100']);
  });

  it('for a table that is gone together with those in doubt that are there', () => {
    const keys = new FakeKeys({ 'public.gone': {}, 'public.t': KEYED });
    keys.until = 50n;
    keys.catalog.delete('public.gone');
    void keys.reload();
    assert.deepEqual(shown(make({}, '', keys).ask('gone')), [['t', 'gone'], [], false]);
  });

  it('nothing more where there was no answer, or one of all INSERTs; all again in the next batch', () => {
    const catalog = { 'public.t': KEYED, 'public.b': BARE };
    for (const [asked, answer] of [
      [{ ...ALL, tables: [named('x')] }, undefined],
      [{ ...ALL, insertsOnly: true }, []],
    ] as const) {
      const { past, ask } = make(catalog);
      past.take(asked, answer);
      assert.deepEqual([ask('t'), ask('b', 'DELETE', true)], [undefined, undefined]);
      past.clear();
      assert.deepEqual(shown(ask('t')), [['t'], [], false]);
    }
  });

  it('all of it again in the next batch', () => {
    const { past, ask, policy } = make({ 'public.t': KEYED, 'public.b': BARE, 'public.c': BARE });
    past.take({ tables: [named('t'), named('b')], except: [], insertsOnly: false }, [stretch({ key: ['code'] })]);
    past.take({ tables: [named('c')], except: [], insertsOnly: false }, [stretch({ table: 'c' })]);
    past.take({ tables: [named('b')], except: [], insertsOnly: true }, []);
    past.take(ALL, []);
    const change = changeOf('id[integer]:1 code[integer]:2');
    assert.deepEqual(policy(change).keys, [['code']]);
    assert.deepEqual([ask('t'), ask('gone'), ask('c', 'UPDATE', true)], [undefined, undefined, undefined]);
    past.clear();
    assert.deepEqual(policy(change).keys, [['id']]);
    assert.deepEqual(shown(ask('t')), [['t'], [], false]);
    assert.deepEqual(shown(ask('gone')), [undefined, ['b', 'c'], false]);
    assert.deepEqual(shown(ask('b')), [['b', 'c'], [], true]);
    assert.deepEqual(shown(ask('c', 'UPDATE')), [['b', 'c'], [], true]);
    assert.deepEqual(shown(ask('c', 'UPDATE', true)), [['c'], [], false]);
    const asked = { tables: [named('t')], except: [], insertsOnly: true };
    past.take(asked, [stretch({ key: ['code'] })]);
    const update = changeOf('id[integer]:1 code[integer]:2', 'UPDATE');
    assert.deepEqual([policy(change).keys, policy(update).keys], [[['code']], [['id']]]);
  });
});

describe('by an answer, a row', () => {
  const change = changeOf('id[integer]:1 code[integer]:2 "Big"[integer]:3');
  const T = { ...ALL, tables: [named('t')] };

  it('comes under the last key that begins at it or before', () => {
    const { past, policy } = make({ 'public.t': { ...KEYED, key: ['uid'] } });
    past.take(T, [
      stretch({ commitLsn: 50n, lsn: 9n, key: ['id'] }),
      stretch({ lsn: 20n, key: ['code'] }),
      stretch({ lsn: 30n, key: ['Big'] }),
      stretch({ table: 'u', lsn: 1n, key: ['other'] }),
    ]);
    const key = (commitLsn: bigint, lsn: bigint) => policy(change, commitLsn, lsn).keys[0]?.[0];
    assert.deepEqual(
      [key(49n, 90n), key(50n, 8n), key(50n, 9n), key(99n, 90n)],
      ['uid', 'uid', 'id', 'id'],
      'before the first of all the catalogs say it',
    );
    assert.deepEqual([key(100n, 19n), key(100n, 20n), key(100n, 29n)], ['id', 'code', 'code']);
    assert.deepEqual([key(100n, 30n), key(101n, 1n)], ['"Big"', '"Big"'], 'as the row prints it');
  });

  it('comes by an answer of INSERTs only if it is one', () => {
    const { past, policy } = make({ 'public.t': KEYED });
    past.take({ ...T, insertsOnly: true }, [stretch({ key: ['code'] })]);
    const update = changeOf('id[integer]:1 code[integer]:2', 'UPDATE');
    assert.deepEqual([policy(change).keys, policy(update).keys], [[['code']], [['id']]]);
    past.take(T, [stretch({ key: ['Big'] })]);
    assert.deepEqual([policy(change).keys, policy(update).keys], [[['"Big"']], [['"Big"']]], 'one of all actions wins');
    past.take({ ...T, insertsOnly: true }, [stretch({ key: ['code'] })]);
    assert.deepEqual(policy(change).keys, [['"Big"']], 'and is not replaced by one of INSERTs');
  });

  it('keeps the policy of the catalogs where its key is in no doubt, or the answer says nothing of it', () => {
    const sure = make({ 'public.t': { seenFrom: 1 } });
    sure.past.take(T, [stretch({ key: ['code'] })]);
    assert.equal(sure.policy(change), sure.policies.of(named('t')));
    const unsaid = make({ 'public.t': KEYED });
    unsaid.past.take(T, [stretch({ table: 'u' }), stretch({ schema: 'other', key: ['code'] })]);
    assert.equal(unsaid.policy(change), unsaid.policies.of(named('t')));
  });

  it('has one policy for as long as the key and the reading of the catalogs are the same', () => {
    const { past, policy, policies } = make({ 'public.t': { ...KEYED, virtualColumns: ['v'] } });
    past.take(T, [stretch()]);
    const made = policy(change);
    assert.equal(policy(change, 200n), made);
    assert.notEqual(made, policies.of(named('t')));
    made.omitted.add('w');
    made.evaluatedColumns.add('w');
    const base = policies.of(named('t'));
    assert.deepEqual([[...base.omitted], [...base.evaluatedColumns]], [['v'], []], 'what it leaves out is its own');
    assert.notEqual(
      past.policy({ ...base, version: 99 }, change, transaction(), () => 0n),
      made,
    );
  });

  it('has a key, whatever the catalogs say of one; filters stay', () => {
    const of = (catalog: Partial<TableEntry> | undefined, exclude = '') => {
      const { past, policy, policies } = make(catalog === undefined ? {} : { 'public.t': catalog }, exclude);
      policies.of(named('t')).noted = 'droppedTable';
      past.take(T, [stretch()]);
      const { skip, keys, wasKeyless, identityHoldsKey, noted } = policy(change);
      return [skip, keys, wasKeyless, identityHoldsKey, noted];
    };
    assert.deepEqual(of(BARE), [undefined, [['id']], false, false, undefined]);
    assert.deepEqual(of(KEYED), [undefined, [['id']], false, false, undefined]);
    assert.deepEqual(of(undefined), [undefined, [['id']], false, false, undefined]);
    assert.deepEqual(of(undefined, 'public\\.secret'), ['droppedTable', [['id']], false, false, undefined]);
  });

  it('has no key where an INSERT shows none, and only then', () => {
    const of = (catalog: Partial<TableEntry> | undefined, inserted: boolean, exclude = '') => {
      const { past, policy, policies } = make(catalog === undefined ? {} : { 'public.t': catalog }, exclude);
      policies.of(named('t')).noted = 'droppedTable';
      past.take(T, [stretch({ key: [], inserted })]);
      const { skip, wasKeyless, noted } = policy(change);
      return [skip, wasKeyless, noted];
    };
    assert.deepEqual(of(KEYED, true), [undefined, true, undefined]);
    assert.deepEqual(of(KEYED, false), [undefined, false, 'droppedTable']);
    assert.deepEqual(of(undefined, true), ['noPrimaryKey', true, undefined]);
    assert.deepEqual(of(undefined, true, 'public\\.secret'), ['droppedTable', true, undefined]);
  });

  it('has a composite key in the order that the catalogs know, if they know one of just these columns', () => {
    const keysOf = (known: readonly string[], key: readonly string[], row = change) => {
      const { past, policy } = make({ 'public.t': { ...KEYED, key: known } });
      past.take(T, [stretch({ key })]);
      return policy(row).keys;
    };
    assert.deepEqual(keysOf(['code', 'id'], ['id', 'code']), [['code', 'id']]);
    assert.deepEqual(keysOf(['"Big"', 'id'], ['id', 'Big']), [['"Big"', 'id']]);
    assert.deepEqual(keysOf(['code', 'uid'], ['id', 'code']), [['id', 'code']]);
    assert.deepEqual(keysOf(['code'], ['id', 'code']), [['id', 'code']]);
    assert.deepEqual(keysOf(['code', 'id', 'uid'], ['id', 'code']), [['id', 'code']]);
    const { newTuple } = change;
    const short = { ...change, newTuple: newTuple && { ...newTuple, count: 2 } };
    assert.deepEqual(keysOf(['uid'], ['Big'], short), [['Big']], 'not as a longer row before has left it');
    const deletion = changeOf('"Big"[integer]:3 id[integer]:1', 'DELETE');
    assert.deepEqual(keysOf(['uid'], ['Big', 'Gone'], deletion), [['"Big"', 'Gone']]);
    const update = changeOf('old-key: "Old"[integer]:3 new-tuple: id[integer]:1', 'UPDATE');
    assert.deepEqual(keysOf(['uid'], ['Old', 'id'], update), [['"Old"', 'id']]);
  });
});
