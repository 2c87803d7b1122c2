// Values as JSON against the server itself: what json writes of a value that went through the slot is what the server's
// own to_json, encode and text output say of the same value.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type pg from 'pg';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { FORMATS } from '../../../../lambda/format/formats.ts';
import { createDatabase } from '../../../../lambda/postgres/connection.ts';
import { open } from '../../../../lambda/postgres/connection-pair.ts';
import { recordOf, written } from '../../../support/changes.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../../support/postgres.ts';

/** Type, values as text, and what the server says of a value `e`. */
interface Case {
  readonly type: string;
  readonly values: readonly string[];
  /** SQL of type json, over `e`. */
  readonly says: string;
  /** The first major version that has it; arrays of domains came in 11. */
  readonly since?: number;
}

/** By the type's output function, as test_decoding prints it; a cast to text need not say the same (inet, char). */
const TEXT = `to_json(format('%s', e))`;
const FLOAT = `CASE WHEN e::text ~ '[NI]' THEN to_json(e::text) ELSE to_json(e) END`;
const timestamp = (plain: string): string =>
  `CASE WHEN NOT isfinite(e) OR e < '0001-01-01' THEN to_json(e::text)
        WHEN e < '10000-01-01' THEN to_json(${plain})
        ELSE to_json(overlay(${plain} placing '+' || lpad(split_part(e::text, '-', 1), 6, '0')
                             from 1 for strpos(e::text, '-') - 1)) END`;
/** Without the quotes of JSON. */
const PLAIN = `(to_json(e) #>> '{}')`;

const ASCII = String.fromCharCode(...Array.from({ length: 127 }, (_, i) => i + 1));
const HOSTILE = [
  '',
  ASCII,
  "it's",
  "''",
  '"',
  '\\',
  "\\'",
  'null',
  'NULL',
  'unchanged-toast-datum',
  "' id[integer]:1",
  '{a,b}',
  '[2:3]={1,2}',
  'a,b;c:d',
  ' lead and trail ',
  'é€😀\u2028\u0085',
  `${'long '.repeat(40_000)}'"\n`,
];
const TIMESTAMPS = [
  '2026-01-02 03:04:05',
  '2026-01-02 03:04:05.678',
  '2026-01-02 03:04:05.678901',
  '0001-01-01 00:00:00',
  '9999-12-31 23:59:59.999999',
  '10000-01-01 00:00:00',
  '294276-12-31 23:59:59.5',
  '0044-03-15 12:00:00 BC',
  '4713-01-01 00:00:00 BC',
  'infinity',
  '-infinity',
];
const DOCUMENTS = [
  '{}',
  'null',
  '" a\\n\\u0001\\"\'"',
  '1e400',
  '-0.10',
  '{"a":1,\n\t"a" : [ 2 ,\r\n null ],"b":"it\'s {\\"x\\"}"}',
  '\n\n[\n]\n',
  `[${'[],'.repeat(5_000)}[]]`,
];

