/** I8: what each plugin's shortener keeps of a row that is too large, to the byte: by the size of a record alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RowChange } from '../../../lambda/decode/messages.ts';
import { ValueKind } from '../../../lambda/decode/messages.ts';
import { PgoutputDecoder } from '../../../lambda/decode/pgoutput/decoder.ts';
import { limitsFor as pgoutputLimits } from '../../../lambda/decode/pgoutput/row-shortener.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { limitsForRecord as testDecodingLimits } from '../../../lambda/decode/test-decoding/row-shortener.ts';
import { Wal2jsonDecoder } from '../../../lambda/decode/wal2json/decoder.ts';
import { limitsFor as wal2jsonLimits } from '../../../lambda/decode/wal2json/row-shortener.ts';
import { insert, NAMES, relation } from './pgoutput/printer.ts';

const RECORD = 10_000;
/** A value that is longer prints in no record. */
const MAX_VALUE = 2 * RECORD;
/** A row of more is shortened. */
const MAX_ROW = 4 * RECORD;
/** A value up to this is always kept. */
const SMALL = 8 * 1024;

const HEADER = Buffer.from('header');
const NAMES_OF_COLUMNS = ['a', 'b', 'c', 'd', 'e'];

/** A plugin: how it writes a row of texts, and what counts of a value of so many letters. */
interface Plugin {
  readonly name: string;
  readonly make: () => PgoutputDecoder | TestDecodingDecoder | Wal2jsonDecoder;
  /** A row's line. */
  readonly line: (values: readonly string[]) => Buffer;
  /** What counts of a value besides its letters. */
  readonly around: number;
  /** How much of the line counts besides the letters of the last of these values when that ends. */
  readonly before: (values: readonly string[]) => number;
}

const json = (values: readonly string[]): string =>
  `I","xid":7,"timestamp":"2026-11-26 11:44:46+00","schema":"s","table":"t","columns":[${values
    .map((value, i) => `{"name":"${NAMES_OF_COLUMNS[i]}","typeoid":25,"value":"${value}"}`)
    .join()}`;
const text = (values: readonly string[]): string =>
  `table s.t: INSERT:${values.map((value, i) => ` ${NAMES_OF_COLUMNS[i]}[text]:'${value}'`).join('')}`;
const full = (values: readonly string[]): string[] => [...values, ...Array<string>(5 - values.length).fill('')];

const PLUGINS: readonly Plugin[] = [
  {
    name: 'test_decoding',
    make: () => new TestDecodingDecoder(undefined, RECORD),
    line: (values) => Buffer.from(text(values)),
    around: 2,
    before: (values) => text(values).length - (values.at(-1)?.length ?? 0),
  },
  {
    name: 'pgoutput',
    make: () => new PgoutputDecoder(NAMES, undefined, RECORD),
    line: (values) => insert(20_001, full(values)),
    around: 0,
    // The kind and the length of the last value do not count.
    before: (values) => 8 + values.slice(0, -1).reduce((sum, value) => sum + 5 + value.length, 0),
  },
  {
    name: 'wal2json',
    make: () => new Wal2jsonDecoder(NAMES, undefined, RECORD),
    line: (values) => Buffer.from(`${json(values)}],"pk":[]}`),
    around: 2,
    before: (values) => json(values).length - 1 - (values.at(-1)?.length ?? 0),
  },
];

/** Which values of a row are kept when it comes in pieces of this size. */
function keeps({ make, line }: Plugin, lengths: readonly number[], piece: number): boolean[] {
  const decoder = make();
  if (decoder instanceof PgoutputDecoder) {
    const columns = NAMES_OF_COLUMNS.map((name) => ({ name, typeOid: 25 }));
    const told = relation({ oid: 20_001, schema: 's', name: 't', columns });
    decoder.decode(told, 0, told.length);
  }
  const values = lengths.map((length) => 'x'.repeat(length));
  const bytes = line(values);
  const { shortener } = decoder;
  shortener.begin(HEADER);
  for (let at = 0; at < bytes.length; at += piece) shortener.write(bytes, at, Math.min(bytes.length, at + piece));
  const kept = shortener.end();
  assert.ok(kept.subarray(0, HEADER.length).equals(HEADER));
  const change = decoder.decode(kept, HEADER.length, kept.length, bytes.length) as RowChange;
  const { newTuple } = change;
  assert.equal(change.oversizeBytes, bytes.length);
  return values.map((value, i) => {
    const kind = newTuple?.kinds[i];
    if (kind === ValueKind.elided) return false;
    assert.equal(change.bytes.toString('utf8', newTuple?.starts[i], newTuple?.ends[i]), value);
    return true;
  });
}

for (const plugin of PLUGINS) {
  const { name, around, before, make } = plugin;
  describe(`a row of ${name} that is too large for a record`, () => {
    for (const piece of [1_000, 7_777, 1_000_000]) {
      it(`keeps a value of the most bytes, and no longer one, in pieces of ${piece}`, () => {
        assert.deepEqual(keeps(plugin, [MAX_VALUE - around, 3], piece), [true, true]);
        assert.deepEqual(keeps(plugin, [MAX_VALUE - around + 1, 3], piece), [false, true]);
      });

      it(`keeps values until so much is kept, in pieces of ${piece}`, () => {
        const first = 'x'.repeat(MAX_VALUE - around);
        const second = MAX_ROW - HEADER.length - before([first, '']);
        assert.ok(second > SMALL && second < MAX_VALUE - around);
        assert.deepEqual(keeps(plugin, [first.length, second, 3], piece), [true, true, true]);
        assert.deepEqual(keeps(plugin, [first.length, second + 1, 3], piece), [true, false, true]);
      });

      it(`keeps small values however much is kept, in pieces of ${piece}`, () => {
        const first = 'x'.repeat(MAX_VALUE - around);
        const second = MAX_ROW - HEADER.length - before([first, '']);
        const lengths = [first.length, second, SMALL - around, SMALL - around + 1, 0];
        assert.deepEqual(keeps(plugin, lengths, piece), [true, true, true, false, true]);
      });
    }

    it('is a line of more bytes than four records', () => assert.equal(make().maxRowBytes, MAX_ROW));
  });
}

describe('the limits by the size of a record', () => {
  it('are said in full', () => {
    assert.deepEqual(testDecodingLimits(1_000), {
      valueBytes: 2_000,
      lineBytes: 4_000,
      messageBytes: 66_560,
      smallBytes: 8_192,
      restBytes: 33_554_432,
    });
    assert.deepEqual(pgoutputLimits(1_000), {
      valueBytes: 2_000,
      messageBytes: 4_000,
      logicalMessageBytes: 66_560,
      smallBytes: 8_192,
    });
    assert.deepEqual(wal2jsonLimits(1_000), { valueBytes: 2_000, lineBytes: 4_000, smallBytes: 8_192 });
  });

  it('are those of a record of 1 MiB unless said otherwise', () => {
    for (const decoder of [new TestDecodingDecoder(), new PgoutputDecoder(NAMES), new Wal2jsonDecoder(NAMES)])
      assert.equal(decoder.maxRowBytes, 4 * 1024 * 1024);
  });
});
