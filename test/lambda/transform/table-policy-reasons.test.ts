/** By what the catalogs say and said: why a table's changes are left out, which are in doubt, and whose key is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TableName, Transaction } from '../../../lambda/decode/messages.ts';
import type { EarlierEntry, PrimaryKeys, TableEntry } from '../../../lambda/ports/catalogs.ts';
import { compilePatterns, type Filters, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { isSkippedInDoubt, skipReason } from '../../../lambda/transform/table-policy.ts';
import { isBefore } from '../../../lambda/transform/transaction-order.ts';

const T: TableName = { printed: 'public.t', schema: 'public', name: 't' };

/** What a reading of the catalogs says of the table; the rest is as of a table with a key and no ancestors. */
function entry(said: Partial<TableEntry> = {}): TableEntry {
  return {
    oid: 1,
    printed: 'public.t',
    schema: 'public',
    name: 'public.t',
    isTable: true,
    key: ['id'],
    ancestors: [],
    ancestorsSince: undefined,
    alteredBy: [],
    keySince: undefined,
    seenFrom: 0,
    virtualColumns: [],
    identityHoldsKey: true,
    ...said,
  };
}
/** An earlier reading, true of all that was committed up to a position. */
const earlier = (until: bigint, said: Partial<EarlierEntry> = {}): EarlierEntry => ({
  until,
  knownUntil: until,
  ...entry(said),
});

function policiesOf(
  current: TableEntry | undefined,
  before: readonly EarlierEntry[] = [],
  filters: Partial<Filters> = {},
  more: Partial<PrimaryKeys> = {},
): TablePolicies {
  const keys: PrimaryKeys = {
    version: 1,
    overBefore: 500,
    current: () => current,
    earlier: () => before,
    tables: () => (current === undefined ? [] : [current]),
    byOid: () => undefined,
    isOver: () => true,
    reload: () => Promise.resolve(1),
    refreshIfStale: () => Promise.resolve(),
    ...more,
  };
  return new TablePolicies(keys, { ...NO_FILTERS, ...filters });
}
const policyOf = (...args: Parameters<typeof policiesOf>) => policiesOf(...args).of(T);
const transaction = (xid: number, commitLsn = 100n): Transaction => ({ xid, commitLsn, commitTimeMicros: 0n });
const list = (pattern: string) => compilePatterns(pattern);

