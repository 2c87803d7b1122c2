// The format debezium against golden records (test/golden/README.md says where each byte comes from), and what ours
// differs in.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteWriter } from '../../../../lambda/format/byte-writer.ts';
import { debezium } from '../../../../lambda/format/debezium/debezium.ts';
import { debeziumKeyWriter } from '../../../../lambda/format/partition-key.ts';
import type { ChangeRecord, FormatOptions } from '../../../../lambda/format/record.ts';
import { FORMAT_OPTIONS, recordOf, type RecordOptions, truncateOf, written } from '../../../support/changes.ts';
import { goldenFile } from '../../../support/golden.ts';

const golden = (name: string): string => goldenFile('debezium', name);

const OPTIONS: FormatOptions = { ...FORMAT_OPTIONS, source: 'depot', database: 'depot' };
const TABLE = { printed: 'shop.parcels', schema: 'shop', name: 'parcels' };
/** A row of the golden files' table; `label` and `note` as given. */
const row = (label: string, note = "'n'", id = '9007199254740993'): string =>
  `id[bigint]:${id} ref[uuid]:'6f1c9a52-0d1e-4c1b-9a59-0d5c4a8d2b10' weight[numeric]:1.50 sent_on[date]:'2026-01-02' ` +
  `seen[timestamp without time zone]:'2026-01-02 03:04:05.000006' at[timestamp with time zone]:'2026-01-02 03:04:05.000006+00' ` +
  `label[text]:${label} note[text]:${note}`;

/** The golden files' transactions: xid and the row's own LSN. */
function record(line: string, xid: number, lsn: bigint, options: RecordOptions = {}): ChangeRecord {
  const transaction = { xid, commitLsn: 24_023_000n, commitTimeMicros: 1_767_323_045_678_901n };
  return recordOf(`table shop.parcels: ${line}`, { key: ['id'], ordinal: 1, transaction, lsn, ...options });
}

/** The golden files' outer times have microseconds and nanoseconds, which ours have not: both are the writer's clock. */
const times = (text: string): string =>
  text.replace(/("ts_us":1767323046000)123(,"ts_ns":1767323046000)123456\}$/, '$1000$2000000}');

