/** What pgoutput's messages say, each kind by itself, and what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_PREFIX_BYTES, UndecodableError, ValueKind } from '../../../../lambda/decode/messages.ts';
import { PgoutputDecoder } from '../../../../lambda/decode/pgoutput/decoder.ts';
import type { DecodedMessage } from '../../../../lambda/decode/plugin-decoder.ts';
import {
  begin,
  commit,
  insert,
  message,
  NAMES,
  origin,
  relation,
  remove,
  shown,
  type Table,
  truncate,
  type,
  update,
} from './printer.ts';

const USERS: Table = {
  oid: 20_001,
  schema: 'public',
  name: 'Users "x"',
  columns: [
    { name: 'id', typeOid: 23, isKey: true },
    { name: 'order', typeOid: 25 },
    { name: 'ok', typeOid: 16 },
    { name: 'flags', typeOid: 1560 },
  ],
};
const MICROS = 1_767_323_045_678_901n;

/** A decoder that has been told of the tables, and one message of theirs at a time, in the middle of other bytes. */
function reading(...tables: readonly Table[]): (message: Buffer) => DecodedMessage {
  const decoder = new PgoutputDecoder(NAMES);
  decoder.begin();
  const decode = (bytes: Buffer): DecodedMessage => {
    const around = Buffer.concat([Buffer.from('IN\0'), bytes, Buffer.from('t\0\0\0\x01N')]);
    return decoder.decode(around, 3, 3 + bytes.length);
  };
  for (const table of tables) assert.equal(decode(relation(table)).kind, 'ignored');
  return decode;
}

function row(line: DecodedMessage): ReturnType<typeof shown> {
  assert.equal(line.kind, 'change');
  return shown(line);
}

