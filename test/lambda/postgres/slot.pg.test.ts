/** How the slot moves, and what can be told of its readings. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Lsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import type { Session } from '../../../lambda/ports/session.ts';
import { supportsSafeAdvance } from '../../../lambda/postgres/slot.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { sessionOn, told } from './fixtures.ts';

describe('advanceIsTrusted', () => {
  for (const [versionNum, trusted] of [
    [100023, false],
    [110022, false],
    [120022, false],
    [130020, false],
    [130021, true],
    [140017, false],
    [140018, true],
    [150012, false],
    [150013, true],
    [160008, false],
    [160009, true],
    [170004, false],
    [170005, true],
    [180000, true],
    [190000, true],
  ] as const) {
    it(`${versionNum}: ${trusted}`, () => assert.equal(supportsSafeAdvance(versionNum), trusted));
  }
});

describe('the slot', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
  });
  after(() => server.stop());

  /** The commit LSNs waiting, first to last. */
  async function commits(session: Session): Promise<Lsn[]> {
    const lsns: Lsn[] = [];
    const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
    for await (const block of peek) {
      for (let message = block.next(); message !== undefined; message = block.next()) {
        if (message.kind === 'commit') lsns.push(message.transaction.commitLsn);
      }
    }
    await peek.close();
    return lsns;
  }

  it('I2: an advance to a commit LSN consumes exactly through that transaction', async () => {
    await server.createSlot('exact');
    const session = await sessionOn(server, 'exact');
    for (const id of [1, 2, 3]) await server.sql('INSERT INTO t VALUES ($1)', [id]);
    const before = await commits(session);
    assert.equal(before.length, 3);
    assert.equal(await session.slot.advance(before[1] ?? 0n), before[1]);
    assert.equal((await session.slot.position()).confirmedFlush, before[1]);
    assert.deepEqual(await commits(session), before.slice(2));
    assert.equal(await session.slot.advance(before[1] ?? 0n), before[1], 'again is fine');
    assert.deepEqual(await commits(session), before.slice(2));
    await session.close();
  });

  it('I2: peek up to the flush LSN, then advance to it: no gap and no overlap', async () => {
    await server.createSlot('gapless');
    const session = await sessionOn(server, 'gapless');
    let seen = 0;
    const writer = await server.client();
    const writing = (async () => {
      for (let id = 1000; id < 1300; id++) await writer.query('INSERT INTO t VALUES ($1)', [id]);
    })();
    for (let over = false; ;) {
      const flush = await session.slot.flushLsn();
      seen += (await told(session.slot.peek(flush, undefined, 30_000))).filter((line) =>
        line.startsWith('INSERT'),
      ).length;
      assert.ok((await session.slot.advance(flush)) >= flush);
      if (over) break;
      over = await Promise.race([
        writing.then(() => true),
        new Promise<false>((resolve) => setTimeout(() => resolve(false), 20)),
      ]);
    }
    assert.equal(seen, 300);
    await session.close();
  });

  it('the flush LSN is never ahead of what a peek can see', async () => {
    await server.createSlot('flush');
    const session = await sessionOn(server, 'flush');
    const lazy = await server.client();
    await lazy.query('SET synchronous_commit = off; INSERT INTO t VALUES (5000)');
    const flush = await session.slot.flushLsn();
    const [row] = await server.sql<{ flush: string; insert: string }>(
      'SELECT pg_current_wal_flush_lsn()::text AS flush, pg_current_wal_insert_lsn()::text AS insert',
    );
    assert.ok(flush <= (parseLsn(row?.flush ?? '') ?? 0n));
    await session.close();
  });

  it('fails with SLOT_BUSY where another client has moved it further', async () => {
    await server.createSlot('moved');
    const session = await sessionOn(server, 'moved');
    for (const id of [6001, 6002]) await server.sql('INSERT INTO t VALUES ($1)', [id]);
    const [first] = await commits(session);
    await server.sql(`SELECT count(*) FROM pg_logical_slot_get_changes('moved', NULL, NULL)`);
    const { confirmedFlush } = await session.slot.position();
    await assert.rejects(session.slot.advance(first ?? 0n), {
      code: 'SLOT_BUSY',
      message: /another client consumes it|Somebody else has advanced slot/,
    });
    assert.equal((await session.slot.position()).confirmedFlush, confirmedFlush, 'and did not move back');
    await session.close();
  });

  it('retains what was not consumed', async () => {
    await server.createSlot('retained');
    const session = await sessionOn(server, 'retained');
    const before = await session.slot.retainedWalBytes();
    await server.sql(`INSERT INTO t SELECT i FROM generate_series(10000, 19999) i`);
    assert.ok((await session.slot.retainedWalBytes()) >= before + 500_000);
    const { confirmedFlush, restart } = await session.slot.position();
    assert.ok(restart <= confirmedFlush);
    await session.close();
  });

  it('evidence of a reading: changed by any peek, by a restart and by a slot made anew, not by an advance', async () => {
    await server.createSlot('evidence');
    let session = await sessionOn(server, 'evidence');
    for (const id of [7001, 7002]) await server.sql('INSERT INTO t VALUES ($1)', [id]);
    const [first] = await commits(session);
    const ours = await session.slot.slotStatsFingerprint();
    if (server.version < 15) {
      assert.equal(ours, undefined);
      await session.close();
      return;
    }
    assert.ok(ours !== undefined);
    assert.equal(await session.slot.slotStatsFingerprint(), ours);
    if (supportsSafeAdvance(server.versionNum)) {
      await session.slot.advance(first ?? 0n);
      await session.slot.advance(first ?? 0n);
      assert.equal(await session.slot.slotStatsFingerprint(), ours);
    }
    await session.close();
    session = await sessionOn(server, 'evidence');
    assert.equal(await session.slot.slotStatsFingerprint(), ours, 'a new session is no reading');
    await server.sql(`SELECT count(*) FROM pg_logical_slot_peek_changes('evidence', NULL, NULL)`);
    const theirs = await session.slot.slotStatsFingerprint();
    assert.notEqual(theirs, ours);
    await server.sql(`SELECT pg_drop_replication_slot('evidence')`);
    await server.createSlot('evidence');
    const anew = await session.slot.slotStatsFingerprint();
    assert.ok(anew !== ours && anew !== theirs);
    await session.close();
    await server.restart('fast');
    session = await sessionOn(server, 'evidence');
    assert.notEqual(await session.slot.slotStatsFingerprint(), anew);
    await session.close();
  });
});
