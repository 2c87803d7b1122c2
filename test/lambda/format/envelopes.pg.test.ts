// The values of the formats debezium and dms against the server: what went through the slot says what the server's own
// arithmetic says of the same value. Random values, drawn by the server from a fixed seed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import type { FormatOptions } from '../../../lambda/format/record.ts';
import { FORMAT_OPTIONS, recordOf, written } from '../../support/changes.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';

const VALUES = 300;

/** A type; SQL that draws a value of it; and SQL over `e` that says its JSON as text. */
interface Case {
  readonly type: string;
  readonly draw: string;
  readonly debezium: string;
  readonly dms: string;
}

const TEXT = `to_json(e::text)::text`;
const AS_IT_IS = 'e::text';
const MICROS = `trunc(extract(epoch FROM e)::numeric * 1000000)::text`;
const BASE64 = `to_json(translate(encode(e, 'base64'), E'\\n', ''))::text`;
/** Over the whole range of a type, BC included. */
const DAY = `'2000-01-01'::date + (random() * 6000000 - 800000)::integer`;
const MOMENT = `'2000-01-01'::timestamp + (random() * 3e11 - 3e10)::bigint * interval '1 second' + (random() * 1e6)::integer * interval '1 microsecond'`;
/** java.time's text of a moment, year 0 being 1 BC. */
const ISO = (fraction: string): string => `
  to_json(concat(CASE WHEN year <= 0 THEN '-' WHEN year > 9999 THEN '+' END,
    lpad(abs(CASE WHEN year < 0 THEN year + 1 ELSE year END)::text, greatest(4, length(abs(CASE WHEN year < 0 THEN year + 1 ELSE year END)::text)), '0'),
    to_char(e, '-MM-DD"T"HH24:MI:SS'), ${fraction}, 'Z'))::text`;

const CASES: readonly Case[] = [
  { type: 'bigint', draw: `(random() * 2 - 1) * 9e18`, debezium: AS_IT_IS, dms: AS_IT_IS },
  {
    type: 'numeric',
    draw: `(random() * 1e9)::numeric * 10 ^ (random() * 40 - 20)::integer`,
    debezium: TEXT,
    dms: `CASE WHEN length(ltrim(replace(ltrim(e::text, '-'), '.', ''), '0')) > 38 OR length(regexp_replace(e::text, '^-?0*|\\.', '', 'g')) > 38 THEN ${TEXT} ELSE e::text END`,
  },
  {
    type: 'money',
    draw: `((random() * 2 - 1) * 1e7)::numeric::money`,
    debezium: `to_json(round(e::numeric, 2)::text)::text`,
    dms: `round(e::numeric, 2)::text`,
  },
  { type: 'boolean', draw: `random() < 0.5`, debezium: AS_IT_IS, dms: TEXT },
  { type: 'text', draw: `'it''s "' || random() || E'\\n\\\\é'`, debezium: TEXT, dms: TEXT },
  { type: 'jsonb', draw: `jsonb_build_object('a', random(), 'b', null, 'c', 'it''s')`, debezium: TEXT, dms: TEXT },
  { type: 'uuid', draw: `md5(random()::text)::uuid`, debezium: TEXT, dms: TEXT },
  {
    type: 'bytea',
    draw: `decode(md5(random()::text) || left('00ff', 2 * (random() * 2)::integer), 'hex')`,
    debezium: BASE64,
    dms: `to_json('0x' || encode(e, 'hex'))::text`,
  },
  {
    type: 'bit(24)',
    draw: `(65536 + random() * 16000000)::integer::bit(24)`,
    debezium: `to_json(rtrim(translate(encode(substring(decode(lpad(to_hex(e::integer), 6, '0'), 'hex') from 3 for 1) || substring(decode(lpad(to_hex(e::integer), 6, '0'), 'hex') from 2 for 1) || substring(decode(lpad(to_hex(e::integer), 6, '0'), 'hex') from 1 for 1), 'base64'), E'\\n', '')))::text`,
    dms: TEXT,
  },
  { type: 'date', draw: DAY, debezium: `(e - '1970-01-01'::date)::text`, dms: TEXT },
  { type: 'time', draw: `time '00:00' + random() * interval '1 day'`, debezium: MICROS, dms: TEXT },
  {
    type: 'timestamp',
    draw: MOMENT,
    debezium: MICROS,
    dms: `CASE WHEN e < '0001-01-01' THEN ${TEXT} ELSE to_json(replace(e::text, ' ', 'T') || 'Z')::text END`,
  },
  {
    type: 'timestamptz',
    draw: `(${MOMENT}) AT TIME ZONE 'UTC'`,
    debezium: ISO(`to_char(e, '.US')`),
    dms: `CASE WHEN e < '0001-01-01 00:00:00+00' THEN ${TEXT} ELSE to_json(replace(replace(e::text, ' ', 'T'), '+00', 'Z'))::text END`,
  },
  {
    type: 'interval',
    draw: `make_interval(months => (random() * 100 - 50)::integer, days => (random() * 100 - 50)::integer, secs => (random() * 200000 - 100000)::integer)`,
    debezium: `trunc((extract(year FROM e) * 12 + extract(month FROM e))::numeric * 2629800000000 + extract(day FROM e)::numeric * 86400000000 + (extract(hour FROM e) * 3600 + extract(minute FROM e) * 60 + extract(second FROM e))::numeric * 1000000)::text`,
    dms: TEXT,
  },
  {
    type: 'integer[]',
    draw: `ARRAY[(random() * 100)::integer, NULL, -7]`,
    debezium: `array_to_json(e)::text`,
    dms: TEXT,
  },
  {
    type: 'inet',
    draw: `'10.0.0.0'::inet + (random() * 1e6)::bigint`,
    debezium: `to_json(format('%s', e))::text`,
    dms: `to_json(format('%s', e))::text`,
  },
];

