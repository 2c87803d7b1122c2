// The formats' description: docs/records.md; CSV's quoting: https://www.rfc-editor.org/rfc/rfc4180
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type FormatName, parseRecord } from '../../../bin/demo/parse-record.ts';

const hostile = '"Odd ""Names"""."table x.y: INSERT: id[integer]:1"';
const quotedField = `"${hostile.replaceAll('"', '""')}"`;
const json = (over: object = {}): string =>
  JSON.stringify({
    id: '0/1A@1767323045678901#2',
    source: 's',
    op: 'INSERT',
    schema: 'shop',
    table: 'customers',
    key: { id: 42 },
    row: { id: 42 },
    xid: 7,
    commitLsn: '0/1A',
    ordinal: 2,
    commitTime: '2026-01-02T03:04:05.678901Z',
    ...over,
  });

describe('readRecord', () => {
  const good: readonly [format: FormatName, data: string, identity: string][] = [
    ['csv', '0,CDC,7,shop.customers,INSERT,42', '7 INSERT shop.customers 42'],
    ['csv', `0,CDC,7,${quotedField},DELETE,"a,""b""\nc"`, `7 DELETE ${hostile} a,"b"\nc`],
    ['csv', '0,CDC,7,shop.order_lines,UPDATE,"[""7"",""a b""]"', '7 UPDATE shop.order_lines ["7","a b"]'],
    ['csv', '0,CDC,7,shop.customers,TRUNCATE,', '7 TRUNCATE shop.customers '],
    [
      'csv-payload',
      '0,CDC,{"xid": "7", "table": "shop.customers", "operation": "INSERT", "pkey": "42"}',
      '7 INSERT shop.customers 42',
    ],
    [
      'csv-payload',
      '0,CDC,{"xid": "7", "table": "shop.order_lines", "operation": "UPDATE", "pkey": ["7","a b"]}',
      '7 UPDATE shop.order_lines ["7","a b"]',
    ],
    [
      'csv-payload',
      '0,CDC,{"xid": "7", "table": "shop.customers", "operation": "TRUNCATE", "pkey": null}',
      '7 TRUNCATE shop.customers ',
    ],
    ['json', json(), '7 INSERT shop.customers 42'],
    ['json', json({ table: 'order_lines', key: { sku: 'a b', order_id: 7 } }), '7 INSERT shop.order_lines ["7","a b"]'],
    ['json', json({ op: 'TRUNCATE', key: null }), '7 TRUNCATE shop.customers '],
  ];
  for (const [format, data, identity] of good) {
    it(`reads ${format}: ${data}`, () => assert.equal(parseRecord(data, format).identity, identity));
  }

  it('keeps all that json says but its place in the log, for comparison', () => {
    const { contents, id } = parseRecord(json({ unchanged: ['bio'] }), 'json');
    assert.equal(id, '0/1A@1767323045678901#2');
    assert.equal(
      contents,
      '{"key":{"id":42},"op":"INSERT","ordinal":2,"row":{"id":42},"schema":"shop","source":"s","table":"customers","unchanged":["bio"]}',
    );
  });

  const bad: readonly [name: string, format: FormatName, data: string][] = [
    ['another version', 'csv', '1,CDC,7,shop.customers,INSERT,42'],
    ['a field too few', 'csv', '0,CDC,7,shop.customers,INSERT'],
    ['a field too many', 'csv', '0,CDC,7,shop.customers,INSERT,4,2'],
    ['a quote that is not closed', 'csv', '0,CDC,7,shop.customers,INSERT,"42'],
    ['a quote in an unquoted field', 'csv', '0,CDC,7,shop.customers,INSERT,4"2'],
    ['a line break in an unquoted field', 'csv', '0,CDC,7,shop.customers,INSERT,4\n2'],
    ['text after a quoted field', 'csv', '0,CDC,7,shop.customers,INSERT,"4"2'],
    ['a table that the demo does not have', 'csv', '0,CDC,7,shop.others,INSERT,42'],
    ['no prefix', 'csv-payload', '{"xid": "7"}'],
    [
      'a member too many',
      'csv-payload',
      '0,CDC,{"xid": "7", "table": "shop.customers", "operation": "INSERT", "pkey": "42", "x": 1}',
    ],
    [
      'an xid that is a number',
      'csv-payload',
      '0,CDC,{"xid": 7, "table": "shop.customers", "operation": "INSERT", "pkey": "42"}',
    ],
    ['no JSON', 'json', '{'],
    ['an identifier of another commit', 'json', json({ commitLsn: '0/1B' })],
    ['an identifier of another time', 'json', json({ commitTime: '2026-01-02T03:04:05.6789Z' })],
    ['an identifier of another ordinal', 'json', json({ ordinal: 3 })],
    ['an old row that is not the key', 'json', json({ op: 'DELETE', old: { id: 43 } })],
    ['a table that the demo does not have', 'json', json({ table: 'others' })],
  ];
  for (const [name, format, data] of bad) {
    it(`fails on ${name} (${format})`, () => assert.throws(() => parseRecord(data, format)));
  }
});
