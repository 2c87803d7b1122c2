/** The buffer of a row shortener: what is kept is what was given, however it grows and is cut. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KeptBytes } from '../../../lambda/decode/kept-bytes.ts';

describe('kept bytes', () => {
  it('are the header and each piece, in order, without what was cut off again', () => {
    const step = fc.oneof(
      fc.record({ cut: fc.nat(200) }),
      fc.record({ piece: fc.uint8Array({ maxLength: 60 }), from: fc.nat(60), to: fc.nat(60) }),
      // Much at once: more than the buffer has at the beginning, and than twice of it.
      fc.record({ piece: fc.constant(new Uint8Array(150_000).fill(7)), from: fc.nat(99), to: fc.constant(150_000) }),
    );
    const kept = new KeptBytes();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9 }), fc.array(step, { maxLength: 12 }), (header, steps) => {
        let expected = Buffer.from(header);
        kept.begin(Buffer.from(header));
        for (const each of steps) {
          if ('cut' in each) {
            const length = Math.min(each.cut, expected.length);
            kept.cutTo(length);
            expected = expected.subarray(0, length);
          } else {
            const end = Math.min(each.to, each.piece.length);
            const from = Math.min(each.from, end);
            kept.keep(each.piece, from, end);
            expected = Buffer.concat([expected, each.piece.subarray(from, end)]);
          }
          assert.equal(kept.length, expected.length);
          if (expected.length > 0) assert.equal(kept.at(expected.length - 1), expected.at(-1));
        }
        assert.ok(kept.take().equals(expected));
      }),
      { numRuns: 300 },
    );
  });

  it('are the whole piece where no range is given', () => {
    const kept = new KeptBytes();
    kept.begin(Buffer.from('a'));
    kept.keep(Buffer.from('bc'));
    assert.equal(kept.take().toString(), 'abc');
  });

  it("are the taker's: the next row has other memory", () => {
    const kept = new KeptBytes();
    kept.begin(Buffer.from('first'));
    const first = kept.take();
    kept.begin(Buffer.from('other'));
    kept.keep(Buffer.from(' row'));
    assert.equal(first.toString(), 'first');
  });

  it('I8: take at most twice the memory that they need', () => {
    const kept = new KeptBytes();
    kept.begin(Buffer.alloc(0));
    const piece = Buffer.alloc(1_000);
    for (let i = 0; i < 1_000; i++) kept.keep(piece);
    const { buffer, byteLength } = kept.take();
    assert.equal(byteLength, 1_000_000);
    assert.ok(buffer.byteLength >= 1_000_000 && buffer.byteLength <= 2_000_000, `${buffer.byteLength} bytes`);
  });
});
