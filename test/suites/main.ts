/**
 * Other people's tests as a workload: `npm run test:suites -- <folder> ...`. Plays the SQL of PostgreSQL's own regress,
 * contrib and test_decoding suites, or any other folder's, against a server of its own, drains it in three formats, and
 * checks what came. Then tries random histories of tables that are altered. Not among the other tests: it takes minutes, and
 * nothing of that SQL is part of this project.
 *
 *     npm run test:suites -- ../postgresql-18.6 ../wal2json --only regress,test_decoding --histories 50
 */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { assertDrain, assertJson, assertSameChanges, changesOf } from './assertions.ts';
import { drainCopy, type Drained } from './drain.ts';
import { tryHistories } from './migrations.ts';
import { playSuite } from './psql.ts';
import { compareTables } from './rebuild.ts';
import { type RecordingEndpoint, startRecorder } from './recorder.ts';
import { type Suite, suitesOf } from './sources.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    histories: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
});

const SLOT = 'suite';
const DRAINS: readonly Readonly<Record<string, string>>[] = [
  { FORMAT: 'json', AGGREGATION: 'kpl' },
  { FORMAT: 'csv-payload', AGGREGATION: 'kpl' },
  { FORMAT: 'csv', AGGREGATION: 'none', BATCH_CHANGES: '200000' },
];
const SETTINGS = {
  allow_in_place_tablespaces: 'on',
  max_wal_size: '8GB',
  max_connections: '100',
  max_locks_per_transaction: '256',
  track_commit_timestamp: 'on',
};

/** Plays one suite and checks what came of it. @returns what is wrong */
async function trySuite(
  server: PostgresServer,
  recorder: RecordingEndpoint,
  suite: Suite,
  scratch: string,
): Promise<string[]> {
  // The names that PostgreSQL's own driver gives them.
  const database = suite.name === 'regress' ? 'regression' : 'contrib_regression';
  const wrong: string[] = [];
  await server.sql(`CREATE DATABASE ${database} TEMPLATE template0`);
  const first = await server.client({ database });
  await first.query(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, [SLOT]);
  await first.end();
  const unfinished = await playSuite(server, database, suite, scratch);
  const client = await server.client({ database });
  try {
    const changes = await changesOf(client, SLOT);
    let json: Drained | undefined;
    for (const settings of DRAINS) {
      const what = `${suite.name}, ${settings['FORMAT'] ?? ''}`;
      const begun = performance.now();
      try {
        const drained = await drainCopy(server, database, SLOT, recorder, settings);
        json ??= drained;
        report(`${what}: ${drained.answer.changes} changes, ${drained.records.length} records`, begun, drained);
        assertDrain(drained, changes);
        if (drained === json) assertJson(drained.records);
        else assertSameChanges(json.records, drained.records);
      } catch (error) {
        wrong.push(`${what}: ${error instanceof Error ? error.message.slice(0, 2_000) : String(error)}`);
      }
    }
    if (json !== undefined) {
      const { tables, rows, values, left, differences } = await compareTables(client, json.records);
      console.log(
        `  rebuilt: ${tables} tables, ${rows} rows, ${values} values; not to be told: ${JSON.stringify(left)}`,
      );
      wrong.push(...differences.map((difference) => `${suite.name}: ${difference.slice(0, 300)}`));
    }
    for (const file of unfinished) console.log(`  did not come to its end: ${basename(file)}`);
  } catch (error) {
    wrong.push(`${suite.name}: ${String(error)}`);
  } finally {
    // Some of the files leave slots of their own.
    await client.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()',
    );
    await client.end();
    await server.sql(`DROP DATABASE ${database} WITH (FORCE)`);
  }
  return wrong;
}

function report(what: string, begun: number, { answer, maxRssMb }: Drained): void {
  const skipped = Object.entries<number>({ ...answer.skipped }).filter(([, count]) => count > 0);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(
    `${what}, ${seconds} s, ${maxRssMb.toFixed(0)} MB, skipped ${JSON.stringify(Object.fromEntries(skipped))}`,
  );
}

/** Plays all suites of the folders that were named. @returns what is wrong */
async function trySuites(suites: readonly Suite[]): Promise<string[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'pg2kinesis-suites-'));
  await mkdir(join(scratch, 'results'));
  // The server writes there, too.
  for (const folder of [scratch, join(scratch, 'results')]) await chmod(folder, 0o777);
  const server = await startPostgres({ settings: SETTINGS });
  const recorder = await startRecorder();
  const wrong: string[] = [];
  try {
    for (const suite of suites) wrong.push(...(await trySuite(server, recorder, suite, scratch)));
  } finally {
    recorder.stop();
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  }
  console.log(`${suites.length} suites on PostgreSQL ${server.version}`);
  return wrong;
}

const only = options.only === '' ? undefined : new Set(options.only.split(','));
const suites = positionals
  .flatMap((folder) => suitesOf(resolve(folder)))
  .filter(({ name }) => only === undefined || only.has(name));
const wrong = suites.length === 0 ? [] : await trySuites(suites);
const histories = Number(options.histories);
if (histories > 0)
  wrong.push(...(await tryHistories(histories, Number(options.seed), process.env['PG2KINESIS_WAL2JSON'])));
console.log(wrong.length === 0 ? 'All is right.' : `${wrong.length} things are wrong:`);
for (const each of wrong) console.log(`- ${each}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
