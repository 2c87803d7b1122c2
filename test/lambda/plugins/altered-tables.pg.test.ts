// What pgoutput publishes and test_decoding cannot: rows of tables that are gone, and keys that were altered since.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { TypeCatalog } from '../../../lambda/postgres/type-catalog.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';

describe('pgoutput, read after the tables were altered', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ version: String(Math.max(TESTED_MAJOR, 11)) });
    await server.sql('CREATE PUBLICATION everything FOR ALL TABLES');
    await server.createSlot('by_pgoutput', 'pgoutput');
    await server.createSlot('by_test_decoding');
    for (const statement of [
      `CREATE TABLE dropped (id integer PRIMARY KEY, t text)`,
      `INSERT INTO dropped VALUES (1, 'a')`,
      `UPDATE dropped SET id = 2`,
      `DELETE FROM dropped`,
      `DROP TABLE dropped`,
      `CREATE TABLE rekeyed (a integer, b integer NOT NULL, PRIMARY KEY (a))`,
      `INSERT INTO rekeyed VALUES (1, 10)`,
      `UPDATE rekeyed SET b = 11`,
      `ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (b)`,
      `INSERT INTO rekeyed VALUES (2, 20)`,
      `DELETE FROM rekeyed`,
      `CREATE TABLE unkeyed (id integer PRIMARY KEY)`,
      `INSERT INTO unkeyed VALUES (1)`,
      `ALTER TABLE unkeyed DROP CONSTRAINT unkeyed_pkey`,
      `CREATE TABLE renamed (id integer, "Zone" text, PRIMARY KEY ("Zone", id))`,
      `INSERT INTO renamed VALUES (1, 'z')`,
      `ALTER TABLE renamed RENAME COLUMN id TO number`,
    ])
      await server.sql(statement);
  });
  after(() => server.stop());

  it('publishes every row under the key that it had', async () => {
    const pipeline = new Pipeline(server, 'by_pgoutput', { publications: ['everything'] });
    const { skipped } = await pipeline.run();
    assert.deepEqual(
      pipeline.records.map(({ op, table, key }) => [op, table, key]),
      [
        ['INSERT', 'dropped', { id: 1 }],
        ['DELETE', 'dropped', { id: 1 }],
        ['INSERT', 'dropped', { id: 2 }],
        ['DELETE', 'dropped', { id: 2 }],
        ['INSERT', 'rekeyed', { a: 1 }],
        ['UPDATE', 'rekeyed', { a: 1 }],
        ['INSERT', 'rekeyed', { b: 20 }],
        ['DELETE', 'rekeyed', { b: 11 }],
        ['DELETE', 'rekeyed', { b: 20 }],
        ['INSERT', 'unkeyed', { id: 1 }],
        ['INSERT', 'renamed', { id: 1, Zone: 'z' }],
      ],
    );
    assert.deepEqual(
      Object.values(skipped).filter((count) => count > 0),
      [],
    );
  });

  it('publishes what test_decoding only counts as rows of dropped tables', async () => {
    const pipeline = new Pipeline(server, 'by_test_decoding');
    const { skipped, published, changes } = await pipeline.run();
    assert.ok(skipped.droppedTable >= 3);
    assert.ok(published < changes);
  });

  it('filters by the table names at write time', async () => {
    await server.createSlot('filtered', 'pgoutput');
    await server.sql('CREATE TABLE secret (id integer PRIMARY KEY)');
    await server.sql('INSERT INTO secret VALUES (1)');
    await server.sql('DROP TABLE secret');
    const pipeline = new Pipeline(server, 'filtered', { publications: ['everything'], exclude: 'public\\.secret' });
    const { skipped } = await pipeline.run();
    assert.deepEqual([pipeline.published, skipped.filtered], [[], 1]);
  });

  for (const options of [{ exclude: 'public\\.top' }, { columns: 'public\\.top\\.ssn' }] as const)
    it(`leaves out a partition that is gone, where a list names its parent: ${Object.keys(options).join()}`, async () => {
      await server.sql(`CREATE TABLE top (id integer, ssn text) PARTITION BY RANGE (id);
        CREATE TABLE leaf PARTITION OF top FOR VALUES FROM (0) TO (10); ALTER TABLE leaf ADD PRIMARY KEY (id)`);
      await server.createSlot('hidden', 'pgoutput');
      await server.sql(`INSERT INTO top VALUES (1, 'secret')`);
      await server.sql('DROP TABLE leaf');
      const all = new Pipeline(server, 'hidden', { publications: ['everything'], ...options });
      const { skipped } = await all.run();
      assert.deepEqual([all.published, skipped.droppedTable], [[], 1]);
      await server.sql(`SELECT pg_drop_replication_slot('hidden'); DROP TABLE top`);
    });

  it('knows what a domain is made of, also after it or its schema was renamed in the life of a container', async () => {
    await server.sql('CREATE SCHEMA shop; CREATE DOMAIN shop.amount AS integer');
    await server.sql('CREATE TABLE priced (id integer PRIMARY KEY, price shop.amount)');
    await server.createSlot('typed', 'pgoutput');
    const typeCatalog = new TypeCatalog();
    const pipeline = new Pipeline(server, 'typed', {
      publications: ['everything'],
      format: 'dms',
      typeCatalog,
      formatOptions: { baseType: (type) => typeCatalog.baseOf(type) },
    });
    for (const [i, rename] of [
      'SELECT',
      'ALTER DOMAIN shop.amount RENAME TO sum',
      'ALTER SCHEMA shop RENAME TO till',
    ].entries()) {
      await server.sql(rename);
      // The first run after it passes it, the second forgets what was before.
      for (const id of [2 * i, 2 * i + 1]) {
        await server.sql('INSERT INTO priced VALUES ($1, 7)', [id]);
        await pipeline.run();
      }
    }
    assert.deepEqual(
      pipeline.published.map((text) => (JSON.parse(text) as { data: { price: unknown } }).data.price),
      [7, 7, 7, 7, 7, 7],
    );
    await server.sql(`SELECT pg_drop_replication_slot('typed')`);
  });
});
