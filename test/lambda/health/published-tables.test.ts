/** Which tables are published, and why the others are not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkPublished, type Published } from '../../../lambda/health/published-tables.ts';
import type { TableFacts } from '../../../lambda/health/tables-health.ts';
import { readConfig } from '../../../lambda/settings/config.ts';

const TABLE: TableFacts = {
  name: 'shop.orders',
  ancestors: [],
  partitioned: false,
  columns: ['id', 'total'],
  key: ['id'],
  deferrable: false,
  replicaIdentity: 'd',
  identityCoversKey: false,
};
const config = (env: Record<string, string> = {}) =>
  readConfig({ PGHOST: 'h', PGUSER: 'u', PGDATABASE: 'd', STREAM_NAME: 's', ...env });

describe('tables', () => {
  const cases: [
    what: string,
    table: Partial<TableFacts>,
    env: Record<string, string>,
    published: Published,
    why: RegExp,
  ][] = [
    ['a table with a key', {}, {}, 'yes', /^$/],
    ['one without', { key: [] }, {}, 'no', /^it has no primary key$/],
    ['one that is excluded', {}, { TABLE_EXCLUDE_LIST: 'shop\\..*' }, 'no', /TABLE_EXCLUDE_LIST/],
    [
      'one whose parent is excluded',
      { ancestors: ['shop.all'] },
      { TABLE_EXCLUDE_LIST: 'shop\\.all' },
      'no',
      /TABLE_EXCLUDE_LIST/,
    ],
    ['a partitioned one', { partitioned: true }, {}, 'partitions', /^$/],
    [
      'REPLICA IDENTITY NOTHING',
      { replicaIdentity: 'n' },
      {},
      'partly',
      /NOTHING.*: DELETEs are skipped, and a key change looks like an UPDATE of the new key$/,
    ],
    ...(['json', 'debezium', 'dms'] as const).map((format): (typeof cases)[number] => [
      `the same in ${format}`,
      { replicaIdentity: 'n' },
      { FORMAT: format },
      'partly',
      /: DELETEs come without it, and/,
    ]),
    [
      'the same with wal2json',
      { replicaIdentity: 'n' },
      { PLUGIN: 'wal2json' },
      'partly',
      /NOTHING.*: wal2json leaves out every UPDATE and DELETE$/,
    ],
    [
      'another index with wal2json',
      { replicaIdentity: 'i' },
      { PLUGIN: 'wal2json' },
      'partly',
      /: DELETEs are skipped, and/,
    ],
    ['another index', { replicaIdentity: 'i' }, {}, 'partly', /USING INDEX that is not the key/],
    ['a deferrable key', { deferrable: true }, {}, 'partly', /deferrable key/],
    ['a deferrable key, and whole old rows', { deferrable: true, replicaIdentity: 'f' }, {}, 'no', /deferrable/],
  ];
  for (const [what, table, env, published, why] of cases) {
    it(`${what}: ${published}`, () => {
      const [checked] = checkPublished([{ ...TABLE, ...table }], undefined, config(env));
      assert.equal(checked?.published, published);
      assert.match(checked.why ?? '', why);
    });
  }

  it('with pgoutput only what a publication has', () => {
    const settings = config({ PLUGIN: 'pgoutput', PUBLICATIONS: 'pub' });
    const publishable = {
      name: TABLE.name,
      sql: '',
      hasKey: true,
      hasIdentity: true,
      rowFilter: false,
      columnList: false,
      leavesOutKey: false,
    };
    const check = (published: boolean, leavesOutKey = false) =>
      checkPublished([TABLE], { found: [], tables: [{ ...publishable, published, leavesOutKey }] }, settings)[0];
    assert.equal(check(true)?.published, 'yes');
    assert.equal(check(false)?.published, 'no');
    assert.match(check(false)?.why ?? '', /in no publication of pub/);
    assert.equal(check(true, true)?.published, 'no');
    assert.match(check(true, true)?.why ?? '', /a publication leaves out a column of its primary key/);
  });
});
