/** What wal2json's lines say, as recorded from 2.5 and 2.6, each kind by itself, and what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { UndecodableError, ValueKind } from '../../../../lambda/decode/messages.ts';
import type { DecodedMessage } from '../../../../lambda/decode/plugin-decoder.ts';
import { Wal2jsonDecoder } from '../../../../lambda/decode/wal2json/decoder.ts';
import { limitsFor, Wal2jsonRowShortener } from '../../../../lambda/decode/wal2json/row-shortener.ts';
import { cells, NAMES, shown } from '../pgoutput/printer.ts';

const HEAD = '","xid":726,"timestamp":"2026-11-26 11:44:46.388573+00"';
const TABLE = `${HEAD},"schema":"public","table":"t"`;
const PK = ',"pk":[{"name":"id","typeoid":23}]}';
const INSERT = `I${TABLE},"columns":[{"name":"id","typeoid":23,"value":1},{"name":"order","typeoid":25,"value":"a\\"b\\\\ \\n\\u0001é"},{"name":"b","typeoid":17,"value":"00ff"},{"name":"x","typeoid":16,"value":true},{"name":"f","typeoid":701,"value":-1.5e-07},{"name":"n","typeoid":25,"value":null},{"name":"bi","typeoid":1560,"value":"101"}]${PK}`;
const MICROS = 1_795_693_486_388_573n;

/** Decodes one line in the middle of other bytes. */
function decoding(
  decoder = new Wal2jsonDecoder(NAMES),
): (line: string | Buffer, oversizeBytes?: number) => DecodedMessage {
  return (line, oversizeBytes) => {
    const bytes = Buffer.from(line);
    const around = Buffer.concat([Buffer.from('"\\'), bytes, Buffer.from('"}')]);
    return decoder.decode(around, 2, 2 + bytes.length, oversizeBytes);
  };
}
const row = (line: DecodedMessage): ReturnType<typeof shown> => {
  assert.equal(line.kind, 'change');
  return shown(line);
};

