/** Which tables do not bear another order of rows, out of rows that a test writes down; what the statements give is tested on real servers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  isSameText,
  type KeyColumn,
  readKeyColumns,
  readOtherIndexes,
  readUnfitTables,
} from '../../../lambda/postgres/row-order.ts';
import { scriptedServer } from './scripted-server.ts';

const COLUMN: KeyColumn = {
  table: '1',
  name: 'id',
  type: 'integer',
  base: 'int4',
  isBuiltIn: true,
  isEnum: false,
  isDeterministic: true,
  hasLength: false,
};
const INDEXES = 'WITH RECURSIVE up';
const COLUMNS = 'WITH RECURSIVE key';
const TABLES = 'AS "isTriggered"';

describe('values of a column of the key', () => {
  for (const [what, over, same] of [
    ['a number', {}, true],
    ['text', { base: 'text' }, true],
    ['text that has a collation without order of bytes', { base: 'text', isDeterministic: false }, false],
    ['char with a length', { base: 'bpchar', hasLength: true }, true],
    ['char without', { base: 'bpchar' }, false],
    ['varchar without a length', { base: 'varchar' }, true],
    ['numeric', { base: 'numeric' }, false],
    ['float', { base: 'float8' }, false],
    ['a type of somebody’s', { isBuiltIn: false }, false],
    ['an enum of somebody’s', { base: 'mood', isBuiltIn: false, isEnum: true }, true],
    ...[
      ...['int2', 'int8', 'oid', 'bool', 'name', 'char', 'uuid', 'date', 'timestamp', 'timestamptz', 'time', 'timetz'],
      ...['bytea', 'bit', 'varbit', 'inet', 'cidr', 'macaddr', 'macaddr8', 'money', 'pg_lsn', 'xid8'],
    ].map((base) => [base, { base }, true] as const),
    ...['interval', 'jsonb', 'citext', 'float4', ''].map((base) => [`"${base}"`, { base }, false] as const),
  ] as const)
    it(`of ${what} are equal ${same ? 'only' : 'not only'} where their texts are`, () =>
      assert.equal(isSameText({ ...COLUMN, ...over }), same));
});

describe('what a table has', () => {
  it('is asked of one table, or of all', async () => {
    const rows = [{ table: '1', name: 'i', sql: 'DROP' }];
    const script = scriptedServer([
      [INDEXES, rows],
      [COLUMNS, [{ ...COLUMN }]],
    ]);
    assert.deepEqual(await readOtherIndexes(script.client, '7'), rows);
    assert.deepEqual(await readOtherIndexes(script.client), rows);
    assert.deepEqual(await readKeyColumns(script.client, '7'), [COLUMN]);
    await readKeyColumns(script.client);
    assert.deepEqual(
      script.sent.map(({ values }) => values),
      [['7'], [null], ['7'], [null]],
    );
  });

  it('is listed of those alone that have any of it', async () => {
    const { client } = scriptedServer([
      [
        TABLES,
        ['fit', 'indexed', 'keyed', 'triggered', 'all'].map((name, oid) => ({
          oid: `${oid}`,
          name: `public.${name}`,
          isTriggered: oid >= 3,
        })),
      ],
      [INDEXES, [...['a', 'b'].map((name) => ({ table: '1', name, sql: '' })), { table: '4', name: 'c', sql: '' }]],
      [
        COLUMNS,
        [
          { ...COLUMN, table: '0' },
          { ...COLUMN, table: '2', name: 'n', type: 'numeric(9,2)', base: 'numeric' },
          { ...COLUMN, table: '2', name: 'm', type: 'real', base: 'float4' },
          { ...COLUMN, table: '4', name: 'n', type: 'numeric', base: 'numeric' },
        ],
      ],
    ]);
    assert.deepEqual(await readUnfitTables(client), [
      { name: 'public.indexed', indexes: ['a', 'b'], columns: [], isTriggered: false },
      { name: 'public.keyed', indexes: [], columns: ['n numeric(9,2)', 'm real'], isTriggered: false },
      { name: 'public.triggered', indexes: [], columns: [], isTriggered: true },
      { name: 'public.all', indexes: ['c'], columns: ['n numeric'], isTriggered: true },
    ]);
  });
});
