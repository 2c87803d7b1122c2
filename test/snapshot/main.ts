/**
 * A snapshot of three large tables under writers, while the function is killed, the server crashes and backends are ended:
 * `npm run test:snapshot -- --rows 1000000`. A consumer that reads the stream alone ends with exactly the tables. Takes
 * minutes, so it is no part of `npm test`. `--plugin pgoutput`, `--version 13`, `--seconds 60` of faults.
 */
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { type Environment, startEnvironment } from '../chaos/environment.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '60' },
    plugin: { type: 'string', default: 'test_decoding' },
    version: { type: 'string' },
  },
});
const ROWS = Number(values.rows);

const TABLES = `
  CREATE TABLE accounts (id int PRIMARY KEY, v int NOT NULL, ok boolean, note text);
  CREATE TABLE lines (account text, n int, v numeric, bits bit(3), doc text, PRIMARY KEY (account, n));
  CREATE TABLE seen (id int PRIMARY KEY, v int);
  ALTER TABLE lines ALTER doc SET STORAGE EXTERNAL; ALTER TABLE accounts ALTER note SET STORAGE EXTERNAL;
  INSERT INTO accounts SELECT g, 0, g % 2 = 0, CASE WHEN g % 50 = 0 THEN repeat('x', 2500) || g ELSE 'n' || g END FROM generate_series(1, ${Math.ceil(ROWS * 0.7)}) g;
  INSERT INTO lines SELECT 'a''' || g % 97, g, g * 1.5, (g % 8)::bit(3), CASE WHEN g % 50 = 0 THEN repeat('y', 2500) || g ELSE 'd' END FROM generate_series(1, ${Math.ceil(ROWS * 0.29)}) g;
  INSERT INTO seen SELECT g, g FROM generate_series(1, ${Math.ceil(ROWS * 0.01)}) g;
  GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc`;
/** Each row as one text, the same here and on the server. */
const TRUTH: Readonly<Record<string, string>> = {
  accounts: `SELECT id::text AS key, concat_ws('|', id, v, ok, note) AS row FROM accounts`,
  lines: `SELECT account || '/' || n AS key, concat_ws('|', account, n, v, bits, doc) AS row FROM lines`,
  seen: `SELECT id::text AS key, concat_ws('|', id, v) AS row FROM seen`,
};
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  accounts: ['id', 'v', 'ok', 'note'],
  lines: ['account', 'n', 'v', 'bits', 'doc'],
  seen: ['id', 'v'],
};

type Row = Readonly<Record<string, string | number | boolean | null>>;
interface Told {
  readonly id: string;
  readonly op: string;
  readonly table: string;
  readonly key: Row | null;
  readonly row?: Row;
  readonly newKey?: Row;
  readonly oldKey?: Row;
  readonly unchanged?: readonly string[];
}

const happened = { runs: 0, kills: 0, crashes: 0, terminations: 0, writes: 0 };
const stop = new AbortController();

async function write({ server }: Environment, seed: number): Promise<void> {
  let n = seed;
  const next = (below: number): number => {
    n = (Math.imul(n, 1_103_515_245) + 12_345) & 0x7fffffff;
    return 1 + (n % below);
  };
  while (!stop.signal.aborted) {
    const client = await server.client().catch(() => undefined);
    if (client === undefined) {
      await wait(200);
      continue;
    }
    client.on('error', () => undefined);
    try {
      while (!stop.signal.aborted) {
        const id = next(ROWS * 0.7);
        const dice = next(100);
        if (dice < 40) await client.query(`UPDATE accounts SET v = v + 1 WHERE id = ${id}`);
        else if (dice < 55)
          await client.query(`UPDATE lines SET v = v + 1 WHERE account = 'a''${id % 97}' AND n = ${id}`);
        else if (dice < 65) await client.query(`DELETE FROM accounts WHERE id = ${id}`);
        else if (dice < 80)
          await client.query(`INSERT INTO accounts VALUES (${id}, 1, NULL, repeat('z', 20)) ON CONFLICT DO NOTHING`);
        else if (dice < 88)
          await client.query(
            `UPDATE accounts SET id = -id, v = v + 1 WHERE id = ${id} AND NOT EXISTS (SELECT FROM accounts WHERE id = -${id})`,
          );
        else if (dice < 94)
          await client.query(
            `BEGIN; UPDATE lines SET account = 'moved' WHERE account = 'a''${id % 97}' AND n = ${id}; UPDATE accounts SET v = 0 WHERE id = ${id}; ${dice < 90 ? 'ROLLBACK' : 'COMMIT'}`,
          );
        else if (dice === 100 && next(50) === 1) await client.query('TRUNCATE seen');
        else await client.query(`INSERT INTO seen VALUES (${id}, 1) ON CONFLICT (id) DO UPDATE SET v = seen.v + 1`);
        happened.writes++;
        await wait(5);
      }
    } catch {
      // The server has crashed.
    }
    await client.end().catch(() => undefined);
  }
}

/** Applies the stream, each record once. It is one lane: the two halves of a move come in their order. */
class Replica {
  readonly tables = new Map<string, Map<string, Row>>();
  reads = 0;
  repeats = 0;
  readonly #seen = new Set<string>();
  readonly #moved = new Map<string, Row | undefined>();

