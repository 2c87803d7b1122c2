// Values as JSON at their edges: by their own bytes alone, whatever stands around them, and text that no server prints.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteWriter } from '../../../../lambda/format/byte-writer.ts';
import { converterFor, isJsonNull } from '../../../../lambda/format/json/value-converters.ts';

/** A value as JSON, with other bytes before and behind it. */
function convert(type: string, text: string, before = '', behind = ''): string {
  const out = new ByteWriter(16);
  const start = Buffer.byteLength(before);
  converterFor(type)(out, Buffer.from(before + text + behind), start, start + Buffer.byteLength(text), false);
  return out.toString();
}

describe('text that is no array', () => {
  for (const [type, whole] of [
    ['text[]', '{"a",b}'],
    ['text[]', '{{"a\\"","}"},{NULL,"{"}}'],
    ['integer[]', '{{1,2},{3,4}}'],
    ['jsonb[]', '{"{\\"a\\": 1}",2}'],
  ] as const)
    it(`is each part of ${type} ${whole} that lacks its end, though the end comes behind it`, () => {
      for (let length = 0; length < whole.length; length++)
        for (const before of ['', ',,', '}}'])
          assert.equal(
            convert(type, whole.slice(0, length), before, whole.slice(length)),
            JSON.stringify(whole.slice(0, length)),
          );
      assert.equal(convert(type, whole, ',,', whole), convert(type, whole));
    });

  for (const [type, text] of [
    ['integer[]', '12'],
    ['text[]', 'x'],
    ['text[]', 'x}'],
    ['text[]', '{"}'],
    ['text[]', '{"a"xb}'],
    ['integer[]', '{1}},{{2}'],
    ['integer[]', '{1},{2}'],
    ['json[]', '{1,"null"}'],
    ['integer[]', '{,1}'],
    ['integer[]', '{1,}'],
    ['integer[]', '{1,,2}'],
  ] as const)
    it(`is ${type} ${text}`, () => {
      for (const before of ['', ',', ',,', '}}']) assert.equal(convert(type, text, before), JSON.stringify(text));
    });
});

describe('the JSON value null', () => {
  for (const text of ['null', ' null', 'null ', '\t\r\n null \n'])
    it(`is ${JSON.stringify(text)}`, () => {
      assert.equal(isJsonNull(Buffer.from(text), 0, text.length), true);
      assert.equal(isJsonNull(Buffer.from(`n${text}l`), 1, 1 + text.length), true);
    });
  for (const text of ['', '  ', 'true', 'nul', '"null"', '[null]', 'null0', '1'])
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.equal(isJsonNull(Buffer.from(text), 0, text.length), false);
    });
});

describe('a value', () => {
  for (const [what, type, text, json] of [
    ['keeps a single apostrophe', 'jsonb', `{"a": "it's"}`, `{"a": "it's"}`],
    ['keeps two apostrophes where none is doubled', 'jsonb', `"it''s"`, `"it''s"`],
    ['is text where bytes are not in hex', 'bytea', '\\000ab', '"\\\\000ab"'],
    ['is text where bytes only look like hex', 'bytea', 'ax00', '"ax00"'],
    ['keeps a zone west of UTC', 'timestamp with time zone', '2026-01-02 03:04:05-10', '"2026-01-02T03:04:05-10"'],
    ['keeps a zone that ends in 0', 'timestamp with time zone', '2026-01-02 03:04:05+10', '"2026-01-02T03:04:05+10"'],
    [
      'keeps a zone that begins with 0',
      'timestamp with time zone',
      '2026-01-02 03:04:05+01',
      '"2026-01-02T03:04:05+01"',
    ],
    ['keeps a zone of minus 0', 'timestamp with time zone', '2026-01-02 03:04:05-00', '"2026-01-02T03:04:05-00"'],
    ['keeps another sign before its time', 'timestamp without time zone', '2026-01-02_03:04', '"2026-01-02_03:04"'],
    [
      'is text where letters are in the place of the year',
      'timestamp without time zone',
      'year-01-02 03:04',
      '"year-01-02 03:04"',
    ],
    [
      'is text where a sign is before the year',
      'timestamp without time zone',
      '-044-03-15 00:00',
      '"-044-03-15 00:00"',
    ],
  ] as const)
    it(what, () => {
      assert.equal(convert(type, text), json);
    });
});
