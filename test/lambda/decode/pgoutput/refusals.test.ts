/** What the decoder says of a message of pgoutput that is cut short: which field is missing, each of each kind of message. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UndecodableError } from '../../../../lambda/decode/messages.ts';
import { PgoutputDecoder } from '../../../../lambda/decode/pgoutput/decoder.ts';
import {
  begin,
  commit,
  insert,
  message,
  NAMES,
  origin,
  relation,
  remove,
  type Table,
  truncate,
  type,
  update,
} from './printer.ts';

const TABLE: Table = {
  oid: 20_001,
  schema: 'public',
  name: 't',
  identity: 'f',
  columns: [
    { name: 'id', typeOid: 23, isKey: true },
    { name: 'v', typeOid: 25 },
  ],
};

/** A field: its bytes, and what is said where it is cut. */
type Field = readonly [bytes: number, what: string];
const KIND: Field = [1, 'a message'];
const text = (value: string, what: string): Field => [value.length + 1, `the end of ${what}`];
const VALUE: readonly Field[] = [
  [1, "a value's kind"],
  [4, "a value's length"],
  [3, 'a value'],
];
const TUPLE: readonly Field[] = [[2, 'a number of columns'], ...VALUE, [1, "a value's kind"]];
const ROW: readonly Field[] = [KIND, [4, "a table's number"]];

/** The values of a row as {@link TUPLE} has it. */
const VALUES = ['abc', null];

const MESSAGES: Record<string, readonly [bytes: Buffer, fields: readonly Field[]]> = {
  Begin: [begin(7, 0n), [KIND, [8, "a commit record's LSN"], [8, 'a commit time'], [4, 'a transaction id']]],
  Commit: [
    commit(0n),
    [KIND, [1, 'flags'], [8, "a commit record's LSN"], [8, "a commit record's end"], [8, 'a commit time']],
  ],
  Relation: [
    relation({ ...TABLE, columns: TABLE.columns.slice(0, 1) }),
    [
      KIND,
      [4, "a table's number"],
      text('public', 'a schema'),
      text('t', "a table's name"),
      [1, 'a replica identity'],
      [2, 'a number of columns'],
      [1, "a column's flags"],
      text('id', "a column's name"),
      [4, "a column's type"],
      [4, "a column's type modifier"],
    ],
  ],
  Type: [
    type(1, 'public', 'x'),
    [KIND, [4, "a type's number"], text('public', 'a schema'), text('x', "a type's name")],
  ],
  Truncate: [truncate([TABLE.oid]), [KIND, [4, 'a number of tables'], [1, 'flags'], [4, "a table's number"]]],
  Origin: [origin('other'), [KIND, [8, "an origin's LSN"], text('other', "an origin's name")]],
  Message: [
    message('p', Buffer.from('abc')),
    [KIND, [1, 'flags'], [8, "a message's LSN"], text('p', 'a prefix'), [4, 'a size'], [3, "a message's content"]],
  ],
  Insert: [insert(TABLE.oid, VALUES), [...ROW, [1, 'a row'], ...TUPLE]],
  Update: [update(TABLE.oid, VALUES, VALUES, 'O'), [...ROW, [1, 'a row'], ...TUPLE, [1, 'a new row'], ...TUPLE]],
  Delete: [remove(TABLE.oid, VALUES), [...ROW, [1, 'a row'], ...TUPLE]],
};

/** Decodes a message that is followed by more of the same kind, which must not matter. */
function refusal(bytes: Buffer, oversizeBytes?: number): UndecodableError {
  const decoder = new PgoutputDecoder(NAMES);
  const told = relation(TABLE);
  decoder.begin();
  decoder.decode(told, 0, told.length);
  const around = Buffer.concat([Buffer.from('B'), bytes, Buffer.from('n\0\0\0\0\0\0\0\0')]);
  try {
    decoder.decode(around, 1, 1 + bytes.length, oversizeBytes);
  } catch (error) {
    assert.ok(error instanceof UndecodableError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'It was decoded.' });
}

describe('a message of pgoutput that is cut', () => {
  for (const [name, [bytes, fields]] of Object.entries(MESSAGES)) {
    it(`fails with the field that is missing: ${name}`, () => {
      let from = 0;
      for (const [length, what] of fields) {
        for (let cut = from; cut < from + length; cut++) {
          const { expected, offset } = refusal(bytes.subarray(0, cut));
          assert.deepEqual([expected, offset], [what, cut], `${name} up to byte ${cut}`);
        }
        from += length;
      }
      assert.equal(from, bytes.length, 'the fields are all of it');
      const longer = refusal(Buffer.concat([bytes, Buffer.from('x')]));
      assert.deepEqual([longer.expected, longer.offset], ['the end of the message', from]);
    });
  }
});

describe('a message of pgoutput of another kind or shape', () => {
  /** The message with one byte changed. */
  const changed = (bytes: Buffer, at: number, to: string): Buffer => {
    const other = Buffer.from(bytes);
    other.write(to, at, 'latin1');
    return other;
  };
  const row = insert(TABLE.oid, VALUES);
  for (const [what, bytes, expected, offset] of [
    ['a kind of a later protocol', Buffer.from('S'), 'a kind of message that protocol version 1 has', 0],
    ['flags of a Commit', changed(commit(0n), 1, '\x01'), 'flags of 0', 1],
    ['a row of no known table', insert(1, VALUES), 'a table that was told of before its rows', 5],
    ['a TRUNCATE of no known table', truncate([1]), 'a table that was told of before its rows', 10],
    ['an INSERT of an old row', changed(row, 5, 'K'), 'a new row', 5],
    ['an UPDATE without a new row', changed(update(TABLE.oid, VALUES), 5, 'X'), 'a new row', 5],
    ['a DELETE of a new row', changed(remove(TABLE.oid, VALUES), 5, 'N'), 'an old row', 5],
    ['fewer columns than the table has', insert(TABLE.oid, ['abc']), "as many columns as the table's", 6],
    ['more columns than the table has', insert(TABLE.oid, ['a', 'b', 'c']), "as many columns as the table's", 6],
    ['a value in binary', changed(row, 8, 'b'), 'a value as text', 8],
    ['a value that nobody left out', changed(row, 16, 'e'), 'a value as text', 16],
  ] as const) {
    it(`fails on ${what}`, () => {
      const error = refusal(bytes);
      assert.deepEqual([error.expected, error.offset], [expected, offset]);
      assert.equal(error.message, `expected ${expected} at byte ${offset}`);
      assert.equal(error.name, 'UndecodableError');
    });
  }

  it('fails on a logical message whose size is not what was left out', () => {
    const whole = message('p', Buffer.alloc(100));
    const kept = whole.subarray(0, 30);
    const { expected } = refusal(kept, whole.length + 1);
    assert.equal(expected, "a message's content");
  });
});
