// The format dms against golden records: AWS documents names and types; test/golden/README.md says what fixes what.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dms } from '../../../../lambda/format/dms/dms.ts';
import type { ChangeRecord, DmsOptions, FormatOptions } from '../../../../lambda/format/record.ts';
import { FORMAT_OPTIONS, recordOf, type RecordOptions, truncateOf, written } from '../../../support/changes.ts';
import { goldenFile, goldenValues, printedValue } from '../../../support/golden.ts';

const golden = (name: string): string => goldenFile('dms', `${name}.json`);

function formatOf(
  over: Partial<DmsOptions> = {},
  options: Partial<FormatOptions> = {},
): (record: ChangeRecord) => string {
  const format = dms({ ...FORMAT_OPTIONS, ...options, dms: { ...FORMAT_OPTIONS.dms, ...over } });
  // The golden files' writer had a clock of microseconds.
  return (record) => written(format, record).replace('03:04:06.000000Z', '03:04:06.000123Z');
}

const row = (name: string, id = 46): string =>
  `id[integer]:${id} name[text]:'${name}' ok[boolean]:true weight[numeric]:1.5 sent_on[date]:'2026-01-02' ` +
  `at[timestamp with time zone]:'2026-01-02 03:04:05.000006+00' tags[text[]]:'{a,b}'`;

const KEY_CHANGE = `UPDATE: old-key: id[integer]:46 new-tuple: ${row('Ines', 45)}`;
const FULL = "UPDATE: old-key: id[integer]:46 name[text]:'Ines' new-tuple: id[integer]:46 name[text]:'Jo'";

function record(line: string, xid: number, options: RecordOptions = {}): ChangeRecord {
  const transaction = { xid, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n };
  return recordOf(`table shop.parcels: ${line}`, { key: ['id'], ordinal: 1, transaction, ...options });
}

/** A golden record of DMS's, as an object. */
interface Golden {
  readonly data: Readonly<Record<string, unknown>>;
  readonly 'before-image'?: Readonly<Record<string, unknown>>;
}

