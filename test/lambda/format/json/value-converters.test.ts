// Values as JSON, by type: a table of every rule, and properties that hold for any value.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FORMATS } from '../../../../lambda/format/formats.ts';
import { FORMAT_OPTIONS, quote, recordOf, written } from '../../../support/changes.ts';

const format = FORMATS.json({ ...FORMAT_OPTIONS, source: 'app/pg2kinesis' });

const JSON_NULL = '},"jsonNull":{"row":["v"]';

/** The bytes that stand for a value as test_decoding prints it: `v[integer]:42`. */
function asJson(type: string, printed: string, by = format): string {
  const text = written(by, recordOf(`table public.t: INSERT: v[${type}]:${printed}`));
  const begin = text.indexOf('"row":{"v":') + '"row":{"v":'.length;
  return text.slice(begin, text.lastIndexOf('},"xid":754')).replace(JSON_NULL, '');
}

const CASES: readonly (readonly [type: string, printed: string, json: string])[] = [
  // Integers are numbers as long as every reader can hold them.
  ['smallint', '-32768', '-32768'],
  ['integer', '0', '0'],
  ['integer', '-2147483648', '-2147483648'],
  ['bigint', '9007199254740991', '9007199254740991'],
  ['bigint', '-9007199254740991', '-9007199254740991'],
  ['bigint', '9007199254740992', '"9007199254740992"'],
  ['bigint', '-9007199254740992', '"-9007199254740992"'],
  ['bigint', '999999999999999', '999999999999999'],
  ['bigint', '1000000000000000', '1000000000000000'],
  ['bigint', '-1000000000000000', '-1000000000000000'],
  ['bigint', '9223372036854775807', '"9223372036854775807"'],
  ['bigint', '-9223372036854775808', '"-9223372036854775808"'],
  ['bigint', '10000000000000000', '"10000000000000000"'],
  ['oid', '42', '"42"'],
  // Numbers that are more exact than a double are strings.
  ['numeric', '12.50', '"12.50"'],
  ['numeric', '-0.000', '"-0.000"'],
  ['numeric', 'NaN', '"NaN"'],
  ['numeric', '-Infinity', '"-Infinity"'],
  ['money', "'-$1,234.50'", '"-$1,234.50"'],
  ['real', '1.5', '1.5'],
  ['real', '1e+20', '1e+20'],
  ['double precision', '-0', '-0'],
  ['double precision', '1.7976931348623157e+308', '1.7976931348623157e+308'],
  ['double precision', '5e-324', '5e-324'],
  ['double precision', 'NaN', '"NaN"'],
  ['double precision', 'Infinity', '"Infinity"'],
  ['real', '-Infinity', '"-Infinity"'],
  ['boolean', 'true', 'true'],
  ['boolean', 'false', 'false'],
  // Text.
  ['text', 'null', 'null'],
  ['text', "'null'", '"null"'],
  ['text', "''", '""'],
  ['text', "''''", '"\'"'],
  ['text', "'it''s ''''two'''''", "\"it's ''two''\""],
  ['text', `'a"b\\c'`, '"a\\"b\\\\c"'],
  ['text', "'\b\f\n\r\t\u0001\u001f'", '"\\b\\f\\n\\r\\t\\u0001\\u001f"'],
  ['text', "'\u007f\u2028é😀'", '"\u007f\u2028é😀"'],
  ['character', "'ab  '", '"ab  "'],
  ['character varying', "'42'", '"42"'],
  ['"char"', "'x'", '"x"'],
  ['name', "'pg_class'", '"pg_class"'],
  ['uuid', "'00079f3e-0479-4475-acff-4f225cc5188a'", '"00079f3e-0479-4475-acff-4f225cc5188a"'],
  ['xml', "'<a>\n</a>'", '"<a>\\n</a>"'],
  ['inet', "'10.0.0.1/8'", '"10.0.0.1/8"'],
  ['point', "'(1,2)'", '"(1,2)"'],
  ['int4range', "'[1,3)'", '"[1,3)"'],
  ['int4multirange', "'{[1,3),[5,7)}'", '"{[1,3),[5,7)}"'],
  ['tsvector', "'''a'':1'", `"'a':1"`],
  ['int2vector', "'1 2'", '"1 2"'],
  ['bit', "B'101'", '"101"'],
  ['bit varying', "B''", '""'],
  // Users' types have their schema before them and keep their text, whatever their names.
  ['public.integer', "'42'", '"42"'],
  ['public.json', `'{"a": 1}'`, '"{\\"a\\": 1}"'],
  ['public."integer[]"', "'{1}'", '"{1}"'],
  ['public."timestamp with time zone"', "'2026-01-02 03:04:05+00'", '"2026-01-02 03:04:05+00"'],
  ['public.bytea', "'\\x00'", '"\\\\x00"'],
  ['public.pair', '\'(1,"a b")\'', '"(1,\\"a b\\")"'],
  ['information_schema.cardinal_number', "'1'", '"1"'],
  // JSON is embedded as it is, on one line.
  ['jsonb', `'{"a": [1, 2.50, null], "b": "it''s \\n"}'`, `{"a": [1, 2.50, null], "b": "it's \\n"}`],
  ['jsonb', "'null'", 'null'],
  ['jsonb', 'null', 'null'],
  ['json', `'{"a":1,\n "a" : 2}'`, '{"a":1, "a" : 2}'],
  ['json', `'\r\n[\n1\r\n,\r2\n]\n'`, '[1,2]'],
  ['json', `'["it''s",\n"\\u0000\\ud83d"]'`, `["it's","\\u0000\\ud83d"]`],
  ['json', "'1e400'", '1e400'],
  // Bytes are base64.
  ['bytea', "'\\x'", '""'],
  ['bytea', "'\\x00'", '"AA=="'],
  ['bytea', "'\\x00ff'", '"AP8="'],
  ['bytea', "'\\x00ff10'", '"AP8Q"'],
  ['bytea', "'\\xfffefdfc'", '"//79/A=="'],
  // Dates and times.
  ['timestamp without time zone', "'2026-01-02 03:04:05'", '"2026-01-02T03:04:05"'],
  ['timestamp without time zone', "'2026-01-02 03:04:05.678'", '"2026-01-02T03:04:05.678"'],
  ['timestamp without time zone', "'0001-01-01 00:00:00'", '"0001-01-01T00:00:00"'],
  ['timestamp without time zone', "'10000-01-02 03:04:05.5'", '"10000-01-02 03:04:05.5"'],
  ['timestamp without time zone', "'294276-12-31 23:59:59.999999'", '"294276-12-31 23:59:59.999999"'],
  ['timestamp without time zone', "'0044-03-15 00:00:00 BC'", '"0044-03-15 00:00:00 BC"'],
  ['timestamp without time zone', "'infinity'", '"infinity"'],
  ['timestamp without time zone', "'-infinity'", '"-infinity"'],
  ['timestamp with time zone', "'2026-01-02 03:04:05.678901+00'", '"2026-01-02T03:04:05.678901Z"'],
  ['timestamp with time zone', "'10000-01-01 00:00:00+00'", '"10000-01-01 00:00:00+00"'],
  ['timestamp with time zone', "'4713-11-24 00:00:00+00 BC'", '"4713-11-24 00:00:00+00 BC"'],
  ['timestamp with time zone', "'-infinity'", '"-infinity"'],
  ['date', "'2026-01-02'", '"2026-01-02"'],
  ['date', "'0044-03-15 BC'", '"0044-03-15 BC"'],
  ['date', "'infinity'", '"infinity"'],
  ['time without time zone', "'24:00:00'", '"24:00:00"'],
  ['time with time zone', "'03:04:05.5+02'", '"03:04:05.5+02"'],
  ['interval', "'P1Y2M3DT4H5M6.7S'", '"P1Y2M3DT4H5M6.7S"'],
  // Arrays are arrays of the same rules.
  ['integer[]', "'{}'", '[]'],
  ['integer[]', "'{1,NULL,-3}'", '[1,null,-3]'],
  ['integer[]', "'{{1,2},{3,4}}'", '[[1,2],[3,4]]'],
  ['integer[]', "'{{{{{{1}}}},{{{{NULL}}}}}}'", '[[[[[[1]]]],[[[[null]]]]]]'],
  ['integer[]', "'[2:3]={1,2}'", '"[2:3]={1,2}"'],
  ['integer[]', "'[0:0][1:2]={{1,2}}'", '"[0:0][1:2]={{1,2}}"'],
  ['bigint[]', "'{9007199254740991,9007199254740992}'", '[9007199254740991,"9007199254740992"]'],
  ['numeric[]', "'{1.50,NaN}'", '["1.50","NaN"]'],
  ['oid[]', "'{1}'", '["1"]'],
  ['money[]', `'{"$1,000.00",$2.00}'`, '["$1,000.00","$2.00"]'],
  ['real[]', "'{1.5,NaN,-Infinity}'", '[1.5,"NaN","-Infinity"]'],
  ['boolean[]', "'{t,f,NULL}'", '[true,false,null]'],
  ['text[]', `'{a,"a b","","NULL",NULL,"null","a,b","{}"}'`, '["a","a b","","NULL",null,"null","a,b","{}"]'],
  ['text[]', `'{"\\"","\\\\","it''s","a\\"\\\\b"}'`, '["\\"","\\\\","it\'s","a\\"\\\\b"]'],
  ['text[]', "'{nULL}'", '["nULL"]'],
  ['text[]', '\'{"a\nb",é😀}\'', '["a\\nb","é😀"]'],
  ['character varying[]', "'{x;y}'", '["x;y"]'],
  ['"char"[]', '\'{x," "}\'', '["x"," "]'],
  ['bit[]', "'{101,000}'", '["101","000"]'],
  ['bytea[]', `'{"\\\\x00ff",NULL,"\\\\x"}'`, '["AP8=",null,""]'],
  ['json[]', `'{"{\\"a\\":\n1}",NULL,"\\"it''s\\""}'`, `[{"a":1},null,"it's"]`],
  // A JSON null would look like SQL's, and the array's own brackets like a document's: then the text stays.
  ['json[]', `'{1,"null",NULL}'`, '"{1,\\"null\\",NULL}"'],
  ['json[]', `'{" null\n"}'`, '"{\\" null\\n\\"}"'],
  ['jsonb[]', `'{{1,2},{"[3, 4]",NULL}}'`, '"{{1,2},{\\"[3, 4]\\",NULL}}"'],
  ['jsonb[]', "'{}'", '[]'],
  ['jsonb[]', `'{"{\\"a\\": \\"\\\\\\"\\"}",1}'`, '[{"a": "\\""},1]'],
  ['timestamp without time zone[]', `'{"2026-01-02 03:04:05",infinity}'`, '["2026-01-02T03:04:05","infinity"]'],
  [
    'timestamp with time zone[]',
    `'{"2026-01-02 03:04:05+00","0044-03-15 00:00:00+00 BC"}'`,
    '["2026-01-02T03:04:05Z","0044-03-15 00:00:00+00 BC"]',
  ],
  ['date[]', "'{2026-01-02}'", '["2026-01-02"]'],
  ['box[]', "'{(1,1),(0,0);(2,2),(1,1)}'", '["(1,1),(0,0)","(2,2),(1,1)"]'],
  ['point[]', `'{"(1,2)","(3,4)"}'`, '["(1,2)","(3,4)"]'],
  ['int4range[]', `'{"[1,3)",empty}'`, '["[1,3)","empty"]'],
  ['public.mood[]', `'{happy,"so so"}'`, '["happy","so so"]'],
  ['public."My [] enum"[]', "'{1,2}'", '["1","2"]'],
  ['public.integer[]', "'{1}'", '["1"]'],
  ['public.pair[]', `'{"(1,\\"a b\\")"}'`, '["(1,\\"a b\\")"]'],
  ['public.geometry[]', "'{0101,0102}'", '["0101","0102"]'],
  // What array_out never prints stays text, and the record stays JSON.
  ['integer[]', "'{1'", '"{1"'],
  ['integer[]', "'{1}}'", '"{1}}"'],
  ['integer[]', "'{1,}'", '"{1,}"'],
  ['integer[]', "'{1}{2}'", '"{1}{2}"'],
  ['integer[]', "'{1,{}}'", '"{1,{}}"'],
  ['text[]', `'{"a'`, '"{\\"a"'],
  ['text[]', `'{"a"b}'`, '"{\\"a\\"b}"'],
  ['text[]', "'{'", '"{"'],
  ['text[]', "''", '""'],
];