const CASES: readonly Case[] = [
  { type: 'smallint', values: ['-32768', '0', '32767'], says: 'to_json(e)' },
  { type: 'integer', values: ['-2147483648', '0', '2147483647'], says: 'to_json(e)' },
  {
    type: 'bigint',
    values: [
      '0',
      '9007199254740991',
      '-9007199254740991',
      '9007199254740992',
      '-9007199254740992',
      '9223372036854775807',
      '-9223372036854775808',
      '1000000000000000',
    ],
    says: 'CASE WHEN e BETWEEN -9007199254740991 AND 9007199254740991 THEN to_json(e) ELSE to_json(e::text) END',
  },
  { type: 'oid', values: ['0', '4294967295'], says: TEXT },
  {
    type: 'numeric',
    values: ['0', '-12.50', '1e100', '0.000', 'NaN', '123456789012345678901234567890.123456789'],
    says: TEXT,
  },
  { type: 'numeric', values: ['Infinity', '-Infinity'], says: TEXT, since: 14 },
  { type: 'numeric(10,2)', values: ['1.5', '-99999999.99'], says: TEXT },
  { type: 'money', values: ['-1234.5', '0'], says: TEXT },
  {
    type: 'real',
    values: ['1.5', '-0', '1e20', '1e-30', '3.4028235e38', '0.1', 'NaN', 'Infinity', '-Infinity'],
    says: FLOAT,
  },
  {
    type: 'double precision',
    values: ['0.1', '-0', '1e300', '5e-324', '123456789.123456789', 'NaN', 'Infinity', '-Infinity'],
    says: FLOAT,
  },
  { type: 'boolean', values: ['true', 'false'], says: 'to_json(e)' },
  { type: 'text', values: HOSTILE, says: TEXT },
  { type: 'varchar(10)', values: ['it\'s "x"', ''], says: TEXT },
  { type: 'char(5)', values: ['a', "'b\n"], says: TEXT },
  { type: '"char"', values: ['x', "'", '"', '\\', ''], says: TEXT },
  { type: 'name', values: ["it's"], says: TEXT },
  { type: 'json', values: DOCUMENTS, says: `regexp_replace(e::text, '[\\r\\n]', '', 'g')::json` },
  { type: 'jsonb', values: DOCUMENTS.filter((each) => each !== '1e400'), says: 'e::text::json' },
  {
    type: 'bytea',
    values: ['\\x', '\\x00', '\\x00ff', '\\x0a0d27', '\\x275c22ff', `\\x${'a5'.repeat(100_000)}`],
    says: `to_json(translate(encode(e, 'base64'), E'\\n', ''))`,
  },
  { type: 'timestamp', values: TIMESTAMPS, says: timestamp(PLAIN) },
  { type: 'timestamp(0)', values: ['2026-01-02 03:04:05.678'], says: timestamp(PLAIN) },
  {
    type: 'timestamptz',
    values: [...TIMESTAMPS, '2026-07-02 03:04:05+05:30'],
    says: timestamp(`replace(${PLAIN}, '+00:00', 'Z')`),
  },
  {
    type: 'date',
    values: ['2026-01-02', '0001-01-01', '0044-03-15 BC', '5874897-12-31', 'infinity', '-infinity'],
    says: TEXT,
  },
  { type: 'time', values: ['03:04:05.678901', '24:00:00'], says: TEXT },
  { type: 'timetz', values: ['03:04:05+02', '03:04:05.5-11:30'], says: TEXT },
  { type: 'interval', values: ['1 year 2 months 3 days 04:05:06.789', '-1 mon +2 days -00:00:01', '0'], says: TEXT },
  { type: 'uuid', values: ['00079f3e-0479-4475-acff-4f225cc5188a'], says: TEXT },
  { type: 'bit(3)', values: ['101'], says: TEXT },
  { type: 'bit varying', values: ['', '0101'], says: TEXT },
  { type: 'inet', values: ['10.0.0.1/8', '::1'], says: TEXT },
  { type: 'cidr', values: ['10.0.0.0/8'], says: TEXT },
  { type: 'macaddr', values: ['08:00:2b:01:02:03'], says: TEXT },
  { type: 'point', values: ['(1,2.5)'], says: TEXT },
  { type: 'box', values: ['((1,1),(0,0))', '((2,2),(1,1))'], says: TEXT },
  { type: 'circle', values: ['<(1,2),3>'], says: TEXT },
  { type: 'polygon', values: ['((0,0),(1,1),(1,0))'], says: TEXT },
  { type: 'xml', values: ['<a b="c">\n\'</a>'], says: TEXT },
  { type: 'tsvector', values: ["'a':1 'it''s':2"], says: TEXT },
  { type: 'int4range', values: ['[1,3)', 'empty'], says: TEXT },
  { type: 'tstzrange', values: ['[2026-01-01,2026-01-02)'], says: TEXT },
  { type: 'int4multirange', values: ['{[1,3),[5,7)}'], says: TEXT, since: 14 },
  { type: 'pg_lsn', values: ['16/B374D848'], says: TEXT },
  { type: 'regclass', values: ['pg_class'], says: TEXT },
  { type: 'public."My ""enum"" []"', values: ["it's, {so}", 'so so', 'x'], says: TEXT },
  { type: 'public.positive', values: ['42'], says: TEXT, since: 11 },
  { type: 'public.document', values: ['{"a": 1}'], says: TEXT, since: 11 },
  { type: 'public.pair', values: ['(1,"a ""b"" \\\\ \'c\'")', '(,)'], says: TEXT },
  { type: 'public.integer', values: ['42', "it's"], says: TEXT, since: 11 },
];

/** Arrays that are more than a list: nested, or with bounds. */
const ARRAYS: readonly Case[] = [
  { type: 'integer[]', values: ['{}', '{{1,2},{3,NULL}}', '{{{{{{1}}}},{{{{2}}}}}}'], says: 'array_to_json(e)' },
  { type: 'integer[]', values: ['[0:1]={1,2}', '[1:1][2:3]={{1,2}}'], says: TEXT },
  { type: 'text[]', values: ['{{a,"b c"},{"\\"",NULL}}', '{"NULL",null}'], says: 'array_to_json(e)' },
  { type: 'text[]', values: ['[-1:0]={a,"it\'s"}'], says: TEXT },
  { type: 'jsonb[]', values: ['{{"{\\"a\\": \\"b\\\\\\"c\\"}","[1, 2]"},{NULL,"null"}}'], says: 'array_to_json(e)' },
  { type: 'boolean[]', values: ['{{t},{f}}'], says: 'array_to_json(e)' },
];

let server: PostgresServer;
let client: pg.Client;

/** Writes values into a table of their own. @returns the bytes that stand for each in `json`, from the slot */
async function throughTheSlot(table: string, type: string, texts: readonly string[]): Promise<string[]> {
  await client.query(`CREATE TABLE public.${table} (id integer, v ${type})`);
  for (const [i, text] of texts.entries()) {
    await client.query(`INSERT INTO public.${table} VALUES (${i}, $1::${type})`, [text]);
  }
  return await read(table);
}

