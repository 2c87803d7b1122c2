/**
 * I11 on a real server: a commit that waits for a standby is in the WAL, is decoded, and is seen by nobody.
 * First `synchronous_standby_names` names a standby that there is not, so that commits wait until the setting is taken back; then a real one that is stopped.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';
import { eventually } from '../postgres/fixtures.ts';

describe('a commit that waits for a standby', () => {
  let server: PostgresServer;
  let slots = 0;
  before(async () => {
    server = await startPostgres();
  });
  afterEach(async () => {
    await release();
  });
  after(() => server.stop());

  const hold = async () => {
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
    await server.sql('SELECT pg_reload_conf()');
    await eventually(async () => (await current()) === 'nobody', 'the setting is read');
    // The server's other processes read it later. A commit that nothing is to be read of, until one waits.
    const probe = await server.client();
    for (let i = 0, waits = false; !waits; i++) {
      const done = probe.query(`CREATE TEMP TABLE probe_${i} ()`);
      const isOver = done.then(
        () => true,
        () => true,
      );
      while (!waits && !(await Promise.race([isOver, wait(20).then(() => false)]))) waits = (await waiting()) > 0;
    }
  };
  const release = async () => {
    await server.sql('ALTER SYSTEM RESET synchronous_standby_names');
    await server.sql('SELECT pg_reload_conf()');
    await eventually(async () => (await current()) === '', 'the setting is taken back');
  };
  const waiting = async () => (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length;
  const current = async () =>
    (await server.sql<{ v: string }>(`SELECT current_setting('synchronous_standby_names') AS v`))[0]?.v;

  /** Begins a transaction's commit, and comes back when it waits. */
  async function commitHeld(statements: string): Promise<{ client: pg.Client; done: Promise<unknown> }> {
    const client = await server.client();
    await client.query('BEGIN');
    await client.query(statements);
    await hold();
    const done = client.query('COMMIT');
    await eventually(async () => (await waiting()) === 2, 'the commit waits, besides the probe');
    return { client, done };
  }

  for (const warm of [false, true])
    it(`I11: is published whole once it is over, and nothing of it before: ${warm ? 'warm' : 'cold'}`, async () => {
      const n = ++slots;
      const slot = `s${n}`;
      await server.createSlot(slot);
      await server.sql(`
        CREATE TABLE later${n} (id int NOT NULL, note text);
        CREATE TABLE top${n} (id int PRIMARY KEY, note text);
        CREATE TABLE lives${n} (id int PRIMARY KEY)`);
      const pipeline = new Pipeline(server, slot, { exclude: `public\\.secret${n}` });
      if (warm) assert.equal((await pipeline.run()).stopped, 'caught-up');
      await server.sql(`INSERT INTO lives${n} VALUES (1)`);
      const { client, done } = await commitHeld(`
        CREATE TABLE born${n} (id int PRIMARY KEY);
        INSERT INTO born${n} VALUES (1), (2);
        INSERT INTO later${n} VALUES (1);
        ALTER TABLE later${n} ADD PRIMARY KEY (id);
        INSERT INTO later${n} VALUES (2);
        ALTER TABLE top${n} RENAME TO secret${n};
        INSERT INTO secret${n} VALUES (1)`);
      const answer = await pipeline.run();
      assert.deepEqual([answer.stopped, answer.published, answer.changes], ['commit-pending', 1, 1]);
      if (!warm)
        await assert.rejects(pipeline.run(), /NO_PROGRESS: The transaction with xid \d+ .* synchronous_standby_names/);
      await release();
      await done;
      await client.end();
      const last = await pipeline.run();
      assert.deepEqual([last.stopped, last.published, last.skipped.filtered], ['caught-up', 4, 1]);
      assert.equal(last.changes, 5);
      assert.deepEqual(
        pipeline.records.map(({ table, key }) => `${table} ${JSON.stringify(key)}`),
        [`lives${n}`, `born${n}`, `born${n}`, `later${n}`, `later${n}`].map(
          (table, i) => `${table} {"id":${[1, 1, 2, 1, 2][i]}}`,
        ),
      );
    });

  it('I11: is waited for where the standby answers soon', async () => {
    const slot = `s${++slots}`;
    await server.createSlot(slot);
    const { client, done } = await commitHeld('CREATE TABLE soon (id int PRIMARY KEY); INSERT INTO soon VALUES (1)');
    // It waits for two seconds, which last half a minute here: on a slow machine what follows takes long.
    const begun = Date.now();
    const pipeline = new Pipeline(server, slot, { now: () => begun + (Date.now() - begun) / 15 });
    const running = pipeline.run();
    await eventually(
      async () =>
        (
          await server.sql(
            `SELECT 1 FROM pg_stat_activity WHERE query ~ 'txid_current_snapshot|typdelim|pg_current_wal_insert_lsn' AND pid <> pg_backend_pid()`,
          )
        ).length > 0,
      'it has looked',
    );
    await release();
    await done;
    await client.end();
    const answer = await running;
    assert.deepEqual([answer.stopped, answer.published, answer.skipped.droppedTable], ['caught-up', 1, 0]);
  });
});

describe('a commit whose standby was stopped', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  before(async () => {
    primary = await startPostgres();
    standby = await primary.standby({ slot: 'phys' });
    await primary.sql(`ALTER SYSTEM SET synchronous_standby_names = 'standby'`);
    await primary.sql('SELECT pg_reload_conf()');
    await eventually(isSynchronous, 'the setting is read');
    // The process that has commits wait reads it last, but before a checkpoint.
    await primary.sql('CHECKPOINT');
  });
  after(async () => {
    await standby.stop();
    await primary.stop();
  });

  const isSynchronous = async () =>
    (await primary.sql(`SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'`)).length === 1;
  const waiting = async () => (await primary.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length;

  for (const warm of [false, true])
    it(`I11: is published whole once that is back: ${warm ? 'warm' : 'cold'}`, async () => {
      const slot = warm ? 'warm' : 'cold';
      await primary.createSlot(slot);
      await primary.sql(`CREATE TABLE before_${slot} (id int PRIMARY KEY); INSERT INTO before_${slot} VALUES (1)`);
      const pipeline = new Pipeline(primary, slot);
      if (warm) assert.equal((await pipeline.run()).published, 1);
      const client = await primary.client();
      await client.query('BEGIN');
      await client.query(`CREATE TABLE born_${slot} (id int PRIMARY KEY); INSERT INTO born_${slot} VALUES (1), (2)`);
      await standby.halt('immediate');
      const done = client.query('COMMIT');
      await eventually(async () => (await waiting()) === 1, 'the commit waits');
      const held = await pipeline.run().then(({ stopped }) => stopped, String);
      // Where nothing could be done at all it is an error.
      assert.match(
        held,
        warm ? /NO_PROGRESS: The transaction with xid \d+ .* synchronous_standby_names/ : /^commit-pending$/,
      );
      await standby.start();
      await done;
      await client.end();
      const { stopped, skipped } = await pipeline.run();
      assert.deepEqual([stopped, skipped.droppedTable], ['caught-up', 0]);
      assert.deepEqual(
        pipeline.records.map(({ table, key }) => `${table} ${JSON.stringify(key)}`),
        [`before_${slot} {"id":1}`, `born_${slot} {"id":1}`, `born_${slot} {"id":2}`],
      );
      await eventually(isSynchronous, 'it is the synchronous one again');
    });
});
