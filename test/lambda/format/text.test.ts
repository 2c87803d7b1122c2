/** Text from bytes to bytes: each translation against what says the same of strings. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import {
  BACKSLASH_UNESCAPED,
  CSV_QUOTED,
  JSON_TEXT,
  JSON_TEXT_UNDOUBLED,
  jsonString,
  ONE_LINE,
  ONE_LINE_UNDOUBLED,
  translate,
  type Translation,
  UNDOUBLED,
  writeJsonString,
  writeText,
} from '../../../lambda/format/text.ts';

/** A text through a translation, in the middle of others that would be translated, too. */
function through(table: Translation, text: string): string {
  const out = new ByteWriter(1);
  out.ascii('>');
  const bytes = Buffer.from(`'"\\\n${text}'"\\\n`);
  translate(out, bytes, 4, bytes.length - 4, table);
  return out.toString().slice(1);
}

const hostile = fc.string({
  unit: fc.constantFrom('a', "'", '"', '\\', '\n', '\r', '\t', '\b', '\f', '\0', '\x1f', ' ', 'é', '😀', '\u2028'),
  maxLength: 60,
});
const doubled = (text: string): string => text.replaceAll("'", "''");

describe('a translation', () => {
  const cases: readonly (readonly [
    string,
    Translation,
    (text: string) => readonly [given: string, expected: string],
  ])[] = [
    ['into JSON', JSON_TEXT, (text) => [text, JSON.stringify(text).slice(1, -1)]],
    [
      'into JSON, apostrophes undoubled',
      JSON_TEXT_UNDOUBLED,
      (text) => [doubled(text), JSON.stringify(text).slice(1, -1)],
    ],
    ['of doubled apostrophes', UNDOUBLED, (text) => [doubled(text), text]],
    ['into one line', ONE_LINE, (text) => [text, text.replaceAll(/[\r\n]/g, '')]],
    [
      'into one line, apostrophes undoubled',
      ONE_LINE_UNDOUBLED,
      (text) => [doubled(text), text.replaceAll(/[\r\n]/g, '')],
    ],
    ['into a quoted field of CSV', CSV_QUOTED, (text) => [text, text.replaceAll('"', '""')]],
    ['of backslash escapes', BACKSLASH_UNESCAPED, (text) => [text.replaceAll(/["\\a]/g, String.raw`\$&`), text]],
  ];
  for (const [what, table, both] of cases)
    it(`${what} is that of strings`, () => {
      fc.assert(
        fc.property(hostile, (text) => {
          const [given, expected] = both(text);
          assert.equal(through(table, given), expected);
        }),
        { numRuns: 300 },
      );
    });
});

describe('a text', () => {
  const write = (
    how: (out: ByteWriter, bytes: Buffer, start: number, end: number, quotesDoubled: boolean) => void,
    text: string,
    quotesDoubled: boolean,
  ): string => {
    const out = new ByteWriter(1);
    const bytes = Buffer.from(`"${text}"`);
    how(out, bytes, 1, bytes.length - 1, quotesDoubled);
    return out.toString();
  };

  it('is a JSON string with its quotes, its apostrophes undoubled where they are doubled', () => {
    assert.equal(write(writeJsonString, 'it\'\'s "a"', true), '"it\'s \\"a\\""');
    assert.equal(write(writeJsonString, "it''s", false), `"it''s"`);
  });

  it('is as it is, its apostrophes undoubled where they are doubled', () => {
    assert.equal(write(writeText, 'it\'\'s "a"\n', true), 'it\'s "a"\n');
    assert.equal(write(writeText, "it''s", false), "it''s");
  });

  it('that is known before is the same JSON', () => {
    fc.assert(fc.property(hostile, (text) => assert.equal(jsonString(text).toString(), JSON.stringify(text))));
  });
});