const LINES = `SELECT data FROM pg_logical_slot_get_binary_changes('slot', NULL, NULL, 'skip-empty-xacts', '1')`;

async function read(table: string): Promise<string[]> {
  const { rows } = await client.query<{ data: Buffer }>(LINES);
  return values(rows, table);
}

/** @returns the bytes that stand for each value inserted into a table, in `json` */
function values(rows: readonly { data: Buffer }[], table: string): string[] {
  const decoder = new TestDecodingDecoder();
  const format = FORMATS.json({ source: 'app/pg2kinesis' });
  const lines = rows
    .map(({ data }) => data.toString('utf8'))
    .filter((line) => line.startsWith(`table public.${table}: INSERT:`));
  return lines.map((line) => {
    const text = written(format, recordOf(line, {}, decoder));
    assert.doesNotMatch(text, /[\r\n]/);
    const found = /"row":\{"id":\d+,"v":(.*)\},"xid":\d+,"commitLsn":/su.exec(text);
    assert.ok(found?.[1] !== undefined, 'a row');
    return found[1];
  });
}

async function serverSays(table: string, says: string): Promise<string[]> {
  const { rows } = await client.query<{ json: string }>(
    `SELECT (${says})::text AS json FROM (SELECT id, v AS e FROM public.${table}) t ORDER BY id`,
  );
  return rows.map(({ json }) => json);
}

describe('json values, against the server', () => {
  before(async () => {
    server = await startPostgres();
    const { connection } = server;
    const refuse = (): Promise<string> => Promise.reject(new Error('not asked for'));
    const database = createDatabase({
      settings: { ...connection, auth: 'password', sslMode: 'disable' },
      secrets: refuse,
      iamToken: refuse,
      clock: { now: () => Date.now(), sleep: () => new Promise(() => undefined), random: () => 0 },
    });
    await server.createSlot('slot');
    ({ client } = await open(database, { deadline: Date.now() + 600_000 }));
    await client.query(`
      CREATE TYPE public."My ""enum"" []" AS ENUM ('it''s, {so}', 'so so', 'x');
      CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
      CREATE DOMAIN public.document AS jsonb;
      CREATE DOMAIN public."integer" AS text;
      CREATE TYPE public.pair AS (a integer, b text)`);
  });
  after(async () => {
    await client.end();
    await server.stop();
  });

  let tables = 0;
  for (const { type, values: texts, says, since = 0 } of CASES) {
    if (TESTED_MAJOR < since) continue;
    it(`${type}: ${says === TEXT ? 'its text' : 'as the server has it'}`, async () => {
      const table = `t${++tables}`;
      assert.deepEqual(await throughTheSlot(table, type, texts), await serverSays(table, says));
    });

    it(`${type}[]: an array of the same`, async () => {
      const table = `t${++tables}`;
      await throughTheSlot(table, type, texts);
      await client.query(`CREATE TABLE public.${table}_array (id integer, v ${type}[])`);
      await client.query(
        `INSERT INTO public.${table}_array SELECT 0, array_agg(v ORDER BY id) || NULL::${type} FROM public.${table}`,
      );
      const [json = ''] = await read(`${table}_array`);
      const { rows } = await client.query<{ said: unknown }>(
        `SELECT (SELECT json_agg(CASE WHEN e IS NOT DISTINCT FROM NULL THEN NULL ELSE (${says}) END ORDER BY i)
                 FROM (SELECT i, a.v[i] AS e FROM generate_subscripts(a.v, 1) AS i) AS elements) AS said
         FROM public.${table}_array a`,
      );
      assert.deepEqual(JSON.parse(json), rows[0]?.said);
    });
  }

  for (const { type, values: texts, says } of ARRAYS) {
    it(`${type} ${texts.join(' ')}: ${says === TEXT ? 'its text' : 'as the server has it'}`, async () => {
      const table = `t${++tables}`;
      const json = await throughTheSlot(table, type, texts);
      const said = await serverSays(table, says);
      assert.deepEqual(
        json.map((each) => JSON.parse(each) as unknown),
        said.map((each) => JSON.parse(each) as unknown),
      );
    });
  }

  it('any text, alone and in arrays', async () => {
    const texts = fc.sample(
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
      300,
    );
    await client.query(
      'CREATE TABLE public.texts (id integer, v text); CREATE TABLE public.lists (id integer, v text[])',
    );
    await client.query('INSERT INTO public.texts SELECT i, v FROM unnest($1::text[]) WITH ORDINALITY AS t(v, i)', [
      texts,
    ]);
    await client.query('INSERT INTO public.lists VALUES (0, $1::text[])', [texts]);
    // Both tables' changes are consumed by one reading.
    const { rows } = await client.query<{ data: Buffer }>(LINES);
    assert.deepEqual(
      values(rows, 'texts').map((json) => JSON.parse(json) as unknown),
      texts,
    );
    assert.deepEqual(
      values(rows, 'lists').map((json) => JSON.parse(json) as unknown),
      [texts],
    );
  });
});
