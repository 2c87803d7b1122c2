// Debezium's values, type by type: the rows of test/golden/debezium/types.tsv, each with what fixes it there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { debezium } from '../../../../lambda/format/debezium/debezium.ts';
import { FORMAT_OPTIONS, recordOf, written } from '../../../support/changes.ts';
import { goldenValues, printedValue } from '../../../support/golden.ts';

/** The domains of the golden values. */
const DOMAINS: Readonly<Record<string, string>> = {
  'public.positive': 'integer',
  'public.day': 'date',
  'public.days': 'date[]',
};
const baseType = (type: string): string => DOMAINS[type] ?? type;

describe("debezium's values", () => {
  for (const value of goldenValues('debezium')) {
    const { type, setting, text, json } = value;
    it(`${type} ${text} is ${json}${setting === '' ? '' : ` with ${setting}`}`, () => {
      const time = setting === 'DEBEZIUM_TIME=isostring' ? 'isostring' : 'microseconds';
      assert.ok(setting === '' || time === 'isostring', setting);
      const options = { ...FORMAT_OPTIONS, baseType, debezium: { ...FORMAT_OPTIONS.debezium, time } } as const;
      const line = `table public.t: INSERT: v[${type}]:${printedValue(value, baseType)}`;
      const data = written(debezium(options), recordOf(line));
      assert.equal(data.slice('{"before":null,"after":{"v":'.length, data.indexOf('},"source":')), json);
      JSON.parse(data);
    });
  }
});

/** PostgreSQL's own names of types, by the short ones that docs/records.md uses. */
const LONG_NAMES: Readonly<Record<string, string>> = {
  time: 'time without time zone',
  timetz: 'time with time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  varchar: 'character varying',
  char: 'character',
  varbit: 'bit varying',
  hstore: 'public.hstore',
};

describe('the golden values', () => {
  const page = readFileSync(new URL('../../../../docs/records.md', import.meta.url), 'utf8');
  const table = /\n## Values of the three formats\n(.*?)\n## /s.exec(page)?.[1] ?? '';
  const types = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, first = '']) =>
    [...first.matchAll(/`([^`]+)`/g)].map(([, type = '']) => type.replace(/\(.*\)$/, '')),
  );
  for (const format of ['debezium', 'dms'] as const) {
    it(`of ${format} have every type of docs/records.md`, () => {
      const known = new Set(goldenValues(format).map(({ type }) => type));
      assert.ok(types.length > 40, types.join());
      const missing = types.filter((type) => !known.has(LONG_NAMES[type] ?? type));
      assert.deepEqual(missing, []);
    });
  }
});
