/**
 * Tables of pg_repack and pg_squeeze, made by the SQL of these extensions: they hold copies of rows, with the columns that
 * are excluded. None of it is published, and `check` names them.
 *
 * @see https://github.com/reorg/pg_repack/blob/master/lib/pg_repack.sql.in
 * @see https://github.com/cybertec-postgresql/pg_squeeze/blob/master/pg_squeeze.c
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { checkServer } from '../../../lambda/health/server-health.ts';
import { readCheck } from '../../../lambda/postgres/check-queries.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';

const SQUEEZE = ['tables', 'tables_internal', 'tasks', 'log', 'errors'].map((name) => `squeeze.${name}`);
const CONFIG = readConfig({
  ...{ PGHOST: 'localhost', PGDATABASE: 'postgres', PGUSER: 'u', PGPASSWORD: 'p' },
  COLUMN_EXCLUDE_LIST: 'public\\.t\\.ssn',
});

describe('tables of pg_repack and pg_squeeze', () => {
  let server: PostgresServer;
  let oid = 0;
  before(async () => {
    server = await startPostgres();
    await server.sql(`CREATE TABLE t (id int PRIMARY KEY, ssn text); INSERT INTO t VALUES (1, 'secret');
      CREATE SCHEMA repack; CREATE SCHEMA squeeze; ${SQUEEZE.map((name) => `CREATE TABLE ${name} (id serial PRIMARY KEY, relname name)`).join(';')}`);
    const rows = await server.sql(`SELECT 't'::regclass::oid::int AS oid`);
    oid = Number(rows[0]?.['oid']);
    for (const slot of ['columns', 'all']) await server.createSlot(slot);
    await server.sql(`CREATE TYPE repack.pk_${oid} AS (id int);
      CREATE TABLE repack.log_${oid} (id bigserial PRIMARY KEY, pk repack.pk_${oid}, row t);
      CREATE TABLE repack.table_${oid} AS SELECT id, ssn FROM ONLY t WITH NO DATA;
      ALTER TABLE repack.table_${oid} ADD PRIMARY KEY (id)`);
  });
  after(() => server.stop());

  it('are named by check', async () => {
    const findings = checkServer(await readCheck(await server.client(), 'all'), { ...CONFIG, slot: 'all' });
    const names = [`repack.log_${oid}`, `repack.table_${oid}`, ...SQUEEZE.toSorted()].join(', ');
    assert.deepEqual(
      findings.filter(({ check }) => check.includes('pg_repack')),
      [{ check: 'tables of pg_repack, pg_squeeze and replicas', state: 'ok', found: `left out by default: ${names}` }],
    );
    const keys = findings.find(({ check }) => check === 'primary keys');
    assert.equal(keys?.found, '1 tables, all with a primary key');
  });

  it('are not published, with lists and without, and nor is the copy that pg_squeeze fills', async () => {
    await server.sql(`INSERT INTO repack.table_${oid} SELECT id, ssn FROM ONLY t;
      INSERT INTO t VALUES (2, 'secret'); INSERT INTO repack.log_${oid} (pk, row) VALUES (NULL, (2, 'secret'));
      INSERT INTO repack.table_${oid} VALUES (2, 'secret'); DELETE FROM repack.log_${oid};
      ${SQUEEZE.map((name) => `INSERT INTO ${name} (relname) VALUES ('t')`).join(';')}`);
    // One transaction: made, filled, given its indexes, filled further, and dropped.
    await server.sql(`BEGIN; CREATE TABLE tmp_${oid} (id int, ssn text); INSERT INTO tmp_${oid} SELECT * FROM t;
      ALTER TABLE tmp_${oid} ADD PRIMARY KEY (id); INSERT INTO tmp_${oid} VALUES (3, 'secret'); DROP TABLE tmp_${oid}; COMMIT`);
    const cases: readonly (readonly [string, PipelineOptions])[] = [
      ['columns', { columns: CONFIG.filters.columnExclude.map(({ source }) => source.slice(4, -2)).join() }],
      ['all', {}],
    ];
    for (const [slot, options] of cases) {
      const pipeline = new Pipeline(server, slot, options);
      const answer = await pipeline.run();
      assert.deepEqual(
        pipeline.records.map(({ schema, table, row }) => [schema, table, row]),
        [['public', 't', slot === 'all' ? { id: 2, ssn: 'secret' } : { id: 2 }]],
      );
      assert.deepEqual([answer.skipped.filtered, answer.skipped.notTable], [9, 3], slot);
      assert.equal(answer.changes, 13, slot);
      assert.deepEqual(pipeline.warnings, [], slot);
    }
  });
});
