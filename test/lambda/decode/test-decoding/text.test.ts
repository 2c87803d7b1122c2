/** Printed names and values as text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ValueKind } from '../../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { unquoteIdentifier, valueText } from '../../../../lambda/decode/test-decoding/text.ts';

describe('unquoteIdentifier', () => {
  const names: readonly (readonly [printed: string, name: string])[] = [
    ['id', 'id'],
    ['"Id"', 'Id'],
    ['"a""b"', 'a"b'],
    ['""""', '"'],
    ['""""""', '""'],
    ['" "', ' '],
    [`"it's"`, "it's"],
    // Such a name is always quoted: this one is none.
    ['a"', 'a"'],
  ];
  for (const [printed, name] of names) it(`reads ${printed}`, () => assert.equal(unquoteIdentifier(printed), name));
});

describe('valueText', () => {
  it('gives the text of a value, undoubles what is doubled, and says what was not sent or not kept', () => {
    const line = Buffer.from(
      "table a.b: INSERT: x[t]:'it''s' y[t]:null z[t]:unchanged-toast-datum l[t]:elided b[t]:B'01'",
    );
    const change = new TestDecodingDecoder().decode(line, 0, line.length, 9_999_999);
    assert.ok(change.kind === 'change' && change.newTuple !== undefined);
    const { newTuple, bytes } = change;
    const texts = Array.from({ length: newTuple.count }, (_, i) => valueText(newTuple, i, bytes));
    assert.deepEqual(texts, ["it's", null, undefined, undefined, '01']);
    // Another plugin doubles nothing.
    const tuple = { count: 1, headers: [], kinds: [ValueKind.quoted], starts: [0], ends: [5] };
    assert.equal(valueText(tuple, 0, Buffer.from("it''s")), "it''s");
    assert.throws(() => valueText(tuple, 1, bytes), { message: 'no column 1 in a row of 1' });
    assert.throws(() => valueText({ ...tuple, kinds: [] }, 0, bytes), RangeError);
  });

  it('fails on a column that the row does not have, also one left from a longer row', () => {
    const decoder = new TestDecodingDecoder();
    for (const line of ['table a.b: INSERT: x[t]:1 y[t]:2', 'table a.b: INSERT: x[t]:1']) {
      const bytes = Buffer.from(line);
      const change = decoder.decode(bytes, 0, bytes.length);
      if (change.kind !== 'change' || change.newTuple === undefined) throw new Error('no row');
      const { newTuple } = change;
      assert.equal(valueText(newTuple, 0, bytes), '1');
      assert.throws(() => valueText(newTuple, newTuple.count, bytes), RangeError);
    }
  });
});
