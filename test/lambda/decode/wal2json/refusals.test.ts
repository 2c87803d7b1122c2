/** What the decoder says of a line of wal2json that is cut short or has another value: what is missing, and where. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UndecodableError, ValueKind } from '../../../../lambda/decode/messages.ts';
import { Wal2jsonDecoder } from '../../../../lambda/decode/wal2json/decoder.ts';
import { NAMES } from '../pgoutput/printer.ts';

/** A piece of a line, and what is said where the line ends before it, or in it. */
interface Piece {
  readonly text: string;
  /** Where the line ends in the piece: after so many bytes of it. */
  readonly at: (bytes: number) => readonly [what: string, offset: number];
}

/** The line's first letter. */
const action = (letter: string): Piece => ({ text: letter, at: () => ['an action of wal2json', 0] });
/** What is always the same. */
const fixed = (text: string): Piece => ({ text, at: () => [JSON.stringify(text), 0] });
/** One digit. */
const digit = (text: string, what: string): Piece => ({ text, at: () => [what, 0] });
/** A string with its quotes. */
const quoted = (text: string, what: string): Piece => ({
  text: `"${text}"`,
  at: (bytes) => [bytes === 0 ? what : `the end of ${what}`, bytes],
});
const word = (text: string, what: string): Piece => ({ text, at: () => [what, 0] });

const HEAD = [
  fixed('","xid":'),
  digit('7', 'a transaction id'),
  fixed(',"timestamp":'),
  quoted('2026-11-26 11:44:46.388573+00', 'a commit time'),
];
const TABLE = [fixed(',"schema":'), quoted('public', 'a schema'), fixed(',"table":'), quoted('t', "a table's name")];
const COLUMN = [
  fixed('{"name":'),
  quoted('id', "a column's name"),
  word(',"typeoid":', "a type's number, which wal2json writes from version 2.4 on"),
  digit('2', "a type's number"),
];
const VALUE = [fixed(',"value":'), quoted('abc', 'a value'), fixed('}')];
const NULL_VALUE = [fixed(',"value":'), word('null', 'a value'), fixed('}')];
const COMMA = fixed(',');
/** The end of a list, where another element could be, too. */
const CLOSING = word(']', '","');
const END = fixed('}');

const LINES: Record<string, readonly Piece[]> = {
  BEGIN: [action('B'), ...HEAD, END],
  COMMIT: [action('C'), ...HEAD, END],
  TRUNCATE: [action('T'), ...HEAD, ...TABLE, END],
  INSERT: [
    action('I'),
    ...HEAD,
    ...TABLE,
    fixed(',"columns":['),
    ...COLUMN,
    ...VALUE,
    COMMA,
    ...COLUMN,
    ...NULL_VALUE,
    CLOSING,
    fixed(',"pk":['),
    ...COLUMN,
    END,
    word(']', '","'),
    END,
  ],
  DELETE: [
    action('D'),
    ...HEAD,
    ...TABLE,
    // Instead of it the list of the key's columns could come.
    word(',"identity":[', '",\\"pk\\":["'),
    ...COLUMN,
    ...VALUE,
    CLOSING,
    fixed(',"pk":['),
    ...COLUMN,
    END,
    COMMA,
    ...COLUMN,
    END,
    CLOSING,
    END,
  ],
};

/** Decodes a line that stands before more of its kind, which must not matter. */
function refusal(line: string, decoder = new Wal2jsonDecoder(NAMES)): UndecodableError {
  const bytes = Buffer.from(`"${line}"}]}null,`);
  try {
    decoder.decode(bytes, 1, 1 + Buffer.byteLength(line));
  } catch (error) {
    assert.ok(error instanceof UndecodableError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: `It was decoded: ${line}` });
}

describe('a line of wal2json that is cut', () => {
  for (const [name, pieces] of Object.entries(LINES)) {
    it(`fails with what is missing: ${name}, alone and after a whole one`, () => {
      const line = pieces.map(({ text }) => text).join('');
      let from = 0;
      for (const { text, at } of pieces) {
        for (let bytes = 0; bytes < text.length; bytes++) {
          const [what, offset] = at(bytes);
          const cut = line.slice(0, from + bytes);
          const fresh = refusal(cut);
          assert.deepEqual([fresh.expected, fresh.offset], [what, from + offset], cut);
          const decoder = new Wal2jsonDecoder(NAMES);
          const whole = Buffer.from(line);
          decoder.decode(whole, 0, whole.length);
          const again = refusal(cut, decoder);
          assert.deepEqual([again.expected, again.offset], [what, from + offset], `${cut}, known`);
        }
        from += text.length;
      }
      const longer = refusal(`${line} `);
      assert.deepEqual([longer.expected, longer.offset], ['the end of the line', line.length]);
    });
  }
});

