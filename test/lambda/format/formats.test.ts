// The table of formats: what holds for every one of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ValueKind } from '../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { FORMAT_FACTS } from '../../../lambda/settings/format-facts.ts';
import { SETTINGS } from '../../../lambda/settings/settings-table.ts';
import { FORMAT_OPTIONS, recordOf, truncateOf, written } from '../../support/changes.ts';

describe('FORMATS', () => {
  it('has the names that the setting FORMAT allows', () => {
    assert.deepEqual(Object.keys(FORMATS), SETTINGS.FORMAT.allowed.split(', '));
  });

  it('says what each can be asked to write: a DELETE without a key, values besides the key, the position of a row', () => {
    const told = Object.entries(FORMATS).map(([name, make]) => {
      const { supportsDeleteWithoutKey, showsRow, usesRowLsn } = make(FORMAT_OPTIONS);
      return [name, supportsDeleteWithoutKey, showsRow, usesRowLsn ?? false];
    });
    assert.deepEqual(told, [
      ['csv', false, false, false],
      ['csv-payload', false, false, false],
      ['json', true, true, false],
      ['debezium', true, true, true],
      ['dms', true, true, true],
      ['module', true, true, false],
    ]);
  });

  for (const [name, make] of Object.entries(FORMATS)) {
    it(`${name}: has a record for a logical message where the settings say so`, () => {
      const facts = FORMAT_FACTS[name as keyof typeof FORMATS];
      assert.equal(make(FORMAT_OPTIONS).writeLogicalMessage !== undefined, facts.hasMessages);
    });

    it(`${name}: has a record for a DELETE without key where the settings say so`, () => {
      const facts = FORMAT_FACTS[name as keyof typeof FORMATS];
      assert.equal(make(FORMAT_OPTIONS).supportsDeleteWithoutKey, facts.hasKeylessDelete);
    });

    it(`${name}: appends, and leaves alone what stands before`, () => {
      const out = new ByteWriter(1);
      out.ascii('before');
      const record = recordOf("table public.t: INSERT: id[integer]:1 v[text]:'it''s'", { key: ['id'] });
      const format = make(FORMAT_OPTIONS);
      format.write(record, out);
      format.write(record, out);
      const once = written(format, record);
      assert.equal(out.toString(), `before${once}${once}`);
    });

    it(`${name}: gives the same bytes when a change is read again, by the same decoder or another`, () => {
      const format = make(FORMAT_OPTIONS);
      const line =
        "table public.t: UPDATE: old-key: id[integer]:1 v[text]:'a' new-tuple: id[integer]:2 v[text]:unchanged-toast-datum";
      const decoder = new TestDecodingDecoder();
      const first = written(format, recordOf(line, { key: ['id'], half: 'INSERT' }, decoder));
      assert.equal(written(format, recordOf(line, { key: ['id'], half: 'INSERT' }, decoder)), first);
      assert.equal(written(make(FORMAT_OPTIONS), recordOf(line, { key: ['id'], half: 'INSERT' })), first);
    });

    it(`${name}: reads a change where it stands in a larger buffer`, () => {
      const line = "table public.t: INSERT: id[integer]:1 v[text]:'it''s'";
      const bytes = Buffer.from(`............${line}''''"""`);
      const change = new TestDecodingDecoder().decode(bytes, 12, 12 + line.length);
      assert.ok(change.kind === 'change' && change.newTuple !== undefined);
      const key = { count: 1, tuples: [change.newTuple], columns: [0] };
      const record = { ...recordOf(line), table: change.table, change, key };
      const format = make(FORMAT_OPTIONS);
      assert.equal(written(format, record), written(format, recordOf(line, { key: ['id'] })));
    });

    it(`${name}: takes of a row and a key what they count, whatever an earlier one has left behind`, () => {
      const format = make({ ...FORMAT_OPTIONS, dms: { ...FORMAT_OPTIONS.dms, beforeImage: true } });
      const unchanged = 'new-tuple: id[integer]:1 v[text]:unchanged-toast-datum';
      for (const [line, truncated] of [
        ["INSERT: id[integer]:1 v[text]:'a'", false],
        ["INSERT: id[integer]:1 v[text]:'a'", true],
        [`UPDATE: old-key: id[integer]:1 ${unchanged}`, false],
        [`UPDATE: old-key: id[integer]:1 w[text]:'b' ${unchanged}`, false],
        ['DELETE: id[integer]:1', false],
      ] as const) {
        const record = recordOf(`table public.t: ${line}`, { key: ['id'], truncated });
        const expected = written(format, record);
        const { change, key } = record;
        assert.ok(change !== undefined && key !== undefined);
        const [tuple] = key.tuples;
        const left = (change.newTuple ?? change.oldTuple)?.headers.at(-1);
        assert.ok(tuple !== undefined && left !== undefined);
        for (const each of [change.newTuple, change.oldTuple]) {
          each?.headers.push(left);
          each?.kinds.push(ValueKind.quoted);
          each?.starts.push(0);
          each?.ends.push(5);
        }
        key.tuples.push(tuple);
        key.columns.push(0);
        assert.equal(written(format, record), expected);
      }
    });

    it(`${name}: writes TRUNCATE on one line`, () => {
      const table = { printed: 'public."a\nb"', schema: 'public', name: 'a\nb' };
      const data = written(make(FORMAT_OPTIONS), truncateOf(table));
      // Only csv, which is not for AGGREGATION=lines, quotes a line break instead of escaping it.
      assert.equal(data.includes('\n'), name === 'csv');
    });
  }
});
