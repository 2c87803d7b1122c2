// The format json: which fields a record has, in which order, byte for byte.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { FORMATS } from '../../../../lambda/format/formats.ts';
import {
  FORMAT_OPTIONS,
  printName,
  quote,
  recordOf,
  type RecordOptions,
  TRANSACTION,
  truncateOf,
  written,
} from '../../../support/changes.ts';

const format = FORMATS.json({ ...FORMAT_OPTIONS, source: 'app/pg2kinesis' });

const head = (operation: string, table = 'users'): string =>
  `{"id":"0/16B3748@1767323045678901#3","source":"app/pg2kinesis","op":"${operation}","schema":"public","table":"${table}",`;
const TAIL = ',"xid":754,"commitLsn":"0/16B3748","ordinal":3,"commitTime":"2026-01-02T03:04:05.678901Z"}';

const ID = { key: ['id'] } as const;
const FULL =
  "table public.users: UPDATE: old-key: id[integer]:42 name[text]:'Eve' bio[text]:'long' " +
  "new-tuple: id[integer]:42 name[text]:'Ada' bio[text]:unchanged-toast-datum";
const MOVE =
  "table public.users: UPDATE: old-key: id[integer]:42 new-tuple: id[integer]:43 name[text]:'Ada' bio[text]:unchanged-toast-datum";
const MOVE_FULL =
  "table public.users: UPDATE: old-key: id[integer]:42 name[text]:'Eve' bio[text]:'long' " +
  "new-tuple: id[integer]:43 name[text]:'Ada' bio[text]:unchanged-toast-datum";

