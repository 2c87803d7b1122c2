/** A formatter's change holds what its own row holds: nothing of a row before, and no value that was not sent. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Tuple, ValueKind } from '../../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { builtInDelimiter } from '../../../../lambda/format/json/value-converters.ts';
import { ChangeMaker } from '../../../../lambda/format/module/change.ts';
import type { ChangeRecord } from '../../../../lambda/format/record.ts';
import { recordOf } from '../../../support/changes.ts';

const make = (record: ChangeRecord) => new ChangeMaker('app/pg2kinesis', builtInDelimiter).of(record);
const update = (old: string, now: string) =>
  recordOf(`table public.t: UPDATE: old-key: ${old} new-tuple: ${now}`, { key: ['id'] });

describe('a change for a formatter', () => {
  it('is named by its transaction and its place there', () => {
    const { id, ordinal } = make(recordOf('table public.t: INSERT: id[integer]:1'));
    assert.deepEqual([id, ordinal], ['0/16B3748@1767323045678901#3', 3]);
  });

  it('has nothing of a wider row that the decoder read before', () => {
    const decoder = new TestDecodingDecoder();
    const maker = new ChangeMaker('app/pg2kinesis', builtInDelimiter);
    const wide = "id[integer]:1 v[text]:'secret' w[text]:'secret'";
    maker.of(recordOf(`table public.u: UPDATE: old-key: ${wide} new-tuple: ${wide}`, {}, decoder));
    const narrow =
      'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:unchanged-toast-datum';
    const { row, old, unchanged, types } = maker.of(recordOf(narrow, {}, decoder));
    assert.deepEqual([row, old, unchanged, types], [{ id: 2 }, { id: 1 }, ['v'], { id: 'integer', v: 'text' }]);
  });

  it('has only as many parts of a key as the key has', () => {
    const record = recordOf("table public.t: INSERT: id[integer]:1 v[text]:'a'", { key: ['id', 'v'] });
    assert.ok(record.key);
    assert.deepEqual(make({ ...record, key: { ...record.key, count: 1 } }).key, { id: 1 });
  });

  it('takes a value that did not change from the old row, wherever it is there', () => {
    const change = make(update("w[text]:'first' id[integer]:1", 'id[integer]:1 w[text]:unchanged-toast-datum'));
    assert.deepEqual([change.row, change.unchanged], [{ id: 1, w: 'first' }, undefined]);
  });

  it('has no value that neither row was sent with', () => {
    const record = update("w[text]:'kept' id[integer]:1", 'id[integer]:1 w[text]:unchanged-toast-datum');
    const old = record.change?.oldTuple;
    assert.ok(old);
    old.kinds[0] = ValueKind.unchanged;
    const change = make(record);
    assert.deepEqual([change.row, change.unchanged, change.old], [{ id: 1 }, ['w'], { id: 1 }]);
  });

  it('undoes doubled apostrophes only where the decoder says that they are', () => {
    const record = recordOf("table public.t: INSERT: v[text]:'it''s'");
    assert.deepEqual(make(record).row, { v: "it's" });
    const tuple: Tuple | undefined = record.change?.newTuple;
    assert.ok(tuple);
    tuple.kinds[0] = ValueKind.quoted;
    assert.deepEqual(make(record).row, { v: "it''s" });
  });

  it('has one object of types for as long as the columns are the same', () => {
    const decoder = new TestDecodingDecoder();
    const maker = new ChangeMaker('app/pg2kinesis', builtInDelimiter);
    const typesOf = (row: string) => maker.of(recordOf(`table public.t: INSERT: ${row}`, {}, decoder)).types;
    const first = typesOf("id[integer]:1 v[text]:'a'");
    assert.equal(typesOf("id[integer]:2 v[text]:'b'"), first);
    assert.deepEqual(typesOf('id[integer]:3'), { id: 'integer' }, 'a column less');
    assert.equal(typesOf('id[integer]:4'), typesOf('id[integer]:5'));
    assert.deepEqual(typesOf("id[integer]:1 v[text]:'a'"), first, 'and again');
  });

  it('lets a formatter change a column named __proto__ like any other', () => {
    const { row } = make(recordOf('table public.t: INSERT: id[integer]:1 __proto__[integer]:1'));
    assert.deepEqual(Object.getOwnPropertyDescriptor(row, '__proto__'), Object.getOwnPropertyDescriptor(row, 'id'));
  });
});