describe("a table's changes are left out", () => {
  const rewritten = { ...T, name: 'pg_temp_16384' };
  for (const [what, current, before, table, expected] of [
    ['not, where it has a key', entry(), [], T, undefined],
    ['where it has no key', entry({ key: [] }), [], T, 'noPrimaryKey'],
    ['where it has no key any more', entry({ key: [] }), [earlier(9n)], T, 'noPrimaryKey'],
    ['as of no table, where it is none', entry({ isTable: false }), [], T, 'notTable'],
    ['where nothing knows it', undefined, [], T, 'droppedTable'],
    ['as of no table, where a table is rewritten', undefined, [], rewritten, 'notTable'],
    ['of one that only looks so', undefined, [], { ...T, name: 'my_pg_temp_1' }, 'droppedTable'],
    ['of one that only begins so', undefined, [], { ...T, name: 'pg_temp_1a' }, 'droppedTable'],
    ['as of no table, where pg_squeeze makes a table smaller', undefined, [], { ...T, name: 'tmp_7' }, 'notTable'],
    ['of one with a number that is no table’s', undefined, [], { ...T, name: 'tmp_8' }, 'droppedTable'],
    ['of one in another schema', undefined, [], { ...T, schema: 'etl', name: 'tmp_7' }, 'droppedTable'],
    [
      'not, where it is gone, and any reading knew its key',
      undefined,
      [earlier(9n, { key: [] }), earlier(5n)],
      T,
      undefined,
    ],
    ['where it is gone, and never had a key', undefined, [earlier(9n, { key: [] })], T, 'noPrimaryKey'],
    ['where it is gone, and was none', undefined, [earlier(9n, { isTable: false })], T, 'notTable'],
  ] as const)
    it(what, () => {
      const byOid = (oid: number) => (oid === 7 ? entry() : undefined);
      assert.equal(policiesOf(current, before, {}, { byOid }).of(table).skip, expected);
    });

  it('by names that it, its ancestors, and readings before had', () => {
    const tableExclude = list('public\\.(secret|was|now_above)');
    const past = (names: Partial<TableEntry>) => [earlier(50n, names)];
    const reason = (current: TableEntry | undefined, before: EarlierEntry[], lsn: bigint, renamed?: TableEntry) =>
      skipReason(policyOf(current, before, { tableExclude }, { byOid: () => renamed }), transaction(1, lsn));
    assert.equal(reason(entry({ ancestors: ['public.secret'] }), [], 1n), 'filtered');
    assert.equal(reason(entry(), past({ ancestors: ['public.was'] }), 50n), 'filtered', 'up to the position');
    assert.equal(reason(entry(), past({ ancestors: ['public.was'] }), 51n), undefined, 'and not behind it');
    assert.equal(reason(entry(), past({}), 50n, entry({ name: 'public.secret' })), 'filtered', 'by its name now');
    assert.equal(reason(entry(), past({}), 50n, entry({ ancestors: ['public.now_above'] })), 'filtered');
    assert.equal(reason(entry(), past({ ancestors: ['public.other'] }), 50n), undefined);
    const twice = [earlier(50n, { ancestors: ['public.was'] }), earlier(20n, { ancestors: ['public.was'] })];
    assert.equal(reason(entry(), twice, 40n), 'filtered', 'up to the last of the positions');
    assert.equal(reason(entry(), twice.toReversed(), 40n), 'filtered', 'in whatever order they are');
  });

  it('by an include list, behind the last position up to which a reading let it in', () => {
    const tableInclude = list('public\\.wanted');
    const reason = (current: TableEntry, before: EarlierEntry[], lsn: bigint) =>
      skipReason(policyOf(current, before, { tableInclude }), transaction(1, lsn));
    const wanted = { ancestors: ['public.wanted'] };
    assert.equal(reason(entry(), [], 1n), 'filtered');
    assert.equal(reason(entry(wanted), [earlier(50n)], 1n), undefined, 'the current reading lets it in');
    assert.equal(reason(entry(), [earlier(50n, wanted)], 50n), undefined);
    assert.equal(reason(entry(), [earlier(50n, wanted)], 51n), 'filtered');
  });

  it('where they may have been a partition of a table that is excluded: written before, committed after', () => {
    const tableExclude = list('public\\.secret');
    const hiding = (current: TableEntry | undefined, before: readonly EarlierEntry[] = []) =>
      policyOf(current, before, { tableExclude });
    const attached = hiding(entry({ ancestorsSince: 700 }), [earlier(50n)]);
    const doubted = (policy: typeof attached, xid: number, lsn: bigint) =>
      isSkippedInDoubt(policy, transaction(xid, lsn));
    assert.equal(doubted(attached, 699, 51n), true);
    assert.equal(skipReason(attached, transaction(699, 51n)), 'filtered');
    assert.equal(doubted(attached, 700, 51n), false, 'written by a later transaction');
    assert.equal(doubted(attached, 699, 50n), false, 'an earlier reading knows up to there');
    assert.equal(doubted(hiding(entry({ ancestorsSince: 700 })), 699, 1n), true, 'no reading before');
    assert.equal(doubted(hiding(entry()), 1, 1n), false);
    const gone = hiding(undefined, [earlier(50n)]);
    assert.deepEqual([doubted(gone, 1, 50n), doubted(gone, 1, 51n)], [false, true], 'a table that is gone');
    const goneTwice = hiding(undefined, [earlier(50n, { ancestorsSince: 700 }), earlier(20n)]);
    assert.deepEqual([doubted(goneTwice, 1, 20n), doubted(goneTwice, 1, 21n)], [false, true]);
    assert.equal(doubted(goneTwice, 700, 21n), false);
    const excluded = hiding(entry({ ancestors: ['public.secret'], ancestorsSince: 700 }));
    assert.equal(doubted(excluded, 1, 1n), false, 'what is excluded by name is in no doubt');
    const byColumn = policyOf(entry({ ancestorsSince: 700 }), [], { columnExclude: list('public\\.s\\.c') });
    assert.equal(doubted(byColumn, 699, 1n), true, 'a column that must not be seen is one reason, too');
  });

  it('with an include list alone, where nothing tells what they were a partition of before the first reading', () => {
    const tableInclude = list('public\\.wanted');
    const plain = policyOf(entry({ ancestorsSince: 900 }), [earlier(50n), earlier(20n, { ancestorsSince: 700 })], {
      tableInclude,
    });
    assert.deepEqual(plain.doubts, [{ before: 700, after: 0n }]);
    assert.deepEqual(policyOf(entry({ ancestorsSince: 900 }), [], { tableInclude }).doubts, [
      { before: 900, after: 0n },
    ]);
    assert.deepEqual(policyOf(entry(), [], { tableInclude }).doubts, []);
    const wanted = entry({ ancestors: ['public.wanted'], ancestorsSince: 900 });
    assert.deepEqual(policyOf(wanted, [], { tableInclude }).doubts, []);
    assert.deepEqual(policyOf(undefined, [], { tableInclude }).doubts, []);
  });

  it('where nothing knows them and something is excluded, as what may have been a partition of it', () => {
    assert.equal(policyOf(undefined).hidden, false);
    for (const filters of [{ tableExclude: list('a') }, { columnExclude: list('a') }]) {
      assert.equal(policyOf(undefined, [], filters).hidden, true);
      assert.equal(policyOf(entry(), [], filters).hidden, false);
      assert.equal(policyOf(undefined, [earlier(5n)], filters).hidden, false);
    }
  });
});

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
