/** Lines with bytes that are no UTF-8: what is put in their place. */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { repairLine } from '../../../../lambda/decode/test-decoding/repair.ts';

/** A line of one value, given in latin1: `ÿ` is the byte ff. */
function repaired(value: string): string {
  const line = Buffer.from(`table a.b: INSERT: id[integer]:1 c["char"]:'${value}' t[text]:'x'`, 'latin1');
  const result = repairLine(line, 0, line.length, new TestDecodingDecoder().decode(line, 0, line.length));
  return /c\["char"\]:'(.*)' t\[text\]:'x'$/.exec(result.toString('utf8'))?.[1] ?? 'no line';
}

describe('a line with bytes that are no UTF-8', () => {
  for (const [value, expected] of [
    ['\xff', '\\377'],
    ['\x80', '\\200'],
    ['{\xff}', '{"\\\\377"}'],
    ['{a,\xff,\x80,b}', '{a,"\\\\377","\\\\200",b}'],
    ['[0:1]={\xff,"a,\xff"}', '[0:1]={"\\\\377","a,\ufffd"}'],
    ['(\xff,"a ""b""",\xfe)', '("\\\\377","a ""b""","\\\\376")'],
    ['{"(\xff,1)"}', '{"(\ufffd,1)"}'],
    ['{"\\"",\xff}', '{"\\"","\\\\377"}'],
    ["{'',\xff}", `{'',"\\\\377"}`],
    ['a\xffb', 'a\ufffdb'],
    ['\xc3\xa9\xff', 'é\ufffd'],
  ] as const) {
    it(`${JSON.stringify(value)} is written ${expected}`, () => assert.equal(repaired(value), expected));
  }

  it('is UTF-8 and decodes, whatever bytes a value has', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        const value = Buffer.from(bytes).toString('latin1').replaceAll("'", "''");
        const line = Buffer.from(`table a.b: INSERT: c[public.odd]:'${value}' t[text]:'x'`, 'latin1');
        const decoder = new TestDecodingDecoder();
        const result = repairLine(line, 0, line.length, decoder.decode(line, 0, line.length));
        assert.ok(isUtf8(result));
        const again = decoder.decode(result, 0, result.length);
        assert.ok(again.kind === 'change' && again.newTuple?.count === 2);
      }),
    );
  });
});
