/** Rows of wal2json: what is made of the two lists of an UPDATE, and that nothing of an earlier line is in a later one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RowChange, type Tuple, ValueKind } from '../../../../lambda/decode/messages.ts';
import type { ServerNames } from '../../../../lambda/decode/server-names.ts';
import { Wal2jsonDecoder } from '../../../../lambda/decode/wal2json/decoder.ts';
import { Wal2jsonRowShortener } from '../../../../lambda/decode/wal2json/row-shortener.ts';
import { NAMES } from '../pgoutput/printer.ts';

const HEAD = '","xid":726,"timestamp":"2026-11-26 11:44:46.388573+00"';

/** A column and its value: text, or JSON as it is written. */
type Written = readonly [name: string, json: string, oid?: number];

const list = (columns: readonly Written[]): string =>
  columns.map(([name, json, oid = 25]) => `{"name":"${name}","typeoid":${oid},"value":${json}}`).join();
const pk = (...names: readonly string[]): string =>
  `"pk":[${names.map((name) => `{"name":"${name}","typeoid":25}`).join()}]`;

function line(
  letter: string,
  parts: { now?: readonly Written[]; old?: readonly Written[]; key?: readonly string[]; table?: string },
): string {
  const { now, old, key = [], table = 't' } = parts;
  return `${letter}${HEAD},"schema":"public","table":"${table}"${now === undefined ? '' : `,"columns":[${list(now)}]`}${
    old === undefined ? '' : `,"identity":[${list(old)}]`
  },${pk(...key)}}`;
}

function decoding(names: ServerNames = NAMES, decoder = new Wal2jsonDecoder(names)) {
  return (text: string | Buffer, oversizeBytes?: number): RowChange => {
    const bytes = Buffer.from(text as string);
    const decoded = decoder.decode(bytes, 0, bytes.length, oversizeBytes);
    assert.equal(decoded.kind, 'change');
    return decoded;
  };
}

/** Names and texts of a tuple, in its order. */
function shown(tuple: Tuple | undefined, bytes: Buffer): (readonly [string, string | null])[] | undefined {
  return (
    tuple &&
    Array.from({ length: tuple.count }, (_, i) => {
      const kind = tuple.kinds[i];
      const text =
        kind === ValueKind.null
          ? null
          : kind === ValueKind.elided
            ? 'elided'
            : bytes.toString('utf8', tuple.starts[i], tuple.ends[i]);
      return [tuple.headers[i]?.name ?? '?', text] as const;
    })
  );
}
const both = (change: RowChange) => [shown(change.oldTuple, change.bytes), shown(change.newTuple, change.bytes)];

const A: Written = ['a', '"1"'];
const B: Written = ['b', '"2"'];
const C: Written = ['c', '"3"'];
const told = ([name, json]: Written): readonly [string, string | null] => [name, JSON.parse(json) as string | null];

describe('the old row of an UPDATE', () => {
  const cases: readonly (readonly [
    what: string,
    now: readonly Written[],
    old: readonly Written[],
    key: readonly string[],
    isThere: boolean,
  ])[] = [
    ['is none where the list says the key again', [A, B], [A], ['a'], false],
    ['is none where it says a composite key again', [A, B, C], [A, B], ['a', 'b'], false],
    ['is none where the whole row is the key, and did not change', [A, B], [A, B], ['a', 'b'], false],
    ['is none where an index that is not the key is said again', [A, B, C], [B], ['a'], false],
    ['is there where one part of the key changed', [A, B, C], [A, ['b', '"9"']], ['a', 'b'], true],
    ['is there where the key became NULL in between', [['a', 'null'], B], [A], ['a'], true],
    ['is there where all columns are listed: the whole row was logged', [A, B], [A, B], ['a'], true],
    ['is there where all columns are listed and there is no key', [A, B], [A, B], [], true],
    ['is there where more is listed than the new row has', [A], [A, B], ['a'], true],
    ['is there where all columns are listed, as many as the key has, and are not the key', [B], [B], ['a'], true],
    ['is there where all columns are listed, and only the first is of the key', [A, C], [A, C], ['a', 'b'], true],
    ['is there where a value is another kind of the same text', [['a', '1'], B], [['a', '"1"']], ['a'], true],
    ['is there where a value has more at its end', [A, B], [['a', '"12"']], ['a'], true],
    ['is there where it has a column that the new row lacks', [B, C], [A], ['a'], true],
  ];
  for (const [what, now, old, key, isThere] of cases)
    it(what, () => {
      const decode = decoding();
      for (let i = 0; i < 2; i++) {
        const change = decode(line('U', { now, old, key }));
        assert.equal(change.operation, 'UPDATE');
        const before = shown(change.oldTuple, change.bytes);
        assert.deepEqual(before, isThere ? old.map(told) : undefined);
      }
    });

  it('is there where a value of it was too large to be kept: it may have changed', () => {
    const now: Written = ['a', 'elided'];
    const change = decoding()(line('U', { now: [now, B], old: [now], key: ['a'] }), 9_999_999);
    assert.deepEqual(shown(change.oldTuple, change.bytes), [['a', 'elided']]);
  });

  it('gives the new row what that lacks, each at the place that it has there', () => {
    const decode = decoding();
    for (const [now, old, expected] of [
      [[B], [A, B, C], ['a', 'b', 'c']],
      [
        [A, C],
        [A, B, C],
        ['a', 'b', 'c'],
      ],
      [[C], [A, B, C], ['a', 'b', 'c']],
      [[A], [A, B, C], ['a', 'b', 'c']],
      [[], [A, B, C], ['a', 'b', 'c']],
      [
        [['x', '"0"'], B],
        [A, B],
        ['a', 'x', 'b'],
      ],
    ] as readonly (readonly [readonly Written[], readonly Written[], readonly string[]])[]) {
      const { newTuple, bytes } = decode(line('U', { now, old, key: ['a'] }));
      assert.deepEqual(
        shown(newTuple, bytes)?.map(([name]) => name),
        expected,
      );
      const values = new Map([A, B, C].map(told));
      for (const [name, text] of shown(newTuple, bytes) ?? []) assert.equal(text, values.get(name) ?? '0');
    }
  });
});

