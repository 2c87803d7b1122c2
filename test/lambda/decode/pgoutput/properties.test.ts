/** Properties of the decoder: what is sent is read back, and what is damaged is refused or read whole, never guessed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { UndecodableError } from '../../../../lambda/decode/messages.ts';
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
  update,
  type Value,
} from './printer.ts';

const SECRET = 'sEcReT';
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).map((text) => text.replaceAll('\0', '_'));
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\0', '')) },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant(undefined) },
);

/** A table, a row of it and an old one. */
const row = fc
  .uniqueArray(name, { minLength: 1, maxLength: 6 })
  .chain((names) => {
    const values = fc.array(value, { minLength: names.length, maxLength: names.length });
    return fc.tuple(fc.constant(names), name, name, values, values, fc.constantFrom('I', 'U', 'u', 'D', 'd'));
  })
  .map(([names, schema, table, now, old, kind]) => {
    const told: Table = {
      oid: 16_500,
      schema,
      name: table,
      identity: kind === 'u' || kind === 'd' ? 'f' : 'd',
      columns: names.map((column, i) => ({ name: column, typeOid: 25, isKey: i === 0 })),
    };
    const part = kind === 'u' || kind === 'd' ? 'O' : 'K';
    const bytes =
      kind === 'I'
        ? insert(told.oid, now)
        : kind === 'U' || kind === 'u'
          ? update(told.oid, now, old, part)
          : remove(told.oid, old, part);
    return { told, names, now, old, kind, bytes };
  });

function told(decoder: PgoutputDecoder, table: Table): void {
  const bytes = relation(table);
  decoder.decode(bytes, 0, bytes.length);
}

const cellsOf = (names: readonly string[], values: readonly Value[], nulls: boolean): object =>
  Object.fromEntries(
    names.map((column, i) => [column, ['text', values[i]]] as const).filter(([, [, sent]]) => nulls || sent !== null),
  );

describe('what pgoutput sends', () => {
  it('is read back, row by row', () => {
    const decoder = new PgoutputDecoder(NAMES);
    fc.assert(
      fc.property(row, ({ told: table, names, now, old, kind, bytes }) => {
        told(decoder, table);
        const line = decoder.decode(bytes, 0, bytes.length);
        assert.equal(line.kind, 'change');
        const { new: newCells, old: oldCells } = shown(line) as { new: unknown; old: unknown };
        const upper = kind.toUpperCase();
        assert.deepEqual(newCells, upper === 'D' ? undefined : cellsOf(names, now, true));
        assert.deepEqual(oldCells, upper === 'I' ? undefined : cellsOf(names, old, false));
        assert.deepEqual([line.table.schema, line.table.name], [table.schema, table.name]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is refused when it is cut anywhere, and the refusal shows nothing of it', () => {
    const whole = fc.oneof(
      row.map(({ bytes }) => bytes),
      fc.constantFrom(
        begin(7, 1n),
        commit(1n),
        truncate([16_500, 16_500]),
        origin(SECRET),
        message(SECRET, Buffer.from(SECRET)),
        relation({ oid: 1, schema: SECRET, name: SECRET, columns: [{ name: SECRET, typeOid: 25 }] }),
      ),
    );
    const table: Table = { oid: 16_500, schema: 's', name: 't', columns: [{ name: 'c', typeOid: 25 }] };
    fc.assert(
      fc.property(whole, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (bytes, where) => {
        const decoder = new PgoutputDecoder(NAMES);
        told(decoder, table);
        const cut = Math.floor(where * bytes.length);
        assert.throws(
          () => decoder.decode(bytes, 0, cut),
          (error: unknown) => {
            assert.ok(error instanceof UndecodableError, String(error));
            assert.ok(!error.message.includes(SECRET));
            assert.ok(error.offset <= cut);
            return true;
          },
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('is refused or read when bytes of it are others, and never fails otherwise', () => {
    fc.assert(
      fc.property(
        row,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        ({ told: table, bytes }, changes) => {
          const damaged = Buffer.from(bytes);
          for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
          const decoder = new PgoutputDecoder(NAMES);
          told(decoder, table);
          try {
            decoder.decode(damaged, 0, damaged.length);
          } catch (error) {
            assert.ok(error instanceof UndecodableError, String(error));
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('a message that is shortened', () => {
  it('keeps every small value and says which were left out, in whatever pieces it comes', () => {
    const maxRecordBytes = 8 * 1024;
    const decoder = new PgoutputDecoder(NAMES, undefined, maxRecordBytes);
    const large = 'x'.repeat(2 * maxRecordBytes + 1);
    const sized = fc.oneof(value, fc.constant(large));
    const rows = fc.array(sized, { minLength: 4, maxLength: 4 });
    const names = ['a', 'b', 'c', 'd'];
    const table: Table = {
      oid: 16_500,
      schema: 's',
      name: 't',
      identity: 'f',
      columns: names.map((column) => ({ name: column, typeOid: 25 })),
    };
    told(decoder, table);
    fc.assert(
      fc.property(rows, rows, fc.integer({ min: 1, max: 9_000 }), fc.boolean(), (now, old, piece, updates) => {
        const bytes = updates ? update(table.oid, now, old, 'O') : remove(table.oid, old, 'O');
        const header = Buffer.from('header');
        const { shortener } = decoder;
        shortener.begin(header);
        for (let at = 0; at < bytes.length; at += piece) shortener.write(bytes, at, Math.min(bytes.length, at + piece));
        const kept = shortener.end();
        assert.ok(kept.length <= header.length + 4 * maxRecordBytes + 8 * 8 * 1024 + 100);
        const line: DecodedMessage = decoder.decode(kept, header.length, kept.length, bytes.length);
        assert.equal(line.kind, 'change');
        const { new: newCells, old: oldCells } = shown(line) as { new: unknown; old: unknown };
        const elided = (values: readonly Value[]) => values.map((sent) => (sent === large ? 'elided' : sent));
        if (updates) assert.deepEqual(newCells, cellsOf(names, elided(now), true));
        assert.deepEqual(oldCells, cellsOf(names, elided(old), false));
      }),
      { numRuns: 300 },
    );
  });
});
