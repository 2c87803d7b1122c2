/** What a decoder remembers of tables and columns, and that no line is read wrongly for it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RowChange } from '../../../../lambda/decode/messages.ts';
import { UndecodableError } from '../../../../lambda/decode/messages.ts';
import type { DecodedMessage } from '../../../../lambda/decode/plugin-decoder.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { cells, decode, decodeRow } from './decode-line.ts';

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
    assert.deepEqual(
      change.newTuple?.headers.map(({ id }) => id),
      [0, 1, 2, 3],
    );
  });

  it('follows a table that is altered, made anew or read in another order', () => {
    const decoder = new TestDecodingDecoder();
    const shapes = [
      'x[t] y[t] z[t]',
      'x[t] z[t]',
      'x[bigint] z[t]',
      'x[bigint] z[t] n[t]',
      'n[t] z[t] x[t] y[t]',
      'x[t] y[t] z[t]',
      '',
    ];
    for (const shape of [...shapes, ...shapes.toReversed()]) {
      const names = shape === '' ? [] : shape.split(' ');
      const change = decodeRow(`table a.b: INSERT:${names.map((name, i) => ` ${name}:${i}`).join('')}`, decoder);
      const read = cells(change.newTuple, change.bytes)?.map(([name, type, , text]) => [`${name}[${type}]`, text]);
      assert.deepEqual(
        read,
        names.map((name, i) => [name, String(i)]),
      );
    }
  });

  it('does not take a name for one that begins alike, with what lies behind the line', () => {
    const decoder = new TestDecodingDecoder();
    const known = 'table a.b: INSERT: id[integer]:1';
    decodeRow(known, decoder);
    const bytes = Buffer.from(known);
    for (let end = 0; end < bytes.length; end++) {
      // The whole line stands in the buffer each time, but only a part of it is given.
      let line: DecodedMessage | undefined;
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
      const change = decodeRow(
        `table a.t${i % 11}: UPDATE: old-key: ${a}[t]:1 ${b}[t]:2 new-tuple: ${a}[t]:3 ${b}[t]:4`,
        decoder,
      );
      assert.equal(change.table.name, `t${i % 11}`);
      assert.deepEqual(cells(change.newTuple, change.bytes), [
        [a, 't', 'bare', '3'],
        [b, 't', 'bare', '4'],
      ]);
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
        assert.deepEqual(cells(change.newTuple, change.bytes), [
          ['id', 't', 'bare', String(pass)],
          [`c${i}`, 't', 'bare', String(i)],
        ]);
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
      assert.deepEqual(cells(change.newTuple, change.bytes), [
        ['x', 't', 'bare', '1'],
        ['y', 't', 'bare', '2'],
      ]);
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
