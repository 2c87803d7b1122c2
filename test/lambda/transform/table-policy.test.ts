/** By what the catalogs say and said: a table's keys and names, whether its key is in doubt, and which columns are left out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EarlierEntry, TableEntry } from '../../../lambda/ports/catalogs.ts';
import { isBefore } from '../../../lambda/transform/transaction-order.ts';
import { earlier, entry, list, policiesOf, policyOf, T, transaction } from './readings.ts';

describe("a table's policy", () => {
  it('has the keys of all readings, the newest first, and knows of one without', () => {
    const before = [earlier(9n, { key: [] }), earlier(5n, { key: ['a', 'b'] })];
    const policy = policyOf(entry({ virtualColumns: ['v'] }), before);
    assert.deepEqual([policy.keys, policy.wasKeyless, [...policy.omitted]], [[['id'], ['a', 'b']], true, ['v']]);
    assert.deepEqual(policyOf(undefined, before).keys, [['a', 'b']]);
    assert.equal(policyOf(entry({ key: [] }), [earlier(5n)]).wasKeyless, false);
  });

  it('takes what the newest reading says of the replica identity and of virtual columns', () => {
    const bare = { identityHoldsKey: false, virtualColumns: ['w'] };
    assert.equal(policyOf(entry(bare), [earlier(5n)]).identityHoldsKey, false);
    assert.equal(policyOf(entry(), [earlier(5n, bare)]).identityHoldsKey, true);
    assert.equal(policyOf(undefined, [earlier(5n)]).identityHoldsKey, true);
    assert.deepEqual([...policyOf(undefined, [earlier(5n, bare)]).omitted], ['w']);
    assert.equal(policyOf(undefined).identityHoldsKey, false);
  });

  it('names the table, its ancestors, and those that other readings know, once each', () => {
    const policy = policyOf(
      entry({ ancestors: ['public.above'] }),
      [earlier(9n, { ancestors: ['public.above', 'public.before'] })],
      {},
      { byOid: (oid) => (oid === 1 ? entry({ name: 'public.renamed', ancestors: ['public.top'] }) : undefined) },
    );
    assert.deepEqual(policy.names, ['public.t', 'public.above', 'public.before', 'public.renamed', 'public.top']);
    assert.deepEqual(policyOf(undefined).names, ['public.t'], 'its own alone, where nothing knows it');
    assert.deepEqual(policyOf(entry(), [earlier(9n, { ancestors: ['public.before'] })]).names, [
      'public.t',
      'public.before',
    ]);
  });
});

describe('the tables that the catalogs know', () => {
  it('were altered by transactions that may have been unread', () => {
    const altered = (overBefore: number | undefined) =>
      policiesOf(
        entry(),
        [],
        {},
        {
          overBefore,
          tables: () => [entry({ alteredBy: [499, 500] }), entry(), entry({ alteredBy: [501, 500] })],
        },
      ).alterations();
    assert.deepEqual([...altered(500)], [500, 501]);
    assert.deepEqual([...altered(undefined)], [499, 500, 501]);
  });

  it('are named as they are printed; others by schema and name', () => {
    const rows = [
      entry({ printed: '"a.b".c', schema: 'a.b', name: 'a.b.c' }),
      entry({ printed: 'public."T x"', schema: 'public', name: 'public.T x' }),
    ];
    const named = (schema: string, name: string) =>
      policiesOf(undefined, [], {}, { tables: () => rows }).named(schema, name);
    assert.deepEqual(named('public', 'T x'), { printed: 'public."T x"', schema: 'public', name: 'T x' });
    assert.deepEqual(named('a.b', 'c'), { printed: '"a.b".c', schema: 'a.b', name: 'c' });
    assert.deepEqual(named('a', 'b.c'), { printed: 'a.b.c', schema: 'a', name: 'b.c' });
    assert.deepEqual(named('public', 'gone'), { printed: 'public.gone', schema: 'public', name: 'gone' });
  });
});

describe("a table's key is in doubt", () => {
  const inDoubt = (
    said: Partial<TableEntry> | undefined,
    more: { lsn?: bigint; before?: EarlierEntry[]; nothingTells?: boolean } = {},
  ) => {
    const overBefore = more.nothingTells === true ? undefined : 500;
    const policies = policiesOf(said && entry(said), more.before, {}, { overBefore });
    return policies.isKeyInDoubt(policies.of(T), transaction(600, more.lsn));
  };
  for (const [what, doubt, expected] of [
    ['where it may have changed behind what is unread', inDoubt({ keySince: 500, seenFrom: 700 }), true],
    ['not, where it changed before all that', inDoubt({ keySince: 499, seenFrom: 700 }), false],
    ['where nothing tells when it changed', inDoubt({ seenFrom: 700 }), true],
    ['where nothing tells what is unread', inDoubt({ keySince: 1, seenFrom: 700 }, { nothingTells: true }), true],
    ['not, where the catalogs said so already', inDoubt({ seenFrom: 600 }), false],
    ['of a transaction just before that', inDoubt({ seenFrom: 601 }), true],
    ['not, of a table that is gone, up to where it was known', inDoubt(undefined, { before: [earlier(100n)] }), false],
    [
      'not, of one that is there, whatever a reading before knew',
      inDoubt({ keySince: 499, seenFrom: 700 }, { before: [earlier(50n)] }),
      false,
    ],
    [
      'of one that is there, up to where a reading before knew it, too',
      inDoubt({ keySince: 500, seenFrom: 700 }, { before: [earlier(200n)] }),
      true,
    ],
    ['of a table that is gone, behind that', inDoubt(undefined, { lsn: 101n, before: [earlier(100n)] }), true],
    ['of a table that nothing knows', inDoubt(undefined), true],
    ['not, of what is no table', inDoubt({ isTable: false, seenFrom: 700 }), false],
  ] as const)
    it(what, () => {
      assert.equal(doubt, expected);
    });

  it('among all that the catalogs know, with or without a key', () => {
    const rows = [
      entry({ seenFrom: 700, printed: 'public.k', name: 'public.k' }),
      entry({ seenFrom: 700, printed: 's."N"', schema: 's', name: 's.N', key: [] }),
      entry({ seenFrom: 700, printed: 'public.v', name: 'public.v', isTable: false, key: [] }),
      entry({ seenFrom: 1, printed: 'public.old', name: 'public.old' }),
    ];
    const policies = policiesOf(
      undefined,
      [],
      {},
      {
        current: (table) => rows.find(({ printed }) => printed === table.printed),
        tables: () => rows,
      },
    );
    const bare = { printed: 's."N"', schema: 's', name: 'N' };
    assert.deepEqual(policies.doubtfulTables(transaction(600), true), [bare]);
    assert.deepEqual(policies.doubtfulTables(transaction(600), false), [
      { printed: 'public.k', schema: 'public', name: 'k' },
    ]);
    assert.deepEqual(policies.keylessTables(), [bare]);
  });
});

describe('transaction ids', () => {
  it('are compared as PostgreSQL does, round the end of 32 bits', () => {
    assert.deepEqual([isBefore(1, 2), isBefore(2, 2), isBefore(3, 2)], [true, false, false]);
    assert.deepEqual([isBefore(4_294_967_290, 5), isBefore(5, 4_294_967_290)], [true, false]);
  });
});

describe('COLUMN_EXCLUDE_LIST', () => {
  const columns = (...names: string[]) => ({
    count: names.length,
    headers: names.map((name, id) => ({ id, name, printed: name, type: 'text' })),
    kinds: [],
    starts: [],
    ends: [],
  });

  it('leaves out the columns of a row that it names, and asks for each column once', () => {
    const policies = policiesOf(entry(), [], { columnExclude: list('public\\.t\\.(ssn|late)') });
    const policy = policies.of(T);
    policies.excludeColumns(policy, undefined);
    assert.equal(policy.evaluatedColumns.size, 0);
    policies.excludeColumns(policy, columns('id', 'ssn'));
    policies.excludeColumns(policy, { ...columns('id', 'late'), count: 1 });
    assert.deepEqual([...policy.omitted], ['ssn']);
    assert.deepEqual([...policy.evaluatedColumns], ['id', 'ssn']);
    policies.excludeColumns(policy, columns('late'));
    assert.deepEqual([...policy.omitted], ['ssn', 'late']);
  });

  it('asks for nothing where nothing is excluded', () => {
    const policies = policiesOf(entry());
    policies.excludeColumns(policies.of(T), columns('id'));
    assert.equal(policies.of(T).evaluatedColumns.size, 0);
  });

  it('ends the run where it names a column of the key, by the names of both', () => {
    const policies = policiesOf(entry(), [], { columnExclude: list('public\\.t\\.id') });
    assert.throws(
      () => policies.excludeColumns(policies.of(T), columns('id')),
      (error: Error) =>
        'code' in error &&
        error.code === 'CONFIG_INVALID' &&
        /public\.t/.test(error.message) &&
        /id/.test(error.message),
    );
    const bare = policiesOf(entry({ key: [] }), [], { columnExclude: list('public\\.t\\.id') });
    bare.excludeColumns(bare.of(T), columns('id'));
    assert.deepEqual([...bare.of(T).omitted], ['id']);
  });
});