describe('debezium', () => {
  const format = debezium(OPTIONS);
  const first = row("'L''é'");
  const cases: readonly [file: string, record: ChangeRecord][] = [
    ['create', record(`INSERT: ${first}`, 754, 24_023_128n)],
    ['update', record(`UPDATE: ${row("'b'")}`, 755, 24_023_200n)],
    ['update-full', record(`UPDATE: old-key: ${first} new-tuple: ${row("'b'")}`, 755, 24_023_200n)],
    ['update-toast', record(`UPDATE: ${row("'b'", 'unchanged-toast-datum')}`, 756, 24_023_300n)],
    [
      'key-change-2-create',
      record(`UPDATE: old-key: id[bigint]:9007199254740993 new-tuple: ${row("'b'", "'n'", '2')}`, 757, 24_023_400n, {
        half: 'INSERT',
      }),
    ],
    ['delete-full', record(`DELETE: ${row("'b'")}`, 758, 24_023_500n)],
    [
      'truncate',
      {
        ...truncateOf(TABLE, { xid: 759, commitLsn: 24_023_000n, commitTimeMicros: 1_767_323_045_678_901n }),
        lsn: 24_023_600n,
      },
    ],
  ];
  for (const [file, change] of cases) {
    it(`writes ${file} as Debezium does`, () => assert.equal(written(format, change), times(golden(`${file}.json`))));
  }

  it('names the transaction where DEBEZIUM_TRANSACTION is on', () => {
    const named = debezium({ ...OPTIONS, debezium: { transaction: true, time: 'microseconds' } });
    assert.equal(
      written(named, record(`INSERT: ${first}`, 754, 24_023_128n)),
      times(golden('create-with-transaction-metadata.json')),
    );
  });

  for (const [file, half] of [
    ['delete', undefined],
    ['key-change-1-delete', 'DELETE'],
  ] as const) {
    it(`shows of the old row in ${file} what the server sent: the key, where Debezium adds columns of null`, () => {
      const line =
        half === undefined
          ? 'DELETE: id[bigint]:9007199254740993'
          : `UPDATE: old-key: id[bigint]:9007199254740993 new-tuple: ${row("'b'", "'n'", '2')}`;
      const change = half === undefined ? record(line, 758, 24_023_500n) : record(line, 757, 24_023_400n, { half });
      const expected = times(golden(`${file}.json`)).replace(/("id":9007199254740993)(,"\w+":null)+\}/, '$1}');
      assert.equal(written(format, change), expected);
    });
  }

  it('writes a DELETE without a key with what was sent, or null', () => {
    const some = written(format, record("DELETE: label[text]:'x'", 758, 1n, { key: ['id'] }));
    assert.match(some, /^\{"before":\{"label":"x"\},"after":null,/);
    assert.match(written(format, record('DELETE: (no-tuple-data)', 758, 1n)), /^\{"before":null,"after":null,/);
  });

  it('fills in a value that was not sent where the old row holds it', () => {
    const line =
      "UPDATE: old-key: id[bigint]:1 note[text]:'long' new-tuple: id[bigint]:1 note[text]:unchanged-toast-datum";
    assert.match(written(format, record(line, 1, 1n)), /"after":\{"id":1,"note":"long"\}/);
  });

  it('leaves out excluded columns, and keeps the key alone of a record that is too large', () => {
    const line = "UPDATE: old-key: id[bigint]:1 a[text]:'s' new-tuple: id[bigint]:1 a[text]:'t' b[text]:'u'";
    assert.match(
      written(format, record(line, 1, 1n, { omitted: ['a'] })),
      /^\{"before":\{"id":1\},"after":\{"id":1,"b":"u"\}/,
    );
    const short = written(format, record(line, 1, 1n, { truncated: true }));
    assert.match(short, /^\{"before":null,"after":\{"id":1\},.*,"truncated":true\}$/);
    const gone = written(format, record("DELETE: id[bigint]:1 a[text]:'s'", 1, 1n, { truncated: true }));
    assert.match(gone, /^\{"before":\{"id":1\},"after":null,.*,"truncated":true\}$/);
  });
});

describe('a value of debezium that was not sent', () => {
  const after = (line: string): unknown =>
    (JSON.parse(written(debezium(OPTIONS), record(`UPDATE: ${line}`, 1, 1n))) as { after: unknown }).after;
  const NEW = 'new-tuple: note[text]:unchanged-toast-datum id[bigint]:1';

  it('is taken from the old row, wherever it stands there', () => {
    assert.deepEqual(after(`old-key: note[text]:'n' id[bigint]:1 ${NEW}`), { note: 'n', id: 1 });
    assert.deepEqual(after(`old-key: id[bigint]:1 note[text]:'n' ${NEW}`), { note: 'n', id: 1 });
  });

  it('is named as such where the old row has it not, or not sent either', () => {
    const expected = { note: '__debezium_unavailable_value', id: 1 };
    for (const old of ['id[bigint]:1', 'id[bigint]:1 note[text]:unchanged-toast-datum', "id[bigint]:1 x[text]:'a'"])
      assert.deepEqual(after(`old-key: ${old} ${NEW}`), expected);
  });
});

describe('a time of debezium that is none', () => {
  it('stays as it is', () => {
    const text = written(debezium(OPTIONS), record("INSERT: v[timestamp with time zone]:'2026-01-02 noon'", 1, 1n));
    assert.ok(text.includes('"after":{"v":"2026-01-02 noon"}'));
  });
});

describe('debeziumKeyWriter', () => {
  const keyOf = (change: ChangeRecord): string => {
    const out = new ByteWriter(8);
    debeziumKeyWriter('microseconds')(change, out);
    return out.toString();
  };

  it('writes the key as Debezium Server makes partition keys', () => {
    assert.equal(keyOf(record('DELETE: id[bigint]:9007199254740993', 1, 1n)), golden('key.txt'));
    const composite = record("INSERT: lot[integer]:7 place[text]:'a b'", 1, 1n, { key: ['lot', 'place'] });
    assert.equal(keyOf(composite), golden('key-composite.txt'));
    assert.equal(keyOf(truncateOf(TABLE)), golden('key-none.txt'));
    assert.equal(keyOf(record('DELETE: (no-tuple-data)', 1, 1n)), golden('key-none.txt'));
  });

  it('writes a key that is a domain as what it is made of, as in the record', () => {
    const out = new ByteWriter(8);
    const baseType = (type: string): string => (type === 'public.positive' ? 'integer' : type);
    debeziumKeyWriter('microseconds', { baseType })(record('INSERT: id[public.positive]:7', 1, 1n), out);
    assert.equal(out.toString(), '{"id":7}');
  });

  it('replaces a key that Kinesis would refuse by its SHA-256', () => {
    assert.match(keyOf(record(`INSERT: id[text]:'${'x'.repeat(300)}'`, 1, 1n)), /^[0-9a-f]{64}$/);
  });
});
