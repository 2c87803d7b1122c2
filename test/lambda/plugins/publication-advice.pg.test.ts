// What create-slot and check advise on publications, followed on a real server: the application goes on working, and what
// was advised is captured.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { checkPublications } from '../../../lambda/health/publications-health.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { closeBoth, openPair } from '../../../lambda/postgres/connection-pair.ts';
import { pgoutput } from '../../../lambda/postgres/plugins.ts';
import { readPublications } from '../../../lambda/postgres/publication-queries.ts';
import { createSlot } from '../../../lambda/postgres/slot-create-drop.ts';
import { compilePatterns } from '../../../lambda/settings/filters.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';
import { clock, databaseOf, soon } from '../postgres/fixtures.ts';

const NO_FILTERS = {
  tableInclude: compilePatterns(''),
  tableExclude: compilePatterns(''),
  columnExclude: compilePatterns(''),
};

describe('the advice on publications', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ version: String(Math.max(TESTED_MAJOR, 11)) });
  });
  after(() => server.stop());

  const database = (name: string, publication: string) =>
    databaseOf(server, { database: name }, {}, pgoutput([publication]));
  async function withTwo<T>(
    name: string,
    publication: string,
    work: (one: Connection, other: Connection) => Promise<T>,
  ): Promise<T> {
    const pair = await openPair(database(name, publication), { deadline: soon() }, { deadline: soon() });
    try {
      return await work(...pair);
    } finally {
      await closeBoth(pair, clock);
    }
  }
  /** Refuses to make the slot, and gives the SQL that it advises. */
  async function advised(name: string, publication: string): Promise<string> {
    const error = await withTwo(name, publication, async (one, other) => {
      return await createSlot(one, other, publication, 10_000).then(
        () => undefined,
        (caught: unknown) => caught,
      );
    });
    assert.ok(error instanceof PipelineError, String(error));
    assert.equal(error.code, 'PUBLICATION_MISSING');
    assert.match(error.message, /No slot was made/);
    return error.remedy;
  }
  const sqlOf = (remedy: string): string => /(?:CREATE PUBLICATION|DO \$\$)[^]*?;(?= Then)/.exec(remedy)?.[0] ?? '';
  const findings = async (name: string, publication: string, slot = publication) =>
    checkPublications(
      await withTwo(name, publication, async (one) => await readPublications(one, [publication], slot)),
      { publications: [publication], filters: NO_FILTERS },
    );

  it('is FOR ALL TABLES only where no table of the application would stop working', async () => {
    await server.sql('CREATE DATABASE sound');
    const client = await server.client({ database: 'sound' });
    await client.query(
      'CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (x integer); ALTER TABLE b REPLICA IDENTITY FULL',
    );
    const sql = sqlOf(await advised('sound', 'p_sound'));
    assert.equal(sql, 'CREATE PUBLICATION "p_sound" FOR ALL TABLES;');
    await client.query(sql);
    await client.query('INSERT INTO b VALUES (1); UPDATE b SET x = 2; DELETE FROM b');
    await withTwo('sound', 'p_sound', async (one, other) => await createSlot(one, other, 'p_sound', 10_000));
    assert.deepEqual(
      (await findings('sound', 'p_sound')).map(({ state }) => state),
      ['ok'],
    );
  });

  it('names every other case by table, and what it advises captures all that has a key', async () => {
    await server.sql('CREATE DATABASE mixed');
    const client = await server.client({ database: 'mixed' });
    await client.query(`
      CREATE TABLE keyed (id integer PRIMARY KEY, t text);
      CREATE TABLE "Keyed, too" (id integer PRIMARY KEY);
      CREATE TABLE keyless (x integer);
      CREATE TABLE late (id integer PRIMARY KEY DEFERRABLE);
      CREATE TABLE nothing (id integer PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
      CREATE TABLE dropped (id integer PRIMARY KEY, u integer NOT NULL); CREATE UNIQUE INDEX u ON dropped (u);
      ALTER TABLE dropped REPLICA IDENTITY USING INDEX u; DROP INDEX u;
      CREATE TABLE parted (id integer PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
      CREATE UNLOGGED TABLE unlogged (x integer); CREATE TEMPORARY TABLE temporary (x integer);
      CREATE MATERIALIZED VIEW seen AS SELECT 1 AS one`);
    const generated = server.versionNum >= 120000;
    if (generated)
      await client.query('CREATE TABLE made (a integer, id integer GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)');
    const virtual = server.versionNum >= 180000;
    if (virtual)
      await client.query(
        'CREATE TABLE virtual (id integer PRIMARY KEY, v integer GENERATED ALWAYS AS (id) VIRTUAL); ALTER TABLE virtual REPLICA IDENTITY FULL',
      );
    const remedy = await advised('mixed', 'p_mixed');
    for (const name of [
      'public.keyless',
      'public.late',
      'public.nothing',
      'public.dropped',
      ...(generated ? ['public.made'] : []),
      ...(virtual ? ['public.virtual'] : []),
    ])
      assert.ok(remedy.includes(name), name);
    const sql = sqlOf(remedy);
    assert.equal(sql, 'CREATE PUBLICATION "p_mixed" FOR TABLE public."Keyed, too", public.keyed, public.parted_1;');
    assert.deepEqual(
      (await findings('mixed', 'p_mixed')).map(({ state, todo }) => [state, todo?.startsWith(sql)]),
      [['missing', true]],
    );
    await client.query(sql);
    await withTwo('mixed', 'p_mixed', async (one, other) => await createSlot(one, other, 'p_mixed', 10_000));
    await client.query(`
      INSERT INTO keyless VALUES (1); UPDATE keyless SET x = 2; DELETE FROM keyless;
      INSERT INTO late VALUES (1); UPDATE late SET id = 2; DELETE FROM late;
      INSERT INTO nothing VALUES (1); UPDATE nothing SET id = 2; DELETE FROM nothing;
      ${generated ? 'INSERT INTO made VALUES (1); UPDATE made SET a = 2; DELETE FROM made;' : ''}
      ${virtual ? 'INSERT INTO virtual VALUES (1); UPDATE virtual SET id = 2; DELETE FROM virtual;' : ''}
      INSERT INTO dropped VALUES (1, 1); UPDATE dropped SET u = 2; DELETE FROM dropped;
      INSERT INTO keyed VALUES (1, 'a'); INSERT INTO "Keyed, too" VALUES (1); INSERT INTO parted VALUES (1)`);
    const pipeline = new Pipeline(server, 'p_mixed', { publications: ['p_mixed'], database: 'mixed' });
    await pipeline.run();
    assert.deepEqual(
      pipeline.records.map(({ table }) => table),
      ['keyed', 'Keyed, too', 'parted_1'],
    );
  });

  it('is found by the SQL itself where there are many tables', async () => {
    await server.sql('CREATE DATABASE many');
    const client = await server.client({ database: 'many' });
    await client.query(`DO $$ BEGIN FOR i IN 1..30 LOOP EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY)', 'T ' || i); END LOOP; END $$;
      CREATE TABLE keyless (x integer); CREATE TABLE late (id integer PRIMARY KEY DEFERRABLE)`);
    const sql = sqlOf(await advised('many', `it's "many"`));
    assert.ok(sql.startsWith('DO $$'), sql);
    await client.query(sql);
    const { rows } = await client.query('SELECT count(*)::int AS n FROM pg_publication_tables WHERE pubname = $1', [
      `it's "many"`,
    ]);
    assert.deepEqual(rows, [{ n: 30 }]);
    await client.query('INSERT INTO keyless VALUES (1); UPDATE keyless SET x = 2');
  });

  it('is to publish whole keys: rows of which a part of the key is sent are counted, and never told apart by that', async () => {
    await server.sql('CREATE DATABASE parts');
    const client = await server.client({ database: 'parts' });
    const lists = server.versionNum >= 150000;
    const generated = server.versionNum >= 120000;
    await client.query(`
      CREATE TABLE whole (a integer, b integer, PRIMARY KEY (b, a));
      CREATE TABLE listed (a integer, b integer, PRIMARY KEY (a, b));
      ${generated ? 'CREATE TABLE made (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED, PRIMARY KEY (a, g));' : ''}
      CREATE PUBLICATION p_parts FOR TABLE whole, listed${lists ? ' (a)' : ''}${generated ? ', made' : ''} WITH (publish = 'insert')`);
    await withTwo('parts', 'p_parts', async (one, other) => await createSlot(one, other, 'p_parts', 10_000));
    const pipeline = new Pipeline(server, 'p_parts', { publications: ['p_parts'], database: 'parts' });
    await client.query('INSERT INTO whole VALUES (1, 2)');
    // What it has seen of the keys is true of all that is written from then on.
    await pipeline.run();
    await client.query('INSERT INTO listed VALUES (1, 1), (1, 2)');
    if (generated) await client.query('INSERT INTO made VALUES (1)');
    const { skipped } = await pipeline.run();
    assert.deepEqual(
      pipeline.records.map(({ table, key }) => [table, key]),
      [['whole', { b: 2, a: 1 }], ...(lists ? [] : [1, 2].map((b) => ['listed', { a: 1, b }]))],
    );
    assert.equal(skipped.noReplicaIdentity, (lists ? 2 : 0) + (generated ? 1 : 0));
    const partly = [...(lists ? ['public.listed'] : []), ...(generated ? ['public.made'] : [])].join(', ');
    const faults = (await findings('parts', 'p_parts')).filter(({ found }) => found.includes('leaves out a column'));
    assert.deepEqual(
      faults.map(({ state, found }) => [state, found.includes(`primary key of ${partly}:`)]),
      partly === '' ? [] : [['fault', true]],
    );
  });

  it('says which statements of the application fail by a publication, and of no other', async () => {
    await server.sql('CREATE DATABASE refusing');
    const client = await server.client({ database: 'refusing' });
    const generated = server.versionNum >= 120000;
    const lists = server.versionNum >= 150000;
    const tables = ['keyless', 'keyed', ...(generated ? ['made'] : []), ...(lists ? ['listed'] : [])];
    await client.query(`CREATE TABLE keyless (a integer); CREATE TABLE keyed (a integer PRIMARY KEY);
      CREATE TABLE listed (a integer, b integer DEFAULT 1, PRIMARY KEY (a, b));
      ${generated ? 'CREATE TABLE made (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED, PRIMARY KEY (a, g));' : ''}
      CREATE PUBLICATION p_refusing FOR TABLE ${tables.map((table) => (table === 'listed' ? 'listed (a)' : table)).join(', ')}`);
    const all = `publish = 'insert, update, delete'`;
    const sendsGenerated = server.versionNum >= 180000 ? [`${all}, publish_generated_columns = stored`] : [];
    for (const publish of [`publish = 'insert'`, all, ...sendsGenerated]) {
      await client.query(`ALTER PUBLICATION p_refusing SET (${publish})`);
      const [fault] = (await findings('refusing', 'p_refusing')).filter(({ found }) => found.includes('refuses every'));
      for (const table of tables) {
        await client.query(`INSERT INTO ${table} VALUES (1)`);
        const isRefused = await client.query(`UPDATE ${table} SET a = 2`).then(
          () => false,
          () => true,
        );
        await client.query(`TRUNCATE ${table}`);
        const isNamed = fault?.found.includes(`public.${table}`) === true;
        assert.equal(isNamed, isRefused, `${table}, ${publish}: ${fault?.found ?? 'no fault'}`);
      }
    }
  });

  it('warns of what a publication that is there does: to the application, and to what is captured', async () => {
    await server.sql('CREATE DATABASE odd');
    const client = await server.client({ database: 'odd' });
    await client.query(
      `CREATE TABLE keyless (x integer); CREATE TABLE a (id integer PRIMARY KEY, b integer); CREATE TABLE left_out (id integer PRIMARY KEY)`,
    );
    await client.query(`SELECT pg_create_logical_replication_slot('p_odd', 'pgoutput')`);
    await client.query(`CREATE PUBLICATION p_odd FOR TABLE keyless, a WITH (publish = 'insert, update')`);
    await client.query('INSERT INTO keyless VALUES (1)');
    await assert.rejects(client.query('UPDATE keyless SET x = 2'), /replica identity/);
    await client.query('DELETE FROM keyless');
    if (server.versionNum >= 150000)
      await client.query('ALTER PUBLICATION p_odd SET TABLE keyless, a (id) WHERE (id > 1)');
    const found = await findings('odd', 'p_odd');
    const said = found.map(({ state, found: what }) => `${state}: ${what}`).join('\n');
    assert.match(said, /^fault: PostgreSQL refuses every UPDATE of public\.keyless/m);
    assert.match(said, /^warning: "p_odd" was made or altered since the oldest change/m);
    assert.match(said, /^warning: 1 tables with a primary key are in no publication.*public\.left_out/m);
    assert.match(said, /^warning: "p_odd" does not publish DELETE, TRUNCATE/m);
    if (server.versionNum >= 150000) {
      assert.match(said, /public\.a is published with a row filter/);
      assert.match(said, /public\.a is published with a list of columns/);
    }
  });
});