describe('messages of pgoutput', () => {
  it('begin a transaction with its id and time, and end it', () => {
    const decode = reading();
    assert.deepEqual(decode(begin(0xffffffff, MICROS)), { kind: 'begin', xid: 0xffffffff, commitTimeMicros: MICROS });
    assert.deepEqual(decode(commit(MICROS)), { kind: 'commit', xid: undefined, commitTimeMicros: MICROS });
  });

  it('have a commit time in the years 1 to 9999, whatever a replication origin gave them', () => {
    const decode = reading();
    const [infinity, minusInfinity] = [2n ** 63n - 1n, -(2n ** 63n)].map((micros) => micros + 946_684_800_000_000n);
    for (const [given, read] of [
      [infinity, 253_402_300_799_999_999n],
      [minusInfinity, -62_135_596_800_000_000n],
      [MICROS, MICROS],
    ] as const) {
      assert.deepEqual(decode(begin(7, given ?? 0n)), { kind: 'begin', xid: 7, commitTimeMicros: read });
      assert.deepEqual(decode(commit(given ?? 0n)), { kind: 'commit', xid: undefined, commitTimeMicros: read });
    }
  });

  it('carry an INSERT, its names quoted as quote_identifier does', () => {
    assert.deepEqual(row(reading(USERS)(insert(USERS.oid, ['7', "it's", 't', null]))), {
      operation: 'INSERT',
      table: 'public."Users ""x"""',
      new: { id: ['integer', '7'], order: ['text', "it's"], ok: ['boolean', 't'], flags: ['bit', null] },
      old: undefined,
    });
  });

  it('quote a keyword, and leave a plain name as it is', () => {
    const line = reading(USERS)(insert(USERS.oid, ['7', 'a', 't', '101']));
    assert.equal(line.kind, 'change');
    assert.deepEqual(
      line.newTuple?.headers.map(({ printed }) => printed),
      ['id', '"order"', 'ok', 'flags'],
    );
  });

  it('tell booleans and bits from text', () => {
    const line = reading(USERS)(insert(USERS.oid, ['7', '', 'f', '101']));
    assert.equal(line.kind, 'change');
    const { quoted, boolean, bits } = ValueKind;
    assert.deepEqual(line.newTuple?.kinds, [quoted, quoted, boolean, bits]);
  });

  it('carry an UPDATE with its old key, and with values that did not change', () => {
    assert.deepEqual(row(reading(USERS)(update(USERS.oid, ['8', undefined, 'f', '1'], ['7', null, null, null]))), {
      operation: 'UPDATE',
      table: 'public."Users ""x"""',
      new: { id: ['integer', '8'], order: ['text', undefined], ok: ['boolean', 'f'], flags: ['bit', '1'] },
      old: { id: ['integer', '7'] },
    });
  });

  it('carry an UPDATE without an old row', () => {
    const { old } = row(reading(USERS)(update(USERS.oid, ['8', 'a', 'f', '1']))) as { old: unknown };
    assert.equal(old, undefined);
  });

  it('carry a DELETE, by its key or with the whole row', () => {
    for (const [part, values] of [
      ['K', ['7', null, null, null]],
      ['O', ['7', 'a', null, null]],
    ] as const) {
      const change = row(reading(USERS)(remove(USERS.oid, values, part)));
      const rest = part === 'K' ? {} : { order: ['text', 'a'] };
      assert.deepEqual(change, {
        operation: 'DELETE',
        table: 'public."Users ""x"""',
        new: undefined,
        old: { id: ['integer', '7'], ...rest },
      });
    }
  });

  it('name all tables of a TRUNCATE, in its order', () => {
    const other = { ...USERS, oid: 20_002, schema: '', name: 'b' };
    const line = reading(USERS, other)(truncate([other.oid, USERS.oid], 3));
    assert.equal(line.kind, 'truncate');
    assert.deepEqual(
      line.tables.map(({ printed, schema, name }) => [printed, schema, name]),
      [
        ['pg_catalog.b', 'pg_catalog', 'b'],
        ['public."Users ""x"""', 'public', 'Users "x"'],
      ],
    );
  });

  it('that carry no row are ignored: origins, types', () => {
    const decode = reading();
    for (const bytes of [origin('o'), type(1, '', 'x')]) assert.deepEqual(decode(bytes), { kind: 'ignored' });
  });

  it('that are empty are ignored behind a BEGIN, where 11 to 13 do not find the name of an origin, and nowhere else', () => {
    const decode = reading();
    decode(begin(1, MICROS));
    assert.deepEqual(decode(Buffer.alloc(0)), { kind: 'ignored' });
    assert.throws(() => decode(Buffer.alloc(0)), /a message/);
    decode(begin(1, MICROS));
    decode(origin('o'));
    assert.throws(() => decode(Buffer.alloc(0)), /a message/);
  });

  it('of applications are read, any bytes of content', () => {
    const decode = reading();
    for (const [prefix, content, transactional] of [
      ['p', [0, 255], true],
      ['', [], false],
      ['€', [0x62], true],
    ] as const) {
      const line = decode(message(prefix, Buffer.from(content), transactional));
      assert.ok(line.kind === 'message');
      assert.deepEqual([line.prefix, line.transactional, line.size], [prefix, transactional, content.length]);
      assert.deepEqual([...line.bytes.subarray(line.start, line.end)], content);
    }
  });

  it('of applications that are too large tell prefix and size, in whatever pieces they come', () => {
    const { decoder } = { decoder: new PgoutputDecoder(NAMES, undefined, 1024) };
    for (const [prefix, known] of [
      ['p', 'p'],
      ['y'.repeat(MAX_PREFIX_BYTES), 'y'.repeat(MAX_PREFIX_BYTES)],
      ['x'.repeat(70_000), undefined],
    ] as const) {
      const bytes = message(prefix, Buffer.alloc(100_000, 0x27));
      for (const piece of [1, 1_000, 1_000_000]) {
        const { shortener } = decoder;
        shortener.begin(Buffer.alloc(0));
        for (let at = 0; at < bytes.length; at += piece) shortener.write(bytes, at, Math.min(bytes.length, at + piece));
        const kept = shortener.end();
        assert.ok(kept.length < 67_000);
        const line = decoder.decode(kept, 0, kept.length, bytes.length);
        assert.ok(line.kind === 'message');
        assert.deepEqual([line.prefix, line.start === line.end], [known, true]);
        assert.ok(line.size >= 100_000);
      }
    }
  });
});

