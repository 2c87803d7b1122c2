// Values as JSON against the server itself: what json writes of a value that went through the slot is what the server's
// own to_json, encode and text output say of the same value; and what a consumer makes of it is the value again.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type pg from 'pg';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { FORMATS } from '../../../../lambda/format/formats.ts';
import { type Connection, createDatabase } from '../../../../lambda/postgres/connection.ts';
import { open } from '../../../../lambda/postgres/connection-pair.ts';
import { TypeCatalog } from '../../../../lambda/postgres/type-catalog.ts';
import { FORMAT_OPTIONS, recordOf, written } from '../../../support/changes.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../../support/postgres.ts';
import { sqlText } from './sql-text.ts';
import { ARRAYS, CASES, TEXT, TYPES_SQL } from './value-cases.ts';

let server: PostgresServer;
let connection: Connection;
let client: pg.Client;
const catalog = new TypeCatalog();

/** A value as it stands in a record. */
interface Written {
  readonly json: string;
  /** Whether `jsonNull` names its column. */
  readonly isJsonNull: boolean;
}

/** Writes values, and SQL's NULL, into a table of their own. @returns what stands for each in `json`, from the slot */
async function throughTheSlot(table: string, type: string, texts: readonly string[]): Promise<Written[]> {
  await client.query(`CREATE TABLE public.${table} (id integer, v ${type})`);
  for (const [i, text] of [...texts, null].entries()) {
    await client.query(`INSERT INTO public.${table} VALUES (${i}, $1::${type})`, [text]);
  }
  return await read(table);
}

const LINES = `SELECT data FROM pg_logical_slot_get_binary_changes('slot', NULL, NULL, 'skip-empty-xacts', '1')`;

async function read(table: string): Promise<Written[]> {
  const { rows } = await client.query<{ data: Buffer }>(LINES);
  return values(rows, table);
}

/** @returns what stands for each value inserted into a table, in `json` */
function values(rows: readonly { data: Buffer }[], table: string): Written[] {
  const decoder = new TestDecodingDecoder();
  const format = FORMATS.json({ ...FORMAT_OPTIONS, arrayDelimiter: (element) => catalog.delimiterOf(element) });
  const lines = rows
    .map(({ data }) => data.toString('utf8'))
    .filter((line) => line.startsWith(`table public.${table}: INSERT:`));
  return lines.map((line) => {
    const text = written(format, recordOf(line, {}, decoder));
    assert.doesNotMatch(text, /[\r\n]/);
    const found =
      /"row":\{"id":\d+,"v":(.*?)\}(,"jsonNull":\{"row":\["v"\]\})?,"xid":\d+,"commitLsn":"[^"]*","ordinal":\d+,"commitTime":"[^"]*"\}$/su.exec(
        text,
      );
    assert.ok(found?.[1] !== undefined, 'a row');
    return { json: found[1], isJsonNull: found[2] !== undefined };
  });
}

async function serverSays(table: string, says: string): Promise<string[]> {
  const { rows } = await client.query<{ json: string | null }>(
    `SELECT (${says})::text AS json FROM (SELECT id, v AS e FROM public.${table}) t ORDER BY id`,
  );
  return rows.map(({ json }) => json ?? 'null');
}

/** What the type is called without its modifier, and what stands between its elements. */
async function typeOf(type: string): Promise<{ name: string; delimiter: string }> {
  const { rows } = await client.query<{ name: string; delimiter: string }>(
    `SELECT format_type($1::regtype, NULL) AS name, e.typdelim::text AS delimiter
       FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem WHERE t.oid = $1::regtype`,
    [type],
  );
  const [row] = rows;
  assert.ok(row);
  return row;
}