describe('dms', () => {
  const truncate: ChangeRecord = truncateOf(
    { printed: 'shop.parcels', schema: 'shop', name: 'parcels' },
    { xid: 1145, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n },
  );
  const cases: readonly (readonly [file: string, record: () => ChangeRecord, settings?: Partial<DmsOptions>])[] = [
    ['insert', () => record(`INSERT: ${row('Ines')}`, 1139)],
    ['update', () => record(`UPDATE: ${row('Jo')}`, 1140)],
    ['delete', () => record('DELETE: id[integer]:45', 1144)],
    // What AWS's documentation does not fix.
    ['key-change-1-delete.ours', () => record(KEY_CHANGE, 1141, { half: 'DELETE' })],
    ['key-change-2-insert.ours', () => record(KEY_CHANGE, 1141, { half: 'INSERT' })],
    ['truncate.ours', () => truncate],
    ['update-toast.ours', () => record("UPDATE: id[integer]:46 name[text]:'Jo' ok[text]:unchanged-toast-datum", 1142)],
    ['update-full-before-image.ours', () => record(FULL, 1140), { beforeImage: true }],
    ['update-too-large.ours', () => record(`UPDATE: ${row('Jo')}`, 1140, { truncated: true })],
    ['delete-full.ours', () => record("DELETE: id[integer]:45 name[text]:'Ines'", 1144)],
  ];
  for (const [file, change, settings] of cases) {
    it(`writes ${file} as the golden file has it`, () => assert.equal(formatOf(settings)(change()), golden(file)));
  }

  it('names the transaction where DMS_TRANSACTION is on; the one before it is not known from run to run', () => {
    const expected = golden('insert-with-transaction-details').replace(
      /"stream-position":"[^"]*"/,
      '"stream-position":"00000000/016B3748.1.00000000/016B3700"',
    );
    assert.equal(formatOf({ transaction: true })(record(`INSERT: ${row('Ines')}`, 1139)), expected);
  });

  it('shows the old row of an UPDATE where DMS_BEFORE_IMAGE is on', () => {
    const write = formatOf({ beforeImage: true });
    const withoutDetails = (name: string): string => golden(name).replace(/,"transaction-record-id".*\}\}$/, '}}');
    assert.equal(write(record(`UPDATE: ${row('Jo')}`, 1140)), withoutDetails('update-before-image'));
    assert.ok(!write(record(`INSERT: ${row('Ines')}`, 1139)).includes('before-image'));
  });

  it('says in two records what DMS says of a key change in one: the new row, and the old key', () => {
    const theirs = JSON.parse(golden('update-key-before-image')) as Golden;
    const half = (each: 'DELETE' | 'INSERT'): Golden =>
      JSON.parse(formatOf()(record(KEY_CHANGE, 1141, { half: each }))) as Golden;
    assert.deepEqual(half('INSERT').data, theirs.data);
    assert.deepEqual(half('DELETE').data, theirs['before-image']);
  });

  it('leaves NULLs out, or writes those that were sent with DMS_NULLS=include; DMS adds the columns not sent', () => {
    const line = 'INSERT: id[integer]:45 name[text]:null';
    assert.match(formatOf()(record(line, 1)), /^\{"data":\{"id":45\},/);
    assert.match(formatOf({ nulls: true })(record(line, 1)), /^\{"data":\{"id":45,"name":null\},/);
    const theirs = golden('delete-nulls-included').replace(/(,"\w+":null)+\}/, '}');
    assert.equal(formatOf({ nulls: true })(record('DELETE: id[integer]:45', 1144)), theirs);
  });

  it('fills in a value that was not sent where the old row holds it', () => {
    const line =
      "UPDATE: old-key: id[integer]:45 name[text]:'x' new-tuple: id[integer]:45 name[text]:unchanged-toast-datum";
    assert.match(formatOf()(record(line, 1)), /^\{"data":\{"id":45,"name":"x"\},/);
  });

  it('counts the digits of a numeric without its sign, its point and the zero before that; writes other bytes as they are', () => {
    const digits = '1'.repeat(38);
    for (const text of [digits, `-${digits}`, `0.${digits}`, `-0.${digits}`])
      assert.ok(formatOf()(record(`INSERT: v[numeric]:${text}`, 1)).startsWith(`{"data":{"v":${text}}`), text);
    assert.ok(formatOf()(record("INSERT: v[bytea]:'a\\000'", 1)).startsWith('{"data":{"v":"a\\\\000"}'));
  });

  it('writes a DELETE without a key with no data', () => {
    assert.match(formatOf()(record('DELETE: (no-tuple-data)', 1)), /^\{"data":\{\},.*"operation":"delete"/);
  });

  for (const [partitionBy, type] of [
    ['primary-key', 'primary-key'],
    ['table', 'schema-table'],
    ['transaction', 'transaction-id'],
    ['stream', 'constant'],
  ] as const) {
    it(`says partition-key-type ${type} with PARTITION_BY=${partitionBy}`, () =>
      assert.ok(
        formatOf({}, { partitionBy })(record(`UPDATE: ${row('Jo')}`, 1)).includes(`"partition-key-type":"${type}"`),
      ));
  }

  const baseType = (type: string): string => (type === 'public.positive' ? 'integer' : type);
  for (const value of goldenValues('dms')) {
    const { type, setting, text, json } = value;
    it(`writes ${type} ${text} as ${json}${setting === '' ? '' : ` with ${setting}`}`, () => {
      assert.ok(['', 'DMS_NULLS=include'].includes(setting));
      const write = formatOf({ nulls: setting !== '' }, { baseType });
      const data = write(record(`INSERT: v[${type}]:${printedValue(value, baseType)}`, 1));
      assert.equal(data.split(',"metadata"')[0], json === '(left out)' ? '{"data":{}' : `{"data":{"v":${json}}`);
      JSON.parse(data);
    });
  }
});
