// Every type of docs/records.md through a real slot into debezium and dms, and back: what a consumer makes of a record by that
// page alone is the value that the server has. Alone, NULL, and in arrays.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { type Connection, createDatabase } from '../../../lambda/postgres/connection.ts';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import { TypeCatalog } from '../../../lambda/postgres/type-catalog.ts';
import { FORMAT_OPTIONS, recordOf, written } from '../../support/changes.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { debeziumText, dmsText } from './envelope-text.ts';
import { ARRAYS, CASES, TYPES_SQL } from './json/value-cases.ts';

/** What Debezium's own form of a type does not keep: SQL of what it does keep, of a value `e`. */
const KEPT: Readonly<Record<string, string>> = {
  interval: `(extract(year FROM e) * 12 + extract(month FROM e))::numeric * 2629800000000 + extract(day FROM e)::numeric * 86400000000
    + (extract(hour FROM e) * 3600 + extract(minute FROM e) * 60)::numeric * 1000000 + extract(microseconds FROM e)::numeric`,
  'time with time zone': `(e AT TIME ZONE 'UTC')::text`,
  'bit varying': `ltrim(e::text, '0')`,
};

const ROW = {
  debezium: /"after":\{"id":\d+(?:,"v":(.*))?\},"source":/su,
  dms: /"data":\{"id":\d+(?:,"v":(.*))?\},"metadata":/su,
};

let server: PostgresServer;
let connection: Connection;
const catalog = new TypeCatalog();

interface Column {
  readonly table: string;
  /** As in SQL. */
  readonly type: string;
  /** As the plugin prints it. */
  readonly name: string;
}

/** @returns SQL that compares `v` with `$1` of a type, by what the format keeps of it */
function sameAs({ type, name }: Column, format: 'debezium' | 'dms'): string {
  const kept = format === 'debezium' ? KEPT[name.replace(/\[\]$/, '')] : undefined;
  const value = `($1::text)::${type}`;
  if (kept === undefined) return `record_image_eq(ROW(v), ROW(${value})) AND format('%s', v) = format('%s', ${value})`;
  const of = (expression: string): string =>
    name.endsWith('[]')
      ? `(SELECT array_agg(CASE WHEN e IS NOT NULL THEN (${kept})::text END) FROM unnest(${expression}) e)`
      : `(SELECT (${kept})::text FROM (SELECT ${expression} AS e) x)`;
  return `${of('v')} = ${of(value)}`;
}

async function assertReadsBack(column: Column, lines: readonly string[]): Promise<void> {
  const { table, type, name } = column;
  const base = name.endsWith('[]') ? `${catalog.baseOf(name.slice(0, -2))}[]` : catalog.baseOf(name);
  const digits = Number(/^bit\((\d+)\)/.exec(type)?.[1] ?? 1);
  const delimiter = catalog.delimiterOf(name.slice(0, -2));
  const types = {
    baseType: (each: string) => catalog.baseOf(each),
    arrayDelimiter: (element: string) => catalog.delimiterOf(element),
  };
  for (const format of ['debezium', 'dms'] as const) {
    const write = FORMATS[format]({ ...FORMAT_OPTIONS, ...types });
    const decoder = new TestDecodingDecoder();
    const texts = lines.map((line) => {
      const record = written(write, recordOf(line, {}, decoder));
      assert.doesNotThrow(() => JSON.parse(record) as unknown);
      assert.doesNotMatch(record, /[\r\n]/);
      const found = ROW[format].exec(record);
      assert.ok(found !== null, 'a row');
      return format === 'dms' ? dmsText(found[1], base) : debeziumText(found[1] ?? '', base, digits, delimiter);
    });
    const { rows } = await connection.client.query<{ id: number; same: boolean }>(
      `SELECT id, CASE WHEN t.text IS NULL THEN v IS NOT DISTINCT FROM NULL ELSE ${sameAs(column, format).replaceAll('$1', 't.text')} END AS same
       FROM public.${table} JOIN unnest($1::text[]) WITH ORDINALITY AS t(text, n) ON n = id + 1 ORDER BY id`,
      [texts],
    );
    assert.equal(rows.length, lines.length);
    for (const { id, same } of rows)
      assert.ok(same, `${format}, ${type}: ${texts[id]?.slice(0, 200)} is another value`);
  }
}

describe('debezium and dms', () => {
  const columns: Column[] = [];
  let lines: string[] = [];

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
    const { client } = connection;
    await client.query(TYPES_SQL);
    await catalog.read(connection, 0n);
    const add = async (type: string, fill: (table: string) => Promise<unknown>): Promise<void> => {
      const table = `t${columns.length}`;
      await client.query(`CREATE TABLE public.${table} (id integer, v ${type})`);
      const { rows } = await client.query<{ name: string }>('SELECT format_type($1::regtype, NULL) AS name', [type]);
      columns.push({ table, type, name: rows[0]?.name ?? '' });
      await fill(table);
    };
    const insert = (type: string, texts: readonly string[]) => (table: string) =>
      client.query(
        `INSERT INTO public.${table} SELECT i - 1, ($1::text[])[i]::${type} FROM generate_subscripts($1::text[], 1) i`,
        [[...texts, null]],
      );
    for (const { type, values, since = 0 } of CASES) {
      if (TESTED_MAJOR < since) continue;
      await add(type, insert(type, values));
      const alone = `t${columns.length - 1}`;
      await add(`${type}[]`, (table) =>
        client.query(`INSERT INTO public.${table} SELECT 0, array_agg(v ORDER BY id) FROM public.${alone}`),
      );
    }
    for (const { type, values } of ARRAYS) await add(type, insert(type, values));
    const { rows } = await client.query<{ data: Buffer }>(
      `SELECT data FROM pg_logical_slot_get_binary_changes('slot', NULL, NULL, 'skip-empty-xacts', '1')`,
    );
    lines = rows.map(({ data }) => data.toString('utf8'));
  });
  after(async () => {
    await connection.client.end();
    await server.stop();
  });

  for (const { type } of [
    ...CASES.filter(({ since = 0 }) => TESTED_MAJOR >= since).flatMap(({ type }) => [{ type }, { type: `${type}[]` }]),
    ...ARRAYS,
  ].filter(({ type }, i, all) => all.findIndex((each) => each.type === type) === i)) {
    it(`${type}: what is read back is the value`, async () => {
      const found = columns.filter((column) => column.type === type);
      assert.ok(found.length > 0);
      for (const column of found) {
        const own = lines.filter((line) => line.startsWith(`table public.${column.table}: INSERT:`));
        assert.ok(own.length > 0);
        await assertReadsBack(column, own);
      }
    });
  }
});