describe('what pgoutput tells of a table', () => {
  const historicKey = (table: Table): readonly string[] | undefined => {
    const line = reading(table)(
      insert(
        table.oid,
        table.columns.map(() => '1'),
      ),
    );
    assert.equal(line.kind, 'change');
    return line.historicKey;
  };
  const columns = [
    { name: 'b', typeOid: 23, isKey: true },
    { name: 'x', typeOid: 23 },
    { name: 'user', typeOid: 23, isKey: true },
  ];

  it('is its primary key at write time, under the default replica identity', () => {
    assert.deepEqual(historicKey({ ...USERS, columns }), ['b', '"user"']);
  });

  it('is no key under another replica identity, whose flags mean something else', () => {
    for (const identity of ['n', 'i', 'f']) assert.equal(historicKey({ ...USERS, identity, columns }), undefined);
  });

  it('is no key where there was none', () => {
    assert.equal(historicKey({ ...USERS, columns: [{ name: 'x', typeOid: 23 }] }), undefined);
  });

  it('counts until it tells anew: columns that came, went and changed their type', () => {
    const decode = reading(USERS);
    const altered = { ...USERS, columns: [{ name: 'id', typeOid: 25, isKey: true }] };
    decode(relation(altered));
    assert.deepEqual(row(decode(insert(USERS.oid, ['x']))), {
      operation: 'INSERT',
      table: 'public."Users ""x"""',
      new: { id: ['text', 'x'] },
      old: undefined,
    });
  });

  it('gives the same objects for the same names, from reading to reading', () => {
    const decoder = new PgoutputDecoder(NAMES);
    const read = () => {
      decoder.begin();
      const told = relation(USERS);
      decoder.decode(told, 0, told.length);
      const bytes = insert(USERS.oid, ['1', '2', 't', '1']);
      const line = decoder.decode(bytes, 0, bytes.length);
      assert.equal(line.kind, 'change');
      return { table: line.table, headers: [...(line.newTuple?.headers ?? [])] };
    };
    const [first, second] = [read(), read()];
    assert.equal(first.table, second.table);
    first.headers.forEach((header, i) => assert.equal(header, second.headers[i]));
  });

  it('names a type that the catalogs do not know as its own message did, and an array of it not as an array', () => {
    const decode = reading();
    decode(type(30_000, 'public', 'Mood'));
    decode(type(30_001, 'public', '_Mood'));
    decode(type(30_002, 'pg_catalog', 'int4'));
    const table = {
      ...USERS,
      columns: [30_000, 30_001, 30_002, 30_003].map((typeOid, i) => ({ name: `c${i}`, typeOid })),
    };
    decode(relation(table));
    const line = decode(insert(table.oid, ['a', '{a}', '1', 'x']));
    assert.equal(line.kind, 'change');
    assert.deepEqual(
      line.newTuple?.headers.map((header) => header.type),
      ['public."Mood"', 'public."_Mood"', 'int4', 'unknown'],
    );
  });
});