describe('a line of wal2json', () => {
  it('takes a column of an earlier row at the same place for none of its own', () => {
    const decode = decoding();
    const empty: Written = ['b', '""'];
    decode(line('I', { now: [A, empty], key: ['a', 'b'] }));
    const update = decode(line('U', { now: [A], old: [A, empty], key: ['a', 'b'] }));
    const whole = [A, empty].map(told);
    assert.deepEqual(both(update), [whole, whole]);
  });

  it('of a DELETE has its old row, also where the INSERT before it had the same at the same place', () => {
    const decode = decoding();
    // One list has a longer name, one table.
    decode(line('I', { now: [A], key: ['a'], table: 'tt' }));
    assert.deepEqual(both(decode(line('D', { old: [A], key: ['a'] }))), [[told(A)], undefined]);
  });

  it('has nothing of the row before it', () => {
    const decode = decoding();
    const update = line('U', { now: [A], old: [A, B, C], key: ['a'] });
    const insert = line('I', { now: [['x', '"7"']] });
    const remove = line('D', { old: [['y', '"8"']] });
    for (const before of [update, insert, remove]) {
      decode(before);
      assert.deepEqual(both(decode(insert)), [undefined, [['x', '7']]]);
      decode(before);
      assert.deepEqual(both(decode(remove)), [[['y', '8']], undefined]);
    }
    decode(update);
    assert.deepEqual(both(decode(line('U', { now: [A], old: [B] }))), [
      [['b', '2']],
      [
        ['b', '2'],
        ['a', '1'],
      ],
    ]);
  });

  it('that ends before a value is refused there, whatever an earlier line had in its place', () => {
    const decode = decoding();
    for (const json of ['77777', '"text"', 'true', 'null']) {
      const whole = line('I', { now: [['a', json]] });
      decode(whole);
      const at = whole.indexOf(json);
      assert.throws(() => decode(whole.slice(0, at)), { message: `expected a value at byte ${at}` });
    }
  });

  it('of an INSERT with an old row is none', () => {
    assert.throws(() => decoding()(line('I', { now: [A], old: [A] })), /expected ",\\"pk\\":\["/);
  });

  it('of a message is passed over: nobody asked for it', () => {
    const bytes = Buffer.from(`M${HEAD},"transactional":false,"prefix":"p","content":"c"}`);
    assert.deepEqual(new Wal2jsonDecoder(NAMES).decode(bytes, 0, bytes.length), { kind: 'ignored' });
  });

  it('is read whatever its size', () => {
    const long = 'é'.repeat(60_000);
    const decode = decoding();
    for (const text of ['short', long, 'short'])
      assert.deepEqual(both(decode(line('I', { now: [A, ['v', `"${text}"`]] })))[1], [
        ['a', '1'],
        ['v', text],
      ]);
  });

  it('is read while columns come and go behind others whose names and values are long', () => {
    const decode = decoding();
    const long: Written = ['l'.repeat(63), `"${'x'.repeat(900)}"`];
    for (const now of [
      [long, A],
      [long, B, A],
      [long, C],
      [A, long],
      [long, ['d', '"4"'], A, B, C],
    ] as Written[][]) {
      const change = decode(line('I', { now }));
      assert.deepEqual(shown(change.newTuple, change.bytes), now.map(told));
    }
  });

  it('is read while a table is altered more often than it can have columns', () => {
    const decode = decoding();
    for (let i = 0; i < 2_500; i++) {
      const now: Written[] = [A, [`c${i}`, `"${i}"`]];
      const change = decode(line('I', { now }));
      assert.deepEqual(shown(change.newTuple, change.bytes), now.map(told));
    }
  });

  it('gives a table and a column one object each, also by a decoder that keeps forgetting', () => {
    for (const limit of [1, 2, 32_768]) {
      const decode = decoding(NAMES, new Wal2jsonDecoder(NAMES, limit));
      for (let i = 0; i < 30; i++) {
        const table = `t${i % 7}`;
        const change = decode(line('I', { now: [[`c${i % 7}`, `"${i}"`]], table }));
        assert.equal(change.table.name, table);
        assert.deepEqual(shown(change.newTuple, change.bytes), [[`c${i % 7}`, `${i}`]]);
      }
    }
    const decode = decoding();
    const [one, two] = [decode(line('I', { now: [A] })).table, decode(line('I', { now: [A], table: 'u' })).table];
    assert.deepEqual(
      [decode(line('I', { now: [A] })).table, decode(line('I', { now: [A], table: 'u' })).table],
      [one, two],
    );
    assert.equal(decode(line('I', { now: [A] })).table, one);
  });

  it('has one object a column in its old and its new row, whenever a decoder forgets', () => {
    for (const limit of [1, 2, 3, 4]) {
      const decode = decoding(NAMES, new Wal2jsonDecoder(NAMES, limit));
      for (let i = 0; i < 30; i++) {
        const now: Written[] = [
          [`k${i % 5}`, '"1"'],
          [`v${i % 7}`, '"x"'],
          [`w${i % 3}`, '"y"'],
        ];
        const change = decode(line('U', { now, old: now.slice(0, 1), key: [`k${i % 5}`], table: `t${i % 4}` }));
        assert.deepEqual(shown(change.newTuple, change.bytes), now.map(told));
        assert.equal(change.oldTuple, undefined, 'it only says again what the new one does');
      }
    }
  });

  it('names a type by its number, which wal2json writes with a sign', () => {
    const names: ServerNames = { ...NAMES, typeName: (oid) => ({ 1: 'one', 4_294_967_295: 'last' })[oid] };
    const { newTuple } = decoding(names)(
      line('I', {
        now: [
          ['a', '"x"', -1],
          ['b', '"x"', 1],
        ] as never,
      }),
    );
    assert.deepEqual(
      newTuple?.headers.map(({ type }) => type),
      ['last', 'one'],
    );
  });

  it('knows types that were made since the last reading of the slot', () => {
    let name = 'old';
    const decoder = new Wal2jsonDecoder({ ...NAMES, typeName: () => name });
    const decode = decoding(NAMES, decoder);
    const insert = line('I', { now: [A] });
    assert.equal(decode(insert).newTuple?.headers[0]?.type, 'old');
    name = 'new';
    assert.equal(decode(insert).newTuple?.headers[0]?.type, 'old');
    decoder.begin();
    assert.equal(decode(insert).newTuple?.headers[0]?.type, 'new');
  });

  it('comes as bytes', () => assert.equal(new Wal2jsonDecoder(NAMES).isBinary, true));
});

