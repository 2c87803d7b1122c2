/** A row that a snapshot has read, in each format. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ValueKind } from '../../../lambda/decode/messages.ts';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import type { FormatOptions } from '../../../lambda/format/record.ts';
import { CopyTextReader, TOO_LARGE } from '../../../lambda/snapshot/copy-text-reader.ts';
import { RowSet } from '../../../lambda/snapshot/row-set.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';

const PLACE = { xid: 760, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n };

/** Reads `COPY ... TO STDOUT` of a table with an integer, a text, a boolean and bits. */
function read(copy: string, valueBytes = 1000): RowSet {
  const header = (id: number, name: string, type: string) => ({ id, printed: name, name, type });
  const columns = [
    { header: header(1, 'id', 'integer'), kind: ValueKind.quoted },
    { header: header(2, 'name', 'text'), kind: ValueKind.quoted },
    { header: header(3, 'ok', 'boolean'), kind: ValueKind.boolean },
    { header: header(4, 'bits', 'bit'), kind: ValueKind.bits },
  ];
  const reader = new CopyTextReader(columns.length, valueBytes);
  // In pieces of any size, as it streams.
  for (const byte of Buffer.from(copy)) reader.push(Buffer.from([byte]));
  return new RowSet({ printed: 'public.t', schema: 'public', name: 't' }, columns, ['id'], reader.values());
}

function write(format: keyof typeof FORMATS, rows: RowSet, over: Partial<FormatOptions> = {}): string {
  const change = rows.asChange(0);
  const { newTuple } = change;
  assert.ok(newTuple !== undefined);
  const out = new ByteWriter();
  FORMATS[format]({ ...FORMAT_OPTIONS, source: 'app/slot', ...over }).write(
    {
      operation: 'READ',
      table: rows.table,
      transaction: PLACE,
      ordinal: 3,
      lsn: PLACE.commitLsn,
      change,
      key: { count: 1, tuples: [newTuple], columns: [0] },
      otherKey: undefined,
      omitted: new Set(),
      truncated: false,
    },
    out,
  );
  return out.toString();
}

const ROW = String.raw`42	it's \t a\\b	t	101` + '\n';

describe('a row that a snapshot has read', () => {
  it('has the values that COPY prints', () => {
    const rows = read(`${ROW}43\t\\N\tf\t\\N\n44\t\\\\N\tt\t000\n`);
    assert.equal(rows.count, 3);
    assert.deepEqual(
      [0, 1, 2, 3].map((column) => rows.text(0, column)),
      ['42', "it's \t a\\b", 't', '101'],
    );
    assert.deepEqual(
      [1, 3].map((column) => rows.text(1, column)),
      [undefined, undefined],
    );
    assert.equal(rows.text(2, 1), '\\N');
    assert.deepEqual(rows.keyOf(2), ['44']);
  });

  it('lacks what comes behind twice the largest value, but for small values: memory does not grow with a row', () => {
    const reader = new CopyTextReader(5, 20_000);
    const row = (...sizes: readonly number[]): Buffer =>
      Buffer.from(`${sizes.map((size) => 'x'.repeat(size)).join('\t')}\n`);
    reader.push(row(15_000, 15_000, 15_000, 8_193, 8_192));
    reader.push(row(1, 20_000, 20_001, 19_999, 9_000));
    const { starts, ends } = reader.values();
    assert.deepEqual(
      starts.map((start, i) => (start < 0 ? start : (ends[i] ?? 0) - start)),
      [15_000, 15_000, 15_000, TOO_LARGE, 8_192, 1, 20_000, TOO_LARGE, 19_999, 9_000],
    );
  });

  it('lacks a value that is too large to be kept', () => {
    const rows = read(`1\t${'x'.repeat(60)}\tt\t101\n`, 50);
    const change = rows.asChange(0);
    assert.equal(change.newTuple?.kinds[1], ValueKind.elided);
    assert.equal(change.oversizeBytes, 69);
    assert.deepEqual([rows.text(0, 2), rows.text(0, 3)], ['t', '101']);
  });

  it('gives a change the values that it lacks', () => {
    const rows = read(ROW);
    const sent = read('42\t?\tf\t\\N\n').asChange(0);
    assert.ok(sent.newTuple !== undefined);
    sent.newTuple.kinds[1] = ValueKind.unchanged;
    const { bytes, newTuple } = rows.complete(0, sent);
    assert.equal(bytes.toString('utf8', newTuple?.starts[1], newTuple?.ends[1]), "it's \t a\\b");
    assert.equal(newTuple?.kinds[3], ValueKind.null);
  });

  const cases: readonly (readonly [keyof typeof FORMATS, string])[] = [
    [
      'json',
      String.raw`{"id":"0/16B3748@1767323045678901#3","source":"app/slot","op":"READ","schema":"public","table":"t","key":{"id":42},"row":{"id":42,"name":"it's \t a\\b","ok":true,"bits":"101"},"xid":760,"commitLsn":"0/16B3748","ordinal":3,"commitTime":"2026-01-02T03:04:05.678901Z"}`,
    ],
    ['csv', '0,CDC,760,public.t,READ,42'],
    ['csv-payload', '0,CDC,{"xid": "760", "table": "public.t", "operation": "READ", "pkey": "42"}'],
  ];
  for (const [format, expected] of cases) {
    it(`is written as ${format}`, () => assert.equal(write(format, read(ROW)), expected));
  }

  it('is an r in debezium, of an incremental snapshot', () => {
    const record = JSON.parse(write('debezium', read(ROW))) as Record<string, Record<string, unknown>>;
    assert.equal(record['op'], 'r');
    assert.equal(record['before'], null);
    assert.deepEqual(record['after'], { id: 42, name: "it's \t a\\b", ok: true, bits: record['after']?.['bits'] });
    assert.equal(record['source']?.['snapshot'], 'incremental');
  });

  it('is a load in dms, without a transaction', () => {
    const record = JSON.parse(write('dms', read(ROW), { dms: { ...FORMAT_OPTIONS.dms, transaction: true } })) as Record<
      string,
      Record<string, unknown>
    >;
    assert.equal(record['metadata']?.['operation'], 'load');
    assert.deepEqual(Object.keys(record['metadata'] ?? {}), [
      'timestamp',
      'record-type',
      'operation',
      'partition-key-type',
      'schema-name',
      'table-name',
    ]);
  });

  it('is a READ for a formatter', () => {
    const format = (change: { op: string; row?: object }) => ({ data: `${change.op} ${JSON.stringify(change.row)}` });
    assert.equal(
      write('module', read(ROW), { formatter: { format } }),
      String.raw`READ {"id":42,"name":"it's \t a\\b","ok":true,"bits":"101"}`,
    );
  });
});
