/** Which tables a snapshot reads, and why others are refused, by name: over rows that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { parsePrinted, writeMessage } from '../../../lambda/postgres/snapshot-reader.ts';
import { whyRefused } from '../../../lambda/postgres/snapshot-refusals.ts';
import { estimateRows, resolveTables, whyNoSnapshots } from '../../../lambda/postgres/snapshot-request.ts';
import type { TableRow } from '../../../lambda/postgres/snapshot-tables.ts';
import { scriptedServer } from './scripted-server.ts';

const ID = { name: 'id', printed: 'id', type: 'integer' };
const KEY = { printed: 'id', cast: 'integer', base: 'integer', collation: null, greater: '>', equal: '=' };
const TABLE = {
  oid: 20_000,
  printed: 'public.t',
  schema: 'public',
  name: 't',
  is_table: true,
  key: [KEY],
  deferrable: false,
  is_btree: true,
  holds: true,
  may_read: true,
  hides_rows: false,
  comes_under: null,
  published: true,
  columns: [ID, { name: 'v', printed: 'v', type: 'text' }],
  ancestors: null,
  filter: null,
} as unknown as TableRow;

describe('a table for a snapshot', () => {
  it('is read where it can be walked by its key', () => assert.equal(whyRefused(TABLE), undefined));

  for (const [change, why] of [
    [{ is_table: false }, /^it is no table, or an unlogged, temporary or foreign one/],
    [{ key: null }, /^it has no primary key$/],
    [{ deferrable: true }, /^its primary key is deferrable$/],
    [{ is_btree: false }, /its index is no B-tree$/],
    [{ holds: false }, /^its replica identity does not hold the primary key/],
    [{ may_read: false }, /^this role may not read it$/],
    [{ hides_rows: true }, /^row-level security may hide rows/],
    [{ comes_under: 'public.p' }, /^its changes come under the name of public\.p, which is to be given instead$/],
    [{ published: false }, /^no publication of the slot has it$/],
    [{ columns: [{ ...ID, printed: 'v' }] }, /^the plugin does not send all columns of its primary key$/],
    [{ key: [KEY, { ...KEY, printed: 'hidden' }] }, /^the plugin does not send all columns of its primary key$/],
    [{ columns: null }, /^the plugin does not send all columns of its primary key$/],
  ] as const)
    it(`is refused where ${Object.keys(change).join()} says so`, () => {
      assert.match(whyRefused({ ...TABLE, ...change }) ?? '', why);
    });
});

describe('a printed name', () => {
  for (const [printed, schema, name] of [
    ['public.t', 'public', 't'],
    ['_a1.b_2', '_a1', 'b_2'],
    ['public."Order.items"', 'public', 'Order.items'],
    ['"a""b"."c""""d"', 'a"b', 'c""d'],
    ['"new\nline".t', 'new\nline', 't'],
    ['"".""', '', ''],
  ] as const)
    it(`has two parts: ${JSON.stringify(printed)}`, () =>
      assert.deepEqual(parsePrinted(printed), { printed, schema, name }));

  for (const printed of [
    't',
    'Public.t',
    'public.T',
    'a.b.c',
    '1a.b',
    'a.1b',
    '"a.b',
    'a."b',
    ' a.b',
    'a.b ',
    'a."b"c',
    '',
  ])
    it(`is none: ${JSON.stringify(printed)}`, () => assert.equal(parsePrinted(printed), undefined));
});

const connectionTo = (script: ReturnType<typeof scriptedServer>, over: object = {}) =>
  ({
    ...script.client,
    versionNum: 160004,
    identity: { inRecovery: false },
    plugin: { name: 'test_decoding', publications: [] },
    context: { user: 'cdc' },
    ...over,
  }) as unknown as Connection;

describe('the tables of a snapshot', () => {
  /** The oid of each table's names; leaves of 30,000 are 20,000 and 20,001. */
  function database(described: readonly object[] = [TABLE]) {
    return scriptedServer([
      ['NOT c.relispartition', [{ oid: 20_000 }, { oid: 30_000 }]],
      ["c.relkind = 'p' AND t.pubname", [{ published: true }]],
      ['n.nspname = $1 AND c.relname = $2', [{ oid: 30_000 }]],
      ['may_read', described as Record<string, unknown>[]],
      ['$1', [{ oid: 20_000 }, { oid: 20_001 }]],
    ]);
  }

  it('are those that are named, partitions in place of what is partitioned', async () => {
    const script = database([{ ...TABLE, ancestors: ['public.p'] }]);
    const resolved = await resolveTables(connectionTo(script), ['public.p']);
    assert.deepEqual(resolved, {
      tables: [{ printed: 'public.t', names: ['public.t', 'public.p'] }],
      all: ['public.t'],
      missing: [],
      faults: [],
      leftOut: [],
    });
    assert.deepEqual(script.valuesOf('n.nspname = $1 AND c.relname = $2'), [['public', 'p']]);
    assert.deepEqual(script.valuesOf('may_read'), [[[20_000, 20_001]]]);
  });

  it('are named quoted or plain', async () => {
    const script = database();
    await resolveTables(connectionTo(script), ['"Sales"."Order.items"', 'Sales.Order.items']);
    assert.deepEqual(script.valuesOf('n.nspname = $1 AND c.relname = $2'), [
      ['Sales', 'Order.items'],
      ['Sales', 'Order.items'],
    ]);
  });

  it('are all that can be read where none is named, and of the others those are told whose changes are published', async () => {
    const script = database([
      TABLE,
      { ...TABLE, printed: 'public.u', name: 'u', key: null },
      { ...TABLE, printed: 'public.v', name: 'v', may_read: false, ancestors: ['public.p'] },
      { ...TABLE, printed: 'public.w', name: 'w', may_read: false, published: false },
    ]);
    const { tables, all, faults, leftOut } = await resolveTables(connectionTo(script), undefined);
    assert.deepEqual([tables.length, all, faults], [1, ['public.t', 'public.u', 'public.v', 'public.w'], []]);
    assert.deepEqual(
      leftOut.map(({ names }) => names),
      [['public.v', 'public.p']],
    );
    assert.match(leftOut[0]?.why ?? '', /^public\.v: this role may not read it \(GRANT/);
    assert.equal(script.sent.filter(({ text }) => text.includes('NOT c.relispartition')).length, 1);
  });

  it('are refused by name, with the SQL that helps where there is one', async () => {
    const { tables, all, faults } = await resolveTables(
      connectionTo(
        database([
          { ...TABLE, may_read: false },
          { ...TABLE, printed: 'public.u', name: 'u', key: null },
        ]),
      ),
      ['public.p'],
    );
    assert.deepEqual([tables, all], [[], ['public.t', 'public.u']]);
    assert.match(
      faults[0] ?? '',
      /^public\.t: this role may not read it \(GRANT USAGE ON SCHEMA "public" TO "cdc"; GRANT SELECT ON .*t.* TO "cdc";\)\.$/,
    );
    assert.equal(faults[1], 'public.u: it has no primary key.');
  });

  it('are said to be missing where they are not there, or have no schema', async () => {
    const { missing, tables } = await resolveTables(connectionTo(scriptedServer([])), ['public.gone', 'plain', '.x']);
    assert.deepEqual(tables, []);
    assert.deepEqual(missing, [
      'There is no table "public.gone".',
      'There is no table "plain", as it has no schema: give schema.table.',
      'There is no table ".x", as it has no schema: give schema.table.',
    ]);
  });

  it('are what is partitioned itself where a publication publishes it under its own name', async () => {
    const script = database();
    const publications = ['cdc'];
    await resolveTables(connectionTo(script, { plugin: { name: 'pgoutput', publications } }), ['public.p']);
    assert.deepEqual(script.valuesOf("c.relkind = 'p' AND t.pubname"), [[30_000, publications]]);
    assert.deepEqual(script.valuesOf('may_read').at(-1)?.[0], [30_000]);
  });

  it('are its partitions where the publication publishes them under their own names', async () => {
    for (const rows of [[{ published: false }], []]) {
      const script = scriptedServer([
        ["c.relkind = 'p' AND t.pubname", rows],
        ['n.nspname = $1 AND c.relname = $2', [{ oid: 30_000 }]],
        ['may_read', [TABLE as unknown as Record<string, unknown>]],
        ['$1', [{ oid: 20_000 }, { oid: 20_001 }]],
      ]);
      await resolveTables(connectionTo(script, { plugin: { name: 'pgoutput', publications: ['cdc'] } }), ['public.p']);
      assert.deepEqual(script.valuesOf('may_read').at(-1)?.[0], [20_000, 20_001]);
    }
  });

  it('have as many rows as the planner thinks', async () => {
    const script = scriptedServer([['reltuples', [{ rows: 41.6 }]]]);
    assert.equal(await estimateRows(connectionTo(script), ['public.t']), 42);
    assert.deepEqual(script.valuesOf('reltuples'), [[['public.t']]]);
    assert.equal(await estimateRows(connectionTo(scriptedServer([])), []), 0);
  });
});