describe('values of wal2json that are no UTF-8', () => {
  /** A line whose `ÿ` is the byte ff. */
  const raw = (text: string): Buffer => Buffer.from(text, 'latin1');

  it('are written again, in both rows, and the others stay where they are', () => {
    const decoder = new Wal2jsonDecoder(NAMES);
    decoder.begin();
    const text = line('U', {
      now: [A, ['x', '"ÿ"', 18], ['y', '"{ÿ,þ}"', 1002], ['n', 'null'], ['z', '"plain"']],
      old: [
        ['a', '"0"'],
        ['x', '"þ"', 18],
      ],
      key: ['a'],
    });
    const change = decoding(NAMES, decoder)(raw(text));
    assert.deepEqual(both(change), [
      [
        ['a', '0'],
        ['x', '\\376'],
      ],
      [
        ['a', '1'],
        ['x', '\\377'],
        ['y', '{"\\\\377","\\\\376"}'],
        ['n', null],
        ['z', 'plain'],
      ],
    ]);
  });

  it('are refused where the database ensures nothing', () => {
    const decoder = new Wal2jsonDecoder(NAMES);
    decoder.begin(true);
    const text = raw(line('I', { now: [['x', '"ÿ"', 18]] }));
    assert.throws(() => decoding(NAMES, decoder)(text), /UTF-8/);
    decoder.begin();
    assert.deepEqual(both(decoding(NAMES, decoder)(text))[1], [['x', '\\377']]);
  });
});

describe('a line of wal2json that comes in pieces of their own memory', () => {
  const limits = { valueBytes: 20, lineBytes: 10_000, smallBytes: 10 };

  it('keeps all but large strings, of which a word is left, wherever it is cut', () => {
    const text = String.raw`I","a":"\"","b":"${'x'.repeat(50)}\"","c":"\\","d":"${'\\"'.repeat(40)}","e":["s"]}`;
    const expected = String.raw`I","a":"\"","b":elided,"c":"\\","d":elided,"e":["s"]}`;
    for (let first = 0; first < text.length; first++) {
      for (const size of [1, 2, 3, 1_000]) {
        const shortener = new Wal2jsonRowShortener(limits);
        shortener.begin(Buffer.from('head'));
        for (let at = 0; at < text.length;) {
          const end = Math.min(text.length, at === 0 ? Math.max(1, first) : at + size);
          const piece = Buffer.from(text.slice(at, end));
          shortener.write(piece, 0, piece.length);
          at = end;
        }
        assert.equal(shortener.end().toString(), `head${expected}`, `${first} then ${size}`);
      }
    }
  });
});
