/**
 * The tables of the snapshot's tests with kills, who writes to them meanwhile, and what a consumer of the stream should have
 * come to in the end. Knows no format.
 */
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { PostgresServer } from '../support/postgres.ts';
import { type Row, type StreamConsumer, TABLES } from './stream-consumer.ts';

/**
 * @param rows - about how many, of all tables
 * @param toasted - one row of so many has a value that is stored out of line
 * @returns SQL that makes the tables and fills them
 */
export function tablesOf(rows: number, toasted: number): string {
  return `
    CREATE TABLE accounts (id int PRIMARY KEY, v int NOT NULL, ok boolean, note text);
    CREATE TABLE lines (account text, n int, v numeric, bits bit(3), doc text, PRIMARY KEY (account, n));
    CREATE TABLE seen (id int PRIMARY KEY, v int);
    ALTER TABLE lines ALTER doc SET STORAGE EXTERNAL; ALTER TABLE accounts ALTER note SET STORAGE EXTERNAL;
    INSERT INTO accounts SELECT g, 0, g % 2 = 0, CASE WHEN g % ${toasted} = 0 THEN repeat('x', 2500) || g ELSE 'n' || g END FROM generate_series(1, ${Math.ceil(rows * 0.7)}) g;
    INSERT INTO lines SELECT 'a''' || g % 97, g, g * 1.5, (g % 8)::bit(3), CASE WHEN g % ${toasted} = 0 THEN repeat('y', 2500) || g ELSE 'd' END FROM generate_series(1, ${Math.ceil(rows * 0.29)}) g;
    INSERT INTO seen SELECT g, g FROM generate_series(1, ${Math.ceil(rows * 0.01)}) g;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc`;
}

/** The names of the tables, as a snapshot is asked for them. */
export const NAMES = Object.keys(TABLES).map((name) => `public.${name}`);

/** Each row as one text, the same here and on the server. */
const TRUTH: Readonly<Record<string, string>> = {
  accounts: `SELECT id::text AS key, concat_ws('|', id, v, ok, note) AS row FROM accounts`,
  lines: `SELECT account || '/' || n AS key, concat_ws('|', account, n, v::float8, bits, doc) AS row FROM lines`,
  seen: `SELECT id::text AS key, concat_ws('|', id, v) AS row FROM seen`,
};

/** What a writer works with. */
export interface WriterOptions {
  readonly rows: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Between two transactions, in milliseconds. */
  readonly pauseMs: number;
  readonly onWritten: () => void;
}

/** Updates, deletes, inserts, truncates and moves rows until it is to stop; the server may crash meanwhile. */
export async function write(
  server: PostgresServer,
  { rows, seed, signal, pauseMs, onWritten }: WriterOptions,
): Promise<void> {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return 1 + (Math.floor(state / 7) % below);
  };
  while (!signal.aborted) {
    const client = await server.client().catch(() => undefined);
    if (client === undefined) {
      await wait(200);
      continue;
    }
    client.on('error', () => undefined);
    try {
      while (!signal.aborted) {
        await client.query(transaction(next(Math.ceil(rows * 0.7)), next(100), next(50)));
        onWritten();
        await wait(pauseMs);
      }
    } catch {
      // The server has crashed.
    }
    await client.end().catch(() => undefined);
  }
}

function transaction(id: number, dice: number, other: number): string {
  const line = `account = 'a''${id % 97}' AND n = ${id}`;
  if (dice < 40) return `UPDATE accounts SET v = v + 1 WHERE id = ${id}`;
  if (dice < 55) return `UPDATE lines SET v = v + 1 WHERE ${line}`;
  if (dice < 65) return `DELETE FROM accounts WHERE id = ${id}`;
  if (dice < 80) return `INSERT INTO accounts VALUES (${id}, 1, NULL, repeat('z', 20)) ON CONFLICT DO NOTHING`;
  if (dice < 88)
    return `UPDATE accounts SET id = -id, v = v + 1 WHERE id = ${id} AND NOT EXISTS (SELECT FROM accounts WHERE id = -${id})`;
  if (dice < 94)
    return `BEGIN; UPDATE lines SET account = 'moved' WHERE ${line}; UPDATE accounts SET v = 0 WHERE id = ${id}; ${dice < 90 ? 'ROLLBACK' : 'COMMIT'}`;
  if (dice === 100 && other === 1) return 'TRUNCATE seen';
  return `INSERT INTO seen VALUES (${id}, 1) ON CONFLICT (id) DO UPDATE SET v = seen.v + 1`;
}

/**
 * Compares what a consumer has with the tables.
 *
 * @param server - the source, at rest
 * @param consumer - after the whole stream
 * @param log - told of each table, and of the first rows that differ
 * @returns how many rows differ
 */
export async function compare(
  server: PostgresServer,
  consumer: StreamConsumer,
  log: (line: string) => void,
): Promise<number> {
  let differing = 0;
  for (const [table, query] of Object.entries(TRUTH)) {
    const rows = consumer.tables.get(table) ?? new Map<string, Row>();
    const truth = new Map((await server.sql<{ key: string; row: string }>(query)).map(({ key, row }) => [key, row]));
    const shown = (row: Row | undefined): string | undefined =>
      row && (TABLES[table]?.columns ?? []).flatMap((name) => row[name] ?? []).join('|');
    const hash = (lines: string[]): string =>
      createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16);
    for (const key of new Set([...truth.keys(), ...rows.keys()])) {
      const is = shown(rows.get(key));
      if (is === truth.get(key)) continue;
      if (differing++ < 5)
        log(`differs: ${table} ${key}: ${String(is).slice(0, 90)} is ${String(truth.get(key)).slice(0, 90)}`);
    }
    const own = hash([...rows.values()].map((row) => shown(row) ?? ''));
    log(`${table}: ${truth.size} rows, ${hash([...truth.values()])} at the source, ${own} by the stream`);
  }
  return differing;
}
