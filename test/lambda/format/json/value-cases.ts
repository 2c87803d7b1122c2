/**
 * Values of every type of docs/records.md, hostile ones among them, and what the server itself says of each as JSON.
 */

/** Type, values as text, and what the server says of a value `e`. */
export interface Case {
  readonly type: string;
  readonly values: readonly string[];
  /** SQL of type json, over `e`. */
  readonly says: string;
  /** The first major version that has it; arrays of domains came in 11. */
  readonly since?: number;
}

/** By the type's output function, as test_decoding prints it; a cast to text need not say the same (inet, char). */
export const TEXT = `to_json(format('%s', e))`;
const FLOAT = `CASE WHEN e::text ~ '[NI]' THEN to_json(e::text) ELSE to_json(e) END`;
const timestamp = (plain: string): string =>
  `CASE WHEN NOT isfinite(e) OR e < '0001-01-01' OR e >= '10000-01-01' THEN to_json(e::text) ELSE to_json(${plain}) END`;
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

/** A base type of a user's own, called as PostGIS calls its own, and delimited otherwise. */
const baseType = (name: string, delimiter: string): string => `
  CREATE TYPE public.${name};
  CREATE FUNCTION public.${name}_in(cstring) RETURNS public.${name} AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
  CREATE FUNCTION public.${name}_out(public.${name}) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
  CREATE TYPE public.${name} (INPUT = public.${name}_in, OUTPUT = public.${name}_out, LIKE = text, DELIMITER = '${delimiter}');`;

/** Makes the types of {@link CASES} that a server does not come with. */
export const TYPES_SQL = `
  CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION citext SCHEMA public;
  CREATE TYPE public."My ""enum"" []" AS ENUM ('it''s, {so}', 'so so', 'x');
  CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
  CREATE DOMAIN public.more_positive AS public.positive CHECK (VALUE > 1);
  CREATE DOMAIN public.day AS date;
  CREATE DOMAIN public.document AS jsonb;
  CREATE DOMAIN public.flags AS bytea;
  CREATE DOMAIN public."integer" AS text;
  CREATE TYPE public.pair AS (a integer, b text);
  ${baseType('geometry', ',')} ${baseType('part', '|')} CREATE DOMAIN public.parts AS public.part;`;

export const CASES: readonly Case[] = [
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
  { type: 'bit(1)', values: ['1', '0'], says: TEXT },
  { type: 'bit(3)', values: ['101', '010', '000'], says: TEXT },
  { type: 'bit(24)', values: ['000000001111111100000001'], says: TEXT },
  { type: 'bit varying', values: ['', '0101', '1'], says: TEXT },
  {
    type: 'public.hstore',
    values: ['', 'a=>1, b=>NULL', `"it's \\"x\\""=>"\\\\, =>", "{"=>"}"`, 'k=>"NULL", n=>"line\nbreak"'],
    says: TEXT,
  },
  { type: 'public.citext', values: ["It's", ''], says: TEXT },
  { type: 'inet', values: ['10.0.0.1/8', '::1'], says: TEXT },
  { type: 'cidr', values: ['10.0.0.0/8'], says: TEXT },
  { type: 'macaddr', values: ['08:00:2b:01:02:03'], says: TEXT },
  { type: 'macaddr8', values: ['08:00:2b:01:02:03:04:05'], says: TEXT },
  { type: 'point', values: ['(1,2.5)', '(-0,1e300)', '(Infinity,NaN)'], says: TEXT },
  { type: 'line', values: ['{1,2,3}'], says: TEXT },
  { type: 'lseg', values: ['[(1,1),(2,2)]'], says: TEXT },
  { type: 'path', values: ['[(0,0),(1,1)]', '((0,0),(1,1))'], says: TEXT },
  { type: 'box', values: ['((1,1),(0,0))', '((2,2),(1,1))'], says: TEXT },
  { type: 'circle', values: ['<(1,2),3>'], says: TEXT },
  { type: 'polygon', values: ['((0,0),(1,1),(1,0))'], says: TEXT },
  { type: 'xml', values: ['<a b="c">\n\'</a>'], says: TEXT },
  { type: 'tsvector', values: ["'a':1 'it''s':2"], says: TEXT },
  { type: 'tsquery', values: ["'a' & !'it''s'"], says: TEXT },
  { type: 'int4range', values: ['[1,3)', 'empty'], says: TEXT },
  { type: 'int8range', values: ['[1,9007199254740993)'], says: TEXT },
  { type: 'numrange', values: ['(,1.50]'], says: TEXT },
  { type: 'daterange', values: ['[2026-01-01,infinity)'], says: TEXT },
  { type: 'tsrange', values: ['[2026-01-01,)'], says: TEXT },
  { type: 'tstzrange', values: ['[2026-01-01,2026-01-02)'], says: TEXT },
  { type: 'int4multirange', values: ['{[1,3),[5,7)}'], says: TEXT, since: 14 },
  { type: 'pg_lsn', values: ['16/B374D848'], says: TEXT },
  { type: 'regclass', values: ['pg_class'], says: TEXT },
  { type: 'public.geometry', values: ['01:02', 'a,b', "it's {x}"], says: TEXT },
  { type: 'public.part', values: ['a|b', 'c,d;e:f', ''], says: TEXT },
  { type: 'public.parts', values: ['a|b', 'c,d'], says: TEXT, since: 11 },
  { type: 'public."My ""enum"" []"', values: ["it's, {so}", 'so so', 'x'], says: TEXT },
  { type: 'public.positive', values: ['42'], says: TEXT, since: 11 },
  { type: 'public.more_positive', values: ['42'], says: TEXT, since: 11 },
  { type: 'public.day', values: ['2026-01-02', '0044-03-15 BC', 'infinity'], says: TEXT, since: 11 },
  { type: 'public.flags', values: ['\\x00ff'], says: TEXT, since: 11 },
  { type: 'public.document', values: ['{"a": 1}'], says: TEXT, since: 11 },
  { type: 'public.pair', values: ['(1,"a ""b"" \\\\ \'c\'")', '(,)'], says: TEXT },
  { type: 'public.integer', values: ['42', "it's"], says: TEXT, since: 11 },
];

/** Arrays that are more than a list: nested, or with bounds. */
export const ARRAYS: readonly Case[] = [
  { type: 'integer[]', values: ['{}', '{{1,2},{3,NULL}}', '{{{{{{1}}}},{{{{2}}}}}}'], says: 'array_to_json(e)' },
  { type: 'integer[]', values: ['[0:1]={1,2}', '[1:1][2:3]={{1,2}}'], says: TEXT },
  { type: 'text[]', values: ['{{a,"b c"},{"\\"",NULL}}', '{"NULL",null}'], says: 'array_to_json(e)' },
  { type: 'text[]', values: ['[-1:0]={a,"it\'s"}'], says: TEXT },
  { type: 'jsonb[]', values: ['{"{\\"a\\": \\"b\\\\\\"c\\"}","[1, 2]",NULL,"[null]"}'], says: 'array_to_json(e)' },
  // The JSON value null among the elements, or elements that may be arrays in an array of arrays: the text, as JSON
  // would not tell these from SQL's NULL, or from each other.
  { type: 'jsonb[]', values: ['{NULL,"null"}', '{{"null"},{"1"}}'], says: TEXT },
  { type: 'json[]', values: ['{" null\n",NULL}'], says: TEXT },
  { type: 'boolean[]', values: ['{{t},{f}}'], says: 'array_to_json(e)' },
];