/** Reads each value back: the very bytes (the image of a row compares them), or for json, which keeps blanks, all but line breaks. */
async function assertReadsBack(table: string, type: string, records: readonly Written[]): Promise<void> {
  const { name, delimiter } = await typeOf(type);
  const value = `($1::text)::${type}`;
  const oneLine = (json: string): string => `regexp_replace(${json}::text, E'[\\r\\n]', '', 'g')`;
  const documents = (array: string): string => `(SELECT array_agg(${oneLine('e')}) FROM unnest(${array}) e)`;
  const same =
    name === 'json'
      ? `${oneLine('v')} = ${oneLine(value)}`
      : name === 'json[]'
        ? `${documents('v')} = ${documents(value)}`
        : `record_image_eq(ROW(v), ROW(${value})) AND format('%s', v) = format('%s', ${value})`;
  for (const [id, { json, isJsonNull }] of records.entries()) {
    const text = sqlText(json, name, isJsonNull, delimiter);
    const { rows } = await client.query<{ same: boolean }>(
      `SELECT CASE WHEN $1::text IS NULL THEN v IS NOT DISTINCT FROM NULL ELSE ${same} END AS same
         FROM public.${table} WHERE id = $2`,
      [text, id],
    );
    assert.ok(rows[0]?.same, `${type}: ${json.slice(0, 200)} is read back as another value`);
  }
}

