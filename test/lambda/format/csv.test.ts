// The format csv: the Python daemon's bytes for plain keys, RFC 4180 for all others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { FORMAT_OPTIONS, printName, quote, recordOf, truncateOf, written } from '../../support/changes.ts';
import { DAEMON } from './python-daemon.ts';

const format = FORMATS.csv({ ...FORMAT_OPTIONS, source: 'app/pg2kinesis' });

/** RFC 4180, section 2, read independently of how it is written here: one record, no line break behind it. */
function readCsv(text: string): string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/su.exec(rest);
    const plain = /^([^",\r\n]*)(,|$)/su.exec(rest);
    const [whole, field, comma] = quoted ?? plain ?? [];
    if (whole === undefined || field === undefined) throw new Error(`no field: ${rest}`);
    fields.push(quoted ? field.replaceAll('""', '"') : field);
    if (comma === '') return fields;
    rest = rest.slice(whole.length);
  }
}

describe('csv', () => {
  for (const { line, key, csv } of DAEMON) {
    it(`writes the daemon's bytes: ${csv}`, () => {
      assert.equal(written(format, recordOf(line, { key: [key] })), csv);
    });
  }

  const cases: { what: string; line: string; key: string[]; csv: string }[] = [
    {
      what: 'a key with a space, which the daemon cut',
      line: "table public.t: INSERT: k[text]:'hello world'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,hello world',
    },
    {
      what: 'a comma',
      line: "table public.t: INSERT: k[text]:'a,b'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,"a,b"',
    },
    {
      what: 'quotes',
      line: `table public.t: INSERT: k[text]:'"a" b'`,
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,"""a"" b"',
    },
    {
      what: 'a line feed',
      line: "table public.t: INSERT: k[text]:'a\nb'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,"a\nb"',
    },
    {
      what: 'a carriage return',
      line: "table public.t: INSERT: k[text]:'a\rb'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,"a\rb"',
    },
    {
      what: 'an apostrophe, undoubled',
      line: "table public.t: INSERT: k[text]:'it''s'",
      key: ['k'],
      csv: "0,CDC,754,public.t,INSERT,it's",
    },
    {
      what: 'a backslash',
      line: "table public.t: INSERT: k[text]:'a\\b'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,a\\b',
    },
    {
      what: 'bits',
      line: "table public.t: INSERT: k[bit varying]:B'0101'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,0101',
    },
    {
      what: 'a numeric key',
      line: 'table public.t: INSERT: k[numeric]:12.50',
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,12.50',
    },
    { what: 'an empty key', line: "table public.t: INSERT: k[text]:''", key: ['k'], csv: '0,CDC,754,public.t,INSERT,' },
    {
      what: 'letters beyond ASCII',
      line: "table public.t: INSERT: k[text]:'é😀'",
      key: ['k'],
      csv: '0,CDC,754,public.t,INSERT,é😀',
    },
    {
      what: 'a quoted table name as printed',
      line: 'table public."Order items, all": INSERT: k[integer]:1',
      key: ['k'],
      csv: '0,CDC,754,"public.""Order items, all""",INSERT,1',
    },
    {
      what: 'a composite key in key order',
      line: `table public.t: INSERT: b[text]:'it''s, "b"' x[text]:'-' a[integer]:7`,
      key: ['a', 'b'],
      csv: `0,CDC,754,public.t,INSERT,"[""7"",""it's, \\""b\\""""]"`,
    },
  ];
  for (const { what, line, key, csv } of cases) {
    it(`writes ${what}`, () => assert.equal(written(format, recordOf(line, { key })), csv));
  }

  it('cannot tell a text key from a composite key of the same text; csv-payload and json can', () => {
    const text = recordOf(`table public.t: INSERT: k[text]:'["7","a b"]'`, { key: ['k'] });
    const composite = recordOf("table public.t: INSERT: a[integer]:7 b[text]:'a b'", { key: ['a', 'b'] });
    assert.equal(written(format, text), written(format, composite));
    for (const name of ['csv-payload', 'json'] as const) {
      const other = FORMATS[name](FORMAT_OPTIONS);
      assert.notEqual(written(other, text), written(other, composite));
    }
  });

  it("leaves TRUNCATE's key empty", () => {
    const table = { printed: 'public.users', schema: 'public', name: 'users' };
    assert.equal(written(format, truncateOf(table)), '0,CDC,754,public.users,TRUNCATE,');
  });

  it('cannot tell a DELETE without key', () => assert.equal(format.supportsDeleteWithoutKey, false));

  it('writes the two halves of a key change, each with its own key', () => {
    const line = 'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2';
    assert.equal(written(format, recordOf(line, { key: ['id'], half: 'DELETE' })), '0,CDC,754,public.t,DELETE,1');
    assert.equal(written(format, recordOf(line, { key: ['id'], half: 'INSERT' })), '0,CDC,754,public.t,INSERT,2');
  });

  it('tells transactions and tables apart', () => {
    const record = recordOf('table public.t: INSERT: id[integer]:1', { key: ['id'] });
    assert.equal(written(format, record), '0,CDC,754,public.t,INSERT,1');
    record.transaction = { ...record.transaction, xid: 4294967295 };
    record.table = { printed: 'public.u', schema: 'public', name: 'u' };
    assert.equal(written(format, record), '0,CDC,4294967295,public.u,INSERT,1');
  });

  it('is read back by a reader of RFC 4180: any table, any key', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'é', '😀', "'", '"', ',', '\r', '\n', '\\', ' ', '\t', '\u0000'),
      maxLength: 8,
    });
    const name = text.map((each) => `t${each}`);
    fc.assert(
      fc.property(name, fc.array(text, { minLength: 1, maxLength: 3 }), (table, key) => {
        const names = key.map((_, i) => `c${i}`);
        const columns = key.map((part, i) => ` c${i}[text]:${quote(part)}`).join('');
        const line = `table public.${printName(table)}: INSERT:${columns}`;
        const fields = readCsv(written(format, recordOf(line, { key: names })));
        const told = key.length === 1 ? key[0] : JSON.stringify(key);
        assert.deepEqual(fields, ['0', 'CDC', '754', `public.${printName(table)}`, 'INSERT', told]);
      }),
      { numRuns: 300 },
    );
  });
});
