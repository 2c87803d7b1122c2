// Partition keys: the bytes that decide a record's lane, for ever.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { partitionKeyWriter } from '../../../lambda/format/partition-key.ts';
import type { ChangeRecord, PartitionMode } from '../../../lambda/format/record.ts';
import { recordOf, truncateOf } from '../../support/changes.ts';

function keyOf(record: ChangeRecord, mode: PartitionMode = 'primary-key', source = 'app/pg2kinesis'): string {
  const out = new ByteWriter(1);
  out.ascii('before');
  partitionKeyWriter(mode, source)(record, out);
  assert.ok(out.toString().startsWith('before'));
  return out.toString().slice('before'.length);
}

const TABLE = { printed: '"My schema"."Order items"', schema: 'My schema', name: 'Order items' };
const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

describe('partitionKeyWriter', () => {
  const cases: { what: string; line: string; key: string[]; expected: string }[] = [
    {
      what: 'a single key',
      line: 'table public.users: INSERT: id[integer]:42',
      key: ['id'],
      expected: 'public.users:42',
    },
    {
      what: 'a text key, unescaped',
      line: "table public.t: INSERT: k[text]:'it''s \"a\"\n'",
      key: ['k'],
      expected: 'public.t:it\'s "a"\n',
    },
    { what: 'a boolean key', line: 'table public.t: INSERT: k[boolean]:true', key: ['k'], expected: 'public.t:true' },
    { what: 'bits', line: "table public.t: INSERT: k[bit]:B'01'", key: ['k'], expected: 'public.t:01' },
    {
      what: 'a composite key in key order',
      line: "table public.t: INSERT: b[text]:'a b' a[integer]:7",
      key: ['a', 'b'],
      expected: 'public.t:["7","a b"]',
    },
    {
      what: 'names unquoted',
      line: 'table "My schema"."Order ""items""": INSERT: id[integer]:1',
      key: ['id'],
      expected: 'My schema.Order "items":1',
    },
    {
      what: 'a DELETE with its key',
      line: 'table public.users: DELETE: id[integer]:42',
      key: ['id'],
      expected: 'public.users:42',
    },
    {
      what: 'a DELETE without key',
      line: 'table public.users: DELETE: (no-tuple-data)',
      key: [],
      expected: 'public.users',
    },
  ];
  for (const { what, line, key, expected } of cases) {
    it(`primary-key: writes ${what}`, () => assert.equal(keyOf(recordOf(line, { key })), expected));
  }

  it('primary-key: writes the table for TRUNCATE', () =>
    assert.equal(keyOf(truncateOf(TABLE)), 'My schema.Order items'));

  it('primary-key: gives the halves of a key change each its own', () => {
    const line = 'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2';
    assert.equal(keyOf(recordOf(line, { key: ['id'], half: 'DELETE' })), 'public.t:1');
    assert.equal(keyOf(recordOf(line, { key: ['id'], half: 'INSERT' })), 'public.t:2');
  });

  const record = (): ChangeRecord => recordOf('table public.users: INSERT: id[integer]:42', { key: ['id'] });
  it('table: writes schema and table', () => assert.equal(keyOf(record(), 'table'), 'public.users'));
  it('transaction: writes the xid', () => assert.equal(keyOf(record(), 'transaction'), '754'));
  it("stream: writes the source's name", () => assert.equal(keyOf(record(), 'stream', 'größe/slot'), 'größe/slot'));

  it('keeps 256 characters and hashes 257, counted as UTF-16 units', () => {
    const prefix = 'public.t:';
    const of = (text: string): string => keyOf(recordOf(`table public.t: INSERT: k[text]:'${text}'`, { key: ['k'] }));
    for (const [character, units] of [
      ['a', 1],
      ['é', 1],
      ['€', 1],
      ['😀', 2],
    ] as const) {
      const fits = character.repeat(Math.floor((256 - prefix.length) / units));
      assert.equal(of(fits), prefix + fits, character);
      const long = character.repeat(Math.floor((256 - prefix.length) / units) + 1);
      assert.equal(of(long), sha256(prefix + long), character);
    }
  });

  it('hashes long names too', () => {
    const name = 'é'.repeat(200);
    const table = { printed: `"${name}"."${name}"`, schema: name, name };
    assert.equal(keyOf(truncateOf(table)), sha256(`${name}.${name}`));
    assert.equal(keyOf(truncateOf(table), 'table'), sha256(`${name}.${name}`));
    assert.equal(keyOf(record(), 'stream', 's'.repeat(257)), sha256('s'.repeat(257)));
    assert.equal(keyOf(record(), 'stream', 's'.repeat(256)), 's'.repeat(256));
  });

  it('I4: is the same for the same key, whatever was written before', () => {
    const write = partitionKeyWriter('primary-key', 'app/pg2kinesis');
    const lines = [
      'table a.t: INSERT: id[integer]:1',
      'table b.t: INSERT: id[integer]:1',
      'table a.u: INSERT: id[integer]:1',
    ];
    for (let round = 0; round < 2; round++) {
      for (const line of lines) {
        const out = new ByteWriter();
        write(recordOf(line, { key: ['id'] }), out);
        assert.equal(out.toString(), `${line.slice(6, 9)}:1`);
      }
    }
  });
});
