/**
 * What is drained in the benchmarks: tables, and how they are written. Each is written once and drained by all in turn.
 */
import type { PostgresServer } from '../support/postgres.ts';

/** A workload. */
export interface Workload {
  readonly name: string;
  /** What its numbers are about, for the page. */
  readonly about: string;
  /** How many changes of the usual number it has. @default 1 */
  readonly size?: number;
  /** Settings of the function, besides the usual ones. @default none */
  readonly settings?: Readonly<Record<string, string>>;
  /** Makes its tables, before the slot. */
  prepare(server: PostgresServer): Promise<unknown>;
  /** Writes so many changes, behind the slot. @returns what ends it */
  write(server: PostgresServer, changes: number): Promise<(() => Promise<unknown>) | undefined>;
}

const SMALL = 'id bigint PRIMARY KEY, name text, balance numeric, at timestamptz, note text, n int';
const ROW = `'user ' || i, i * 1.5, now(), md5(i::text) || md5(i::text) || md5(i::text), i`;
const COLUMNS = Array.from({ length: 40 }, (_, i) => i);
const KINDS = ['int', 'text', 'numeric', 'timestamptz', 'boolean'] as const;
const VALUES = { int: 'i', text: `'value ' || i`, numeric: 'i * 0.25', timestamptz: 'now()', boolean: 'i % 2 = 0' };
const kindOf = (column: number) => KINDS[column % KINDS.length] ?? 'int';

/** Procedures that commit: `body` so many times, a transaction each. */
const repeatedly = (server: PostgresServer, times: number, body: string): Promise<unknown> =>
  server.sql(`DO $$ BEGIN FOR i IN 1..${Math.round(times)} LOOP ${body}; COMMIT; END LOOP; END $$`);

/** Three inserts and two updates. */
async function writeSmall(server: PostgresServer, changes: number, table = 't'): Promise<undefined> {
  await repeatedly(
    server,
    changes / 5,
    `INSERT INTO ${table} VALUES (3 * i, ${ROW}), (3 * i + 1, ${ROW}), (3 * i + 2, ${ROW});
     UPDATE ${table} SET n = n + 1 WHERE id = 3 * i;
     UPDATE ${table} SET n = n + 1 WHERE id = 3 * i + 1`,
  );
  return undefined;
}

const TABLES = 3_000;
const DDL_EVERY = 20;

/** All of them, by name. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: 'small',
    about: 'rows of 6 columns and about 280 bytes, five changes a transaction',
    prepare: (server) => server.sql(`CREATE TABLE t (${SMALL})`),
    write: (server, changes) => writeSmall(server, changes),
  },
  {
    name: 'distinct',
    about: 'the same rows with a text of 96 characters that comes once, five inserts a transaction',
    prepare: (server) => server.sql(`CREATE TABLE t (${SMALL})`),
    async write(server, changes) {
      const text = `left(encode(sha384((i * 5 + j)::text::bytea), 'hex'), 96)`;
      const row = `'user ' || i, i * 1.5, now(), ${text}, i`;
      await repeatedly(server, changes / 5, `INSERT INTO t SELECT i * 5 + j, ${row} FROM generate_series(0, 4) j`);
      return undefined;
    },
  },
  {
    name: 'tenfold',
    about: 'the same, a tenth of the changes: what a change costs in a small backlog',
    size: 0.1,
    prepare: (server) => server.sql(`CREATE TABLE t (${SMALL})`),
    write: (server, changes) => writeSmall(server, changes),
  },
  {
    name: 'open',
    about: 'as small, while another transaction has been open since before the backlog',
    prepare: (server) => server.sql(`CREATE TABLE t (${SMALL})`),
    async write(server, changes) {
      const open = await server.client();
      await open.query("BEGIN; INSERT INTO t VALUES (-1, 'open')");
      await writeSmall(server, changes);
      return () => open.end();
    },
  },
  {
    name: 'wide',
    about: 'rows of 40 columns and five types',
    size: 0.2,
    prepare: (server) =>
      server.sql(
        `CREATE TABLE t (id bigint PRIMARY KEY, ${COLUMNS.map((i) => `column_${i} ${kindOf(i)}`).join(', ')})`,
      ),
    async write(server, changes) {
      const row = COLUMNS.map((i) => VALUES[kindOf(i)]).join(', ');
      await repeatedly(server, changes / 5, `INSERT INTO t SELECT i * 5 + j, ${row} FROM generate_series(0, 4) j`);
      return undefined;
    },
  },
  {
    name: 'text',
    about: 'rows with 2 KB of text',
    size: 0.2,
    prepare: (server) => server.sql('CREATE TABLE t (id bigint PRIMARY KEY, body text)'),
    async write(server, changes) {
      const body = `(SELECT string_agg(md5((i * 64 + k)::text), ' ') FROM generate_series(1, 62) k)`;
      await repeatedly(server, changes / 5, `INSERT INTO t SELECT i * 5 + j, ${body} FROM generate_series(0, 4) j`);
      return undefined;
    },
  },
  {
    name: 'updates',
    about: 'two updates and a delete of each row, ten rows a transaction',
    prepare: (server) =>
      server.sql(`CREATE TABLE t (${SMALL}); INSERT INTO t SELECT i, ${ROW} FROM generate_series(1, 1000000) i`),
    async write(server, changes) {
      const rows = 'WHERE id BETWEEN i * 10 AND i * 10 + 9';
      await repeatedly(
        server,
        changes / 30,
        `UPDATE t SET n = n + 1 ${rows}; UPDATE t SET balance = balance + 1 ${rows}; DELETE FROM t ${rows}`,
      );
      return undefined;
    },
  },
  {
    name: 'one',
    about: 'one transaction of 5 times as many rows',
    size: 5,
    prepare: (server) => server.sql(`CREATE TABLE t (${SMALL})`),
    async write(server, changes) {
      await server.sql(`INSERT INTO t SELECT i, ${ROW} FROM generate_series(1, ${changes}) i`);
      return undefined;
    },
  },
  {
    name: 'schema',
    about: `${TABLES} tables, a column added every ${DDL_EVERY} transactions, and batches of 1,000 changes, so that each has migrations`,
    size: 0.2,
    settings: { BATCH_CHANGES: '1000' },
    prepare: (server) =>
      server.sql(`DO $$ BEGIN FOR i IN 0..${TABLES - 1} LOOP
        EXECUTE 'CREATE TABLE t_' || i || ' (id bigint PRIMARY KEY, a text, b int, c timestamptz)'; END LOOP; END $$`),
    async write(server, changes) {
      await repeatedly(
        server,
        changes / 5,
        `EXECUTE format('INSERT INTO t_%s (id, a, b, c) SELECT %s + j, %L, j, now() FROM generate_series(0, 4) j', i * 7 % ${TABLES}, i * 5, 'row ' || i);
         IF i % ${DDL_EVERY} = 0 THEN EXECUTE format('ALTER TABLE t_%s ADD COLUMN d_%s int', i * 11 % ${TABLES}, i); END IF`,
      );
      return undefined;
    },
  },
];
