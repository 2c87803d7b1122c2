/** What wal2json 2.5 and 2.6 say of keys, as recorded on PostgreSQL 15.18, cut as the server cuts it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CutLine, readKeyHistoryEntry } from '../../../../lambda/decode/wal2json/key-history-entry.ts';

const cut = (over: Partial<Record<keyof CutLine, unknown>>): Partial<Record<keyof CutLine, unknown>> => ({
  commit: '0/1501698',
  lsn: '0/14FFF30',
  inserted: true,
  schema: Buffer.from('public'),
  table: Buffer.from('t'),
  pk: Buffer.from('{"name":"id"}'),
  ...over,
});

describe("the end of wal2json's line", () => {
  it('tells where a key begins', () => {
    assert.deepEqual(readKeyHistoryEntry(cut({})), {
      commitLsn: 0x1501698n,
      lsn: 0x14fff30n,
      inserted: true,
      schema: 'public',
      table: 't',
      key: ['id'],
    });
  });

  for (const [what, over, expected] of [
    ['no key', { pk: Buffer.from('') }, { key: [] }],
    ['a composite key', { pk: Buffer.from('{"name":"b"},{"name":"a"}') }, { key: ['b', 'a'] }],
    [
      'quotes and backslashes',
      { table: Buffer.from(String.raw`t'x\\y`), schema: Buffer.from(String.raw`a \"s\"`) },
      { table: String.raw`t'x\y`, schema: 'a "s"' },
    ],
    ['names of other scripts', { pk: Buffer.from(String.raw`{"name":"ключ\\"}`) }, { key: ['ключ\\'] }],
    ['control characters', { pk: Buffer.from(String.raw`{"name":"a\nb\u0001"}`) }, { key: ['a\nb\u0001'] }],
    ['rows other than INSERTs', { inserted: false }, { inserted: false }],
  ] as const) {
    it(`tells ${what}`, () => {
      const told: Record<string, unknown> = { ...readKeyHistoryEntry(cut(over)) };
      assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, told[name]])), expected);
    });
  }

  for (const over of [
    { pk: null },
    { pk: Buffer.from('{"name":1}') },
    { pk: Buffer.from('{"name":"a"') },
    { pk: Buffer.from('"a"') },
    { schema: null },
    { table: Buffer.from('a"') },
    { commit: null },
    { lsn: 'x' },
  ]) {
    it(`fails on ${JSON.stringify(over)}: nothing is believed`, () =>
      assert.equal(readKeyHistoryEntry(cut(over)), undefined));
  }
});
