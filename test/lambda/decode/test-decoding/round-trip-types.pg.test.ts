/** Values of every built-in type, alone and in arrays, on a real server: decoded, they are what SELECT returns. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PostgresServer } from '../../../support/postgres.ts';
import { startPostgres } from '../../../support/postgres.ts';
import { SlotReader } from './slot-reader.ts';

const TEXTS = [
  '',
  ' ',
  'null',
  "it's",
  "''",
  '\\',
  "\\'",
  '"',
  'a\nb\r\n\tc',
  " new-tuple: x[integer]:1 y[text]:'z'",
  'Ä € 😀',
  "x'".repeat(200),
  '{a,b}',
  ',',
];
const INTEGERS = ['0', '-1', '32767'];
const FLOATS = ['0', '-0', '1.5', '1e20', '-1.25e-07', '3.14159', 'NaN', 'Infinity', '-Infinity'];

/** Literals of each base type, by its name in pg_type. */
const LITERALS: Readonly<Record<string, readonly string[]>> = {
  bool: ['t', 'f'],
  bytea: ['', '\\xdeadbeef', '\\x00275c'],
  char: ['a', "'", '\\', ' '],
  name: ['abc', "O'Hara", 'a "b"'],
  int8: ['0', '9223372036854775807', '-9223372036854775808'],
  int2: INTEGERS,
  int2vector: ['', '1 2 3'],
  int4: [...INTEGERS, '2147483647', '-2147483648'],
  regproc: ['now', 'boolin'],
  text: TEXTS,
  oid: ['0', '4294967295'],
  tid: ['(0,1)'],
  xid: ['0', '4294967295'],
  cid: ['7'],
  oidvector: ['', '1 2'],
  json: ['{"a": "it\'s"}', ' [1,\n 2] ', 'null', '"\\u0041"'],
  xml: ["<a b='c'>d</a>"],
  point: ['(1,2)', '(-1.5,1e+20)'],
  lseg: ['[(0,0),(1,1)]'],
  path: ['[(0,0),(1,1)]', '((0,0),(1,1))'],
  box: ['(1,1),(0,0)'],
  polygon: ['((0,0),(1,1),(1,0))'],
  line: ['{1,-1,0}'],
  float4: FLOATS,
  float8: [...FLOATS, '1.7976931348623157e308', '5e-324', '0.1'],
  abstime: ['2001-02-03 04:05:06+00'],
  reltime: ['1 day'],
  tinterval: ['["2001-02-03 04:05:06+00" "2002-02-03 04:05:06+00"]'],
  circle: ['<(0,0),2>'],
  money: ['$1,234.56', '-0.01'],
  macaddr: ['08:00:2b:01:02:03'],
  macaddr8: ['08:00:2b:01:02:03:04:05'],
  inet: ['10.0.0.1', '10.0.0.1/8', '::1'],
  cidr: ['10.0.0.0/8'],
  aclitem: ['postgres=r/postgres'],
  bpchar: ['abc  ', "'"],
  varchar: TEXTS,
  date: ['2026-01-02', '0044-03-15 BC', 'infinity', '12345-01-01'],
  time: ['00:00', '23:59:59.999999', '24:00'],
  timestamp: ['2026-01-02 03:04:05.678901', '-infinity', '0001-01-01 BC'],
  timestamptz: ['2026-01-02 03:04:05.678901+05:45', 'infinity', '294276-12-31 23:59:59+00'],
  interval: ['0', '1 year -2 mons 3 days -04:05:06.789', '-1 second'],
  timetz: ['03:04:05.5-08'],
  bit: ['0', '1'],
  varbit: ['', '0', '0101'],
  numeric: ['0', '0.10', '-12345678901234567890.123456789', '1e-20', '1e30', 'NaN'],
  refcursor: ["cursor's"],
  regprocedure: ['now()', '0'],
  regoper: ['||/'],
  regoperator: ['+(integer,integer)'],
  regclass: ['pg_class', '0'],
  regcollation: ['"C"'],
  regtype: ['integer', 'double precision', '"char"'],
  regrole: ['postgres'],
  regnamespace: ['pg_catalog'],
  regdatabase: ['postgres'],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  pg_lsn: ['16/B374D848'],
  tsvector: ["'it''s':1A 'b'", ''],
  gtsvector: [],
  tsquery: ["'a' & !'b''c'"],
  regconfig: ['english'],
  regdictionary: ['simple'],
  jsonb: ['{"a": {"b": [1, null, "it\'s"]}}', '[]'],
  jsonpath: ['$."a"[*]'],
  txid_snapshot: ['10:20:10,14,15'],
  pg_snapshot: ['10:20:10,14,15'],
  xid8: ['18446744073709551615'],
  oid8: ['18446744073709551615'],
};

