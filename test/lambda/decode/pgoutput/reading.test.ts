/** What the decoder of pgoutput knows from reading to reading, which values it looks into, and what is left of a row that is cut. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RowChange, ValueKind } from '../../../../lambda/decode/messages.ts';
import { PgoutputDecoder } from '../../../../lambda/decode/pgoutput/decoder.ts';
import { limitsFor, PgoutputRowShortener } from '../../../../lambda/decode/pgoutput/row-shortener.ts';
import { cells, insert, message, NAMES, relation, remove, type Table, truncate, type, update } from './printer.ts';

const RAW = Buffer.from([0xff]);

function tableOf(oid: number, columns: readonly (readonly [name: string, typeOid: number])[], name = `t${oid}`): Table {
  return {
    oid,
    schema: 's',
    name,
    identity: 'f',
    columns: columns.map(([column, typeOid]) => ({ name: column, typeOid })),
  };
}

function reading(decoder = new PgoutputDecoder(NAMES)) {
  const decode = (bytes: Buffer) => decoder.decode(bytes, 0, bytes.length);
  return {
    decoder,
    decode,
    row: (bytes: Buffer): RowChange => {
      const line = decode(bytes);
      assert.equal(line.kind, 'change');
      return line;
    },
  };
}

describe('the decoder of pgoutput', () => {
  it('comes as bytes', () => assert.equal(new PgoutputDecoder(NAMES).isBinary, true));

  it('forgets with each reading what types were named', () => {
    const { decoder, decode, row } = reading();
    const told = relation(tableOf(1, [['c', 30_000]]));
    decode(type(30_000, 'public', 'mood'));
    decode(told);
    assert.equal(row(insert(1, ['a'])).newTuple?.headers[0]?.type, 'public.mood');
    decoder.begin();
    decode(told);
    assert.equal(row(insert(1, ['a'])).newTuple?.headers[0]?.type, 'unknown');
  });

  it('names a type of the catalogs without a schema', () => {
    const { decode, row } = reading();
    decode(type(30_000, '', 'odd'));
    decode(type(30_001, 'pg_catalog', 'odd2'));
    decode(
      relation(
        tableOf(1, [
          ['c', 30_000],
          ['d', 30_001],
        ]),
      ),
    );
    assert.deepEqual(
      row(insert(1, ['a', 'b'])).newTuple?.headers.map((header) => header.type),
      ['odd', 'odd2'],
    );
  });

  it('gives names and columns one object each, with small numbers, for as long as it knows them', () => {
    const { decode, row } = reading();
    const [one, two] = [
      tableOf(1, [
        ['a', 23],
        ['b', 25],
      ]),
      tableOf(2, [
        ['a', 23],
        ['c', 25],
      ]),
    ];
    const tables = new Set<unknown>();
    const headers = new Map<number, unknown>();
    for (let i = 0; i < 3; i++) {
      for (const table of [one, two]) {
        decode(relation(table));
        const change = row(insert(table.oid, ['1', '2']));
        tables.add(change.table);
        for (const header of change.newTuple?.headers.slice(0, 2) ?? []) {
          assert.equal(headers.get(header.id) ?? header, header);
          headers.set(header.id, header);
        }
      }
    }
    assert.equal(tables.size, 2);
    assert.deepEqual([...headers.keys()].sort(), [0, 1, 2]);
  });

  it('forgets when it knows too many, and uses no number twice', () => {
    const { decode, row } = reading(new PgoutputDecoder(NAMES, 2));
    const seen = new Map<number, string>();
    const objects = new Set<unknown>();
    for (let i = 0; i < 40; i++) {
      const n = i % 8;
      decode(relation(tableOf(n, [[`c${n}`, 25]])));
      const change = row(insert(n, ['x']));
      objects.add(change.table);
      const header = change.newTuple?.headers[0];
      assert.ok(header !== undefined && header.id >= 0);
      assert.equal(seen.get(header.id) ?? header.name, header.name);
      seen.set(header.id, header.name);
    }
    assert.ok(seen.size > 8 && objects.size > 8, 'it did forget');
  });

  it('takes the newest that it was told of a table', () => {
    const { decode, row } = reading();
    decode(relation(tableOf(1, [['a', 23]])));
    row(insert(1, ['1']));
    decode(relation(tableOf(1, [['b', 25]])));
    const change = row(insert(1, ['x']));
    assert.deepEqual(cells(change.newTuple, change.bytes), { b: ['text', 'x'] });
  });

  it('tells bits of both types', () => {
    const { decode, row } = reading();
    decode(
      relation(
        tableOf(1, [
          ['a', 1560],
          ['b', 1562],
          ['c', 25],
        ]),
      ),
    );
    assert.deepEqual(row(insert(1, ['1', '0', '1'])).newTuple?.kinds, [
      ValueKind.bits,
      ValueKind.bits,
      ValueKind.quoted,
    ]);
  });
});

describe('values of pgoutput that are no UTF-8', () => {
  /** What becomes of a value of one byte ff. */
  const of = (typeOid: number): Buffer => {
    const { decode, row } = reading();
    decode(relation(tableOf(1, [['c', typeOid]])));
    const { newTuple, bytes } = row(insert(1, [RAW]));
    return bytes.subarray(newTuple?.starts[0], newTuple?.ends[0]);
  };

  it('are written again where the type is "char", or of a user', () => {
    for (const typeOid of [18, 16_384, 16_385, 99_999]) assert.equal(of(typeOid).toString(), '\\377', `${typeOid}`);
    assert.equal(of(1002).toString(), '\\377');
  });

  it("are believed where the type is the server's own: it does not print such", () => {
    for (const typeOid of [25, 16_383]) assert.deepEqual(of(typeOid), RAW);
  });

  it('are written again in each row, and leave nothing for the next', () => {
    const { decode, row } = reading();
    decode(
      relation(
        tableOf(1, [
          ['a', 18],
          ['b', 25],
          ['c', 18],
        ]),
      ),
    );
    const whole = row(update(1, [RAW, 'é€', RAW], ['x', 'y', RAW], 'O'));
    assert.deepEqual(cells(whole.newTuple, whole.bytes), {
      a: ['unknown', '\\377'],
      b: ['text', 'é€'],
      c: ['unknown', '\\377'],
    });
    assert.deepEqual(cells(whole.oldTuple, whole.bytes), {
      a: ['unknown', 'x'],
      b: ['text', 'y'],
      c: ['unknown', '\\377'],
    });
    const part = row(remove(1, [RAW, null, null], 'K'));
    assert.deepEqual(cells(part.oldTuple, part.bytes), { a: ['unknown', '\\377'] });
  });
});

