// The growing buffer: what was written is there, also when it had to grow in between.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';

describe('ByteWriter', () => {
  it('writes decimal numbers as String does', () => {
    const values = [
      0,
      1,
      9,
      10,
      99,
      100,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 31 + 1,
      4294967295,
      10 ** 15,
      Number.MAX_SAFE_INTEGER,
    ];
    for (const value of values) {
      const out = new ByteWriter(1);
      out.decimal(value);
      assert.equal(out.toString(), String(value));
    }
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const out = new ByteWriter(1);
        out.decimal(value);
        assert.equal(out.toString(), String(value));
      }),
    );
  });

  it('writes hexadecimal numbers as toString does, in upper case', () => {
    const values = fc.oneof(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.nat(0x1ff),
      fc.constantFrom(0xffffffff, 2 ** 31),
    );
    fc.assert(
      fc.property(values, (value) => {
        const out = new ByteWriter(1);
        out.hexadecimal(value);
        assert.equal(out.toString(), value.toString(16).toUpperCase());
      }),
    );
  });

  it('copies parts and wholes of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), fc.nat(80), (given, one, other) => {
        const source = Buffer.from(given);
        const [start, end] = [Math.min(one, other, source.length), Math.min(Math.max(one, other), source.length)];
        const out = new ByteWriter(1);
        out.byte(0x2e);
        out.copy(source);
        out.copy(source, start, end);
        assert.deepEqual(out.view(), Buffer.concat([Buffer.from('.'), source, source.subarray(start, end)]));
      }),
    );
  });

  it('keeps what was written while it grows, whatever the order of writes', () => {
    const write = fc.oneof(
      fc.record({ how: fc.constant('utf8' as const), text: fc.string({ unit: 'binary', maxLength: 80 }) }),
      fc.record({ how: fc.constant('ascii' as const), text: fc.string({ unit: 'grapheme-ascii', maxLength: 80 }) }),
      fc.record({ how: fc.constant('copy' as const), text: fc.string({ unit: 'grapheme-ascii', maxLength: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(write), fc.integer({ min: 1, max: 9 }), (writes, capacity) => {
        const out = new ByteWriter(capacity);
        for (const { how, text } of writes) {
          if (how === 'copy') out.copy(Buffer.from(`<${text}>`), 1, 1 + text.length);
          else out[how](text);
        }
        assert.equal(out.toString(), writes.map(({ text }) => text).join(''));
        assert.deepEqual(out.view(), Buffer.from(out.toString()));
      }),
    );
  });

  it('grows only where it is full, and then to twice its size: rarely, however much is written', () => {
    const out = new ByteWriter(4);
    const grown: number[] = [];
    for (let i = 0; i < 100; i++) {
      const before = out.bytes;
      out.byte(0x61);
      if (out.bytes !== before) grown.push(i);
    }
    assert.deepEqual(grown, [4, 8, 16, 32, 64]);
  });

  it('makes a view once as long as it is the same', () => {
    const out = new ByteWriter();
    out.ascii('a');
    const view = out.view();
    assert.equal(out.view(), view);
  });

  it('forgets what was written when cleared, and begins anew', () => {
    const out = new ByteWriter();
    out.ascii('before');
    out.clear();
    out.byte(0x61);
    assert.equal(out.toString(), 'a');
  });
});