describe('a line of wal2json that is cut in an escape', () => {
  it('fails there, whatever an earlier line has left behind', () => {
    const line = String.raw`I","xid":7,"timestamp":"a\tb"`;
    const decoder = new Wal2jsonDecoder(NAMES);
    refusal(line, decoder);
    const cut = line.slice(0, line.indexOf('\\') + 1);
    const { expected, offset } = refusal(cut, decoder);
    assert.deepEqual([expected, offset], ['an escape of PostgreSQL', cut.length - 1]);
  });
});

describe('a line of wal2json with something else', () => {
  const HEAD_TEXT = HEAD.map(({ text }) => text).join('');
  const TABLE_TEXT = TABLE.map(({ text }) => text).join('');
  const row = (list: string): string => `I${HEAD_TEXT}${TABLE_TEXT},"columns":[${list}],"pk":[]}`;
  const value = (text: string): string => row(`{"name":"v","typeoid":25,"value":${text}}`);
  const valueAt = value('').indexOf('"value":') + '"value":'.length;
  for (const [what, line, expected, offset] of [
    ['another action', `X${HEAD_TEXT}}`, 'an action of wal2json', 0],
    ['an xid above 32 bits', 'B","xid":4294967296,', 'a transaction id', 9],
    ['a time that is none', `B","xid":7,"timestamp":"yesterday"}`, 'a commit time', 24],
    ['a word that is no value', value('nil'), 'a value', valueAt],
    ['a value that nobody left out', value('elided'), 'a value', valueAt],
    ['a letter before the digits', value('/1'), 'a value', valueAt],
    ['a letter behind the digits', value(':1'), 'a value', valueAt],
    ['an escape that PostgreSQL does not write', value(String.raw`"a\x"`), 'an escape of PostgreSQL', valueAt + 2],
    ['an escape of a letter', value(String.raw`"a\u0041"`), 'an escape of PostgreSQL', valueAt + 2],
    ['an escape of another script', value(String.raw`"a\u0101"`), 'an escape of PostgreSQL', valueAt + 2],
    ['an escape of three digits', value(String.raw`"a\u001"`), 'an escape of PostgreSQL', valueAt + 2],
    ['an escape with another letter', value(String.raw`"a\x0001"`), 'an escape of PostgreSQL', valueAt + 2],
    ['a number with a comma', value('1,2'), '"}"', valueAt + 1],
    ['a name without quotes', row('{"name":id"'), "a column's name", row('').indexOf('[') + 9],
    ['a list that is no list', row('1'), '"{\\"name\\":"', row('').indexOf('[') + 1],
  ] as const) {
    it(`fails on ${what}`, () => {
      const error = refusal(line);
      assert.deepEqual([error.expected, error.offset], [expected, offset]);
    });
  }

  it('takes each number, boolean and NULL as it is, and no more of the line', () => {
    const decoder = new Wal2jsonDecoder(NAMES);
    for (const text of ['0', '9', '-1', '1.50', '1e+20', '-1.5e-07', 'true', 'false', 'null']) {
      const bytes = Buffer.from(value(text));
      const line = decoder.decode(bytes, 0, bytes.length);
      assert.ok(line.kind === 'change' && line.newTuple !== undefined);
      const { kinds, starts, ends } = line.newTuple;
      assert.equal(kinds[0], text === 'null' ? ValueKind.null : ValueKind.bare);
      if (text !== 'null') assert.equal(line.bytes.toString('utf8', starts[0], ends[0]), text);
    }
  });

  it('reads each escape that PostgreSQL writes', () => {
    const decoder = new Wal2jsonDecoder(NAMES);
    const bytes = Buffer.from(value(String.raw`"\"\\\b\f\n\r\t\u0001\u001f\u0000"`));
    const line = decoder.decode(bytes, 0, bytes.length);
    assert.ok(line.kind === 'change' && line.newTuple !== undefined);
    const { starts, ends } = line.newTuple;
    assert.equal(line.bytes.toString('latin1', starts[0], ends[0]), '"\\\b\f\n\r\t\x01\x1f\0');
  });

  it('takes the largest transaction id', () => {
    const bytes = Buffer.from(`B${HEAD_TEXT.replace(':7', ':4294967295')}}`);
    const line = new Wal2jsonDecoder(NAMES).decode(bytes, 0, bytes.length);
    assert.ok(line.kind === 'begin');
    assert.equal(line.xid, 4_294_967_295);
  });
});
