/** test_decoding's lines, production by production: what is read, and where what is none is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UndecodableError, ValueKind } from '../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding.ts';
import { valueText } from '../../../lambda/decode/text.ts';
import type { RowChange, Tuple } from '../../../lambda/decode/messages.ts';
import type { Line } from '../../../lambda/decode/test-decoding.ts';

/** Decodes a line that stands in the middle of other bytes, which must not matter. */
function decode(line: string, decoder = new TestDecodingDecoder()): Line {
  const before = Buffer.from("x[integer]:'");
  const bytes = Buffer.concat([before, Buffer.from(line), Buffer.from(`' 0)" new-tuple: (no-tuple-data)`)]);
  return decoder.decode(bytes, before.length, before.length + Buffer.byteLength(line));
}

function decodeRow(line: string, decoder?: TestDecodingDecoder): RowChange {
  const decoded = decode(line, decoder);
  assert.equal(decoded.kind, 'change');
  return decoded;
}

type Cell = readonly [name: string, type: string, kind: keyof typeof ValueKind, text: string | null | undefined];

function cells(tuple: Tuple | undefined, bytes: Buffer): Cell[] | undefined {
  if (tuple === undefined) return undefined;
  return Array.from({ length: tuple.count }, (_, i): Cell => {
    const kind = (Object.keys(ValueKind) as (keyof typeof ValueKind)[]).find((name) => ValueKind[name] === tuple.kinds[i]);
    return [tuple.headers[i]?.name ?? '?', tuple.headers[i]?.type ?? '?', kind ?? 'null', valueText(tuple, i, bytes)];
  });
}

/** Asserts that a line is refused, where, and that the refusal gives none of it away. */
function assertRefused(line: string, offset: number, expected: RegExp): void {
  assert.throws(
    () => decode(line),
    (error: unknown) => {
      assert.ok(error instanceof UndecodableError, `${String(error)} is no UndecodableError`);
      assert.match(error.expected, expected);
      assert.equal(error.offset, offset);
      assert.equal(error.message, `expected ${error.expected} at byte ${offset}`);
      return true;
    },
  );
}

const MICROS = 1767323045678901n;

