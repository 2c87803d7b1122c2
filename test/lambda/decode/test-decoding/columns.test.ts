/** Names, types and values in test_decoding's lines: every form of each, and where what is none is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ValueKind } from '../../../../lambda/decode/messages.ts';
import { assertRefused, cells, decode, decodeRow } from './decode-line.ts';

describe('names and types', () => {
  const columns: readonly (readonly [printed: string, name: string, type: string])[] = [
    ['id[integer]', 'id', 'integer'],
    ['_a1[double precision]', '_a1', 'double precision'],
    ['t[timestamp without time zone]', 't', 'timestamp without time zone'],
    ['a[character varying[]]', 'a', 'character varying[]'],
    ['a["char"]', 'a', '"char"'],
    ['a["char"[]]', 'a', '"char"[]'],
    ['a[public.mood]', 'a', 'public.mood'],
    ['a["My schema"."a]:b"[]]', 'a', '"My schema"."a]:b"[]'],
    ['a[public."x.y"]', 'a', 'public."x.y"'],
    ['"A"[text]', 'A', 'text'],
    ['"a b"[text]', 'a b', 'text'],
    ['"say ""hi"""[text]', 'say "hi"', 'text'],
    ['""""[text]', '"', 'text'],
    [`"x[integer]:'1' y"[text]`, "x[integer]:'1' y", 'text'],
    ['" new-tuple:"[text]', ' new-tuple:', 'text'],
    ['"old-key:"[text]', 'old-key:', 'text'],
    ['"(no-tuple-data)"[text]', '(no-tuple-data)', 'text'],
    ['"a\nb"[text]', 'a\nb', 'text'],
    ['"größe"[text]', 'größe', 'text'],
    ['old[text]', 'old', 'text'],
    ['new[text]', 'new', 'text'],
  ];
  for (const [printed, name, type] of columns) {
    it(`reads ${JSON.stringify(printed)}`, () => {
      const change = decodeRow(`table a.b: UPDATE: old-key: ${printed}:1 new-tuple: ${printed}:2`);
      assert.deepEqual(cells(change.oldTuple, change.bytes), [[name, type, 'bare', '1']]);
      assert.deepEqual(cells(change.newTuple, change.bytes), [[name, type, 'bare', '2']]);
      assert.equal(change.newTuple?.headers[0]?.printed, printed.slice(0, printed.indexOf('[', name.length)));
    });
  }

  const tables: readonly (readonly [printed: string, schema: string, name: string])[] = [
    ['public.users', 'public', 'users'],
    ['"Sales"."Order items"', 'Sales', 'Order items'],
    ['"a.b"."c.d"', 'a.b', 'c.d'],
    ['"a"": INSERT:".b', 'a": INSERT:', 'b'],
    ['a.", c.d: TRUNCATE:"', 'a', ', c.d: TRUNCATE:'],
    ['a."x\ny"', 'a', 'x\ny'],
  ];
  for (const [printed, schema, name] of tables) {
    it(`reads table ${JSON.stringify(printed)}`, () => {
      assert.deepEqual(decodeRow(`table ${printed}: INSERT:`).table, { printed, schema, name });
      assert.deepEqual(decode(`table ${printed}, ${printed}: TRUNCATE: cascade`), {
        kind: 'truncate',
        tables: [
          { printed, schema, name },
          { printed, schema, name },
        ],
      });
    });
  }

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['table', 0, /"table "/],
    ['tables a.b: INSERT:', 0, /"table "/],
    ['table ', 6, /a schema/],
    ['table b: INSERT:', 7, /"\." after a schema/],
    ['table a.: INSERT:', 8, /table's name/],
    ['table .b: INSERT:', 6, /a schema/],
    ['table A.b: INSERT:', 6, /a schema/],
    ['table a.bC: INSERT:', 9, /after a table/],
    ['table a.b$: INSERT:', 9, /after a table/],
    ['table a{.b: INSERT:', 7, /"\." after a schema/],
    ['table a.b.c: INSERT:', 9, /after a table/],
    ['table a."b: INSERT:', 19, /closing quote/],
    ['table a."b"c: INSERT:', 11, /after a table/],
    ['table a.b:INSERT:', 9, /after a table/],
    ['table a.b', 9, /after a table/],
    ['table a.b: ', 11, /"INSERT:"/],
    ['table a.b: INSERT', 11, /"INSERT:"/],
    ['table a.b: insert:', 11, /"INSERT:"/],
    ['table a.b: MERGE:', 11, /"INSERT:"/],
    ['table a.b, c.d: INSERT:', 16, /^"TRUNCATE:"$/],
    ['table a.b,c.d: TRUNCATE: cascade', 9, /after a table/],
    ['table a.b, : TRUNCATE: cascade', 11, /a schema/],
    ['table a.b: INSERT:x[t]:1', 18, /" " before a column/],
    ['table a.b: INSERT: ', 19, /column's name/],
    ['table a.b: INSERT:  x[t]:1', 19, /column's name/],
    ['table a.b: INSERT: 1x[t]:1', 19, /column's name/],
    ['table a.b: INSERT: X[t]:1', 19, /column's name/],
    ['table a.b: INSERT: x', 20, /"\["/],
    ['table a.b: INSERT: x:1', 20, /"\["/],
    ['table a.b: INSERT: x[', 21, /a type/],
    ['table a.b: INSERT: x[]:1', 21, /a type/],
    ['table a.b: INSERT: x[t', 22, /"\]"/],
    ['table a.b: INSERT: x[t[]', 24, /"\]"/],
    ['table a.b: INSERT: x[t[][]]:1', 24, /"\]"/],
    ['table a.b: INSERT: x[t]]:1', 23, /":"/],
    ['table a.b: INSERT: x[t[x]:1', 22, /"\]"/],
    ['table a.b: INSERT: x[a.]:1', 23, /type's name/],
    ['table a.b: INSERT: x[a.b.c]:1', 24, /"\]"/],
    ['table a.b: INSERT: x["a" b]:1', 24, /"\]"/],
    ['table a.b: INSERT: x[double  precision]:1', 28, /next word/],
    ['table a.b: INSERT: x[numeric(1,2)]:1', 28, /"\]"/],
    ['table a.b: INSERT: x[t]', 23, /":"/],
    ['table a.b: INSERT: x[t] :1', 23, /":"/],
  ];
  for (const [line, offset, expected] of refused) {
    it(`fails on ${JSON.stringify(line)}`, () => assertRefused(line, offset, expected));
  }
});

describe('values', () => {
  const values: readonly (readonly [printed: string, kind: keyof typeof ValueKind, text: string | null | undefined])[] =
    [
      ['null', 'null', null],
      ['unchanged-toast-datum', 'unchanged', undefined],
      ['true', 'bare', 'true'],
      ['false', 'bare', 'false'],
      ['0', 'bare', '0'],
      ['-9223372036854775808', 'bare', '-9223372036854775808'],
      ['12345678901234567890123456789.000', 'bare', '12345678901234567890123456789.000'],
      ['0.50', 'bare', '0.50'],
      ['-0', 'bare', '-0'],
      ['1e+20', 'bare', '1e+20'],
      ['-1.5e-07', 'bare', '-1.5e-07'],
      ['NaN', 'bare', 'NaN'],
      ['Infinity', 'bare', 'Infinity'],
      ['-Infinity', 'bare', '-Infinity'],
      ["B''", 'bits', ''],
      ["B'0101'", 'bits', '0101'],
      ["''", 'quoted', ''],
      ["'null'", 'quoted', 'null'],
      ["''''", 'escaped', "'"],
      ["''''''", 'escaped', "''"],
      ["'it''s'", 'escaped', "it's"],
      ["'\\'", 'quoted', '\\'],
      ["'\\'''", 'escaped', "\\'"],
      ["'a\nb\r\n\tc'", 'quoted', 'a\nb\r\n\tc'],
      ["' new-tuple: id[integer]:1'", 'quoted', ' new-tuple: id[integer]:1'],
      ["'Ä €'", 'quoted', 'Ä €'],
      ["'{1,2}'", 'quoted', '{1,2}'],
      [`'${'x'.repeat(63)}'`, 'quoted', 'x'.repeat(63)],
      [`'${'x'.repeat(64)}'`, 'quoted', 'x'.repeat(64)],
      [`'${'x'.repeat(65)}'`, 'quoted', 'x'.repeat(65)],
      [`'${'x'.repeat(500)}'''`, 'escaped', `${'x'.repeat(500)}'`],
      [`'${"''".repeat(100)}'`, 'escaped', "'".repeat(100)],
    ];
  for (const [printed, kind, text] of values) {
    it(`reads ${JSON.stringify(printed.slice(0, 40))}, last and before another`, () => {
      const change = decodeRow(`table a.b: INSERT: x[t]:${printed} y[t]:${printed}`);
      assert.deepEqual(cells(change.newTuple, change.bytes), [
        ['x', 't', kind, text],
        ['y', 't', kind, text],
      ]);
    });
  }

  // Offsets count from the value's first byte.
  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['', 0, /a value/],
    [' ', 0, /a value/],
    ['nul', 0, /a value/],
    ['nullx', 4, /space/],
    ['NULL', 0, /a value/],
    ['unchanged', 0, /a value/],
    ['tru', 0, /a value/],
    ['t', 0, /a value/],
    ['falsey', 5, /space/],
    ['nan', 0, /a value/],
    ['-NaN', 1, /a value/],
    ['-', 1, /a value/],
    ['--1', 1, /a value/],
    ['+1', 0, /a value/],
    ['01', 0, /leading zeros/],
    ['.5', 0, /a value/],
    ['1.', 2, /a digit/],
    ['1.e5', 2, /a digit/],
    ['1e', 2, /a digit/],
    ['1e+', 3, /a digit/],
    ['1.2.3', 3, /space/],
    ['1,2', 1, /space/],
    ['0x10', 1, /space/],
    ['1  ', 2, /column's name/],
    ['B', 0, /a value/],
    ["B'", 2, /a bit/],
    ["B'012'", 4, /a bit/],
    ["B'01", 4, /a bit/],
    ["b'01'", 0, /a value/],
    ["'", 1, /closing apostrophe/],
    ["'x", 2, /closing apostrophe/],
    ["'x''", 4, /closing apostrophe/],
    ["'x'y", 3, /space/],
    [`'${'x'.repeat(70)}`, 71, /closing apostrophe/],
    ["'x'\n", 3, /space/],
    ["E'x'", 0, /a value/],
    ['"x"', 0, /a value/],
  ];
  const head = 'table a.b: INSERT: x[t]:';
  for (const [value, offset, expected] of refused) {
    it(`fails on ${JSON.stringify(value.slice(0, 40))}`, () =>
      assertRefused(head + value, head.length + offset, expected));
  }
});
