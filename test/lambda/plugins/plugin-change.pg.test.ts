// A slot changes its plugin under writers: nothing is lost, nothing comes twice, and every id is the one that it would have
// had. Compared with a slot that nobody touched.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { closeBoth, openPair } from '../../../lambda/postgres/connection-pair.ts';
import { pgoutput, type SlotPlugin, TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { copySlot } from '../../../lambda/postgres/slot-copy.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';
import { clock, databaseOf, eventually, soon } from '../postgres/fixtures.ts';

describe('a slot copied to another plugin', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ version: String(Math.max(TESTED_MAJOR, 11)) });
    await server.sql('CREATE TABLE t (id integer PRIMARY KEY, n integer)');
    await server.sql('INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i');
  });
  after(() => server.stop());

  async function copy(from: string, to: string, plugin: SlotPlugin): Promise<void> {
    const pair = await openPair(databaseOf(server, {}, {}, plugin), { deadline: soon() }, { deadline: soon() });
    try {
      await copySlot(...pair, from, to, 10_000);
    } finally {
      await closeBoth(pair, clock);
    }
  }
  const slots = async (): Promise<Record<string, unknown>[]> =>
    await server.sql(
      `SELECT slot_name, plugin, confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name <> 'control' ORDER BY 1`,
    );

  if (Math.max(TESTED_MAJOR, 11) < 12) {
    it('is refused before PostgreSQL 12, which cannot copy', async () => {
      await server.createSlot('before');
      await server.sql('CREATE PUBLICATION p FOR TABLE t');
      await assert.rejects(copy('before', 'after', pgoutput(['p'])), (error: unknown) => {
        assert.ok(error instanceof PipelineError);
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.match(error.message, /before 12.*was not made.*create-slot/);
        return true;
      });
      assert.deepEqual(
        (await slots()).map(({ slot_name: name }) => name),
        ['before'],
      );
    });
    return;
  }

  it('goes on where it was: there, and back', async () => {
    await server.createSlot('before');
    await server.createSlot('control');
    let writing = true;
    let commits = 0;
    /** Something is committed from here on. */
    const moreIsWritten = async () => {
      const before = commits;
      await eventually(() => commits > before + 2, 'the writers go on');
    };
    const writers = [1, 2].map(async (seed) => {
      const client = await server.client();
      for (let i = seed; writing; i += 2) {
        await client.query('BEGIN');
        await client.query('UPDATE t SET n = n + 1 WHERE id = $1', [1 + (i % 20)]);
        await client.query('INSERT INTO t VALUES ($1, 0)', [100 + i]);
        await client.query(i % 7 === 0 ? 'ROLLBACK' : 'COMMIT');
        if (i % 7 !== 0) commits++;
      }
      await client.end();
    });
    const one = new Pipeline(server, 'before');
    await moreIsWritten();
    await one.run();

    // A transaction that wrote before the publication was there, and is open still.
    const early = await server.client();
    await early.query('BEGIN');
    await early.query('INSERT INTO t VALUES (-1, 0)');
    await assert.rejects(copy('before', 'after', pgoutput(['p'])), { code: 'PUBLICATION_MISSING' });
    await server.sql('CREATE PUBLICATION p FOR TABLE t');
    await early.query('COMMIT');
    await early.end();
    const stood = await slots();
    await assert.rejects(copy('before', 'after', pgoutput(['p'])), (error: unknown) => {
      assert.ok(error instanceof PipelineError, String(error));
      assert.equal(error.code, 'PUBLICATION_MISSING');
      assert.match(
        error.message,
        /"before" still holds changes from before.*"after" was not made.*Let runs publish them/,
      );
      return true;
    });
    assert.deepEqual(await slots(), stood);

    await one.run();
    await copy('before', 'after', pgoutput(['p']));
    const two = new Pipeline(server, 'after', { publications: ['p'] });
    await moreIsWritten();
    await two.run();
    await moreIsWritten();
    await copy('after', 'back', TEST_DECODING);
    writing = false;
    await Promise.all(writers);
    const three = new Pipeline(server, 'back');
    await three.run();
    const control = new Pipeline(server, 'control');
    await control.run();
    for (const part of [one, two, three]) assert.ok(part.published.length > 0);
    assert.deepEqual([...one.published, ...two.published, ...three.published], control.published);
  });
});