let server: PostgresServer;
let client: pg.Client;

/** @returns what stands for each value of a table in an envelope, in the order of `id` */
function valuesOf(lines: readonly Buffer[], format: 'debezium' | 'dms', table: string): string[] {
  const decoder = new TestDecodingDecoder();
  const options: FormatOptions = FORMAT_OPTIONS;
  const write = FORMATS[format](options);
  const row =
    format === 'debezium' ? /"after":\{"id":\d+,"v":(.*)\},"source":/su : /"data":\{"id":\d+,"v":(.*)\},"metadata":/su;
  return lines
    .map((line) => line.toString('utf8'))
    .filter((line) => line.startsWith(`table public.${table}: INSERT:`))
    .map((line) => {
      const found = row.exec(written(write, recordOf(line, {}, decoder)))?.[1];
      assert.ok(found !== undefined, 'a value');
      JSON.parse(found);
      return found;
    });
}

// extract() is a double before 14, too coarse a witness of microseconds in far years.
if (TESTED_MAJOR >= 14) {
  describe('debezium and dms, against the server', () => {
    before(async () => {
      server = await startPostgres();
      await server.createSlot('slot');
      client = await server.client();
      await client.query(
        `SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'; SET lc_monetary = 'C'; SET DateStyle = 'ISO'; SET search_path = pg_catalog`,
      );
      await client.query('SELECT setseed(0.5)');
    });
    after(async () => {
      await server.stop();
    });

    for (const [i, { type, draw, debezium, dms }] of CASES.entries()) {
      it(`${type}: what is read back is the value`, async () => {
        const table = `t${i}`;
        await client.query(`CREATE TABLE public.${table} (id integer PRIMARY KEY, v ${type})`);
        await client.query(
          `INSERT INTO public.${table} SELECT i, (${draw})::${type} FROM generate_series(1, ${VALUES}) i`,
        );
        const { rows: lines } = await client.query<{ data: Buffer }>(
          `SELECT data FROM pg_logical_slot_get_binary_changes('slot', NULL, NULL, 'skip-empty-xacts', '1')`,
        );
        const { rows: said } = await client.query<{ debezium: string; dms: string }>(
          `SELECT ${debezium} AS debezium, ${dms} AS dms
           FROM (SELECT id, v AS e${type.startsWith('timestamptz') ? `, extract(year FROM v)::integer AS year` : ''} FROM public.${table}) t ORDER BY id`,
        );
        const data = lines.map((line) => line.data);
        assert.deepEqual(
          valuesOf(data, 'debezium', table),
          said.map((each) => each.debezium),
        );
        assert.deepEqual(
          valuesOf(data, 'dms', table),
          said.map((each) => each.dms),
        );
      });
    }
  });
}
