/** Printed names and values as text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
  ];
  for (const [printed, name] of names) it(`reads ${printed}`, () => assert.equal(unquoteIdentifier(printed), name));
});

describe('valueText', () => {
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