describe('json values', () => {
  for (const [type, printed, json] of CASES) {
    it(`${type} ${JSON.stringify(printed)} is ${json}`, () => {
      assert.equal(asJson(type, printed), json);
      assert.doesNotThrow(() => JSON.parse(json) as unknown);
    });
  }

  it('writes a value of megabytes, escapes and all', () => {
    const text = `${'long'.repeat(1_000_000)}\n''"\\${'😀'.repeat(100_000)}`;
    assert.equal(JSON.parse(asJson('text', `'${text}'`)), text.replace("''", "'"));
    const bytes = Buffer.alloc(1_000_001, 0xa5);
    assert.equal(JSON.parse(asJson('bytea', `'\\x${bytes.toString('hex')}'`)), bytes.toString('base64'));
  });

  it('writes json nested deep without recursion', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    assert.equal(asJson('json', `'${deep}'`), deep);
    const braces = '{'.repeat(200_000);
    assert.equal(asJson('integer[]', `'${braces}'`), `"${braces}"`);
  });

  it('remembers nothing of the value before', () => {
    assert.equal(asJson('text[]', `'{"a\\\\b"}'`), '["a\\\\b"]');
    assert.equal(asJson('text[]', `'{"\\""}'`), '["\\""]');
  });
});

/** As array_out quotes an element. */
function element(text: string): string {
  const needsQuotes = text === '' || /^null$/iu.test(text) || /["\\{},\s]/u.test(text);
  return needsQuotes ? `"${text.replace(/["\\]/gu, '\\$&')}"` : text;
}

type Nested = string | null | readonly Nested[];

function arrayOut(value: Nested): string {
  if (value === null) return 'NULL';
  return typeof value === 'string' ? element(value) : `{${value.map(arrayOut).join(',')}}`;
}

describe('json values, arrays', () => {
  it("are split by their element type's delimiter, as it is known when a value comes", () => {
    const delimiters = new Map<string, string>();
    const own = FORMATS.json({ ...FORMAT_OPTIONS, arrayDelimiter: (element) => delimiters.get(element) ?? ',' });
    assert.equal(asJson('public.part[]', "'{a,b:c}'", own), '["a","b:c"]');
    delimiters.set('public.part', ':');
    assert.equal(asJson('public.part[]', "'{a,b:c}'", own), '["a,b","c"]');
  });
});

describe('json values, any', () => {
  const text = fc.string({ unit: 'binary' });
  const hostile = fc.string({
    unit: fc.constantFrom("'", '"', '\\', '{', '}', ',', ' ', '\n', '\t', 'N', 'a', 'é', '😀', '\u0000'),
  });
  const any = fc.oneof(text, hostile, fc.constantFrom('NULL', 'null', ''));

  it('text comes back', () => {
    fc.assert(
      fc.property(any, (value) => assert.equal(JSON.parse(asJson('text', quote(value))), value)),
      { numRuns: 500 },
    );
  });

  it('escapes are those of JSON.stringify', () => {
    fc.assert(
      fc.property(any, (value) => assert.equal(asJson('text', quote(value)), JSON.stringify(value))),
      { numRuns: 500 },
    );
  });

  it('arrays of text come back, nested or not', () => {
    const leaf = fc.oneof(any, fc.constant(null));
    const list = fc.array(leaf, { maxLength: 5 });
    const nested = fc.oneof(
      list,
      fc.array(fc.array(leaf, { minLength: 2, maxLength: 2 }), { minLength: 1, maxLength: 4 }),
    );
    fc.assert(
      fc.property(nested, (value) => assert.deepEqual(JSON.parse(asJson('text[]', quote(arrayOut(value)))), value)),
      { numRuns: 500 },
    );
  });

  it('json comes back, alone and in arrays, its text unaltered but for line breaks between tokens', () => {
    const document = fc.json();
    const pretty = document.map((each) => JSON.stringify(JSON.parse(each), undefined, 1));
    fc.assert(
      fc.property(fc.oneof(document, pretty), (value) => {
        assert.equal(asJson('json', quote(value)), value.replace(/[\r\n]/gu, ''));
        assert.deepEqual(JSON.parse(asJson('json', quote(value))), JSON.parse(value));
        const array = arrayOut([value, null]);
        const expected = JSON.parse(value) === null ? array : [JSON.parse(value), null];
        assert.deepEqual(JSON.parse(asJson('json[]', quote(array))), expected);
      }),
      { numRuns: 300 },
    );
  });

  it('bytes come back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (value) => {
        const json = JSON.parse(asJson('bytea', `'\\x${Buffer.from(value).toString('hex')}'`)) as string;
        assert.equal(json, Buffer.from(value).toString('base64'));
      }),
    );
  });

  it('a bigint is a number exactly where a double holds all its neighbours', () => {
    const value = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    );
    fc.assert(
      fc.property(value, fc.boolean(), (each, negated) => {
        const signed = negated && each > -(2n ** 63n) ? -each : each;
        const json: unknown = JSON.parse(asJson('bigint', signed.toString()));
        assert.equal(
          json,
          Number.isSafeInteger(Number(signed)) && BigInt(Number(signed)) === signed
            ? Number(signed)
            : signed.toString(),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('doubles come back', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        const printed = Object.is(value, -0) ? '-0' : String(value).replace(/e(\d)/u, 'e+$1');
        const json: unknown = JSON.parse(asJson('double precision', printed));
        assert.equal(json, Number.isFinite(value) ? value : printed);
      }),
    );
  });

  it('a timestamp up to year 9999 is what ECMAScript reads', () => {
    const [min, max] = [new Date('0001-01-01T00:00:00Z'), new Date('9999-12-31T23:59:59.999Z')];
    fc.assert(
      fc.property(fc.date({ min, max, noInvalidDate: true }), (date) => {
        const iso = date.toISOString();
        const printed = iso.replace('T', ' ').replace('Z', '+00');
        assert.equal(asJson('timestamp with time zone', `'${printed}'`), `"${iso}"`);
      }),
    );
  });
});
