// Debezium's values, type by type: the rows of test/golden/debezium/types.tsv, each with its source there.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { debezium } from '../../../../lambda/format/debezium/debezium.ts';
import type { DebeziumOptions } from '../../../../lambda/format/record.ts';
import { FORMAT_OPTIONS, quote, recordOf, written } from '../../../support/changes.ts';

/** How a value is written: type, the server's text as it prints it, JSON. */
type Case = readonly [type: string, text: string, json: string];

const text = (value: string): string => quote(value);

const CASES: readonly Case[] = [
  ['bigint', '9007199254740993', '9007199254740993'],
  ['smallint', '-7', '-7'],
  ['oid', '4294967295', '4294967295'],
  ['real', '0.1', '0.1'],
  ['double precision', 'NaN', '"NaN"'],
  ['double precision', '-Infinity', '"-Infinity"'],
  ['boolean', 'true', 'true'],
  ['numeric', '1.50', '"1.50"'],
  ['numeric', 'NaN', '"NAN"'],
  ['numeric', 'Infinity', '"POSITIVE_INFINITY"'],
  ['numeric', '-Infinity', '"NEGATIVE_INFINITY"'],
  ['money', text('$1,234.50'), '"1234.50"'],
  ['money', text('-$0.05'), '"-0.05"'],
  ['text', text('it\'s "x"'), '"it\'s \\"x\\""'],
  ['json', text('{"a": null}'), '"{\\"a\\": null}"'],
  ['jsonb', text('null'), '"null"'],
  ['xml', text('<a/>'), '"<a/>"'],
  ['date', text('2026-01-02'), '20455'],
  ['date', text('1969-12-31'), '-1'],
  ['date', text('2000-02-29'), '11016'],
  ['date', text('infinity'), '-2147472693'],
  ['date', text('-infinity'), '-2147472692'],
  ['date', text('0044-03-15 BC'), '-735160'],
  ['time without time zone', text('13:51:30.5'), '49890500000'],
  ['time without time zone', text('24:00:00'), '86400000000'],
  ['timestamp without time zone', text('2026-01-02 03:04:05.000006'), '1767323045000006'],
  ['timestamp without time zone', text('1969-12-31 23:59:59.999999'), '-1'],
  ['timestamp without time zone', text('infinity'), '9223372036825200000'],
  ['timestamp without time zone', text('-infinity'), '-9223372036832400000'],
  ['timestamp with time zone', text('2026-01-02 03:04:05+00'), '"2026-01-02T03:04:05.000000Z"'],
  ['timestamp with time zone', text('infinity'), '"infinity"'],
  ['timestamp with time zone', text('4714-12-31 23:59:59.999999+00 BC'), '"-4713-12-31T23:59:59.999999Z"'],
  ['timestamp with time zone', text('21016-11-04 06:51:30+00'), '"+21016-11-04T06:51:30.000000Z"'],
  ['time with time zone', text('13:51:30.123789+02'), '"11:51:30.123789Z"'],
  ['time with time zone', text('01:00:00-03:30'), '"04:30:00Z"'],
  ['time with time zone', text('01:00:00+02'), '"23:00:00Z"'],
  ['interval', text('P1Y2M3DT4H5M6.78S'), '37091106780000'],
  ['interval', text('P-1M'), '-2629800000000'],
  ['interval', text('PT0S'), '0'],
  ['bit', "B'1'", 'true'],
  ['bit', "B'0000011'", '"Aw=="'],
  ['bit', "B'1000000'", '"QA=="'],
  ['bit', "B'00'", '""'],
  ['bit varying', "B'111011010001000110000001000000001'", '"AQIj2gE="'],
  ['bytea', text('\\x00ff'), '"AP8="'],
  ['public.hstore', text('"a"=>"1", "b"=>NULL'), '"{\\"a\\":\\"1\\",\\"b\\":null}"'],
  ['ext.hstore', text('"q\\"\\\\"=>"it\'s"'), JSON.stringify(JSON.stringify({ 'q"\\': "it's" }))],
  ['point', text('(1.5,-2)'), '{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}'],
  ['integer[]', text('{1,NULL,3}'), '[1,null,3]'],
  ['text[]', text('{a,"b c",NULL}'), '["a","b c",null]'],
  ['date[]', text('{2026-01-02,1970-01-01}'), '[20455,0]'],
  ['numeric[]', text('{1.50,NaN}'), '["1.50","NAN"]'],
  // What Debezium leaves out of a row is text.
  ['pg_lsn', text('0/16B3748'), '"0/16B3748"'],
  ['public.mood', text('happy'), '"happy"'],
];

function valueOf(type: string, value: string, options: Partial<DebeziumOptions> = {}): string {
  const format = debezium({ ...FORMAT_OPTIONS, debezium: { ...FORMAT_OPTIONS.debezium, ...options } });
  const data = written(format, recordOf(`table public.t: INSERT: v[${type}]:${value}`));
  return data.slice('{"before":null,"after":{"v":'.length, data.indexOf('},"source":'));
}

describe("debezium's values", () => {
  for (const [type, value, json] of CASES) {
    it(`${type} ${value} is ${json}`, () => assert.equal(valueOf(type, value), json));
  }

  it('writes NULL as null', () => assert.equal(valueOf('integer', 'null'), 'null'));

  const ISO: readonly Case[] = [
    ['date', text('2026-01-02'), '"2026-01-02Z"'],
    ['time without time zone', text('03:04:05.5'), '"03:04:05.5Z"'],
    ['timestamp without time zone', text('2026-01-02 03:04:05.5'), '"2026-01-02T03:04:05.5Z"'],
  ];
  for (const [type, value, json] of ISO) {
    it(`${type} ${value} is ${json} with DEBEZIUM_TIME=isostring`, () =>
      assert.equal(valueOf(type, value, { time: 'isostring' }), json));
  }

  const placeholder = '__debezium_unavailable_value';
  const UNCHANGED: readonly (readonly [type: string, json: string])[] = [
    ['text', `"${placeholder}"`],
    ['jsonb', `"${placeholder}"`],
    ['bytea', `"${Buffer.from(placeholder).toString('base64')}"`],
    ['text[]', `["${placeholder}"]`],
    ['integer[]', JSON.stringify([...Buffer.from(placeholder)])],
    ['date[]', JSON.stringify([...Buffer.from(placeholder)])],
    // UUID.nameUUIDFromBytes of the placeholder: the MD5 with version 3 and the RFC's variant.
    ['uuid[]', '["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]'],
    ['public.hstore', JSON.stringify(JSON.stringify({ [placeholder]: placeholder }))],
  ];
  for (const [type, json] of UNCHANGED) {
    it(`${type} that was not sent is ${json.slice(0, 40)}`, () =>
      assert.equal(valueOf(type, 'unchanged-toast-datum'), json));
  }
});
