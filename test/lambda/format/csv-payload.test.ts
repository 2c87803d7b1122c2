// The format csv-payload: the Python daemon's bytes for plain keys, valid JSON on one line for all others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { FORMAT_OPTIONS, printName, quote, recordOf, truncateOf, written } from '../../support/changes.ts';
import { DAEMON } from './python-daemon.ts';

const format = FORMATS['csv-payload']({ ...FORMAT_OPTIONS, source: 'app/pg2kinesis' });

describe('csv-payload', () => {
  for (const { line, key, csvPayload } of DAEMON) {
    it(`writes the daemon's bytes: ${csvPayload}`, () => {
      assert.equal(written(format, recordOf(line, { key: [key] })), csvPayload);
    });
  }

  const cases: { what: string; line: string; key: string[]; table?: string; pkey: string }[] = [
    {
      what: 'a key with a space, which the daemon cut',
      line: "table public.t: INSERT: k[text]:'hello world'",
      key: ['k'],
      pkey: '"hello world"',
    },
    {
      what: 'quotes and backslashes escaped',
      line: `table public.t: INSERT: k[text]:'"a"\\'`,
      key: ['k'],
      pkey: '"\\"a\\"\\\\"',
    },
    { what: 'line breaks escaped', line: "table public.t: INSERT: k[text]:'a\r\nb'", key: ['k'], pkey: '"a\\r\\nb"' },
    {
      what: 'control characters escaped',
      line: "table public.t: INSERT: k[text]:'\u0001\u001f\b\f\t\u007f'",
      key: ['k'],
      pkey: '"\\u0001\\u001f\\b\\f\\t\u007f"',
    },
    { what: 'an apostrophe, undoubled', line: "table public.t: INSERT: k[text]:'it''s'", key: ['k'], pkey: '"it\'s"' },
    {
      what: 'letters beyond ASCII as UTF-8',
      line: "table public.t: INSERT: k[text]:'é😀\u2028'",
      key: ['k'],
      pkey: '"é😀\u2028"',
    },
    { what: 'an empty key', line: "table public.t: INSERT: k[text]:''", key: ['k'], pkey: '""' },
    { what: 'bits', line: "table public.t: INSERT: k[bit]:B'0101'", key: ['k'], pkey: '"0101"' },
    {
      what: 'a composite key in key order',
      line: "table public.t: INSERT: b[text]:'a b' a[integer]:7",
      key: ['a', 'b'],
      pkey: '["7","a b"]',
    },
    {
      what: 'a composite key with apostrophes',
      line: "table public.t: INSERT: a[text]:'''' b[text]:'x'",
      key: ['a', 'b'],
      pkey: '["\'","x"]',
    },
    {
      what: 'a quoted table name as printed',
      line: 'table "My schema"."a""b": INSERT: k[integer]:1',
      key: ['k'],
      table: '\\"My schema\\".\\"a\\"\\"b\\"',
      pkey: '"1"',
    },
  ];
  for (const { what, line, key, table, pkey } of cases) {
    it(`writes ${what}`, () => {
      const expected = `0,CDC,{"xid": "754", "table": "${table ?? 'public.t'}", "operation": "INSERT", "pkey": ${pkey}}`;
      assert.equal(written(format, recordOf(line, { key })), expected);
    });
  }

  it("writes null for TRUNCATE's key", () => {
    const table = { printed: 'public.users', schema: 'public', name: 'users' };
    assert.equal(
      written(format, truncateOf(table)),
      '0,CDC,{"xid": "754", "table": "public.users", "operation": "TRUNCATE", "pkey": null}',
    );
  });

  it('cannot tell a DELETE without key', () => assert.equal(format.supportsDeleteWithoutKey, false));

  it('writes the two halves of a key change, each with its own key', () => {
    const line = 'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2';
    const payload = (operation: string, pkey: string): string =>
      `0,CDC,{"xid": "754", "table": "public.t", "operation": "${operation}", "pkey": "${pkey}"}`;
    assert.equal(written(format, recordOf(line, { key: ['id'], half: 'DELETE' })), payload('DELETE', '1'));
    assert.equal(written(format, recordOf(line, { key: ['id'], half: 'INSERT' })), payload('INSERT', '2'));
  });

  it('takes a key part stored out of line from the old row', () => {
    const line =
      "table public.t: UPDATE: old-key: a[integer]:1 b[text]:'k' new-tuple: x[integer]:9 a[integer]:1 b[text]:unchanged-toast-datum";
    assert.equal(
      written(format, recordOf(line, { key: ['a', 'b'] })),
      '0,CDC,{"xid": "754", "table": "public.t", "operation": "UPDATE", "pkey": ["1","k"]}',
    );
  });

  it('is one line, and JSON gives back any table and any key', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 });
    const names = fc.tuple(text, text).map(([schema, table]) => `${printName(`s${schema}`)}.${printName(`t${table}`)}`);
    fc.assert(
      fc.property(names, fc.array(text, { minLength: 1, maxLength: 3 }), (table, key) => {
        const columns = key.map((part, i) => ` c${i}[text]:${quote(part)}`).join('');
        const record = recordOf(`table ${table}: INSERT:${columns}`, { key: key.map((_, i) => `c${i}`) });
        const data = written(format, record);
        assert.doesNotMatch(data, /[\r\n]/);
        assert.ok(data.startsWith('0,CDC,{"xid": "754", "table": '));
        assert.deepEqual(JSON.parse(data.slice('0,CDC,'.length)), {
          xid: '754',
          table,
          operation: 'INSERT',
          pkey: key.length === 1 ? key[0] : key,
        });
      }),
      { numRuns: 300 },
    );
  });
});
