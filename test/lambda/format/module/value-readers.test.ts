/** The change that a formatter of the user's own is given: its values by type, and all that FORMAT=json has. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { json } from '../../../../lambda/format/json/json.ts';
import { builtInDelimiter } from '../../../../lambda/format/json/value-converters.ts';
import { ChangeMaker } from '../../../../lambda/format/module/change.ts';
import { FORMAT_OPTIONS, recordOf, truncateOf, written } from '../../../support/changes.ts';

const maker = new ChangeMaker('app/pg2kinesis', builtInDelimiter);
const valueOf = (type: string, printed: string): unknown =>
  maker.of(recordOf(`table public.t: INSERT: v[${type}]:${printed}`)).row?.v;

describe('ChangeMaker', () => {
  for (const [type, printed, value] of [
    ['smallint', '-32768', -32_768],
    ['integer', '2147483647', 2_147_483_647],
    ['integer', '0', 0],
    ['bigint', '9007199254740991', 9_007_199_254_740_991],
    ['bigint', '9007199254740992', '9007199254740992'],
    ['bigint', '-9223372036854775808', '-9223372036854775808'],
    ['bigint', '-9007199254740991', -9_007_199_254_740_991],
    ['real', '1e-07', 1e-7],
    ['double precision', 'NaN', NaN],
    ['double precision', '-Infinity', -Infinity],
    ['numeric', '123456789012345678901234567890.50', '123456789012345678901234567890.50'],
    ['numeric', 'NaN', 'NaN'],
    ['money', "'$1,234.50'", '$1,234.50'],
    ['boolean', 'true', true],
    ['boolean', 'false', false],
    ['text', "'it''s\n \"Zoë\"'", 'it\'s\n "Zoë"'],
    ['character varying', "''", ''],
    ['jsonb', `'{"a": [1, null], "b": "it''s"}'`, { a: [1, null], b: "it's" }],
    ['json', "' null'", null],
    ['bytea', "'\\x00ff10'", Buffer.from([0, 255, 16])],
    ['bytea', "'\\x'", Buffer.alloc(0)],
    ['bytea', "'\\000ab'", '\\000ab'],
    ['timestamp with time zone', "'2026-01-02 03:04:05.678901+00'", '2026-01-02T03:04:05.678901Z'],
    ['timestamp without time zone', "'infinity'", 'infinity'],
    ['date', "'2026-01-02'", '2026-01-02'],
    ['interval', "'P1DT2H'", 'P1DT2H'],
    ['integer[]', "'{1,NULL,3}'", [1, null, 3]],
    ['text[]', `'{"a b",it''s}'`, ['a b', "it's"]],
    ['bit', "B'101'", '101'],
    ['public.mood', "'happy'", 'happy'],
    ['uuid', "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['text', 'null', null],
  ] as const) {
    it(`gives ${type} ${printed.slice(0, 40)} as a JavaScript value`, () => {
      assert.deepEqual(valueOf(type, printed), value);
    });
  }

  it('reads one value after another of a type that goes by way of JSON', () => {
    assert.deepEqual(valueOf('integer[]', "'{1}'"), [1]);
    const { row } = maker.of(recordOf("table public.t: INSERT: v[integer[]]:'{2}' w[integer[]]:'{3}'"));
    assert.deepEqual(row, { v: [2], w: [3] });
    assert.deepEqual(valueOf('integer[]', "'{4}'"), [4]);
  });

  const lines: readonly (readonly [string, string, Parameters<typeof recordOf>[1]])[] = [
    ['INSERT', "table public.t: INSERT: id[integer]:1 v[text]:'a'", { key: ['id'] }],
    [
      'UPDATE with the old row, and a value that was not sent',
      "table public.t: UPDATE: old-key: id[integer]:1 w[text]:'b' new-tuple: id[integer]:1 v[text]:unchanged-toast-datum w[text]:unchanged-toast-datum",
      { key: ['id'] },
    ],
    ['DELETE', 'table public.t: DELETE: id[integer]:1', { key: ['id'] }],
    ['DELETE without a key', 'table public.t: DELETE: (no-tuple-data)', {}],
    [
      'half a key change',
      "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:'a'",
      { key: ['id'], half: 'DELETE' },
    ],
    [
      'the other half',
      "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:'a'",
      { key: ['id'], half: 'INSERT' },
    ],
    ['a change too large', "table public.t: INSERT: id[integer]:1 v[text]:'a'", { key: ['id'], truncated: true }],
    ['an omitted column', "table public.t: INSERT: id[integer]:1 v[text]:'a'", { key: ['id'], omitted: ['v'] }],
  ];
  for (const [name, line, options] of lines) {
    it(`has all that FORMAT=json has of ${name}, and the types`, () => {
      const record = recordOf(line, options);
      const { types, ...rest } = maker.of(record);
      assert.deepEqual(rest, JSON.parse(written(json(FORMAT_OPTIONS), record)));
      if (!line.includes('no-tuple')) assert.equal(types['id'], 'integer');
    });
  }

  it('has all of a TRUNCATE', () => {
    const record = truncateOf({ printed: 'public.t', schema: 'public', name: 't' });
    const { types, ...rest } = maker.of(record);
    assert.deepEqual(rest, JSON.parse(written(json(FORMAT_OPTIONS), record)));
    assert.deepEqual(types, {});
  });

  it('gives the types of the columns that are there now, and keeps a column named __proto__', () => {
    const record = recordOf('table public.t: INSERT: id[integer]:1 __proto__[integer]:2');
    const before = maker.of(record);
    assert.deepEqual(JSON.parse(JSON.stringify(before.row)), JSON.parse('{"id":1,"__proto__":2}'));
    const after = maker.of({ ...recordOf("table public.t: INSERT: id[bigint]:1 v[text]:'x'"), table: record.table });
    assert.deepEqual(after.types, { id: 'bigint', v: 'text' });
  });

  it('makes a change that stays as it is when the next one is made', () => {
    const first = maker.of(recordOf("table public.t: INSERT: id[integer]:1 v[bytea]:'\\x01'"));
    maker.of(recordOf("table public.t: INSERT: id[integer]:2 v[bytea]:'\\x02'"));
    assert.deepEqual(first.row, { id: 1, v: Buffer.from([1]) });
  });
});
