/** The text of a key, for each kind of value that either plugin gives. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ValueKind } from '../../../lambda/decode/messages.ts';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { writeKeyJson, writeKeyText } from '../../../lambda/format/key-text.ts';
import type { Key } from '../../../lambda/format/record.ts';

type Part = readonly [kind: number, text: string];

/** A key whose parts stand one behind the other, after bytes of something else. */
function laidOut(parts: readonly Part[]): { readonly key: Key; readonly bytes: Buffer } {
  const [starts, ends]: [number[], number[]] = [[], []];
  let text = 'before ';
  for (const [, part] of parts) {
    starts.push(text.length);
    ends.push(text.length + part.length);
    text += `${part};`;
  }
  const headers = parts.map(() => ({ printed: 'c', name: 'c', type: 'text' }));
  const tuple = { count: parts.length, headers, kinds: parts.map(([kind]) => kind), starts, ends } as never;
  const key = { count: parts.length, tuples: parts.map(() => tuple), columns: parts.map((_, i) => i) };
  return { key, bytes: Buffer.from(text) };
}

function both(...parts: readonly Part[]): { text: string; json: string } {
  const { key, bytes } = laidOut(parts);
  const [text, json] = [new ByteWriter(16), new ByteWriter(16)];
  writeKeyText(key, bytes, text);
  writeKeyJson(key, bytes, json);
  return { text: text.toString(), json: json.toString() };
}

const { bare, boolean, escaped, quoted } = ValueKind;

describe('the text of a key', () => {
  for (const [what, parts, text, json] of [
    ['a number', [[bare, '42']], '42', '"42"'],
    ['an empty text', [[quoted, '']], '', '""'],
    ['a text with quotes', [[escaped, `it''s "a"`]], `it's "a"`, `"it's \\"a\\""`],
    ['a text that holds two apostrophes', [[quoted, `a''b`]], `a''b`, `"a''b"`],
    ['true as pgoutput sends it', [[boolean, 't']], 'true', '"true"'],
    ['false as pgoutput sends it', [[boolean, 'f']], 'false', '"false"'],
    [
      'true beside a number',
      [
        [boolean, 't'],
        [bare, '7'],
      ],
      '["true","7"]',
      '["true","7"]',
    ],
    [
      'false behind a text',
      [
        [escaped, `a''b`],
        [boolean, 'f'],
      ],
      `["a'b","false"]`,
      `["a'b","false"]`,
    ],
    // It never comes about: it guards against a bug.
    ['NULL', [[ValueKind.null, '']], '', 'null'],
    ['a value that was not sent', [[ValueKind.unchanged, '']], '', 'null'],
    [
      'NULL beside a number',
      [
        [ValueKind.null, ''],
        [bare, '7'],
      ],
      '[null,"7"]',
      '[null,"7"]',
    ],
  ] as const satisfies readonly (readonly [string, readonly Part[], string, string])[]) {
    it(what, () => assert.deepEqual(both(...parts), { text, json }));
  }

  it('a column that the row has not, which guards against a bug, too', () => {
    const { key, bytes } = laidOut([[bare, '1']]);
    const out = new ByteWriter(16);
    writeKeyJson({ ...key, columns: [1] }, bytes, out);
    assert.equal(out.toString(), 'null');
  });
});
