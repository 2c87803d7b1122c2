/** Patterns: how a list is cut, what matches, and who wins. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compilePatterns, NO_FILTERS, omitsColumn, selectsTable } from '../../../lambda/settings/filters.ts';
import { FAST_TABLES } from '../../../replica/postgres/fast/fast-schema.ts';

describe('compilePatterns', () => {
  const lists: [list: string, matches: string[], misses: string[]][] = [
    ['public\\.users', ['public.users'], ['public.users2', 'xpublic.users', 'PUBLIC.users', 'publicXusers']],
    ['a\\.x , b\\.y', ['a.x', 'b.y'], ['a.x ', ' b.y']],
    ['log\\.t_\\d{1,3}', ['log.t_1', 'log.t_123'], ['log.t_1234', 'log.t_']],
    ['s\\.(a,b|c)', ['s.a,b', 's.c'], ['s.a']],
    ['s\\.[,;]', ['s.,', 's.;'], ['s.']],
    ['s\\.a\\,b', ['s.a,b'], ['s.a']],
    ['s\\.(?:x', [], []],
    ['a|b', ['a', 'b'], ['ab', 'xa', 'bx']],
    ['.*', ['a\nb', 'public.𝒳'], []],
    ['s\\..', ['s.𝒳'], ['s.']],
    ['[(]\\.x,b', ['(.x', 'b'], []],
    [',,', [], ['']],
  ];
  for (const [list, matches, misses] of lists) {
    if (list === 's\\.(?:x') {
      it('fails for an open group', () => assert.throws(() => compilePatterns(list), /no regular expression/));
      continue;
    }
    it(`reads ${list}`, () => {
      const patterns = compilePatterns(list);
      const hit = (name: string): boolean => patterns.some((pattern) => pattern.test(name));
      for (const name of matches) assert.ok(hit(name), name);
      for (const name of misses) assert.ok(!hit(name), name);
    });
  }
});

describe('selectsTable', () => {
  const tables: [include: string, exclude: string, names: string[], selected: boolean][] = [
    ['', '', ['a.b'], true],
    ['a\\..*', '', ['a.b'], true],
    ['a\\..*', '', ['c.b'], false],
    ['', 'a\\.b', ['a.b'], false],
    ['a\\..*', 'a\\.b', ['a.b'], false],
    ['a\\.parent', '', ['a.leaf', 'a.parent'], true],
    ['', 'a\\.parent', ['a.leaf', 'a.parent'], false],
  ];
  for (const [include, exclude, names, selected] of tables) {
    it(`${selected ? 'takes' : 'leaves'} ${names.join(' of ')} with [${include}] but [${exclude}]`, () => {
      const filters = { ...NO_FILTERS, tableInclude: compilePatterns(include), tableExclude: compilePatterns(exclude) };
      assert.equal(selectsTable(filters, names), selected);
    });
  }

  it('leaves out columns by any of the table’s names', () => {
    const filters = { ...NO_FILTERS, columnExclude: compilePatterns('a\\.parent\\.secret') };
    assert.ok(omitsColumn(filters, ['a.leaf', 'a.parent'], 'secret'));
    assert.ok(!omitsColumn(filters, ['a.leaf', 'a.parent'], 'secret2'));
    assert.ok(!omitsColumn(NO_FILTERS, ['a.leaf'], 'secret'));
  });
});

describe("other tools' tables", () => {
  for (const name of [
    ...['repack.log_16385', 'repack.table_16385', 'repack.log_4294967295'],
    ...['tables', 'tables_internal', 'tasks', 'log', 'errors'].map((table) => `squeeze.${table}`),
    ...FAST_TABLES.map((table) => `pg2kinesis.${table}`),
    'pg2kinesis.replica',
  ])
    it(`${name} is left out, whatever the lists say`, () => {
      assert.equal(selectsTable(NO_FILTERS, [name]), false);
      assert.equal(selectsTable({ ...NO_FILTERS, tableInclude: compilePatterns('.*') }, [name]), false);
    });
  for (const name of [
    'public.log_16385',
    'repack.log',
    'repack.log_1a',
    'repack.orders',
    'squeeze.lemons',
    'squeeze.log_1',
    'pg2kinesis.replicas',
    'public.replica',
  ])
    it(`${name} is a table as any`, () => assert.equal(selectsTable(NO_FILTERS, [name]), true));
});
