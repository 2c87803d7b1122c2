/**
 * A slot that a primary has given up, for each of its reasons, and the way out followed to its end. What only a standby
 * knows is in standby-source.pg.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { InProcessFunction } from '../support/in-process.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../support/postgres.ts';
import { eventually } from './environment.ts';

describe('a slot that the server has given up', () => {
  // Slots are given up from 13 on.
  const version = Math.max(TESTED_MAJOR, 13);
  let server: PostgresServer;
  let pipeline: InProcessFunction;
  let nextId = 1;

  before(async () => {
    server = await startPostgres({
      version: String(version),
      settings: { max_wal_size: '32MB', min_wal_size: '32MB' },
    });
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'secret'; CREATE TABLE t (id int PRIMARY KEY)`);
    pipeline = new InProcessFunction({
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGDATABASE: 'postgres',
      PGUSER: 'cdc',
      PGPASSWORD: 'secret',
    });
    await pipeline.invoke({ action: 'create-slot' });
  });
  after(() => server.stop());

  const setting = async (what: string) => {
    await server.sql(`ALTER SYSTEM SET ${what}`);
    await server.sql('SELECT pg_reload_conf()');
  };
  const publishes = async () => {
    await server.sql('INSERT INTO t VALUES ($1)', [nextId++]);
    const { stopped, published } = await pipeline.invoke({ action: 'run' });
    assert.deepEqual([stopped, published], ['caught-up', 1]);
  };
  /** A checkpoint looks for such slots, once the server's own process has read the setting. */
  const givenUp = (before: () => Promise<unknown>) =>
    eventually(async () => {
      await before();
      await server.sql('CHECKPOINT');
      return (await server.sql(`SELECT 1 FROM pg_replication_slots WHERE wal_status = 'lost'`)).length > 0;
    }, 'it is given up');
  /** Each action says what to mend; that is done, and the slot made anew. */
  const mend = async (reason: RegExp, advice: RegExp, follow: () => Promise<void>) => {
    for (const action of ['run', 'drain', 'create-slot']) {
      const said = await pipeline.refusal({ action });
      assert.match(said, /^SLOT_LOST: /, action);
      assert.match(said, reason, action);
      assert.match(said, advice, action);
      assert.match(said, /drop it with drop-slot, create it with create-slot, and reload what consumers missed/);
    }
    assert.equal((await pipeline.invoke({ action: 'status' }))['slotState'], 'lost');
    assert.match(JSON.stringify((await pipeline.invoke({ action: 'check' }))['findings']), advice);
    await follow();
    assert.equal((await pipeline.invoke({ action: 'drop-slot' }))['dropped'], true);
    assert.match(await pipeline.refusal({ action: 'run' }), /^SLOT_MISSING: /);
    assert.equal((await pipeline.invoke({ action: 'create-slot' }))['created'], true);
    await publishes();
  };

  it('because it needed more WAL than max_slot_wal_keep_size', async () => {
    await publishes();
    await setting(`max_slot_wal_keep_size = '1MB'`);
    await givenUp(async () => {
      await server.sql('INSERT INTO t VALUES ($1)', [nextId++]);
      await server.sql('SELECT pg_switch_wal()');
    });
    // 16 says the same of every reason.
    const reason =
      version >= 17 ? /invalidated: wal_removed/ : version === 16 ? /invalidated: conflict/ : /wal_status lost/;
    await mend(reason, /raise max_slot_wal_keep_size/, () => setting(`max_slot_wal_keep_size = '-1'`));
  });

  if (version >= 18)
    it('because nobody used it for longer than idle_replication_slot_timeout', async () => {
      await setting(`idle_replication_slot_timeout = '1s'`);
      await givenUp(() => wait(250));
      await mend(/invalidated: idle_timeout/, /idle_replication_slot_timeout: raise that setting or set it to 0/, () =>
        setting('idle_replication_slot_timeout = 0'),
      );
    });

  it('is not the same as one that somebody dropped, and made anew', async () => {
    await server.sql(`SELECT pg_drop_replication_slot('pg2kinesis')`);
    await server.sql('INSERT INTO t VALUES ($1)', [nextId++]);
    const said = await pipeline.refusal({ action: 'run' });
    assert.match(said, /^SLOT_MISSING: .*timeline 1\..*The last commit published from here has LSN [0-9A-F/]+\./);
    assert.match(said, /docs\/failover\.md, "When the slot is gone"/);
    const made = await pipeline.invoke({ action: 'create-slot' });
    assert.ok(
      pipeline.warnings.some((line) => line.includes(`committed from LSN ${String(made['confirmedFlushLsn'])} on`)),
    );
    await publishes();
  });
});
