/**
 * `PLUGIN=wal2json` in use: a slot is made and copied, tables altered since come as they were, a transaction that cannot be
 * printed is skipped, memory is bounded, and what the plugin leaves out is what the docs say.
 * `npm run test:wal2json`: see altered-keys.ts for the plugin's folder.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PipelineError } from '../../lambda/errors.ts';
import { closeBoth, openPair } from '../../lambda/postgres/connection-pair.ts';
import { type SlotPlugin, TEST_DECODING, wal2json } from '../../lambda/postgres/plugins.ts';
import { copySlot } from '../../lambda/postgres/slot-copy.ts';
import { createSlot } from '../../lambda/postgres/slot-create-drop.ts';
import { noCounts } from '../../lambda/transform/counts.ts';
import { startDrains } from '../chaos/drain-process.ts';
import { clock, databaseOf, soon } from '../lambda/postgres/fixtures.ts';
import { createBrokenType } from '../support/broken-type.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { Pipeline } from '../support/real-pipeline.ts';

const MAX_MB = 256;
const NOTHING_SKIPPED = noCounts().skipped;

describe('PLUGIN=wal2json', () => {
  const folder = process.env['PG2KINESIS_WAL2JSON'];
  let server: PostgresServer;
  before(async () => {
    assert.ok(folder !== undefined, 'set PG2KINESIS_WAL2JSON to the folder of wal2json.so');
    server = await startPostgres({ settings: { dynamic_library_path: `$libdir:${folder}`, max_wal_size: '4GB' } });
    await server.sql('CREATE TABLE t (id integer PRIMARY KEY, n integer)');
  });
  after(() => server.stop());

  async function onPair<T>(
    plugin: SlotPlugin,
    work: (...pair: Awaited<ReturnType<typeof openPair>>) => Promise<T>,
    database = server.connection.database,
  ): Promise<T> {
    const pair = await openPair(
      databaseOf(server, { database }, {}, plugin),
      { deadline: soon() },
      { deadline: soon() },
    );
    try {
      return await work(...pair);
    } finally {
      await closeBoth(pair, clock);
    }
  }
  const reading = (slot: string): Pipeline => new Pipeline(server, slot, { plugin: 'wal2json' });

  it('makes a slot, and says what is missing where the server has not the plugin', async () => {
    await onPair(wal2json(), (one, other) => createSlot(one, other, 'made', 10_000));
    const [slot] = await server.sql(`SELECT plugin FROM pg_replication_slots WHERE slot_name = 'made'`);
    assert.equal(slot?.['plugin'], 'wal2json');
    await assert.rejects(new Pipeline(server, 'made').run(), { code: 'WRONG_PLUGIN', message: /set PLUGIN=wal2json/ });
    await server.sql(`CREATE DATABASE bare`);
    await server.sql(`ALTER DATABASE bare SET dynamic_library_path = '$libdir'`);
    await assert.rejects(
      onPair(wal2json(), (one, other) => createSlot(one, other, 'bare', 10_000), 'bare'),
      { code: 'CONFIG_INVALID', message: /wal2json with a package of its own/ },
    );
    await server.sql(`SELECT pg_drop_replication_slot('made')`);
  });

  it('takes over from test_decoding and gives back, under writers: nothing lost, nothing twice, the same ids', async () => {
    await server.createSlot('before');
    await server.createSlot('control');
    let writing = true;
    const writers = [1, 2].map(async (seed) => {
      const client = await server.client();
      for (let i = seed; writing; i += 2) {
        await client.query('BEGIN');
        await client.query('UPDATE t SET n = n + 1 WHERE id = $1', [1 + (i % 20)]);
        await client.query('INSERT INTO t VALUES ($1, 0)', [i]);
        await client.query(i % 7 === 0 ? 'ROLLBACK' : 'COMMIT');
      }
      await client.end();
    });
    const parts = [new Pipeline(server, 'before'), reading('there'), new Pipeline(server, 'back')];
    await parts[0]?.run();
    await onPair(wal2json(), (...pair) => copySlot(...pair, 'before', 'there', 10_000));
    await parts[1]?.run();
    await onPair(TEST_DECODING, (...pair) => copySlot(...pair, 'there', 'back', 10_000));
    writing = false;
    await Promise.all(writers);
    await parts[2]?.run();
    const control = new Pipeline(server, 'control');
    await control.run();
    for (const part of parts) assert.ok(part.published.length > 0);
    assert.deepEqual(
      parts.flatMap(({ published }) => published),
      control.published,
    );
  });

  it('publishes tables that are gone, and keys as they were', async () => {
    await server.createSlot('then', 'wal2json');
    for (const statement of [
      'CREATE TABLE gone (id integer PRIMARY KEY)',
      'INSERT INTO gone VALUES (1)',
      'UPDATE gone SET id = 2',
      'DROP TABLE gone',
      'CREATE TABLE rekeyed (a integer, b integer NOT NULL, PRIMARY KEY (a))',
      'INSERT INTO rekeyed VALUES (1, 10)',
      'ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (b)',
      'DELETE FROM rekeyed',
    ])
      await server.sql(statement);
    const pipeline = reading('then');
    await pipeline.run();
    assert.deepEqual(
      pipeline.records.map(({ op, table, key }) => [op, table, key]),
      [
        ['INSERT', 'gone', { id: 1 }],
        ['DELETE', 'gone', { id: 1 }],
        ['INSERT', 'gone', { id: 2 }],
        ['INSERT', 'rekeyed', { a: 1 }],
        ['DELETE', 'rekeyed', { b: 10 }],
      ],
    );
  });

  it('I1: names a transaction that the server cannot print, and skips it', async () => {
    await createBrokenType(server);
    await server.sql('CREATE TABLE broken_rows (id integer PRIMARY KEY, v broken)');
    await server.createSlot('undecodable', 'wal2json');
    for (const [id, v] of [
      [1, 'NULL'],
      [2, `'MARKER'`],
      [3, 'NULL'],
    ])
      await server.sql(`INSERT INTO broken_rows VALUES (${id}, ${v})`);
    const pipeline = reading('undecodable');
    const error = await pipeline.run().catch((caught: unknown) => caught);
    assert.ok(error instanceof PipelineError && error.code === 'TRANSACTION_UNDECODABLE', String(error));
    assert.doesNotMatch(error.message, /MARKER/);
    await pipeline.skip(/commit LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(error.message)?.[1] ?? '');
    assert.equal((await pipeline.run()).caughtUp, true);
    assert.deepEqual(
      pipeline.records.map(({ key }) => key),
      [{ id: 1 }, { id: 3 }],
    );
  });

  it('I9: counts and names what the plugin leaves out, which is nothing else of the transaction', async () => {
    await server.sql('CREATE TABLE nothing (id integer PRIMARY KEY, n integer)');
    await server.sql('ALTER TABLE nothing REPLICA IDENTITY NOTHING');
    await server.sql(
      'CREATE TABLE keyless (n integer); CREATE TABLE hidden (n integer); CREATE TABLE dropped (n integer)',
    );
    await server.createSlot('left_out', 'wal2json');
    await server.sql(
      'BEGIN; INSERT INTO nothing VALUES (1, 1); UPDATE nothing SET n = 2; DELETE FROM nothing; INSERT INTO nothing VALUES (2, 2); COMMIT',
    );
    for (const table of ['keyless', 'hidden', 'dropped'])
      await server.sql(
        `INSERT INTO ${table} SELECT generate_series(1, 3); UPDATE ${table} SET n = 0; DELETE FROM ${table}`,
      );
    await server.sql('DROP TABLE dropped');
    const pipeline = new Pipeline(server, 'left_out', { plugin: 'wal2json', exclude: 'public\\.hidden' });
    const answer = await pipeline.run();
    assert.deepEqual(
      { ...answer.skipped },
      { ...NOTHING_SKIPPED, noReplicaIdentity: 2, noPrimaryKey: 9, filtered: 9, droppedTable: 9 },
    );
    assert.equal(answer.changes, 31);
    for (const table of ['nothing', 'keyless', 'dropped'])
      assert.ok(
        pipeline.warnings.some((line) => line.includes(`public.${table} `)),
        table,
      );
    assert.deepEqual(
      pipeline.records.map(({ op, key }) => [op, key]),
      [
        ['INSERT', { id: 1 }],
        ['INSERT', { id: 2 }],
      ],
    );
  });

  it('I8: needs no more memory for a large row, whose key is published', async (t) => {
    const drains = await startDrains(server);
    await server.sql('CREATE TABLE documents (body bytea, note text, id int PRIMARY KEY)');
    await server.sql('ALTER TABLE documents REPLICA IDENTITY FULL');
    await server.createSlot('large', 'wal2json');
    await server.sql(
      `INSERT INTO documents VALUES (convert_to(repeat('x', 64 << 20), 'UTF8'), repeat('"\\', 1 << 20), 1)`,
    );
    await server.sql('UPDATE documents SET id = 2');
    const { maxRssMb, answer } = await drains.drain('large', { PLUGIN: 'wal2json' });
    drains.stop();
    t.diagnostic(`${maxRssMb.toFixed(0)} MB`);
    assert.deepEqual([answer.published, answer.records, answer.truncated, answer.caughtUp], [2, 3, 3, true]);
    assert.ok(maxRssMb < MAX_MB, `it took ${maxRssMb.toFixed(0)} MB`);
  });
});
