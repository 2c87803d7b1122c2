// A publication that is missing loses rows in silence from 18 on, and stops the slot before: a run that meets it fails
// before any advance, whichever way it came about, and its remedy works.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';

describe('a publication that is missing', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ version: String(Math.max(TESTED_MAJOR, 11)) });
    await server.sql('CREATE TABLE t (id integer PRIMARY KEY)');
  });
  after(() => server.stop());

  const position = async (slot: string): Promise<unknown> =>
    (
      await server.sql('SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1', [slot])
    )[0]?.['lsn'];
  const insert = async (): Promise<void> => {
    await server.sql('INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t');
  };

  /** Asserts that runs fail and move nothing, and that what follows the advance is published. */
  async function assertStops(slot: string, publication: string): Promise<void> {
    const before = await position(slot);
    const pipeline = new Pipeline(server, slot, { publications: [publication] });
    for (let i = 0; i < 2; i++) {
      await assert.rejects(pipeline.run(), (error: unknown) => {
        assert.ok(error instanceof PipelineError, String(error));
        assert.equal(error.code, 'PUBLICATION_MISSING');
        assert.match(error.message, new RegExp(`"${slot}".*"${publication}".*was not advanced.*docs/plugins.md`));
        return true;
      });
    }
    assert.equal(await position(slot), before);
    assert.deepEqual(pipeline.published, []);
  }

  /** The remedy: go past the time in which the publication was missing. */
  async function assertGoesOn(slot: string, publication: string, lsn: unknown): Promise<void> {
    await server.sql('SELECT pg_replication_slot_advance($1, $2)', [slot, lsn]);
    await insert();
    const pipeline = new Pipeline(server, slot, { publications: [publication] });
    const { caughtUp, published } = await pipeline.run();
    assert.deepEqual([caughtUp, published], [true, 1]);
  }

  const now = async (): Promise<unknown> => (await server.sql('SELECT pg_current_wal_lsn()::text AS lsn'))[0]?.['lsn'];

  it('I1: because it was made later than the rows', async () => {
    await server.createSlot('later', 'pgoutput');
    await insert();
    await server.sql('CREATE PUBLICATION later FOR TABLE t');
    await assertStops('later', 'later');
    await assertGoesOn('later', 'later', await now());
  });

  it('because it was dropped and made again', async () => {
    await server.sql('CREATE PUBLICATION again FOR TABLE t');
    await server.createSlot('again', 'pgoutput');
    await server.sql('DROP PUBLICATION again');
    await insert();
    await server.sql('CREATE PUBLICATION again FOR TABLE t');
    await assertStops('again', 'again');
    await assertGoesOn('again', 'again', await now());
  });

  it('because it was renamed', async () => {
    await server.sql('CREATE PUBLICATION named FOR TABLE t');
    await server.createSlot('renamed', 'pgoutput');
    await server.sql('ALTER PUBLICATION named RENAME TO other');
    await insert();
    await assertStops('renamed', 'named');
    // The rows of before are read under the new name once the slot is past the renaming.
    await assertGoesOn('renamed', 'other', await now());
  });

  it('because it has another case than the one that is asked for', async () => {
    await server.sql('CREATE PUBLICATION "Upper" FOR TABLE t');
    await server.createSlot('upper', 'pgoutput');
    await insert();
    await assertStops('upper', 'upper');
    const pipeline = new Pipeline(server, 'upper', { publications: ['Upper'] });
    assert.equal((await pipeline.run()).published, 1);
  });

  it('because it was made while the transaction was open that wrote the rows', async () => {
    await server.createSlot('open', 'pgoutput');
    const writer = await server.client();
    await writer.query('BEGIN');
    await writer.query('INSERT INTO t SELECT max(id) + 1000 FROM t');
    await server.sql('CREATE PUBLICATION open FOR TABLE t');
    await writer.query('INSERT INTO t SELECT max(id) + 1000 FROM t');
    await writer.query('COMMIT');
    await writer.end();
    await assertStops('open', 'open');
    await assertGoesOn('open', 'open', await now());
  });

  it('is told apart from a slot that is missing', async () => {
    await server.sql('CREATE PUBLICATION present FOR TABLE t');
    await assert.rejects(new Pipeline(server, 'no_such_slot', { publications: ['present'] }).run(), {
      code: 'SLOT_MISSING',
    });
  });
});

describe('pgoutput on PostgreSQL 10', () => {
  it('is refused with what to set', async () => {
    const server = await startPostgres({ version: '10' });
    try {
      await assert.rejects(new Pipeline(server, 'any', { publications: ['p'] }).run(), (error: unknown) => {
        assert.ok(error instanceof PipelineError);
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.match(error.message, /PLUGIN.*PostgreSQL 10.*test_decoding/);
        return true;
      });
    } finally {
      await server.stop();
    }
  });
});