const CASES: readonly { what: string; line: string; options?: RecordOptions; op: string; fields: string }[] = [
  {
    what: 'an INSERT',
    line: "table public.users: INSERT: id[integer]:42 name[text]:'Ada' balance[numeric]:12.50 left[text]:null",
    options: ID,
    op: 'INSERT',
    fields: '"key":{"id":42},"row":{"id":42,"name":"Ada","balance":"12.50","left":null}',
  },
  {
    what: 'an UPDATE with a value stored out of line',
    line: "table public.users: UPDATE: id[integer]:42 name[text]:'Ada' balance[numeric]:12.50 bio[text]:unchanged-toast-datum",
    options: ID,
    op: 'UPDATE',
    fields: '"key":{"id":42},"row":{"id":42,"name":"Ada","balance":"12.50"},"unchanged":["bio"]',
  },
  {
    what: 'an UPDATE where the old row was sent: the value out of line is filled in from it, in its place',
    line: FULL,
    options: ID,
    op: 'UPDATE',
    fields: '"key":{"id":42},"row":{"id":42,"name":"Ada","bio":"long"},"old":{"id":42,"name":"Eve","bio":"long"}',
  },
  {
    what: 'an UPDATE where only the key was sent of the old row',
    line: "table public.users: UPDATE: old-key: id[text]:'k' new-tuple: a[text]:unchanged-toast-datum id[text]:unchanged-toast-datum b[text]:unchanged-toast-datum",
    options: ID,
    op: 'UPDATE',
    fields: '"key":{"id":"k"},"row":{"id":"k"},"old":{"id":"k"},"unchanged":["a","b"]',
  },
  {
    what: 'an UPDATE where the old row has not sent the value either',
    line: 'table public.users: UPDATE: old-key: id[integer]:1 bio[text]:unchanged-toast-datum new-tuple: id[integer]:1 bio[text]:unchanged-toast-datum',
    options: ID,
    op: 'UPDATE',
    fields: '"key":{"id":1},"row":{"id":1},"old":{"id":1},"unchanged":["bio"]',
  },
  {
    what: "JSON null, which is not SQL's NULL: named by part and column",
    line: "table public.users: UPDATE: old-key: id[jsonb]:'null' doc[json]:' null\n' new-tuple: id[jsonb]:'null' doc[json]:null \"a b\"[jsonb]:'null' n[jsonb]:'{\"x\": null}' t[text]:'null'",
    options: ID,
    op: 'UPDATE',
    fields:
      '"key":{"id":null},"row":{"id":null,"doc":null,"a b":null,"n":{"x": null},"t":"null"},"old":{"id":null,"doc": null},' +
      '"jsonNull":{"key":["id"],"row":["id","a b"],"old":["id","doc"]}',
  },
  {
    what: 'JSON null in the key of a record without its row',
    line: "table public.users: UPDATE: old-key: id[jsonb]:'1' new-tuple: id[jsonb]:'null' doc[json]:'null'",
    options: { ...ID, half: 'DELETE', truncated: true },
    op: 'DELETE',
    fields: '"key":{"id":1},"newKey":{"id":null},"truncated":true,"jsonNull":{"newKey":["id"]}',
  },
  {
    what: 'a DELETE with what was sent of the old row',
    line: 'table public.users: DELETE: id[integer]:42',
    options: ID,
    op: 'DELETE',
    fields: '"key":{"id":42},"old":{"id":42}',
  },
  {
    what: 'a DELETE under REPLICA IDENTITY FULL',
    line: "table public.users: DELETE: id[integer]:42 name[text]:'Ada'",
    options: ID,
    op: 'DELETE',
    fields: '"key":{"id":42},"old":{"id":42,"name":"Ada"}',
  },
  {
    what: 'a DELETE of which nothing was sent',
    line: 'table public.users: DELETE: (no-tuple-data)',
    op: 'DELETE',
    fields: '"key":null',
  },
  {
    what: 'a DELETE with an index that is not the key',
    line: "table public.users: DELETE: mail[text]:'a@b.c'",
    op: 'DELETE',
    fields: '"key":null,"old":{"mail":"a@b.c"}',
  },
  {
    what: "a key change's DELETE",
    line: MOVE,
    options: { ...ID, half: 'DELETE' },
    op: 'DELETE',
    fields: '"key":{"id":42},"newKey":{"id":43},"old":{"id":42}',
  },
  {
    what: "a key change's INSERT",
    line: MOVE,
    options: { ...ID, half: 'INSERT' },
    op: 'INSERT',
    fields: '"key":{"id":43},"oldKey":{"id":42},"row":{"id":43,"name":"Ada"},"unchanged":["bio"]',
  },
  {
    what: "a key change's DELETE under REPLICA IDENTITY FULL",
    line: MOVE_FULL,
    options: { ...ID, half: 'DELETE' },
    op: 'DELETE',
    fields: '"key":{"id":42},"newKey":{"id":43},"old":{"id":42,"name":"Eve","bio":"long"}',
  },
  {
    what: "a key change's INSERT under REPLICA IDENTITY FULL",
    line: MOVE_FULL,
    options: { ...ID, half: 'INSERT' },
    op: 'INSERT',
    fields: '"key":{"id":43},"oldKey":{"id":42},"row":{"id":43,"name":"Ada","bio":"long"}',
  },
  {
    what: 'a composite key in key order',
    line: "table public.users: INSERT: b[text]:'x' c[integer]:1 a[bigint]:7",
    options: { key: ['a', 'b'] },
    op: 'INSERT',
    fields: '"key":{"a":7,"b":"x"},"row":{"b":"x","c":1,"a":7}',
  },
  {
    what: 'a key part stored out of line, from the old row',
    line: "table public.users: UPDATE: old-key: a[integer]:1 b[text]:'k' new-tuple: a[integer]:1 b[text]:unchanged-toast-datum c[integer]:2",
    options: { key: ['a', 'b'] },
    op: 'UPDATE',
    fields: '"key":{"a":1,"b":"k"},"row":{"a":1,"b":"k","c":2},"old":{"a":1,"b":"k"}',
  },
  {
    what: 'no omitted column in row, old or unchanged',
    line:
      'table public.users: UPDATE: old-key: id[integer]:42 "Secret"[text]:\'a\' ' +
      'new-tuple: id[integer]:42 "Secret"[text]:\'b\' bio[text]:unchanged-toast-datum x[text]:unchanged-toast-datum v[integer]:null',
    options: { ...ID, omitted: ['"Secret"', 'bio', 'v'] },
    op: 'UPDATE',
    fields: '"key":{"id":42},"row":{"id":42},"old":{"id":42},"unchanged":["x"]',
  },
  {
    what: 'an omitted first column',
    line: 'table public.users: INSERT: a[integer]:1 id[integer]:42',
    options: { ...ID, omitted: ['a'] },
    op: 'INSERT',
    fields: '"key":{"id":42},"row":{"id":42}',
  },
  {
    what: 'a row all of whose columns are omitted',
    line: 'table public.users: INSERT: a[integer]:1',
    options: { omitted: ['a'] },
    op: 'INSERT',
    fields: '"key":null,"row":{}',
  },
  {
    what: 'a truncated UPDATE',
    line: FULL,
    options: { ...ID, truncated: true },
    op: 'UPDATE',
    fields: '"key":{"id":42},"truncated":true',
  },
  {
    what: 'the truncated halves of a key change: DELETE',
    line: MOVE_FULL,
    options: { ...ID, half: 'DELETE', truncated: true },
    op: 'DELETE',
    fields: '"key":{"id":42},"newKey":{"id":43},"truncated":true',
  },
  {
    what: 'the truncated halves of a key change: INSERT',
    line: MOVE,
    options: { ...ID, half: 'INSERT', truncated: true },
    op: 'INSERT',
    fields: '"key":{"id":43},"oldKey":{"id":42},"truncated":true',
  },
  {
    what: 'names as they are, unquoted and escaped',
    line: 'table public.users: INSERT: "I""d\n"[integer]:1 "née"[bigint]:2 "a.b: c[d]"[text]:unchanged-toast-datum',
    options: { key: ['"I""d\n"'] },
    op: 'INSERT',
    fields: '"key":{"I\\"d\\n":1},"row":{"I\\"d\\n":1,"née":2},"unchanged":["a.b: c[d]"]',
  },
];

