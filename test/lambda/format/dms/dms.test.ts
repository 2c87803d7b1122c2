// The format dms against golden records: AWS documents names and types; test/golden/README.md says what fixes what.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { dms } from '../../../../lambda/format/dms/dms.ts';
import type { ChangeRecord, DmsOptions, FormatOptions } from '../../../../lambda/format/record.ts';
import { FORMAT_OPTIONS, recordOf, type RecordOptions, truncateOf, written } from '../../../support/changes.ts';

const golden = (name: string): string =>
  readFileSync(new URL(`../../../golden/dms/${name}.json`, import.meta.url), 'utf8').replace(/\n$/, '');

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

function record(line: string, xid: number, options: RecordOptions = {}): ChangeRecord {
  const transaction = { xid, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n };
  return recordOf(`table shop.parcels: ${line}`, { key: ['id'], ordinal: 1, transaction, ...options });
}

describe('dms', () => {
  it('writes insert, update and delete as DMS does', () => {
    const write = formatOf();
    assert.equal(write(record(`INSERT: ${row('Ines')}`, 1139)), golden('insert'));
    assert.equal(write(record(`UPDATE: ${row('Jo')}`, 1140)), golden('update'));
    assert.equal(write(record('DELETE: id[integer]:45', 1144)), golden('delete'));
  });

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
    const full = write(
      record("UPDATE: old-key: id[integer]:46 name[text]:'Ines' new-tuple: id[integer]:46 name[text]:'Jo'", 1),
    );
    assert.match(full, /^\{"data":\{"id":46,"name":"Jo"\},"before-image":\{"id":46,"name":"Ines"\},"metadata":/);
    assert.ok(!write(record(`INSERT: ${row('Ines')}`, 1139)).includes('before-image'));
  });

  it('leaves NULLs out, or writes them with DMS_NULLS=include', () => {
    const line = 'INSERT: id[integer]:45 name[text]:null';
    assert.match(formatOf()(record(line, 1)), /^\{"data":\{"id":45\},/);
    assert.match(formatOf({ nulls: true })(record(line, 1)), /^\{"data":\{"id":45,"name":null\},/);
  });

  it('leaves out a value that was not sent, unless the old row holds it', () => {
    const write = formatOf();
    assert.match(write(record('UPDATE: id[integer]:45 name[text]:unchanged-toast-datum', 1)), /^\{"data":\{"id":45\},/);
    const line =
      "UPDATE: old-key: id[integer]:45 name[text]:'x' new-tuple: id[integer]:45 name[text]:unchanged-toast-datum";
    assert.match(write(record(line, 1)), /^\{"data":\{"id":45,"name":"x"\},/);
  });

  it('writes both halves of a key change, a TRUNCATE, a DELETE without a key, and a record that is too large', () => {
    const write = formatOf();
    const change = `UPDATE: old-key: id[integer]:46 new-tuple: ${row('Ines', 45)}`;
    assert.match(write(record(change, 1, { half: 'DELETE' })), /^\{"data":\{"id":46\},.*"operation":"delete"/);
    assert.match(
      write(record(change, 1, { half: 'INSERT' })),
      /^\{"data":\{"id":45,"name":"Ines".*"operation":"insert"/,
    );
    const truncate = write(truncateOf({ printed: 'shop.parcels', schema: 'shop', name: 'parcels' }));
    assert.match(truncate, /^\{"data":\{\},.*"record-type":"control","operation":"truncate-table"/);
    assert.match(write(record('DELETE: (no-tuple-data)', 1)), /^\{"data":\{\},.*"operation":"delete"/);
    const short = write(record(`UPDATE: ${row('Jo')}`, 1, { truncated: true }));
    assert.match(short, /^\{"data":\{"id":46\},.*,"truncated":true\}\}$/);
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

  const DIGITS = '12345678901234567890123456789012345678';
  const VALUES: readonly (readonly [type: string, text: string, json: string])[] = [
    ['bigint', '9007199254740993', '9007199254740993'],
    ['double precision', '1e+100', '1e+100'],
    ['double precision', 'NaN', '"NaN"'],
    ['numeric', DIGITS, DIGITS],
    ['numeric', `-${DIGITS}9`, `"-${DIGITS}9"`],
    ['numeric', '0.00000000000000000000000000000000000000001', '"0.00000000000000000000000000000000000000001"'],
    ['numeric', 'NaN', '"NaN"'],
    ['boolean', 'false', '"false"'],
    ['bytea', "'\\x00ff'", '"0x00ff"'],
    ['date', "'2026-01-02'", '"2026-01-02"'],
    ['timestamp without time zone', "'2026-01-02 03:04:05'", '"2026-01-02T03:04:05Z"'],
    ['timestamp with time zone', "'2026-01-02 03:04:05.5+00'", '"2026-01-02T03:04:05.5Z"'],
    ['timestamp with time zone', "'infinity'", '"infinity"'],
    ['timestamp without time zone', "'0044-03-15 00:00:00 BC'", '"0044-03-15 00:00:00 BC"'],
    ['jsonb', `'{"a": "it''s"}'`, '"{\\"a\\": \\"it\'s\\"}"'],
    ['text[]', `'{a,"b c"}'`, '"{a,\\"b c\\"}"'],
    ['bit', "B'101'", '"101"'],
    ['point', "'(1.5,-2)'", '"(1.5,-2)"'],
    ['interval', "'P1Y2M'", '"P1Y2M"'],
  ];
  for (const [type, text, json] of VALUES) {
    it(`writes ${type} ${text} as ${json}`, () =>
      assert.equal(
        formatOf()(record(`INSERT: v[${type}]:${text}`, 1))
          .slice('{"data":{"v":'.length)
          .split('},"metadata"')[0],
        json,
      ));
  }
});