  apply(text: string): void {
    const told = JSON.parse(text) as Told;
    const digest = told.id;
    if (this.#seen.has(digest)) {
      this.repeats++;
      return;
    }
    this.#seen.add(digest);
    const rows = this.tables.get(told.table) ?? new Map<string, Row>();
    this.tables.set(told.table, rows);
    const key = Object.values(told.key ?? {}).join('/');
    if (told.op === 'READ') this.reads++;
    if (told.op === 'TRUNCATE') rows.clear();
    else if (told.op === 'DELETE') {
      if (told.newKey !== undefined)
        this.#moved.set(`${told.table} ${Object.values(told.newKey).join('/')}`, rows.get(key));
      rows.delete(key);
    } else {
      const moved = told.oldKey === undefined ? undefined : this.#moved.get(`${told.table} ${key}`);
      const old = moved ?? rows.get(key);
      const row: Record<string, Row[string]> = { ...told.row };
      for (const name of told.unchanged ?? []) row[name] = old?.[name] ?? 'MISSING';
      rows.set(key, row);
    }
  }
}

/** @returns how many rows differ, and a hash of each side */
async function compare({ server }: Environment, replica: Replica): Promise<number> {
  let differing = 0;
  for (const [table, query] of Object.entries(TRUTH)) {
    const rows = replica.tables.get(table) ?? new Map<string, Row>();
    const truth = new Map((await server.sql<{ key: string; row: string }>(query)).map(({ key, row }) => [key, row]));
    const shown = (row: Row | undefined): string | undefined =>
      row &&
      (COLUMNS[table] ?? [])
        .map((name) => row[name])
        .filter((value) => value !== null)
        .map((value) => (value === true ? 't' : value === false ? 'f' : String(value)))
        .join('|');
    const hash = (lines: string[]): string =>
      createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16);
    for (const key of new Set([...truth.keys(), ...rows.keys()])) {
      if (shown(rows.get(key)) === truth.get(key)) continue;
      if (differing++ < 5)
        console.log(
          `differs: ${table} ${key}: ${String(shown(rows.get(key))).slice(0, 90)} is ${String(truth.get(key)).slice(0, 90)}`,
        );
    }
    console.log(
      `${table}: ${truth.size} rows, ${hash([...truth.values()])} at the source, ${hash([...rows.values()].map((row) => shown(row) ?? ''))} by the stream`,
    );
  }
  return differing;
}

const SETTINGS = { PLUGIN: values.plugin, AGGREGATION: 'lines', COMPRESSION: 'gzip', LANES: '1', SNAPSHOT_SHARE: '90' };
const environment = await startEnvironment({
  shards: 1,
  ...(values.version === undefined ? {} : { version: values.version }),
});
try {
  const { server } = environment;
  await server.sql(TABLES);
  await server.sql('CREATE PUBLICATION pg2kinesis FOR ALL TABLES');
  await server.createSlot('pg2kinesis', values.plugin);
  const begun = performance.now();
  const first = await environment.container(SETTINGS);
  const asked = await first.invoke({
    action: 'snapshot',
    tables: ['public.accounts', 'public.lines', 'public.seen'],
    maxSeconds: 5,
  });
  console.log(JSON.stringify(asked).slice(0, 400));
  const writers = [write(environment, 7), write(environment, 99)];
  const until = Date.now() + Number(values.seconds) * 1000;
  let container = first;
  for (let done = false; !done; happened.runs++) {
    const harms = Date.now() < until;
    const dice = Math.random();
    const ending = container.invoke({ action: 'run', maxSeconds: 20 });
    if (harms && dice < 0.3) {
      await wait(500 + Math.random() * 4_000);
      await container.kill();
      happened.kills++;
    } else if (harms && dice < 0.5) {
      await wait(500 + Math.random() * 4_000);
      await server.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pg2kinesis until%'`,
      );
      happened.terminations++;
    } else if (harms && dice < 0.6) {
      await wait(500 + Math.random() * 4_000);
      await server.restart('immediate');
      happened.crashes++;
    }
    const outcome = await ending;
    const answer =
      outcome === 'killed'
        ? undefined
        : (outcome.answer as { snapshot?: { done: boolean; rowsRead: number; tablesLeft: number } } | undefined);
    if (answer?.snapshot !== undefined)
      console.log(
        `${((performance.now() - begun) / 1000).toFixed(0)} s: ${answer.snapshot.rowsRead} rows read, ${answer.snapshot.tablesLeft} tables left`,
      );
    else if (outcome !== 'killed' && outcome.error !== undefined) console.log(outcome.error.name);
    if (outcome === 'killed') container = await environment.container(SETTINGS);
    done = answer !== undefined && !harms && answer.snapshot?.done !== false;
  }
  const seconds = (performance.now() - begun) / 1000;
  stop.abort();
  await Promise.all(writers);
  await container.invoke({ action: 'drain' }, 600_000);
  const replica = new Replica();
  for (const { data } of await environment.kinesis.readAll('pg2kinesis'))
    for (const line of gunzipSync(data).toString().split('\n')) if (line !== '') replica.apply(line);
  const differing = await compare(environment, replica);
  console.log(
    JSON.stringify({
      ...happened,
      seconds: Math.round(seconds),
      reads: replica.reads,
      repeats: replica.repeats,
      differing,
    }),
  );
  process.exitCode = differing === 0 ? 0 : 1;
} finally {
  stop.abort();
  await environment.stop();
}