describe('json values, against the server', () => {
  before(async () => {
    server = await startPostgres();
    const refuse = (): Promise<string> => Promise.reject(new Error('not asked for'));
    const database = createDatabase({
      settings: { ...server.connection, auth: 'password', sslMode: 'disable' },
      secrets: refuse,
      iamToken: refuse,
      clock: { now: () => Date.now(), sleep: () => new Promise(() => undefined), random: () => 0 },
    });
    await server.createSlot('slot');
    connection = await open(database, { deadline: Date.now() + 600_000 });
    client = connection.client;
    await client.query(TYPES_SQL);
    await catalog.read(connection, 0n);
  });
  after(async () => {
    await client.end();
    await server.stop();
  });

  let tables = 0;
  for (const { type, values: texts, says, since = 0 } of CASES) {
    if (TESTED_MAJOR < since) continue;
    it(`${type}: ${says === TEXT ? 'its text' : 'as the server has it'}, and the value again`, async () => {
      const table = `t${++tables}`;
      const records = await throughTheSlot(table, type, texts);
      const said = await serverSays(table, `CASE WHEN e IS DISTINCT FROM NULL THEN ${says} END`);
      assert.deepEqual(
        records.map(({ json }) => json),
        said,
      );
      await assertReadsBack(table, type, records);
    });

    it(`${type}[]: an array of the same, and the value again`, async () => {
      const table = `t${++tables}`;
      await throughTheSlot(table, type, type.startsWith('json') ? texts.filter((text) => text !== 'null') : texts);
      await client.query(`CREATE TABLE public.${table}_array (id integer, v ${type}[])`);
      await client.query(`INSERT INTO public.${table}_array SELECT 0, array_agg(v ORDER BY id) FROM public.${table}`);
      const records = await read(`${table}_array`);
      const { rows } = await client.query<{ said: unknown }>(
        `SELECT (SELECT json_agg(CASE WHEN e IS NOT DISTINCT FROM NULL THEN NULL ELSE (${says}) END ORDER BY i)
                 FROM (SELECT i, a.v[i] AS e FROM generate_subscripts(a.v, 1) AS i) AS elements) AS said
         FROM public.${table}_array a`,
      );
      assert.deepEqual(JSON.parse(records[0]?.json ?? ''), rows[0]?.said);
      await assertReadsBack(`${table}_array`, `${type}[]`, records);
    });
  }

  for (const { type, values: texts, says } of ARRAYS) {
    it(`${type} ${texts.join(' ')}: ${says === TEXT ? 'its text' : 'as the server has it'}, and the value again`, async () => {
      const table = `t${++tables}`;
      const records = await throughTheSlot(table, type, texts);
      const said = await serverSays(table, `CASE WHEN e IS DISTINCT FROM NULL THEN ${says} END`);
      assert.deepEqual(
        records.map(({ json }) => JSON.parse(json) as unknown),
        said.map((each) => JSON.parse(each) as unknown),
      );
      await assertReadsBack(table, type, records);
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
    await client.query('INSERT INTO public.texts SELECT i - 1, v FROM unnest($1::text[]) WITH ORDINALITY AS t(v, i)', [
      texts,
    ]);
    await client.query('INSERT INTO public.lists VALUES (0, $1::text[])', [texts]);
    // Both tables' changes are consumed by one reading.
    const { rows } = await client.query<{ data: Buffer }>(LINES);
    const alone = values(rows, 'texts');
    const together = values(rows, 'lists');
    assert.deepEqual(
      alone.map(({ json }) => JSON.parse(json) as unknown),
      texts,
    );
    assert.deepEqual(
      together.map(({ json }) => JSON.parse(json) as unknown),
      [texts],
    );
    await assertReadsBack('lists', 'text[]', together);
  });

  it('any timestamp is read back, with and without a zone', async () => {
    // Microseconds since 2000, over the whole range: 4713 BC to 294276.
    const micros = fc.sample(fc.bigInt({ min: -211_813_488_000_000_000n, max: 9_223_371_331_199_999_999n }), 300);
    const at = `'2000-01-01'::timestamptz + (m / 86400000000) * interval '1 day' + (m % 86400000000) * interval '1 microsecond'`;
    await client.query(
      'CREATE TABLE public.zoned (id integer, v timestamptz); CREATE TABLE public.plain (id integer, v timestamp)',
    );
    await client.query(
      `INSERT INTO public.zoned SELECT i - 1, ${at} FROM unnest($1::bigint[]) WITH ORDINALITY AS t(m, i)`,
      [micros.map(String)],
    );
    await client.query('INSERT INTO public.plain SELECT id, v FROM public.zoned');
    const { rows } = await client.query<{ data: Buffer }>(LINES);
    await assertReadsBack('zoned', 'timestamptz', values(rows, 'zoned'));
    await assertReadsBack('plain', 'timestamp', values(rows, 'plain'));
  });

  it('the keys of csv and csv-payload, of every type that a key may have', async () => {
    const csv = FORMATS.csv(FORMAT_OPTIONS);
    const payload = FORMATS['csv-payload'](FORMAT_OPTIONS);
    const types = new Map<string, string>();
    for (const [i, { type, values: texts, since = 0 }] of CASES.entries()) {
      if (TESTED_MAJOR < since) continue;
      const table = `public.key_${i}`;
      const made = await client.query(`CREATE TABLE ${table} (v ${type} PRIMARY KEY)`).catch((error: unknown) => {
        // No operator class for an index: no key.
        assert.equal((error as { code?: string }).code, '42704', type);
      });
      if (made === undefined) continue;
      types.set(table, type);
      // An index takes no longer ones.
      const short = texts.filter((text) => text.length < 1_000);
      await client.query(
        `INSERT INTO ${table} SELECT ($1::text[])[i]::${type} FROM generate_subscripts($1::text[], 1) i ON CONFLICT DO NOTHING`,
        [short],
      );
    }
    const { rows } = await client.query<{ data: Buffer }>(LINES);
    const decoder = new TestDecodingDecoder();
    let read = 0;
    for (const { data } of rows) {
      const line = data.toString('utf8');
      const [, table = ''] = /^table (public\.key_\d+): INSERT:/.exec(line) ?? [];
      const type = types.get(table);
      if (type === undefined) continue;
      const { pkey } = JSON.parse(written(payload, recordOf(line, { key: ['v'] }, decoder)).slice('0,CDC,'.length)) as {
        pkey: string;
      };
      const field = written(csv, recordOf(line, { key: ['v'] }, decoder)).slice(`0,CDC,754,${table},INSERT,`.length);
      assert.equal(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field, pkey, type);
      const { rows: found } = await client.query<{ found: string }>(
        `SELECT count(*) AS found FROM ${table} WHERE record_image_eq(ROW(v), ROW(($1::text)::${type}))`,
        [pkey],
      );
      assert.equal(Number(found[0]?.found), 1, `${type}: ${pkey} is read back as another value`);
      read++;
    }
    assert.ok(types.size > 15 && read > 100, `${types.size} types, ${read} keys`);
  });
});