describe('lines of wal2json', () => {
  it('begin and end a transaction, with its id and time', () => {
    const decode = decoding();
    assert.deepEqual(decode(`B${HEAD}}`), { kind: 'begin', xid: 726, commitTimeMicros: MICROS });
    assert.deepEqual(decode(`C${HEAD}}`), { kind: 'commit', xid: 726, commitTimeMicros: MICROS });
  });

  it('carry an INSERT, with the text that the server printed', () => {
    const line = decoding()(INSERT);
    assert.deepEqual(row(line), {
      operation: 'INSERT',
      table: 'public.t',
      new: {
        id: ['integer', '1'],
        order: ['text', 'a"b\\ \n\u0001é'],
        b: ['unknown', '\\x00ff'],
        x: ['boolean', 'true'],
        f: ['unknown', '-1.5e-07'],
        n: ['text', null],
        bi: ['bit', '101'],
      },
      old: undefined,
    });
    assert.ok(line.kind === 'change');
    assert.deepEqual(line.historicKey, ['id']);
    assert.deepEqual(line.newTuple?.kinds.slice(0, 7), [
      ValueKind.bare,
      ValueKind.quoted,
      ValueKind.quoted,
      ValueKind.bare,
      ValueKind.bare,
      ValueKind.null,
      ValueKind.bits,
    ]);
    assert.equal(line.newTuple.headers[1]?.printed, '"order"');
  });

  const columns = (...values: readonly string[]): string =>
    values.map((value, i) => `{"name":"${['id', 'v', 'w'][i]}","typeoid":25,"value":${value}}`).join();
  const update = (next: string, old: string): string =>
    `U${TABLE},"columns":[${next}],"identity":[${old}],"pk":[{"name":"id","typeoid":25}]}`;

  for (const [what, next, old, expected] of [
    ['a key that did not change: none was logged', columns('"1"', '"a"'), columns('"1"'), [undefined, ['1', 'a']]],
    ['a key that changed', columns('"2"', '"a"'), columns('"1"'), [['1'], ['2', 'a']]],
    [
      'a whole row',
      columns('"1"', '"a"'),
      columns('"1"', '"a"'),
      [
        ['1', 'a'],
        ['1', 'a'],
      ],
    ],
    [
      'a whole row with a NULL, which is left out',
      columns('"1"', 'null'),
      columns('"1"', 'null'),
      [['1'], ['1', null]],
    ],
    [
      'a whole row whose value the new one lacks',
      `${columns('"1"')},{"name":"w","typeoid":25,"value":"z"}`,
      columns('"1"', '"big"', '"y"'),
      [
        ['1', 'big', 'y'],
        ['1', 'big', 'z'],
      ],
    ],
    ['a key that the new row lacks', '{"name":"v","typeoid":25,"value":"b"}', columns('"1"'), [['1'], ['1', 'b']]],
  ] as const)
    it(`tell of an UPDATE the old row that was logged: ${what}`, () => {
      const decode = decoding();
      // Twice: the second line finds the columns known.
      for (let i = 0; i < 2; i++) {
        const line = decode(update(next, old));
        assert.ok(line.kind === 'change' && line.newTuple !== undefined);
        const texts = (tuple: typeof line.newTuple | undefined) =>
          tuple === undefined ? undefined : Object.values(cells(tuple, line.bytes)).map(([, value]) => value);
        assert.deepEqual([texts(line.oldTuple), texts(line.newTuple)], expected);
      }
    });

  it('carry a DELETE, with and without an old row, and TRUNCATE of one table', () => {
    const decode = decoding();
    assert.deepEqual(row(decode(`D${TABLE},"identity":[{"name":"id","typeoid":23,"value":2}]${PK}`)), {
      operation: 'DELETE',
      table: 'public.t',
      new: undefined,
      old: { id: ['integer', '2'] },
    });
    const without = decode(`D${TABLE},"pk":[]}`);
    assert.ok(without.kind === 'change');
    assert.deepEqual([without.oldTuple, without.historicKey], [undefined, undefined]);
    const truncate = decode(`T${HEAD},"schema":"Odd \\"s\\"","table":"t\\\\"}`);
    assert.deepEqual(truncate, {
      kind: 'truncate',
      tables: [{ printed: '"Odd ""s"""."t\\"', schema: 'Odd "s"', name: 't\\' }],
    });
  });

  it('take a type whose number is above 2^31', () => {
    const line = decoding()(`I${TABLE},"columns":[{"name":"id","typeoid":-1,"value":"a"}],"pk":[]}`);
    assert.deepEqual(row(line), {
      operation: 'INSERT',
      table: 'public.t',
      new: { id: ['unknown', 'a'] },
      old: undefined,
    });
  });

  it('are written again where a value is no UTF-8, and refused where the database ensures nothing', () => {
    const [before, behind] = INSERT.split('a\\"b');
    const bytes = Buffer.concat([Buffer.from(`${before}`), Buffer.from([0xff]), Buffer.from(`${behind}`)]);
    const decoder = new Wal2jsonDecoder(NAMES);
    const line = decoding(decoder)(bytes);
    assert.ok(line.kind === 'change' && line.newTuple !== undefined);
    assert.equal(cells(line.newTuple, line.bytes)['order']?.[1], '\ufffd\\ \n\u0001é');
    assert.equal(cells(line.newTuple, line.bytes)['id']?.[1], '1');
    decoder.begin(true);
    assert.throws(() => decoding(decoder)(bytes), /UTF-8/);
  });

  it('of wal2json before 2.4 are refused, and the error says why', () => {
    const line = `I${TABLE},"columns":[{"name":"id","value":1}],"pk":[{"name":"id"}]}`;
    assert.throws(() => decoding()(line), /2\.4/);
  });

  it('are refused wherever they are cut, and whatever byte is another, or mean another value', () => {
    const lines = [INSERT, `B${HEAD}}`, `T${TABLE}}`, update(columns('"2"', '"a"'), columns('"1"'))];
    for (const line of lines) {
      const bytes = Buffer.from(line);
      for (let end = 0; end < bytes.length; end++)
        assert.throws(() => decoding()(bytes.subarray(0, end)), UndecodableError, `${line} up to ${end}`);
      for (let at = 0; at < bytes.length; at++) {
        const other = Buffer.from(bytes);
        other[at] = 0x7e;
        try {
          decoding()(other);
        } catch (error) {
          assert.ok(error instanceof UndecodableError, String(error));
          assert.ok(error.offset <= bytes.length);
        }
      }
    }
  });

  it('I10: say nothing of a row in an error', () => {
    const bytes = Buffer.from(INSERT.replace('a\\"b', 'MARKER').replace('"bi"', 'bi'));
    assert.throws(
      () => decoding()(bytes),
      (error: unknown) => error instanceof UndecodableError && !error.message.includes('MARKER'),
    );
  });
});