describe('BEGIN and COMMIT', () => {
  const lines: readonly (readonly [string, Line])[] = [
    ['BEGIN 754', { kind: 'begin', xid: 754 }],
    ['BEGIN 0', { kind: 'begin', xid: 0 }],
    ['BEGIN 4294967295', { kind: 'begin', xid: 4294967295 }],
    ['BEGIN', { kind: 'begin', xid: undefined }],
    ['COMMIT 754 (at 2026-01-02 03:04:05.678901+00)', { kind: 'commit', xid: 754, commitTimeMicros: MICROS }],
    ['COMMIT (at 2026-01-02 03:04:05.678901+00)', { kind: 'commit', xid: undefined, commitTimeMicros: MICROS }],
    ['COMMIT 754', { kind: 'commit', xid: 754, commitTimeMicros: undefined }],
    ['COMMIT', { kind: 'commit', xid: undefined, commitTimeMicros: undefined }],
  ];
  for (const [line, message] of lines) it(`reads ${line}`, () => assert.deepEqual(decode(line), message));

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['', 0, /"table "/],
    ['B', 0, /"BEGIN"/],
    ['BEGI', 0, /"BEGIN"/],
    ['BEGIN ', 6, /32 bits/],
    ['BEGINS', 5, /transaction id/],
    ['BEGIN x', 6, /32 bits/],
    ['BEGIN 754 ', 6, /32 bits/],
    ['BEGIN 4294967296', 6, /32 bits/],
    ['BEGIN -1', 6, /32 bits/],
    ['BEGIN 007', 6, /32 bits/],
    ['begin 1', 0, /"table "/],
    ['COMMI', 0, /"COMMIT"/],
    ['COMMIT ', 6, /transaction id/],
    ['COMMITTED', 6, /transaction id/],
    ['COMMIT 754 ', 10, /\(at/],
    ['COMMIT 754 (at', 10, /\(at/],
    ['COMMIT 754 (at )', 15, /commit time/],
    ['COMMIT 754 (at 2026-01-02 03:04:05+00', 37, /"\)"/],
    ['COMMIT 754 (at 2026-01-02 03:04:05+00) ', 39, /"\)"/],
    ['COMMIT 754 (at 2026-01-02 03:04:05+00))', 15, /commit time/],
    ['COMMIT 754 (at 2026-01-02T03:04:05Z)', 15, /commit time/],
    ['COMMIT 754 (at infinity)', 15, /commit time/],
    ["PREPARE TRANSACTION 'g', txid 5", 0, /prepared transaction/],
    ["COMMIT PREPARED 'g', txid 5 (at 2026-01-02 03:04:05+00)", 0, /prepared transaction/],
    ["ROLLBACK PREPARED E'\\\\g'", 0, /prepared transaction/],
    ['opening a streamed block for transaction TXN 5', 0, /"table "/],
    ['streaming change for transaction', 0, /"table "/],
  ];
  for (const [line, offset, expected] of refused) {
    it(`fails on ${JSON.stringify(line)}`, () => assertRefused(line, offset, expected));
  }
});

describe('values', () => {
  const values: readonly (readonly [printed: string, kind: keyof typeof ValueKind, text: string | null | undefined])[] = [
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
      assert.deepEqual(cells(change.newTuple, change.bytes), [['x', 't', kind, text], ['y', 't', kind, text]]);
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
    it(`fails on ${JSON.stringify(value.slice(0, 40))}`, () => assertRefused(head + value, head.length + offset, expected));
  }
});

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
        tables: [{ printed, schema, name }, { printed, schema, name }],
      });
    });
  }

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['table', 0, /"table "/],
    ['tables a.b: INSERT:', 0, /"table "/],
    ['table ', 6, /a schema/],
    ['table b: INSERT:', 7, /"\." behind a schema/],
    ['table a.: INSERT:', 8, /table's name/],
    ['table .b: INSERT:', 6, /a schema/],
    ['table A.b: INSERT:', 6, /a schema/],
    ['table a.bC: INSERT:', 9, /behind a table/],
    ['table a.b$: INSERT:', 9, /behind a table/],
    ['table a.b.c: INSERT:', 9, /behind a table/],
    ['table a."b: INSERT:', 19, /closing quote/],
    ['table a."b"c: INSERT:', 11, /behind a table/],
    ['table a.b:INSERT:', 9, /behind a table/],
    ['table a.b', 9, /behind a table/],
    ['table a.b: ', 11, /"INSERT:"/],
    ['table a.b: INSERT', 11, /"INSERT:"/],
    ['table a.b: insert:', 11, /"INSERT:"/],
    ['table a.b: MERGE:', 11, /"INSERT:"/],
    ['table a.b, c.d: INSERT:', 16, /^"TRUNCATE:"$/],
    ['table a.b,c.d: TRUNCATE: cascade', 9, /behind a table/],
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

describe('rows', () => {
  const rows: readonly (readonly [line: string, oldTuple: readonly string[] | undefined, newTuple: readonly string[] | undefined])[] = [
    ['INSERT: x[t]:1 y[t]:2', undefined, ['x', 'y']],
    ['INSERT:', undefined, []],
    ['INSERT: (no-tuple-data)', undefined, undefined],
    ['UPDATE: x[t]:1', undefined, ['x']],
    ['UPDATE:', undefined, []],
    ['UPDATE: (no-tuple-data)', undefined, undefined],
    ['UPDATE: old-key: x[t]:1 new-tuple: x[t]:2 y[t]:3', ['x'], ['x', 'y']],
    ['UPDATE: old-key: y[t]:3 new-tuple: x[t]:2 y[t]:3', ['y'], ['x', 'y']],
    ['UPDATE: old-key: new-tuple: x[t]:null', [], ['x']],
    ['UPDATE: old-key: new-tuple:', [], []],
    ['UPDATE: old-key: x[t]:1 new-tuple: (no-tuple-data)', ['x'], undefined],
    ['DELETE: x[t]:1', ['x'], undefined],
    ['DELETE:', [], undefined],
    ['DELETE: (no-tuple-data)', undefined, undefined],
  ];
  for (const [line, oldTuple, newTuple] of rows) {
    it(`reads ${line}`, () => {
      const change = decodeRow(`table a.b: ${line}`);
      const names = (tuple: Tuple | undefined): unknown => cells(tuple, change.bytes)?.map(([name]) => name);
      assert.equal(change.operation, line.slice(0, 6));
      assert.deepEqual(names(change.oldTuple), oldTuple);
      assert.deepEqual(names(change.newTuple), newTuple);
    });
  }

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['INSERT: (no-tuple-data) ', 34, /end of the line/],
    ['INSERT: (no-tuple-data', 19, /column's name/],
    ['INSERT: x[t]:1 (no-tuple-data)', 26, /column's name/],
    ['INSERT: old-key: x[t]:1 new-tuple: x[t]:1', 22, /"\["/],
    ['INSERT: x[t]:1 new-tuple: x[t]:1', 29, /"\["/],
    ['DELETE: old-key: x[t]:1', 22, /"\["/],
    ['UPDATE: old-key:', 27, /new-tuple/],
    ['UPDATE: old-key: x[t]:1', 34, /new-tuple/],
    ['UPDATE: old-key: x[t]:1 new-tuple', 38, /"\["/],
    ['UPDATE: old-key: (no-tuple-data) new-tuple: x[t]:1', 28, /column's name/],
    ['UPDATE: new-tuple: x[t]:1', 22, /"\["/],
    ['UPDATE: old-key: x[t]:1 new-tuple: x[t]:1 new-tuple: x[t]:1', 56, /"\["/],
    ['UPDATE:old-key: x[t]:1 new-tuple: x[t]:1', 18, /" " before a column/],
  ];
  for (const [line, offset, expected] of refused) {
    it(`fails on ${line}`, () => assertRefused(`table a.b: ${line}`, offset, expected));
  }
});

describe('TRUNCATE', () => {
  for (const flags of [' (no-flags)', ' restart_seqs', ' cascade', ' restart_seqs cascade']) {
    it(`reads one table and several with${flags}`, () => {
      const names = (line: Line): unknown => line.kind === 'truncate' && line.tables.map(({ printed }) => printed);
      assert.deepEqual(names(decode(`table a.b: TRUNCATE:${flags}`)), ['a.b']);
      assert.deepEqual(names(decode(`table a.b, "C".d, e."f, g": TRUNCATE:${flags}`)), ['a.b', '"C".d', 'e."f, g"']);
    });
  }

  for (const [flags, offset] of [['', 0], [' ', 0], [' cascade restart_seqs', 8], [' (no-flags) cascade', 11], [' cascade ', 8], [' cascades', 8]] as const) {
    it(`fails on ${JSON.stringify(`TRUNCATE:${flags}`)}`, () =>
      assertRefused(`table a.b: TRUNCATE:${flags}`, 20 + offset, /no-flags|end of the line/));
  }
});

describe('logical messages', () => {
  const lines = [
    'message: transactional: 1 prefix: test, sz: 4 content:msg1',
    'message: transactional: 0 prefix: , sz: 0 content:',
    'message: transactional: 0 prefix: a, sz: 3 content:x, sz: 5 content:BEGIN',
    'message: transactional: 0 prefix: a, sz: 26 content:COMMIT 1, sz: 3 content:xy',
    "message: transactional: 1 prefix: p, sz: 28 content:\ntable a.b: INSERT: x[t]:'1'",
    'message: transactional: 1 prefix: €, sz: 3 content:€',
    'message:',
  ];
  for (const line of lines) it(`ignores ${JSON.stringify(line)}`, () => assert.deepEqual(decode(line), { kind: 'ignored' }));

  it('ignores one whose content is no UTF-8 and holds a zero', () => {
    const bytes = Buffer.concat([Buffer.from('message: transactional: 1 prefix: p, sz: 3 content:'), Buffer.from([0xff, 0, 0x80])]);
    assert.deepEqual(new TestDecodingDecoder().decode(bytes, 0, bytes.length), { kind: 'ignored' });
  });

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['message', 0, /"message:"/],
    ['message: ', 8, /transactional/],
    ['message: transactional: 2 prefix: p, sz: 0 content:', 24, /0 or 1/],
    ['message: transactional: 1', 25, /prefix/],
    ['message: transactional: 1 prefix: p, sz: 4 content:msg', 34, /of that size/],
    ['message: transactional: 1 prefix: p, sz: 4 content:msg12', 34, /of that size/],
    ['message: transactional: 1 prefix: p, sz: 04 content:msg1', 34, /of that size/],
    ['message: transactional: 1 prefix: p, sz: content:', 34, /of that size/],
    ['message: transactional: 1 prefix: p', 34, /of that size/],
  ];
  for (const [line, offset, expected] of refused) {
    it(`fails on ${JSON.stringify(line)}`, () => assertRefused(line, offset, expected));
  }
});

describe('what a decoder remembers', () => {
  const header = (change: RowChange, i = 0): unknown => change.newTuple?.headers[i];

  it('gives a table and a column one object each, in every row, table and tuple', () => {
    const decoder = new TestDecodingDecoder();
    const first = decodeRow('table a.b: INSERT: x[t]:1 y[t]:2', decoder);
    const [table, x, y] = [first.table, header(first), header(first, 1)];
    const update = decodeRow('table a.b: UPDATE: old-key: y[t]:2 new-tuple: x[t]:1 y[t]:2', decoder);
    assert.equal(update.table, table);
    assert.equal(update.oldTuple?.headers[0], y);
    assert.equal(header(update), x);
    assert.equal(header(decodeRow('table a.c: INSERT: y[t]:1', decoder)), y);
    assert.equal(decodeRow('table a.b: INSERT: x[t]:1', decoder).table, table);
    const truncate = decode('table a.c, a.b: TRUNCATE: cascade', decoder);
    assert.equal(truncate.kind === 'truncate' && truncate.tables[1], table);
  });

  it('numbers headers from 0, tightly', () => {
    const change = decodeRow('table a.b: INSERT: x[t]:1 y[t]:2 x[u]:3 "X"[t]:4');
    assert.deepEqual(change.newTuple?.headers.map(({ id }) => id), [0, 1, 2, 3]);
  });

  it('follows a table that is altered, made anew or read in another order', () => {
    const decoder = new TestDecodingDecoder();
    const shapes = ['x[t] y[t] z[t]', 'x[t] z[t]', 'x[bigint] z[t]', 'x[bigint] z[t] n[t]', 'n[t] z[t] x[t] y[t]', 'x[t] y[t] z[t]', ''];
    for (const shape of [...shapes, ...shapes.toReversed()]) {
      const names = shape === '' ? [] : shape.split(' ');
      const change = decodeRow(`table a.b: INSERT:${names.map((name, i) => ` ${name}:${i}`).join('')}`, decoder);
      const read = cells(change.newTuple, change.bytes)?.map(([name, type, , text]) => [`${name}[${type}]`, text]);
      assert.deepEqual(read, names.map((name, i) => [name, String(i)]));
    }
  });

  it('does not take a name for one that begins alike, with what lies behind the line', () => {
    const decoder = new TestDecodingDecoder();
    const known = 'table a.b: INSERT: id[integer]:1';
    decodeRow(known, decoder);
    const bytes = Buffer.from(known);
    for (let end = 0; end < bytes.length; end++) {
      // The whole line stands in the buffer each time, but only a part of it is given.
      let line: Line | undefined;
      try {
        line = decoder.decode(bytes, 0, end);
      } catch (error) {
        assert.ok(error instanceof UndecodableError);
        assert.ok(error.offset <= end, `offset ${error.offset} of ${end}`);
      }
      assert.equal(line?.kind, end === 'table a.b: INSERT:'.length ? 'change' : undefined, `cut at ${end}`);
    }
    assert.equal(decodeRow('table a.bb: INSERT: id[integer]:1', decoder).table.name, 'bb');
    assert.equal(decodeRow('table aa.b: INSERT: idx[integer]:1', decoder).newTuple?.headers[0]?.name, 'idx');
  });

  it('forgets when it knows too many, uses no id twice, and mixes up nothing', () => {
    const decoder = new TestDecodingDecoder(4);
    const ids = new Map<number, string>();
    for (let i = 0; i < 200; i++) {
      const [a, b] = [`c${i % 7}`, `d${i % 5}`];
      const change = decodeRow(`table a.t${i % 11}: UPDATE: old-key: ${a}[t]:1 ${b}[t]:2 new-tuple: ${a}[t]:3 ${b}[t]:4`, decoder);
      assert.equal(change.table.name, `t${i % 11}`);
      assert.deepEqual(cells(change.newTuple, change.bytes), [[a, 't', 'bare', '3'], [b, 't', 'bare', '4']]);
      for (const [place, header] of change.oldTuple?.headers.slice(0, 2).entries() ?? []) {
        assert.equal(header, change.newTuple?.headers[place], 'one object in both tuples');
        assert.equal(ids.get(header.id) ?? header.printed, header.printed);
        ids.set(header.id, header.printed);
      }
    }
    assert.ok(ids.size > 12, 'it did forget');
  });

  it('forgets too many columns of one table, and none of its objects stays behind', () => {
    const decoder = new TestDecodingDecoder(4);
    const first = header(decodeRow('table a.b: INSERT: x[t]:1', decoder));
    decodeRow('table a.b: INSERT: c[t]:1 d[t]:2 e[t]:3 f[t]:4', decoder);
    const anew = header(decodeRow('table a.b: INSERT: x[t]:1', decoder));
    assert.notEqual(anew, first);
    assert.equal(header(decodeRow('table a.c: INSERT: x[t]:1', decoder)), anew, 'one object in both tables');
  });

  it('forgets too many tables', () => {
    const decoder = new TestDecodingDecoder(4);
    const name = (i: number): unknown => decodeRow(`table a.t${i}: INSERT: x[t]:1`, decoder).table;
    const first = name(0);
    assert.equal(name(0), first);
    for (let i = 1; i <= 5; i++) name(i);
    assert.notEqual(name(0), first);
  });

  it('reads a table whose columns were altered more often than it can have columns', () => {
    const decoder = new TestDecodingDecoder();
    for (const pass of [1, 2]) {
      for (let i = 0; i < 2_500; i++) {
        const change = decodeRow(`table a.b: INSERT: id[t]:${pass} c${i}[t]:${i}`, decoder);
        assert.deepEqual(cells(change.newTuple, change.bytes), [['id', 't', 'bare', String(pass)], [`c${i}`, 't', 'bare', String(i)]]);
      }
    }
  });

  it('reads on after a line it refused', () => {
    const decoder = new TestDecodingDecoder();
    const line = 'table a.b: INSERT: x[t]:1 y[t]:2';
    for (let end = 0; end < line.length; end++) {
      try {
        decode(line.slice(0, end), decoder);
      } catch (error) {
        assert.ok(error instanceof UndecodableError);
      }
      const change = decodeRow(line, decoder);
      assert.deepEqual(cells(change.newTuple, change.bytes), [['x', 't', 'bare', '1'], ['y', 't', 'bare', '2']]);
    }
  });

  it('points into the buffer it was given, also a view with an offset', () => {
    const decoder = new TestDecodingDecoder();
    const line = Buffer.from("table a.b: INSERT: x[t]:'one'");
    const block = Buffer.concat([Buffer.alloc(13, 0x41), line, line]);
    for (const bytes of [block, block.subarray(13), block.subarray(1)]) {
      const start = bytes.length - line.length;
      const change = decoder.decode(bytes, start, bytes.length);
      assert.ok(change.kind === 'change' && change.bytes === bytes);
      assert.deepEqual(cells(change.newTuple, bytes), [['x', 't', 'quoted', 'one']]);
    }
  });
});