describe('json', () => {
  for (const { what, line, options, op, fields } of CASES) {
    it(`writes ${what}`, () => {
      const text = written(format, recordOf(line, options));
      assert.equal(text, head(op) + fields + TAIL);
      assert.doesNotThrow(() => JSON.parse(text) as unknown);
    });
  }

  it('writes TRUNCATE', () => {
    const table = { printed: 'public.users', schema: 'public', name: 'users' };
    assert.equal(written(format, truncateOf(table)), `${head('TRUNCATE')}"key":null${TAIL}`);
  });

  it('can tell a DELETE without key', () => assert.equal(format.supportsDeleteWithoutKey, true));

  const at = (commitTimeMicros: bigint): unknown => {
    const transaction = { ...TRANSACTION, commitLsn: 0xabcdef0123456789n, commitTimeMicros };
    const line = 'table public.users: INSERT: id[integer]:1';
    return JSON.parse(written(format, recordOf(line, { ...ID, transaction, ordinal: 1_000_000 })));
  };
  const TIMES: readonly (readonly [micros: bigint, text: string])[] = [
    [1767323045000000n, '2026-01-02T03:04:05.000000Z'],
    [1767323045000001n, '2026-01-02T03:04:05.000001Z'],
    [1767323045100000n, '2026-01-02T03:04:05.100000Z'],
    [0n, '1970-01-01T00:00:00.000000Z'],
    [-1n, '1969-12-31T23:59:59.999999Z'],
  ];
  for (const [micros, text] of TIMES) {
    it(`writes commit time ${text} with six digits`, () => {
      const { id, commitTime, commitLsn, ordinal } = at(micros) as Record<string, unknown>;
      assert.deepEqual(
        { id, commitTime, commitLsn, ordinal },
        {
          id: `ABCDEF01/23456789@${micros}#1000000`,
          commitTime: text,
          commitLsn: 'ABCDEF01/23456789',
          ordinal: 1_000_000,
        },
      );
    });
  }

  it('escapes the source, schema and table', () => {
    const other = FORMATS.json({ ...FORMAT_OPTIONS, source: 'a"b\n' });
    const record = recordOf('table "my ""s\n"."é": INSERT: id[integer]:1', ID);
    assert.ok(written(other, record).includes('"source":"a\\"b\\n","op":"INSERT","schema":"my \\"s\\n","table":"é",'));
  });

  it('serves several decoders, whose headers share their ids', () => {
    const a = 'table public.users: INSERT: id[integer]:1 a[integer]:2';
    const b = "table public.users: INSERT: id[text]:'1' b[boolean]:true";
    const decoders = [new TestDecodingDecoder(), new TestDecodingDecoder()] as const;
    for (let round = 0; round < 2; round++) {
      assert.ok(written(format, recordOf(a, ID, decoders[0])).includes('"key":{"id":1},"row":{"id":1,"a":2}'));
      assert.ok(written(format, recordOf(b, ID, decoders[1])).includes('"key":{"id":"1"},"row":{"id":"1","b":true}'));
    }
  });

  it('tells transactions, tables and operations apart when they alternate', () => {
    const decoder = new TestDecodingDecoder();
    const transactions = [TRANSACTION, { xid: 755, commitLsn: 0x16b3800n, commitTimeMicros: 1767323046000000n }];
    for (let round = 0; round < 2; round++) {
      for (const transaction of transactions) {
        for (const table of ['users', 'orders']) {
          for (const op of ['INSERT', 'DELETE']) {
            const line = `table public.${table}: ${op}: id[integer]:1`;
            const told = JSON.parse(written(format, recordOf(line, { ...ID, transaction }, decoder))) as Record<
              string,
              unknown
            >;
            assert.deepEqual([told['xid'], told['table'], told['op']], [transaction.xid, table, op]);
          }
        }
      }
    }
  });

  it('is one line, and JSON gives back any names and values', () => {
    const text = fc.string({ unit: 'binary', maxLength: 10 });
    const names = fc.uniqueArray(
      text.filter((each) => each !== '' && each !== '__proto__'),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(names, fc.array(fc.option(text), { minLength: 6, maxLength: 6 }), (columns, values) => {
        const printed = columns.map((name, i) => {
          const value = values[i] ?? null;
          return ` ${printName(name)}[text]:${value === null ? 'null' : quote(value)}`;
        });
        const data = written(format, recordOf(`table public.t: INSERT:${printed.join('')}`));
        assert.doesNotMatch(data, /[\r\n]/);
        const { row } = JSON.parse(data) as { row: Record<string, unknown> };
        assert.deepEqual(row, Object.fromEntries(columns.map((name, i) => [name, values[i] ?? null])));
        const fields = columns.map((name, i) => `${JSON.stringify(name)}:${JSON.stringify(values[i] ?? null)}`);
        assert.ok(data.includes(`"row":{${fields.join(',')}},"xid":`));
      }),
      { numRuns: 300 },
    );
  });
});
