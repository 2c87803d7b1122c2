/** test_decoding's lines, production by production: what is read, and where what is none is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Tuple } from '../../../../lambda/decode/messages.ts';
import type { DecodedMessage } from '../../../../lambda/decode/plugin-decoder.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { assertRefused, cells, decode, decodeRow } from './decode-line.ts';

const MICROS = 1767323045678901n;

describe('BEGIN and COMMIT', () => {
  const lines: readonly (readonly [string, DecodedMessage])[] = [
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
    ['COMMIT 754 (at Infinity)', 15, /commit time/],
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

describe('rows', () => {
  const rows: readonly (readonly [
    line: string,
    oldTuple: readonly string[] | undefined,
    newTuple: readonly string[] | undefined,
  ])[] = [
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
    ["INSERT: x[bit]:B1'", 26, /a value/],
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
      const names = (line: DecodedMessage): unknown =>
        line.kind === 'truncate' && line.tables.map(({ printed }) => printed);
      assert.deepEqual(names(decode(`table a.b: TRUNCATE:${flags}`)), ['a.b']);
      assert.deepEqual(names(decode(`table a.b, "C".d, e."f, g": TRUNCATE:${flags}`)), ['a.b', '"C".d', 'e."f, g"']);
    });
  }

  for (const [flags, offset] of [
    ['', 0],
    [' ', 0],
    [' cascade restart_seqs', 8],
    [' (no-flags) cascade', 11],
    [' cascade ', 8],
    [' cascades', 8],
  ] as const) {
    it(`fails on ${JSON.stringify(`TRUNCATE:${flags}`)}`, () =>
      assertRefused(`table a.b: TRUNCATE:${flags}`, 20 + offset, /no-flags|end of the line/));
  }
});

describe('logical messages', () => {
  /** A message's parts; its content byte by byte. */
  const read = (line: string, oversizeBytes?: number): unknown => {
    const bytes = Buffer.from(`xx${line}yy`, 'latin1');
    const message = new TestDecodingDecoder().decode(bytes, 2, bytes.length - 2, oversizeBytes);
    if (message.kind !== 'message') return message.kind;
    const { transactional, prefix, start, end, size } = message;
    return [transactional, prefix, bytes.toString('latin1', start, end), size];
  };
  const cases: readonly (readonly [line: string, transactional: boolean, prefix: string, content: string])[] = [
    ['message: transactional: 1 prefix: test, sz: 4 content:msg1', true, 'test', 'msg1'],
    ['message: transactional: 0 prefix: , sz: 0 content:', false, '', ''],
    ['message: transactional: 0 prefix: a, sz: 3 content:x, sz: 5 content:BEGIN', false, 'a, sz: 3 content:x', 'BEGIN'],
    [
      'message: transactional: 0 prefix: a, sz: 26 content:COMMIT 1, sz: 3 content:xy',
      false,
      'a',
      'COMMIT 1, sz: 3 content:xy',
    ],
    [
      "message: transactional: 1 prefix: p, sz: 28 content:\ntable a.b: INSERT: x[t]:'1'",
      true,
      'p',
      "\ntable a.b: INSERT: x[t]:'1'",
    ],
    ['message: transactional: 1 prefix: p, sz: 3 content:\xff\0\x80', true, 'p', '\xff\0\x80'],
  ];
  for (const [line, transactional, prefix, content] of cases)
    it(`reads ${JSON.stringify(line)}`, () =>
      assert.deepEqual(read(line), [transactional, prefix, content, content.length]));

  it('takes the first size that fits: no content can pass for a prefix', () => {
    assert.deepEqual(read('message: transactional: 1 prefix: a, sz: 18 content:b, sz: 1 content:c'), [
      true,
      'a',
      'b, sz: 1 content:c',
      18,
    ]);
  });

  it('reads a prefix in UTF-8', () =>
    assert.deepEqual(read('message: transactional: 1 prefix: \xe2\x82\xac, sz: 1 content:x'), [true, '€', 'x', 1]));

  it('ignores one that was cut to its first word', () => assert.equal(read('message:'), 'ignored'));

  it('knows prefix and size of one whose content was not kept, by the size of the line', () => {
    const head = 'message: transactional: 0 prefix: a, sz: 3 content:x, sz: 5000000 content:';
    const expected = [false, 'a, sz: 3 content:x', '', 5_000_000];
    assert.deepEqual(read(`${head}abc`, head.length + 5_000_000), expected);
  });

  it('knows no prefix where that is longer than what was kept', () => {
    const head = 'message: transactional: 1 prefix: aaaa';
    assert.deepEqual(read(head, 9_000_034), [true, undefined, '', 9_000_000]);
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
    ['message: transactional: 1 prefix: p, sz: 5 contenX:abcde', 34, /of that size/],
  ];
  for (const [line, offset, expected] of refused) {
    it(`fails on ${JSON.stringify(line)}`, () => assertRefused(line, offset, expected));
  }
});
