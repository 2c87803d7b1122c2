/** One line at a time through the decoder, for the tables of lines: what it says, or where it is refused. */
import assert from 'node:assert/strict';
import type { RowChange, Tuple } from '../../../../lambda/decode/messages.ts';
import { UndecodableError, ValueKind } from '../../../../lambda/decode/messages.ts';
import type { DecodedMessage } from '../../../../lambda/decode/plugin-decoder.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { valueText } from '../../../../lambda/decode/test-decoding/text.ts';

/** Decodes a line that stands in the middle of other bytes, which must not matter. */
export function decode(line: string, decoder = new TestDecodingDecoder()): DecodedMessage {
  const before = Buffer.from("x[integer]:'");
  const bytes = Buffer.concat([before, Buffer.from(line), Buffer.from(`' 0)" new-tuple: (no-tuple-data)`)]);
  return decoder.decode(bytes, before.length, before.length + Buffer.byteLength(line));
}

/** Decodes a line that is a row's. */
export function decodeRow(line: string, decoder?: TestDecodingDecoder): RowChange {
  const decoded = decode(line, decoder);
  assert.equal(decoded.kind, 'change');
  return decoded;
}

/** A column, decoded. */
export type Cell = readonly [name: string, type: string, kind: keyof typeof ValueKind, text: string | null | undefined];

/** A tuple's columns; undefined where there is no tuple. */
export function cells(tuple: Tuple | undefined, bytes: Buffer): Cell[] | undefined {
  if (tuple === undefined) return undefined;
  return Array.from({ length: tuple.count }, (_, i): Cell => {
    const kind = (Object.keys(ValueKind) as (keyof typeof ValueKind)[]).find(
      (name) => ValueKind[name] === tuple.kinds[i],
    );
    return [tuple.headers[i]?.name ?? '?', tuple.headers[i]?.type ?? '?', kind ?? 'null', valueText(tuple, i, bytes)];
  });
}

/** Asserts that a line is refused, where, and that the refusal gives none of it away. */
export function assertRefused(line: string, offset: number, expected: RegExp): void {
  assert.throws(
    () => decode(line),
    (error: unknown) => {
      assert.ok(error instanceof UndecodableError, `${String(error)} is no UndecodableError`);
      assert.match(error.expected, expected);
      assert.equal(error.offset, offset);
      assert.equal(error.message, `expected ${error.expected} at byte ${offset}`);
      return true;
    },
  );
}