/** Types that no SQL can make a value of: their input functions refuse, or only catalogs use them. */
const WITHOUT_LITERALS = new Set([
  'gtsvector',
  'pg_node_tree',
  'pg_ndistinct',
  'pg_dependencies',
  'pg_mcv_list',
  'pg_brin_bloom_summary',
  'pg_brin_minmax_multi_summary',
  'smgr',
]);

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

describe('values on a real server', () => {
  let server: PostgresServer;
  let slot: SlotReader;
  before(async () => {
    server = await startPostgres();
    await server.sql(`SET standard_conforming_strings = on`);
    slot = await SlotReader.create(server, 'types');
  });
  after(() => server.stop());

  /** Inserts what an expression list says, a row each, and compares the lines with the table. */
  async function assertRoundTrip(table: string, rows: readonly string[]): Promise<void> {
    for (const [i, row] of rows.entries()) await server.sql(`INSERT INTO ${table} VALUES (${i}, ${row})`);
    const selected = await slot.select(table);
    assert.equal(selected.length, rows.length);
    const told = await slot.changes();
    assert.deepEqual(
      told,
      selected.map((row) => ({ kind: 'change', operation: 'INSERT', table, old: undefined, new: row })),
    );
    await server.sql(`ALTER TABLE ${table} REPLICA IDENTITY FULL`);
    await server.sql(`DELETE FROM ${table}`);
    const deleted = selected.map((row) => ({
      kind: 'change',
      operation: 'DELETE',
      table,
      old: Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
      new: undefined,
    }));
    const byId = (a: unknown, b: unknown): number => JSON.stringify(a).localeCompare(JSON.stringify(b));
    assert.deepEqual((await slot.changes()).sort(byId), deleted.sort(byId));
  }

  it('decodes every base type, and an array of each', async () => {
    const types = await server.sql<{ name: string; hasArray: boolean }>(
      `SELECT typname AS name, typarray <> 0 AS "hasArray" FROM pg_type
        WHERE typtype = 'b' AND typcategory <> 'A' AND typnamespace = 'pg_catalog'::regnamespace ORDER BY oid`,
    );
    assert.ok(types.length > 60);
    let tested = 0;
    for (const { name, hasArray } of types) {
      if (WITHOUT_LITERALS.has(name)) continue;
      const literals = LITERALS[name];
      assert.ok(literals, `no literals of type ${name}: list some`);
      const type = `pg_catalog."${name}"`;
      // Character 0 and the like aside, numeric has infinities from 14 on.
      const values = name === 'numeric' && server.version >= 14 ? [...literals, 'Infinity', '-Infinity'] : literals;
      const table = `public."of ${name}"`;
      await server.sql(`CREATE TABLE ${table} (id integer PRIMARY KEY, v ${type}${hasArray ? `, a ${type}[]` : ''})`);
      const list = values.map((value) => `${quote(value)}::${type}`);
      const array = hasArray
        ? [
            `, ARRAY[${[...list, 'NULL'].join(', ')}]::${type}[]`,
            ', NULL',
            `, ARRAY[ARRAY[${list.join(', ')}]]::${type}[]`,
          ]
        : [''];
      await assertRoundTrip(table, [
        ...list.map((value, i) => `${value}${array[i % array.length] ?? ''}`),
        `NULL${array[0] ?? ''}`,
      ]);
      tested++;
    }
    assert.equal(tested, types.filter(({ name }) => !WITHOUT_LITERALS.has(name)).length);
  });

  it('decodes arrays of many dimensions, bounds, NULLs, quotes and backslashes', async () => {
    await server.sql('CREATE TABLE public.arrays (id integer PRIMARY KEY, i integer[], t text[], b boolean[])');
    await assertRoundTrip('public.arrays', [
      `'{}', '{}', '{}'`,
      `'{1,NULL,3}', '{a,NULL,"NULL",""}', '{t,f,NULL}'`,
      `'[2:4]={1,2,3}', '[0:1][-1:0]={{a,b},{c,d}}', NULL`,
      `'{{1,2},{3,4}}', '{{{a},{b}},{{c},{d}}}', '{{t}}'`,
      `NULL, ARRAY['"', '\\', 'it''s', 'a,b', '{}', E'a\\nb', ' '], NULL`,
    ]);
  });

  it('decodes modifiers, enums, domains, composites, ranges, and types and names of any spelling', async () => {
    await server.sql(`
      CREATE SCHEMA "Odd, schema: x[y]";
      CREATE TYPE public.mood AS ENUM ('sad', 'it''s "ok"', 'new-tuple:');
      CREATE TYPE "Odd, schema: x[y]"."My ""enum""[]" AS ENUM ('a b', '');
      CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
      CREATE DOMAIN public.flag AS boolean;
      CREATE DOMAIN public.bits AS bit varying;
      CREATE DOMAIN public.words AS text[];
      CREATE TYPE public.pair AS (a integer, "b c" text);
      CREATE TYPE public."integer" AS (x text);
      CREATE TYPE public.floatrange AS RANGE (subtype = float8);
      CREATE TABLE "Odd, schema: x[y]"."t"": INSERT:" (
        id bigserial PRIMARY KEY, n numeric(10,2), c char(5), vc varchar(7), bt bit(3), ts timestamp(3) with time zone, tm time(0), iv interval day to second,
        m public.mood, ma public.mood[], "E" "Odd, schema: x[y]"."My ""enum""[]", "EA" "Odd, schema: x[y]"."My ""enum""[]"[],
        p public.positive, f public.flag, b public.bits, w public.words, pr public.pair, pra public.pair[], odd public."integer",
        ir int4range, tr tsrange, fr public.floatrange, ra int4range[],
        "select" text, "x[integer]:'1' y" text, " new-tuple:" text, "(no-tuple-data)" text, "a""b" text, "Größe €" text, "line\nbreak" text)`);
    await assertRoundTrip(`"Odd, schema: x[y]"."t"": INSERT:"`, [
      `1.5, 'ab', 'it''s', B'101', '2026-01-02 03:04:05.6789+00', '03:04:05.5', '1 day 2:03:04',
       'it''s "ok"', '{sad,"new-tuple:"}', 'a b', ARRAY['', 'a b']::"Odd, schema: x[y]"."My ""enum""[]"[],
       7, true, B'01', '{"x y"}', ROW(1, 'it''s, "b"'), ARRAY[ROW(1, NULL)::public.pair], ROW('x'),
       '[1,5)', '["2026-01-01 00:00","2026-01-02 00:00")', '(,1.5]', '{"[1,2)",empty}',
       'a', 'b', 'c', 'd', 'e', 'f', E'g\\nh'`,
      Array.from({ length: 29 }, () => 'NULL').join(', '),
    ]);
  });

  it('decodes multiranges, which 14 brought', async () => {
    const created = server.sql(
      'CREATE TABLE public.multi (id integer PRIMARY KEY, r int4multirange, d datemultirange)',
    );
    if (server.version < 14) return assert.rejects(created, /int4multirange/);
    await created;
    await assertRoundTrip('public.multi', [`'{[1,3),[5,7)}', '{}'`, `NULL, '{[2026-01-01,2026-02-01)}'`]);
  });
});
