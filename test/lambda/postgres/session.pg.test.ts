/** A run's session on a real server: the lock, the slot's checks, and each error as a user meets it. */
import assert from 'node:assert/strict';
import { type AddressInfo, connect as connectTo, createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { PipelineError } from '../../../lambda/errors.ts';
import { openSession } from '../../../lambda/postgres/session.ts';
import { acquireSlotLock, describeHolder, lockKey, readHolder } from '../../../lambda/postgres/slot-lock.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { TestClock } from '../../support/run-kit.ts';
import {
  clock,
  databaseOf,
  endableClock,
  eventually,
  memoryLog,
  openOn,
  sessionOn,
  sessionOptions,
  soon,
  told,
} from './fixtures.ts';

describe('a session', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
    await server.createSlot('s');
  });
  after(() => server.stop());

  /** A client that streams from the slot, under a name of its choice. */
  async function receive(slot: string, name: string) {
    const client = await server.client({ replication: 'database', application_name: name } as object);
    client.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0`).catch(() => undefined);
    await eventually(
      async () =>
        (await server.sql('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND active', [slot])).length === 1,
      'the slot is in use',
    );
    return client;
  }

  it('I6: a second one is locked, and told by whom; the first one closed, the third has it', async () => {
    const first = await sessionOn(server, 's');
    const second = await openSession(sessionOptions(server, 's'));
    assert.ok('locked' in second);
    assert.match(
      describeHolder(second.locked),
      /^backend \d+ \(user postgres, application pg2kinesis until 20[^,]*Z, connected for \d+ s, idle/,
    );
    assert.equal(first.lost.aborted, false);
    assert.equal(first.tookOver, false);
    await first.close();
    assert.equal(first.lost.aborted, false, 'closing is no loss');
    const third = await sessionOn(server, 's', { waitMs: 5_000 });
    assert.equal(third.tookOver, false);
    await third.close();
  });

  it('I6: the lock is of the slot', async () => {
    await server.createSlot('other');
    const first = await sessionOn(server, 's');
    await (await sessionOn(server, 'other')).close();
    await first.close();
    assert.notEqual(lockKey('s'), lockKey('other'));
  });

  it('I6: waits for the holder where it is asked to', async () => {
    const first = await sessionOn(server, 's');
    const waiting = sessionOn(server, 's', { waitMs: 30_000 });
    assert.equal(first.isLockAwaited(), false);
    await eventually(() => first.isLockAwaited(), 'the holder sees who waits');
    await first.close();
    await (await waiting).close();
  });

  it('I6: waits for a holder whose end is near, and for no other', async () => {
    const first = await sessionOn(server, 's', { leaseExpiresAt: Date.now() + 60_000 });
    const refused = await openSession(sessionOptions(server, 's', { holderEndsWithinMs: 30_000 }));
    assert.ok('locked' in refused);
    const waiting = sessionOn(server, 's', { holderEndsWithinMs: 90_000 });
    await eventually(() => first.isLockAwaited(), 'the other one waits');
    await first.close();
    await (await waiting).close();
  });

  it('hands a text to whoever waits for the lock, and to nobody else', async () => {
    const first = await sessionOn(server, 's');
    const waiting = sessionOn(server, 's', { holderEndsWithinMs: 90_000 });
    await eventually(() => first.isLockAwaited(), 'the other one waits');
    const text = `{"evidence":"a server's \\"counters\\""}`;
    await first.close(text);
    const second = await waiting;
    assert.deepEqual([second.handedOver, second.tookOver], [text, false]);
    const next = sessionOn(server, 's', { holderEndsWithinMs: 90_000 });
    await eventually(() => second.isLockAwaited(), 'the next one waits');
    await second.close('x'.repeat(2_000));
    const third = await next;
    assert.deepEqual([third.handedOver, third.tookOver], [undefined, false], 'it was too long');
    await third.close('{"rows":8}');
    const last = await sessionOn(server, 's', { waitMs: 5_000, holderEndsWithinMs: 90_000 });
    assert.equal(last.handedOver, undefined, 'nobody waited');
    await last.close();
  });

  it('I6: a holder past its end is ended, told and logged, in whatever state; that run sees it', async () => {
    await server.sql(`INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 40000) i`);
    // It stalls in the middle of a peek, and its time is over while the server waits for it to read on.
    const stuck = { ...clock, sleep: () => new Promise<void>(() => undefined) };
    const stalled = await sessionOn(server, 's', {
      leaseExpiresAt: Date.now() + 1_000,
      database: { ...databaseOf(server), clock: stuck },
    });
    const peek = stalled.slot.peek(await stalled.slot.flushLsn(), undefined, 60_000);
    for await (const block of peek) {
      while (block.next() !== undefined);
      break;
    }
    await clock.sleep(1_200);
    const log = memoryLog();
    const next = await sessionOn(server, 's', { log });
    assert.equal(next.tookOver, true);
    assert.match(log.lines.join('\n'), /Ended a backend that an earlier run left behind: backend \d+/);
    await eventually(() => stalled.lost.aborted, 'the one that was ended is told');
    await peek.close();
    await stalled.close();
    assert.equal((await told(next.slot.peek(await next.slot.flushLsn(), undefined, 30_000))).length, 40_002);
    await next.close();
    await server.sql('TRUNCATE t');
  });

  it('I6: of a login that takes another role at once ends its own peek, and a holder past its end', async () => {
    await server.sql(`CREATE ROLE app NOLOGIN REPLICATION; GRANT SELECT ON t TO app;
      CREATE ROLE app_clone LOGIN PASSWORD 'p' IN ROLE app; ALTER ROLE app_clone SET role = 'app'`);
    await server.createSlot('cloned');
    await server.sql(`INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i`);
    const login = { user: 'app_clone', password: 'p' };
    const holder = await server.client({ ...login, application_name: 'pg2kinesis until 2020-01-01T00:00:00.000Z' });
    await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey('cloned'))]);
    const session = await sessionOn(server, 'cloned', { database: databaseOf(server, login) });
    assert.equal(session.tookOver, true);
    for (let i = 0; i < 2; i++) {
      const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 60_000);
      for await (const block of peek) {
        while (block.next() !== undefined);
        break;
      }
      await peek.close();
      assert.equal(session.lost.aborted, false);
    }
    await session.close();
    await server.sql('TRUNCATE t');
  });

  it('I6: a holder past its end of another role, or under a name not ours, is left alone', async () => {
    await server.sql(`DROP ROLE IF EXISTS other_role; CREATE ROLE other_role LOGIN SUPERUSER PASSWORD 'p'`);
    for (const config of [
      { user: 'other_role', password: 'p', application_name: 'pg2kinesis until 2020-01-01T00:00:00.000Z' },
      { application_name: 'psql' },
      { application_name: 'pg2kinesis until then' },
    ]) {
      const holder = await server.client(config);
      await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey('s'))]);
      const session = await openSession(sessionOptions(server, 's'));
      assert.ok('locked' in session);
      assert.equal(session.locked?.application, config.application_name);
      await holder.end();
      await eventually(
        async () => (await server.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).length === 0,
        'the lock is free',
      );
    }
  });

  it('I6: a backend that got the process id of a holder past its end, under another name, is not ended', async () => {
    const holder = await server.client({ application_name: 'pg2kinesis until 2020-01-01T00:00:00.000Z' });
    await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey('s'))]);
    const asking = await openOn(server);
    const query: typeof asking.query = async (text, values) => {
      // Between the look and the end of it, the process id becomes another's.
      if (text.includes('pg_terminate_backend')) await holder.query("SET application_name = 'psql'");
      return await asking.query(text, values);
    };
    const log = memoryLog();
    // The ten seconds in which an ended backend may go pass at once.
    const result = await acquireSlotLock({ query }, { slotName: 's', clock: new TestClock(), log });
    assert.equal(result.kind, 'locked');
    assert.ok(!log.lines.join().includes('Ended'), log.lines.join());
    assert.equal((await holder.query('SELECT 1 AS alive')).rows.length, 1);
    await holder.end();
    await asking.client.end();
    await eventually(
      async () => (await server.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).length === 0,
      'the lock is free',
    );
  });

  it('I6: reports the loss of the connection that holds the lock', async () => {
    const session = await sessionOn(server, 's');
    const looking = await openOn(server);
    const holder = await readHolder(looking, 's');
    await server.sql('SELECT pg_terminate_backend($1)', [holder?.pid]);
    await eventually(() => session.lost.aborted, 'the loss is told');
    assert.equal((session.lost.reason as PipelineError).code, 'DATABASE_UNREACHABLE');
    await session.close();
    await looking.client.end();
  });

  it('I6: a run whose lock was lost without its doing is told to the next one, which waits for its last request', async () => {
    const first = await sessionOn(server, 's');
    const looking = await openOn(server);
    await server.sql('SELECT pg_terminate_backend($1)', [(await readHolder(looking, 's'))?.pid]);
    await eventually(() => first.lost.aborted, 'the loss is told');
    // A backend that is ended says so before it lets the lock go.
    const second = await sessionOn(server, 's', { waitMs: 30_000 });
    assert.equal(second.tookOver, true);
    await first.close();
    await second.close();
    const third = await sessionOn(server, 's', { waitMs: 5_000 });
    assert.equal(third.tookOver, false);
    await third.close();
    await looking.client.end();
  });

  it('I6: one that took over takes the second lock, too, as soon as it can: the run after it is told the same', async () => {
    const first = await sessionOn(server, 's');
    const looking = await openOn(server);
    const endHolder = async () => {
      await server.sql('SELECT pg_terminate_backend($1)', [(await readHolder(looking, 's'))?.pid]);
    };
    await endHolder();
    await eventually(() => first.lost.aborted, 'the loss is told');
    const second = await sessionOn(server, 's', { waitMs: 30_000 });
    assert.equal(second.tookOver, true);
    await first.close();
    const secondLock = 's (second connection)';
    await eventually(async () => (await readHolder(looking, secondLock)) !== undefined, 'the second lock is taken');
    await endHolder();
    await eventually(() => second.lost.aborted, 'the loss is told');
    const third = await sessionOn(server, 's', { waitMs: 30_000 });
    assert.equal(third.tookOver, true, 'a request of the second may be in flight');
    await second.close();
    await third.close();
    await looking.client.end();
  });

  it('I7: whoever waits for a server that fell silent is told when the time is over', async (t) => {
    const sockets: Socket[] = [];
    let silent = false;
    const proxy = createServer((ours) => {
      const theirs = connectTo(server.port, '127.0.0.1');
      sockets.push(ours, theirs);
      ours.on('error', () => undefined).on('data', (data) => silent || theirs.write(data));
      theirs.on('error', () => undefined).on('data', (data) => silent || ours.write(data));
    });
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    });
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    const { port } = proxy.address() as AddressInfo;
    const deadline = soon();
    const { clock: itsClock, end } = endableClock();
    const session = await sessionOn(server, 's', {
      database: databaseOf(server, { port }),
      deadline,
      leaseExpiresAt: deadline + 60_000,
      clock: itsClock,
    });
    silent = true;
    const asked = assert.rejects(session.slot.flushLsn(), { code: 'DATABASE_UNREACHABLE' });
    end();
    await asked;
    assert.equal((session.lost.reason as PipelineError).code, 'DATABASE_UNREACHABLE');
    assert.ok(Date.now() < deadline, 'not by a time-out of its own');
    await session.close();
  });

  it('I6: ends the statement that an earlier run left inside the slot', async () => {
    await server.createSlot('orphaned');
    const orphan = await receive('orphaned', 'pg2kinesis until 2099-01-01T00:00:00.000Z');
    const log = memoryLog();
    const session = await sessionOn(server, 'orphaned', { log });
    assert.equal(session.tookOver, true);
    assert.match(log.lines.join('\n'), /Ended a backend/);
    await session.close();
    await orphan.end().catch(() => undefined);
  });

  it('fails with SLOT_BUSY, naming who reads the slot', async (t) => {
    await server.createSlot('busy');
    const receiver = await receive('busy', 'debezium');
    t.after(() => receiver.end().catch(() => undefined));
    await assert.rejects(sessionOn(server, 'busy'), (error: PipelineError) => {
      assert.equal(error.code, 'SLOT_BUSY');
      assert.match(
        error.message,
        /Slot "busy" is in use by backend \d+ \(user postgres, application debezium, connected for \d+ s/,
      );
      return true;
    });
  });

  it('fails with SLOT_MISSING', async () => {
    await assert.rejects(sessionOn(server, 'nowhere'), {
      code: 'SLOT_MISSING',
      message: /"nowhere".*not advanced.*create-slot/s,
    });
  });

  it('fails with WRONG_PLUGIN', async () => {
    await server.createSlot('pgoutput_slot', 'pgoutput');
    await assert.rejects(sessionOn(server, 'pgoutput_slot'), {
      code: 'WRONG_PLUGIN',
      message: /pgoutput, not test_decoding/,
    });
    await server.sql(`SELECT pg_create_physical_replication_slot('physical_slot')`);
    await assert.rejects(sessionOn(server, 'physical_slot'), { code: 'WRONG_PLUGIN', message: /physical/ });
  });

  if (TESTED_MAJOR >= 14)
    it('fails with WRONG_PLUGIN on a slot of prepared transactions', async () => {
      await server.sql(`SELECT pg_create_logical_replication_slot('twophase', 'test_decoding', false, true)`);
      await assert.rejects(sessionOn(server, 'twophase'), { code: 'WRONG_PLUGIN', message: /two_phase/ });
    });

  it('fails with CONFIG_INVALID on a slot of another database', async () => {
    await server.sql('CREATE DATABASE elsewhere');
    await assert.rejects(sessionOn(server, 's', { database: databaseOf(server, { database: 'elsewhere' }) }), {
      code: 'CONFIG_INVALID',
      message: /belongs to database "postgres".*PGDATABASE/,
    });
  });

  it('leaves no connection behind, whether it is opened, locked or refused', async () => {
    const first = await sessionOn(server, 's');
    await openSession(sessionOptions(server, 's'));
    await first.close();
    await assert.rejects(sessionOn(server, 'nowhere'));
    await eventually(
      async () =>
        (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'pg2kinesis%'`)).length === 0,
      'all are gone',
    );
  });

  it('takes the lock once for all who wait', async () => {
    const connections = await Promise.all([1, 2, 3].map(() => openOn(server)));
    const fences = await Promise.all(
      connections.map((connection) => acquireSlotLock(connection, { slotName: 's', clock, log: memoryLog() })),
    );
    assert.deepEqual(fences.map((fence) => fence.kind).sort(), ['held', 'locked', 'locked']);
    await Promise.all(connections.map(({ client }) => client.end()));
  });
});

describe('a session on a server in another state', () => {
  it('fails with CONFIG_INVALID while wal_level is replica', async (t) => {
    const server = await startPostgres({ settings: { wal_level: 'replica' } });
    t.after(() => server.stop());
    await assert.rejects(sessionOn(server, 's'), {
      code: 'CONFIG_INVALID',
      message: /wal_level is replica.*rds\.logical_replication/,
    });
  });

  if (TESTED_MAJOR >= 13)
    it('fails with SLOT_LOST once max_slot_wal_keep_size has taken its WAL', async (t) => {
      const server = await startPostgres({
        settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB', wal_keep_size: '0' },
      });
      t.after(() => server.stop());
      await server.createSlot('lost');
      const open = await sessionOn(server, 'lost');
      for (let i = 0; i < 5; i++)
        await server.sql('CREATE TABLE w(); DROP TABLE w; SELECT pg_switch_wal()').then(() => server.sql('CHECKPOINT'));
      await assert.rejects(told(open.slot.peek(await open.slot.flushLsn(), undefined, 30_000)), { code: 'SLOT_LOST' });
      await open.close();
      await assert.rejects(sessionOn(server, 'lost'), { code: 'SLOT_LOST', message: /drop-slot/ });
    });
});