/** As escape_json writes it. */
const escaped = (text: string): string =>
  JSON.stringify(text).replaceAll(/\\u00([0-9a-f]{2})/g, (_, hex: string) => `\\u00${hex}`);
const anyText = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\0', ''));

describe('values of wal2json', () => {
  it('are what the server printed, in any row, after any other', () => {
    const decode = decoding();
    const aRow = fc.record({
      name: anyText.filter((name) => name !== ''),
      values: fc.array(anyText, { maxLength: 5 }),
    });
    fc.assert(
      fc.property(aRow, ({ name, values }) => {
        const list = values.map(
          (value, i) => `{"name":${escaped(`${i}${name}`)},"typeoid":25,"value":${escaped(value)}}`,
        );
        const line = decode(`I${HEAD},"schema":"public","table":${escaped(name)},"columns":[${list.join()}],"pk":[]}`);
        assert.ok(line.kind === 'change' && line.newTuple !== undefined);
        assert.equal(line.table.name, name);
        const found = Object.values(cells(line.newTuple, line.bytes)).map(([, value]) => value);
        assert.deepEqual(found, values);
      }),
      { numRuns: 500 },
    );
  });

  it('I8: that are large are left out as they stream, in pieces of any size', () => {
    const limits = { valueBytes: 100, lineBytes: 400, smallBytes: 64 };
    const sizes = fc.array(fc.integer({ min: 0, max: 150 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom('x', '"', '\\', 'é'),
        (lengths, piece, unit) => {
          const list = lengths.map((n, i) => `{"name":"c${i}","typeoid":25,"value":${escaped(unit.repeat(n))}}`);
          const bytes = Buffer.from(`I${TABLE},"columns":[${list.join()}],"pk":[]}`);
          const shortener = new Wal2jsonRowShortener(limits);
          shortener.begin(Buffer.from('head'));
          for (let at = 0; at < bytes.length; at += piece)
            shortener.write(bytes, at, Math.min(bytes.length, at + piece));
          const kept = shortener.end();
          assert.equal(kept.toString('latin1', 0, 4), 'head');
          const line = decoding()(kept.subarray(4), bytes.length);
          assert.ok(line.kind === 'change' && line.newTuple !== undefined);
          assert.equal(line.newTuple.count, lengths.length);
          for (const [i, n] of lengths.entries()) {
            const size = Buffer.byteLength(escaped(unit.repeat(n)));
            const value: unknown = cells(line.newTuple, line.bytes)[`c${i}`]?.[1];
            if (size > 101) assert.equal(value, 'elided');
            else if (value !== 'elided') assert.equal(value, unit.repeat(n));
            if (size <= 64) assert.notEqual(value, 'elided');
          }
        },
      ),
      { numRuns: 500 },
    );
    assert.throws(() => decoding()(`I${TABLE},"columns":[{"name":"id","typeoid":25,"value":elided}],"pk":[]}`));
    assert.equal(limitsFor(1024).lineBytes, 4096);
  });
});