describe('a row of pgoutput that is shortened', () => {
  const shortened = (bytes: Buffer): Buffer => {
    const shortener = new PgoutputRowShortener(limitsFor(1_000));
    shortener.begin(Buffer.alloc(0));
    // Each piece in memory of its own.
    for (const byte of bytes) shortener.write(Buffer.from([byte]), 0, 1);
    return shortener.end();
  };

  it('is kept to its last column, and what follows is dropped', () => {
    for (const bytes of [
      insert(1, ['a', null, '']),
      update(1, ['a', undefined, 'b']),
      update(1, ['a', '', 'b'], ['c', null, 'd'], 'O'),
      update(1, ['a', 'b', ''], ['c', null, null], 'K'),
      remove(1, ['a', 'b', '']),
      remove(1, []),
    ]) {
      assert.deepEqual(shortened(bytes), bytes);
      for (const behind of ['N\0\x01n', 'K', 'x'])
        assert.deepEqual(shortened(Buffer.concat([bytes, Buffer.from(behind)])), bytes);
    }
  });

  it('is kept to its kind where it is none', () => {
    const told = relation(tableOf(1, [['a', 23]]));
    assert.equal(shortened(told).toString(), 'R');
    assert.equal(shortened(truncate([1, 2])).toString(), 'T');
  });
});

describe('a logical message of pgoutput that was too large', () => {
  const whole = message('pre', Buffer.alloc(100, 7), false);
  const zero = whole.indexOf(0, 10);

  for (const [kept, prefix] of [
    [zero, undefined],
    [zero + 1, undefined],
    [zero + 4, undefined],
    [zero + 5, 'pre'],
    [zero + 20, 'pre'],
  ] as const)
    it(`has ${prefix === undefined ? 'no prefix' : 'its prefix and size'} where ${kept} bytes of it are kept`, () => {
      const around = Buffer.concat([Buffer.from('xy'), whole.subarray(0, kept), Buffer.from('z')]);
      const line = new PgoutputDecoder(NAMES).decode(around, 2, 2 + kept, whole.length);
      assert.ok(line.kind === 'message');
      assert.deepEqual([line.prefix, line.transactional, line.start, line.end], [prefix, false, 2 + kept, 2 + kept]);
      // Without its prefix all behind the numbers counts.
      assert.equal(line.size, prefix === undefined ? whole.length - 10 : 100);
    });
});