describe('what is not the protocol', () => {
  const refused = (bytes: Buffer, offset: number, expected: RegExp, tables: readonly Table[] = [USERS]): void => {
    assert.throws(
      () => reading(...tables)(bytes),
      (error: unknown) => {
        assert.ok(error instanceof UndecodableError, String(error));
        assert.match(error.expected, expected);
        assert.equal(error.offset, offset);
        return true;
      },
    );
  };

  it('is refused, with the place: no message, an unknown kind, a message of another version', () => {
    refused(Buffer.alloc(0), 0, /a message/);
    refused(Buffer.from('Sx'), 0, /protocol version 1/);
    refused(Buffer.from('c'), 0, /protocol version 1/);
  });

  it('is refused where a table was not told of before its rows, also when an earlier reading did', () => {
    refused(insert(99, ['1']), 5, /told of before its rows/);
    refused(truncate([USERS.oid, 99]), 14, /told of before its rows/);
    const decoder = new PgoutputDecoder(NAMES);
    const told = relation(USERS);
    decoder.decode(told, 0, told.length);
    decoder.begin();
    const bytes = insert(USERS.oid, ['1', '2', 't', '1']);
    assert.throws(() => decoder.decode(bytes, 0, bytes.length), UndecodableError);
  });

  it('is refused where a row has other columns than its table, or a value comes in another way than text', () => {
    refused(insert(USERS.oid, ['1']), 6, /as many columns/);
    const binary = insert(USERS.oid, ['1', '2', 't', '1']);
    binary.write('b', 8);
    refused(binary, 8, /a value as text/);
    const elided = insert(USERS.oid, ['1', '2', 't', '1']);
    elided.write('e', 8);
    refused(elided, 8, /a value as text/);
  });

  it('is refused where a row is of another part than its operation has', () => {
    const bytes = insert(USERS.oid, ['1', '2', 't', '1']);
    bytes.write('K', 5);
    refused(bytes, 5, /a new row/);
    const deletion = remove(USERS.oid, ['1', null, null, null]);
    deletion.write('N', 5);
    refused(deletion, 5, /an old row/);
  });

  it('is refused where the message goes on', () => {
    for (const bytes of [begin(1, MICROS), commit(MICROS), relation(USERS), truncate([USERS.oid]), origin('o')]) {
      refused(Buffer.concat([bytes, Buffer.from([0])]), bytes.length, /the end of the message/);
    }
  });
});

describe('texts of pgoutput that are no UTF-8', () => {
  const raw = Buffer.from([0xff]);
  const LETTERS: Table = {
    oid: 20_002,
    schema: 'public',
    name: 'letters',
    columns: [
      { name: 'c', typeOid: 18, isKey: true },
      { name: 'v', typeOid: 25 },
      { name: 'p', typeOid: 16_400 },
    ],
  };

  it('are written again where the type prints raw bytes, old rows, too', () => {
    const decode = reading(LETTERS);
    const pair = Buffer.concat([Buffer.from('('), raw, Buffer.from(',é)')]);
    const line = row(decode(update(LETTERS.oid, ['a', 'é', pair], [raw, null, null])));
    assert.deepEqual(line, {
      operation: 'UPDATE',
      table: 'public.letters',
      new: { c: ['unknown', 'a'], v: ['text', 'é'], p: ['unknown', '("\\\\377",é)'] },
      old: { c: ['unknown', '\\377'] },
    });
    // The next row is decoded from its own bytes.
    assert.deepEqual(row(decode(insert(LETTERS.oid, ['b', null, null]))), {
      operation: 'INSERT',
      table: 'public.letters',
      new: { c: ['unknown', 'b'], v: ['text', null], p: ['unknown', null] },
      old: undefined,
    });
  });

  it('are refused in a database that ensures nothing, in names, too', () => {
    const decoder = new PgoutputDecoder(NAMES);
    decoder.begin(true);
    const decode = (bytes: Buffer) => decoder.decode(bytes, 0, bytes.length);
    decode(relation(LETTERS));
    const offset = insert(LETTERS.oid, ['a']).length + 5;
    for (const [bytes, at] of [
      [insert(LETTERS.oid, ['a', raw, null]), offset],
      [type(20_003, 'public', raw), 12],
    ] as const)
      assert.throws(
        () => decode(bytes),
        (error: unknown) => error instanceof UndecodableError && /UTF-8/.test(error.expected) && error.offset === at,
      );
    assert.equal(decode(insert(LETTERS.oid, ['a', 'é', null])).kind, 'change');
  });
});
