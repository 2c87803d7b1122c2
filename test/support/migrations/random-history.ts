/**
 * One random history: tables are altered while they are written to, and several readers of the same WAL look at random
 * moments, some of them containers that live on and some that begin anew. Each has to keep what is promised of it.
 */
import assert from 'node:assert/strict';
import type pg from 'pg';
import type { PostgresServer } from '../postgres.ts';
import { Pipeline, type PipelineOptions } from '../real-pipeline.ts';
import { Model, type Random } from './model.ts';
import { assertRecords, type Promised, type Written } from './record-assertions.ts';

/** A reader of the history, with a slot of its own. */
interface Reader {
  readonly name: string;
  readonly options: PipelineOptions;
  /** How likely it reads after a transaction; it always reads at the end. */
  readonly often: number;
  /** Whether each reading is by a container that has seen nothing. */
  readonly cold: boolean;
  readonly promised: Promised;
}

/** How a trial is to be. */
export interface TrialOptions {
  readonly transactions: number;
  /** Whether the server has wal2json: then every key at write time can be known. @default false */
  readonly asksWal?: boolean;
}

const EXCLUDE = { exclude: 'public\\.secret' };
const COLUMNS = { columns: 'public\\.secret\\.c' };

function readers(asksWal: boolean): Reader[] {
  const nothing = (): boolean => false;
  // Of tables without a key the WAL is asked for INSERTs only, and wal2json says nothing where no old row is sent.
  const told = ({ operation, table, identity, sendsKey }: Written, { keyless }: Model): boolean =>
    operation === 'INSERT' || (sendsKey && !(keyless.has(table) || keyless.has(String(identity))));
  const all = { must: asksWal ? told : nothing, hides: false };
  // What was read right after it was written is read by the catalogs at that time.
  const prompt: Promised = {
    must: (change, model) => !change.alters || (asksWal && told(change, model)),
    hides: false,
  };
  const hidden = { must: nothing, hides: true };
  return [
    { name: 'prompt', options: {}, often: 1, cold: false, promised: prompt },
    { name: 'warm', options: {}, often: 0.2, cold: false, promised: all },
    { name: 'cold', options: {}, often: 0.2, cold: true, promised: all },
    { name: 'late', options: {}, often: 0, cold: true, promised: all },
    { name: 'exclude_warm', options: EXCLUDE, often: 0.2, cold: false, promised: hidden },
    { name: 'exclude_cold', options: EXCLUDE, often: 0.2, cold: true, promised: hidden },
    { name: 'columns_cold', options: COLUMNS, often: 0.1, cold: true, promised: { must: nothing, hides: false } },
    {
      name: 'include_cold',
      options: { include: 'public\\.open' },
      often: 0.1,
      cold: true,
      promised: { must: nothing, hides: false },
    },
  ];
}

/**
 * Runs one history.
 *
 * @param server - where; it is emptied first
 * @param random - decides everything: the same numbers make the same history
 * @param options - how long, and on what server
 * @returns how much was published and checked, over all readers
 * @throws {assert.AssertionError} what is wrong
 */
export async function tryMigrations(
  server: PostgresServer,
  random: Random,
  { transactions, asksWal = false }: TrialOptions,
): Promise<{ published: number; changes: number }> {
  const client = await server.client();
  const model = new Model(random);
  await client.query(
    'DROP SCHEMA IF EXISTS s1 CASCADE; DROP SCHEMA IF EXISTS s2 CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public',
  );
  for (const sql of model.setup()) await client.query(sql);
  const all = readers(asksWal).map((reader) => ({
    ...reader,
    sum: { changes: 0, published: 0 },
    records: [] as string[],
  }));
  for (const { name } of all) await server.createSlot(name);
  const containers = new Map(all.map(({ name, options }) => [name, new Pipeline(server, name, options)]));
  const written: Written[] = [];
  let truncates = 0;

  const read = async (reader: (typeof all)[number]): Promise<void> => {
    const pipeline = reader.cold ? new Pipeline(server, reader.name, reader.options) : containers.get(reader.name);
    assert.ok(pipeline);
    const answer = await pipeline.run();
    assert.equal(answer.stopped, 'caught-up', reader.name);
    const { notTable, ...skipped } = answer.skipped;
    const left = Object.values<number>({ ...skipped }).reduce((sum, count) => sum + count, 0);
    assert.equal(answer.changes, answer.published + left + notTable, `${reader.name}: I9`);
    // PostgreSQL 10 shows the rows of a table that is written again, too.
    reader.sum.changes += answer.changes - notTable;
    reader.sum.published += answer.published;
    reader.records.push(...pipeline.published.splice(0));
  };

  for (let i = 0; i < transactions; i++) {
    const done = await transact(client, model, random);
    written.push(...done.written);
    truncates += done.truncates;
    for (const reader of all) if (random() < reader.often) await read(reader);
  }
  for (const reader of all) {
    await read(reader);
    const { name, sum, promised } = reader;
    const records = reader.records.map((text) => JSON.parse(text) as never);
    try {
      const made = written.length + truncates;
      // PostgreSQL 10 shows the rows of a table that is written again under a name that a list may leave out.
      if (server.version < 11) assert.ok(sum.changes >= made, `${sum.changes} changes of ${made}`);
      else assert.equal(sum.changes, made, 'as many changes as were made');
      assertRecords(model, written, records, promised);
      if (name === 'columns_cold') assertNoSecretColumn(written, records);
    } catch (error) {
      throw new Error(`the reader "${name}": ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    await server.sql('SELECT pg_drop_replication_slot($1)', [name]);
  }
  await client.end();
  return {
    published: all.reduce((sum, each) => sum + each.sum.published, 0),
    changes: all.reduce((sum, each) => sum + each.sum.changes, 0),
  };
}

/** One transaction of one to six statements, or as many transactions. */
async function transact(
  client: pg.Client,
  model: Model,
  random: Random,
): Promise<{ written: Written[]; truncates: number }> {
  const steps = Array.from({ length: 1 + Math.floor(random() * 6) }, () => model.step());
  const rolledBackTo = random() < 0.1;
  await client.query('BEGIN');
  const { rows } = await client.query<{ xid: string }>('SELECT txid_current()::text AS xid');
  if (rolledBackTo)
    await client.query(
      'SAVEPOINT s; CREATE TABLE never (id int PRIMARY KEY); INSERT INTO never VALUES (1); ROLLBACK TO s',
    );
  for (const { sql } of steps) await client.query(sql);
  await client.query('COMMIT');
  const xid = Number(BigInt(rows[0]?.xid ?? 0) % (1n << 32n));
  const alters = steps.some((step) => step.alters);
  return {
    written: steps.flatMap(({ changes }) => changes.map((change) => ({ ...change, xid, alters }))),
    truncates: steps.filter(({ truncates }) => truncates).length,
  };
}

/** A row of a partition of the secret table never shows the column that the list names. */
function assertNoSecretColumn(
  written: readonly Written[],
  records: readonly { row?: Record<string, unknown> }[],
): void {
  const secret = new Set(
    written.filter((change) => change.secret && change.operation !== 'DELETE').map(({ marker }) => marker),
  );
  for (const { row } of records)
    assert.ok(
      row === undefined || !secret.has(Number(row['m'])) || !('c' in row),
      `c is shown: ${JSON.stringify(row)}`,
    );
}
