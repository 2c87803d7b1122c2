/** By what the catalogs say and said: why a table's changes are left out, and which are in doubt. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EarlierEntry, TableEntry } from '../../../lambda/ports/catalogs.ts';
import { isSkippedInDoubt, skipReason } from '../../../lambda/transform/table-policy.ts';
import { earlier, entry, list, policiesOf, policyOf, T, transaction } from './readings.ts';

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
    ['as of no table, whatever its number', undefined, [], { ...T, name: 'tmp_77' }, 'notTable'],
    ['of one that only ends so', undefined, [], { ...T, name: 'my_tmp_7' }, 'droppedTable'],
    ['of one that goes on', undefined, [], { ...T, name: 'tmp_7a' }, 'droppedTable'],
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
      const byOid = (oid: number) => (oid === 7 || oid === 77 ? entry() : undefined);
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
    assert.equal(reason(entry(), [earlier(80n), earlier(50n, wanted)], 50n), undefined);
    assert.equal(reason(entry(), [earlier(80n), earlier(50n, wanted)], 51n), 'filtered', 'not by one that did not');
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
    const before = [earlier(50n), earlier(30n, { ancestorsSince: 800 }), earlier(20n, { ancestorsSince: 700 })];
    const plain = policyOf(entry({ ancestorsSince: 900 }), before, { tableInclude });
    assert.deepEqual(plain.doubts, [{ before: 700, after: 0n }]);
    assert.deepEqual(policyOf(entry({ ancestorsSince: 900 }), [], { tableInclude }).doubts, [
      { before: 900, after: 0n },
    ]);
    assert.deepEqual(policyOf(entry(), [], { tableInclude }).doubts, []);
    const wanted = entry({ ancestors: ['public.wanted'], ancestorsSince: 900 });
    assert.deepEqual(policyOf(wanted, [], { tableInclude }).doubts, []);
    assert.deepEqual(policyOf(undefined, [], { tableInclude }).doubts, []);
  });

  it('where positions decide whether they were: those committed behind what the reading before knows', () => {
    const altered = (xid: number): Partial<TableEntry> => ({
      ancestorsSince: xid + 1,
      seenFrom: xid + 10,
      alteredBy: [xid],
    });
    const overlapping = (
      current: TableEntry | undefined,
      before: readonly EarlierEntry[],
      tableExclude = 'public\\.s',
    ) =>
      policyOf(current, before, { tableExclude: list(tableExclude) }).overlaps.map(({ from, after }) => [from, after]);
    const before = [earlier(50n, altered(600)), earlier(20n, altered(520))];
    assert.deepEqual(overlapping(entry(altered(700)), before), [
      [701, 50n],
      [601, 20n],
      [521, 0n],
    ]);
    assert.deepEqual(overlapping(undefined, before), [
      [601, 20n],
      [521, 0n],
    ]);
    assert.deepEqual(overlapping(entry(altered(499)), []), [], 'it was over before anything unread was written');
    assert.deepEqual(overlapping(entry(altered(700)), before, 'public\\.t'), [], 'excluded by its name');
    assert.deepEqual(policyOf(entry(altered(700)), before).overlaps, [], 'nothing is excluded');
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
