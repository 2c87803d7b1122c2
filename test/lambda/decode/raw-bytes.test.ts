/** Values that are no UTF-8: each "char" is written as PostgreSQL 15 prints it, any other such byte as U+FFFD. */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { repairValue } from '../../../lambda/decode/raw-bytes.ts';

const repaired = (value: string): string => repairValue(Buffer.from(value, 'latin1')).toString('utf8');

describe('a value that is no UTF-8', () => {
  for (const [value, expected] of [
    ['\xff', '\\377'],
    ['\x80', '\\200'],
    ['\x07', '\\007'],
    // Of an array: each element between its delimiters.
    ['{\x80,\xff}', '{"\\\\200","\\\\377"}'],
    ['{a;\xff;b}', '{a;"\\\\377";b}'],
    ['[0:0]={\xff}', '[0:0]={"\\\\377"}'],
    // Of a composite.
    ['(\xff,1)', '("\\\\377",1)'],
    ['(1,\xff)', '(1,"\\\\377")'],
    // Quoted, longer than a byte, or of nothing that opens: no "char".
    ['{"\xff"}', '{"\ufffd"}'],
    ['{"a",\xff}', '{"a","\\\\377"}'],
    ['{"a\\"",\xff}', '{"a\\"","\\\\377"}'],
    ['{\\"\xff,\xff}', '{\\"\ufffd,"\\\\377"}'],
    ['{\xff\xfe}', '{\ufffd\ufffd}'],
    ['{\xffa,a\xff}', '{\ufffda,a\ufffd}'],
    ['\xff,', '\ufffd,'],
    ['<\xff,1>', '<\ufffd,1>'],
    ['a,\xff,b', 'a,\ufffd,b'],
    ['{\xff', '{\ufffd'],
    ['{\xc3\xa9,\xff}', '{é,"\\\\377"}'],
    // ASCII elements stay as they are, DEL too.
    ['{\x7f,\xff}', '{\x7f,"\\\\377"}'],
  ] as const) {
    it(`${JSON.stringify(value)} becomes ${JSON.stringify(expected)}`, () => assert.equal(repaired(value), expected));
  }

  it('becomes UTF-8 whatever it is, and nothing of it that was UTF-8 is lost', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 20 }), fc.string({ unit: 'grapheme' }), (bytes, text) => {
        const result = repairValue(Buffer.concat([Buffer.from(`x${text} `), Buffer.from(bytes)]));
        assert.ok(isUtf8(result));
        assert.ok(result.toString('utf8').startsWith(`x${text} `));
      }),
    );
  });
});