describe('snapshots', () => {
  for (const [what, over, why] of [
    ['test_decoding of 10', { versionNum: 100000 }, undefined],
    ['pgoutput of 14', { versionNum: 140000, plugin: { name: 'pgoutput' } }, undefined],
    [
      'pgoutput of 13',
      { versionNum: 139999, plugin: { name: 'pgoutput' } },
      'pgoutput of PostgreSQL 13 sends no logical messages (from 14 on it does; test_decoding does from 10 on)',
    ],
    [
      'wal2json',
      { plugin: { name: 'wal2json' } },
      'the plugin wal2json is not read with logical messages (test_decoding is, and from PostgreSQL 14 on pgoutput)',
    ],
    [
      'a standby',
      { identity: { inRecovery: true } },
      'the server is a standby, on which nothing can be written into the WAL',
    ],
  ] as const)
    it(`are ${why === undefined ? 'possible' : 'refused'} beside ${what}`, () =>
      assert.equal(whyNoSnapshots(connectionTo(scriptedServer([]), over)), why));

  it('write messages that say by which transaction and when', async () => {
    const script = scriptedServer([
      ['pg_logical_emit_message', [{ lsn: '0/1', xid: 755, micros: '1767323045678901' }]],
    ]);
    assert.deepEqual(await writeMessage(script.client, '{"kind":"stop"}'), { xid: 755, micros: 1767323045678901n });
    assert.deepEqual(script.valuesOf('pg_logical_emit_message'), [['{"kind":"stop"}']]);
  });
});
