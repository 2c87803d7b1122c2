/** What is kept of a line that is too large: everything that is small, wherever the line is cut into pieces. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_PREFIX_BYTES, type Tuple, UndecodableError, ValueKind } from '../../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import {
  limitsForRecord,
  type ShortenerLimits,
  TestDecodingRowShortener,
} from '../../../../lambda/decode/test-decoding/row-shortener.ts';
import { decode } from './decode-line.ts';
import { printRow } from './printer.ts';
import { row } from './random-rows.ts';

const HEADER = Buffer.from('header');

/** Sends a line through a shortener in pieces of these lengths, over and over. */
function shorten(line: string, limits: ShortenerLimits, lengths: readonly number[] = [7]): string {
  const shortener = new TestDecodingRowShortener(limits);
  const bytes = Buffer.from(`xx${line}yy`);
  shortener.begin(HEADER);
  for (let at = 2, i = 0; at < bytes.length - 2; i++) {
    const end = Math.min(bytes.length - 2, at + (lengths[i % lengths.length] ?? 1));
    shortener.write(bytes, at, end);
    at = end;
  }
  const kept = shortener.end();
  assert.deepEqual(kept.subarray(0, HEADER.length), HEADER);
  return kept.toString('utf8', HEADER.length);
}

/** A tuple's columns with their text as printed, those left out by the word. */
function printed(tuple: Tuple | undefined, bytes: Buffer): [string, string, number, string][] | undefined {
  return (
    tuple &&
    Array.from({ length: tuple.count }, (_, i) => {
      const kind = tuple.kinds[i] ?? -1;
      const { name, type } = tuple.headers[i] ?? { name: '?', type: '?' };
      const text = kind === ValueKind.elided ? '' : bytes.toString('utf8', tuple.starts[i], tuple.ends[i]);
      return [name, type, kind, text];
    })
  );
}

/** What a whole row becomes when every quoted value of more than so many bytes is left out. */
function withoutLarge(
  columns: ReturnType<typeof printed>,
  maxBytes: number,
): [string, string, number, string][] | undefined {
  return columns?.map(([name, type, kind, text]) => {
    const quoted = kind === ValueKind.quoted || kind === ValueKind.escaped || kind === ValueKind.bits;
    return quoted && Buffer.byteLength(text) + 2 > maxBytes
      ? [name, type, ValueKind.elided, '']
      : [name, type, kind, text];
  });
}

describe('the shortener', () => {
  it("keeps the beginning of a logical message's line, and looks for nothing in it", () => {
    const limits = { valueBytes: 1, lineBytes: 10, smallBytes: 0, messageBytes: 50, restBytes: 1_000 };
    const line = `message: transactional: 1 prefix: p, sz: 40 content:'a''b"c"${'x'.repeat(33)}`;
    for (const lengths of [[1], [7], [49], [50], [51], [1_000]])
      assert.equal(shorten(line, limits, lengths), line.slice(0, 50));
  });

  it('keeps the longest prefix that can be published, and the size of the content behind it', () => {
    const shortener = new TestDecodingRowShortener(limitsForRecord(1024 * 1024));
    const prefix = 'é'.repeat(MAX_PREFIX_BYTES / 2);
    const line = Buffer.from(
      `message: transactional: 0 prefix: ${prefix}, sz: 5000000 content:${'x'.repeat(5_000_000)}`,
    );
    shortener.begin(Buffer.alloc(0));
    shortener.write(line, 0, line.length);
    const kept = shortener.end();
    const read = new TestDecodingDecoder().decode(kept, 0, kept.length, line.length);
    assert.ok(read.kind === 'message');
    assert.deepEqual([read.prefix === prefix, read.size, read.start === read.end], [true, 5_000_000, true]);
  });

  it('keeps every name and every small value, and leaves out the large ones, wherever the line is cut', () => {
    fc.assert(
      fc.property(
        row,
        fc.integer({ min: 0, max: 40 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
        (given, most, lengths) => {
          const line = printRow(given);
          const whole = decode(line);
          const kept = decode(
            shorten(
              line,
              { valueBytes: most, lineBytes: 1_000_000, smallBytes: 0, messageBytes: 64, restBytes: 1_000_000 },
              lengths,
            ),
          );
          assert.ok(whole.kind === 'change' && kept.kind === 'change');
          assert.equal(kept.table.printed, whole.table.printed);
          assert.equal(kept.operation, whole.operation);
          for (const tuple of ['oldTuple', 'newTuple'] as const) {
            assert.deepEqual(
              printed(kept[tuple], kept.bytes),
              withoutLarge(printed(whole[tuple], whole.bytes), most),
              line,
            );
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('keeps only small values once much is kept, so that a key behind them can be read', () => {
    const texts = Array.from({ length: 50 }, (_, i) => ` c${String(i)}[text]:'${'x'.repeat(90)}'`).join('');
    const kept = shorten(
      `table public.t: INSERT:${texts} b[bit varying]:B'${'1'.repeat(200)}' id[integer]:7 n[text]:'it''s'`,
      {
        valueBytes: 150,
        lineBytes: 1_000,
        smallBytes: 50,
        messageBytes: 64,
        restBytes: 10_000,
      },
    );
    assert.match(
      kept,
      /c8\[text\]:'x{90}' c9\[text\]:elided .*c49\[text\]:elided b\[bit varying\]:elided id\[integer\]:7 n\[text\]:'it''s'$/,
    );
    assert.ok(kept.length < 2_500, `${kept.length} bytes are kept`);
  });

  it('keeps as much of 600 MB as it may, in pieces as a socket gives them', () => {
    const shortener = new TestDecodingRowShortener(limitsForRecord(1024 * 1024));
    const text = (part: string): void => {
      const bytes = Buffer.from(part);
      shortener.write(bytes, 0, bytes.length);
    };
    const piece = Buffer.alloc(65_536, 'x');
    shortener.begin(HEADER);
    text("table public.t: UPDATE: old-key: body[text]:'");
    for (let i = 0; i < 4_800; i++) shortener.write(piece, 0, piece.length);
    text("' id[integer]:1 new-tuple: body[bytea]:'");
    for (let i = 0; i < 4_800; i++) shortener.write(piece, 0, piece.length);
    text("' id[integer]:2");
    assert.equal(
      shortener.end().toString('utf8', HEADER.length),
      'table public.t: UPDATE: old-key: body[text]:elided id[integer]:1 new-tuple: body[bytea]:elided id[integer]:2',
    );
  });

  it('fails to decode when a line has more outside its values than any row', () => {
    const shortener = new TestDecodingRowShortener({
      valueBytes: 100,
      lineBytes: 100,
      smallBytes: 10,
      messageBytes: 64,
      restBytes: 100_000,
    });
    shortener.begin(Buffer.alloc(0));
    const first = Buffer.from('table public.t: INSERT:');
    const column = Buffer.alloc(20_000, ' n[numeric]:12345.67');
    shortener.write(first, 0, first.length);
    for (let i = 0; i < 200; i++) shortener.write(column, 0, column.length);
    const kept = shortener.end();
    assert.ok(kept.length < 150_000, `${kept.length} bytes are kept`);
    assert.throws(() => new TestDecodingDecoder().decode(kept, 0, kept.length, 4_000_000), UndecodableError);
  });

  it('is given by a decoder, by the size of a record', () => {
    assert.equal(new TestDecodingDecoder(undefined, 1_000).maxRowBytes, 4_000);
  });
});
