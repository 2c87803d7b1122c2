/** Peeks of a real slot: what they tell, in which order, and how they end. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { formatLsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import { type Transaction, UndecodableError } from '../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { Slot } from '../../../lambda/ports/slot.ts';
import { firstUnconsumed } from '../../../lambda/run/skip-first-transaction.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';
import { clock, databaseOf, eventually, sessionOn, shortly, told } from './fixtures.ts';

describe('a peek', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ settings: { max_connections: '100' } });
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  after(() => server.stop());

  /** A session on a new slot, and what it peeks up to now. */
  async function slotted(name: string) {
    await server.createSlot(name);
    return await sessionOn(server, name);
  }

  it('tells transactions in commit order, each with its commit LSN and time from the first', async () => {
    const session = await slotted('order_test');
    const late = await server.client();
    await late.query(`BEGIN; INSERT INTO t VALUES (1, 'began first')`);
    await server.sql(`BEGIN; INSERT INTO t VALUES (2, 'it''s'); UPDATE t SET note = 'b' WHERE id = 2; COMMIT`);
    await late.query('COMMIT');
    const seen: string[] = [];
    const transactions: Transaction[] = [];
    const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
    for await (const block of peek) {
      assert.equal(peek.transactions, 2);
      for (let message = block.next(); message !== undefined; message = block.next()) {
        seen.push(shortly(message));
        if (message.kind === 'begin') transactions.push(message.transaction);
        if (message.kind === 'commit')
          assert.equal(message.transaction, transactions.at(-1), 'one object a transaction');
      }
    }
    assert.deepEqual(seen, [
      'B',
      "INSERT public.t 2|it''s",
      'UPDATE public.t 2|b',
      'C',
      'B',
      'INSERT public.t 1|began first',
      'C',
    ]);
    assert.equal(peek.rows, 7);
    assert.ok(peek.firstRowMs !== undefined);
    const rows = await server.sql<{ lsn: string; xid: string; data: string }>(
      `SELECT lsn::text, xid::text, data FROM pg_logical_slot_peek_changes('order_test', NULL, NULL) WHERE data LIKE 'COMMIT%'`,
    );
    assert.deepEqual(
      transactions.map(({ xid, commitLsn }) => ({ xid: String(xid), commitLsn })),
      rows.map(({ xid, lsn }) => ({ xid, commitLsn: parseLsn(lsn) })),
    );
    for (const { commitTimeMicros } of transactions)
      assert.ok(Math.abs(Number(commitTimeMicros / 1000n) - Date.now()) < 3_600_000);
    await session.close();
  });

  it('tells nothing of an idle database', async () => {
    const session = await slotted('idle_test');
    const peek = session.slot.peek(await session.slot.flushLsn(), 10, 30_000);
    assert.deepEqual(await told(peek), []);
    assert.equal(peek.rows, 0);
    assert.equal(peek.transactions, 0);
    await session.close();
  });

  it('stops at the limit, at a commit, and before upto', async () => {
    const session = await slotted('limits_test');
    await server.sql(`INSERT INTO t SELECT i FROM generate_series(100, 102) i`);
    const between = await session.slot.flushLsn();
    await server.sql(`INSERT INTO t SELECT i FROM generate_series(103, 105) i`);
    const flushed = await session.slot.flushLsn();
    assert.equal((await told(session.slot.peek(flushed, 2, 30_000))).length, 5);
    assert.equal((await told(session.slot.peek(between, undefined, 30_000))).length, 5);
    assert.equal((await told(session.slot.peek(flushed, undefined, 30_000))).length, 10);
    await session.close();
  });

  it('carries no logical message, whatever its bytes', async () => {
    const session = await slotted('messages_test');
    await server.sql(`SELECT pg_logical_emit_message(false, 'COMMIT', '\\xff00fe'::bytea)`);
    await server.sql(
      `SELECT pg_logical_emit_message(true, 'x', convert_to(repeat('secret', 100000), 'UTF8')); INSERT INTO t VALUES (200)`,
    );
    const seen = await told(session.slot.peek(await session.slot.flushLsn(), undefined, 30_000));
    assert.deepEqual(
      seen.filter((line) => line !== 'B' && line !== 'C'),
      ['ignored', 'ignored', 'INSERT public.t 200|'],
    );
    await session.close();
  });

  it('gives a "char" above 127 as PostgreSQL 15 prints it, in values, keys, arrays and composites', async () => {
    await server.sql(`CREATE TYPE pair AS (a "char", b text); CREATE DOMAIN letter AS "char";
      CREATE TABLE letters (c "char" PRIMARY KEY, d letter, v text, a "char"[], p pair)`);
    await server.createSlot('char_test');
    await server.sql(`INSERT INTO letters VALUES ((-1)::"char", (-61)::"char", 'é', ARRAY[(-61)::"char", 'x', '', (-87)::"char"], ((-2)::"char", 'ü'));
      UPDATE letters SET c = (-2)::"char"; DELETE FROM letters`);
    const pipeline = new Pipeline(server, 'char_test');
    await pipeline.run();
    const row = { d: '\\303', v: 'é', a: ['\\303', 'x', '', '\\251'], p: '("\\\\376",ü)' };
    assert.deepEqual(
      pipeline.records.map((record) => [record.op, record.key, record.row]),
      [
        ['INSERT', { c: '\\377' }, { c: '\\377', ...row }],
        ['DELETE', { c: '\\377' }, undefined],
        ['INSERT', { c: '\\376' }, { c: '\\376', ...row }],
        ['DELETE', { c: '\\376' }, undefined],
      ],
    );
  });

  it('takes many transactions and rows larger than any chunk', async () => {
    const session = await slotted('size_test');
    await server
      .sql(`DO $$ BEGIN FOR i IN 1000..3999 LOOP INSERT INTO t VALUES (i, 'n' || i); COMMIT; END LOOP; END $$`)
      .catch(async () => {
        // Procedures that commit came in 11.
        const client = await server.client();
        for (let i = 1000; i < 4000; i++) await client.query('INSERT INTO t VALUES ($1, $2)', [i, `n${i}`]);
      });
    await server.sql(`INSERT INTO t VALUES (4000, repeat('0123456789', 300000))`);
    await server.sql('DELETE FROM t WHERE id >= 4000');
    const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
    const seen = await told(peek);
    assert.equal(peek.transactions, 3002);
    assert.deepEqual(
      seen.slice(0, 3002 * 3 - 6).filter((_, i) => i % 3 === 1),
      Array.from({ length: 3000 }, (_, i) => `INSERT public.t ${1000 + i}|n${1000 + i}`),
    );
    assert.equal(seen.at(-5), `INSERT public.t 4000|${'0123456789'.repeat(300000)}`);
    await session.close();
  });

  it('ends early when it is closed, and leaves the connection good for the next', async () => {
    const session = await slotted('close_test');
    await server.sql(
      `INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(10000, 59999) i; DELETE FROM t WHERE id >= 10000`,
    );
    const flushed = await session.slot.flushLsn();
    const peek = session.slot.peek(flushed, undefined, 30_000);
    for await (const block of peek) {
      assert.equal(block.next()?.kind, 'begin');
      break;
    }
    await peek.close();
    await peek.close();
    const untouched = session.slot.peek(flushed, undefined, 30_000);
    await untouched.close();
    const [active] = await server.sql<{ count: string }>(
      `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'`,
    );
    assert.equal(active?.count, '0');
    const whole = session.slot.peek(flushed, undefined, 30_000);
    assert.equal((await told(whole)).length, 100_002);
    assert.equal(session.lost.aborted, false);
    await session.close();
  });

  it('holds the server back instead of filling memory', async () => {
    const session = await slotted('pressure_test');
    await server.sql(
      `INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(10000, 49999) i; DELETE FROM t WHERE id >= 10000`,
    );
    const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
    for await (const block of peek) {
      assert.equal(block.next()?.kind, 'begin');
      await eventually(async () => {
        const [row] = await server.sql<{ event: string }>(
          `SELECT wait_event AS event FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'`,
        );
        return row?.event === 'ClientWrite';
      }, 'the server waits for us');
      break;
    }
    await peek.close();
    await session.close();
  });

  it('fails with PeekTooLargeError when the time is over before the first row, and goes on with less', async () => {
    const session = await slotted('timeout_test');
    await server.sql(
      `INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(10000, 309999) i; DELETE FROM t WHERE id >= 10000`,
    );
    const between = await session.slot.flushLsn();
    await assert.rejects(told(session.slot.peek(between, undefined, 1)), PeekTooLargeError);
    assert.deepEqual(
      await told(session.slot.peek((await session.slot.position()).confirmedFlush, undefined, 30_000)),
      [],
    );
    await session.close();
  });

  it('fails with PeekTooLargeError at the limit of temporary files', async () => {
    const session = await slotted('temp_test');
    await server.sql(
      `INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(10000, 109999) i; DELETE FROM t WHERE id >= 10000`,
    );
    await server.sql(`ALTER ROLE postgres SET temp_file_limit = '1MB'`);
    const limited = await session.close().then(() => sessionOn(server, 'temp_test'));
    await assert.rejects(told(limited.slot.peek(await limited.slot.flushLsn(), undefined, 30_000)), PeekTooLargeError);
    await limited.close();
    await server.sql(`ALTER ROLE postgres RESET temp_file_limit`);
  });

  it('fails with SLOT_MISSING when the slot is dropped in mid-run', async () => {
    const session = await slotted('dropped_test');
    await server.sql(`SELECT pg_drop_replication_slot('dropped_test')`);
    await assert.rejects(told(session.slot.peek(await session.slot.flushLsn(), undefined, 30_000)), {
      code: 'SLOT_MISSING',
    });
    await assert.rejects(session.slot.position(), { code: 'SLOT_MISSING' });
    await assert.rejects(session.slot.advance(1n), { code: 'SLOT_MISSING' });
    await session.close();
  });

  it('fails with DATABASE_AUTH_FAILED for a role that may not use slots', async () => {
    const session = await slotted('role_test');
    await session.close();
    await server.sql(`CREATE ROLE plain LOGIN PASSWORD 'p'`);
    const plain = await sessionOn(server, 'role_test', {
      database: databaseOf(server, { user: 'plain', password: 'p' }),
    });
    await assert.rejects(told(plain.slot.peek(await plain.slot.flushLsn(), undefined, 30_000)), {
      code: 'DATABASE_AUTH_FAILED',
      message: /rds_replication/,
    });
    await plain.close();
  });

  it('I10: fails with DECODE_FAILED where, never what', async () => {
    const session = await slotted('garbage_test');
    await session.close();
    await server.sql(`INSERT INTO t VALUES (300, 'the secret value')`);
    let lines = 0;
    const real = new TestDecodingDecoder();
    const decoder = {
      decode: (bytes: Buffer, start: number, end: number) => {
        // COMMIT of the first pass, BEGIN, then the change.
        if (++lines === 3) throw new UndecodableError('a value', 17);
        return real.decode(bytes, start, end);
      },
    };
    const spoilt = await sessionOn(server, 'garbage_test', { decoder });
    const [row] = await server
      .sql<{ change: string; commit: string }>(
        `SELECT max(lsn) FILTER (WHERE data LIKE 'table%')::text AS change, max(lsn) FILTER (WHERE data LIKE 'COMMIT%')::text AS commit
         FROM pg_logical_slot_peek_changes('garbage_test', NULL, NULL)`,
      )
      .catch(() =>
        server.sql<{ change: string; commit: string }>(
          // max(pg_lsn) came in 13.
          `SELECT (SELECT lsn::text FROM pg_logical_slot_peek_changes('garbage_test', NULL, NULL) WHERE data LIKE 'table%') AS change,
              (SELECT lsn::text FROM pg_logical_slot_peek_changes('garbage_test', NULL, NULL) WHERE data LIKE 'COMMIT%') AS commit`,
        ),
      );
    await assert.rejects(told(spoilt.slot.peek(await spoilt.slot.flushLsn(), undefined, 30_000)), (error: Error) => {
      assert.equal((error as Error & { code?: string }).code, 'DECODE_FAILED');
      assert.ok(error.message.includes(`${row?.change ?? '?'}, byte 17`), error.message);
      assert.ok(error.message.includes(row?.commit ?? '?'), error.message);
      assert.ok(!error.message.includes('secret'), error.message);
      return true;
    });
    // The first statement is over, and the connection can peek again.
    lines = 10;
    assert.equal((await told(spoilt.slot.peek(await spoilt.slot.flushLsn(), undefined, 30_000))).length, 3);
    await spoilt.close();
  });

  // The first pass asks for one COMMIT, line 1; the second for BEGIN, the change and COMMIT, lines 2 to 4.
  for (const [what, line, instead] of [
    ['BEGIN of another transaction', 2, { kind: 'begin', xid: 1 }],
    ['COMMIT of another transaction', 4, { kind: 'commit', xid: 1, commitTimeMicros: 0n }],
    ['a change without BEGIN', 2, { kind: 'ignored' }],
    ['an end without COMMIT', 4, { kind: 'ignored' }],
  ] as const) {
    it(`I1: fails with DECODE_FAILED on ${what}`, async () => {
      const name = `pairs_${what.replaceAll(' ', '_').toLowerCase()}`;
      await (await slotted(name)).close();
      await server.sql('INSERT INTO t VALUES (400)');
      const real = new TestDecodingDecoder();
      let lines = 0;
      const decode = (bytes: Buffer, start: number, end: number) =>
        ++lines === line ? instead : real.decode(bytes, start, end);
      const session = await sessionOn(server, name, { decoder: { decode } });
      await assert.rejects(told(session.slot.peek(await session.slot.flushLsn(), undefined, 30_000)), {
        code: 'DECODE_FAILED',
      });
      await session.close();
      await server.sql(`SELECT pg_drop_replication_slot('${name}'); DELETE FROM t WHERE id = 400`);
    });
  }

  it('I6: the loss of the connection ends it with an error', async () => {
    const session = await slotted('lost_test');
    await server.sql(
      `INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(10000, 49999) i; DELETE FROM t WHERE id >= 10000`,
    );
    const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
    const taking = (async () => {
      for await (const block of peek) {
        const first = block.next();
        while (block.next() !== undefined);
        if (first?.kind === 'begin') {
          await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'`);
        }
      }
    })();
    await assert.rejects(taking, { code: 'DATABASE_UNREACHABLE' });
    await peek.close();
    await eventually(() => session.lost.aborted, 'the loss is told');
    assert.equal((session.lost.reason as { code?: string }).code, 'DATABASE_UNREACHABLE');
    await session.close();
  });

  it('settles when it is closed while the server is gone', async () => {
    const session = await slotted('gone_test');
    await server.sql(
      `INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(10000, 29999) i; DELETE FROM t WHERE id >= 10000`,
    );
    const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
    await clock.sleep(50);
    await server.restart('immediate');
    await peek.close();
    await session.close();
  });
});

/** The first transaction of a slot, which the server can decode. */
async function firstReadable(slot: Slot): Promise<Transaction | undefined> {
  const first = await firstUnconsumed(slot, clock, Date.now() + 30_000);
  assert.notEqual(first, 'undecodable');
  return first === 'undecodable' ? undefined : first?.transaction;
}

describe('a peek of a database in another encoding', () => {
  for (const [encoding, bytes, text] of [
    ['LATIN1', 'E9', 'é'],
    ['EUC_JP', 'C6FC', '日'],
    ['SQL_ASCII', 'C3A9', 'é'],
  ] as const) {
    it(`${encoding}: tells UTF-8`, async (t) => {
      const server = await startPostgres({ encoding });
      t.after(() => server.stop());
      await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
      await server.createSlot('enc');
      const session = await sessionOn(server, 'enc');
      await server.sql(`INSERT INTO t VALUES (1, convert_from('\\x${bytes}', '${encoding}'))`);
      const seen = await told(session.slot.peek(await session.slot.flushLsn(), undefined, 30_000));
      assert.deepEqual(seen, ['B', `INSERT public.t 1|${text}`, 'C']);
      await session.close();
    });
  }

  it('tells what comes before a text that has no UTF-8, then fails with DECODE_FAILED and the commit LSN to skip', async (t) => {
    const server = await startPostgres({ encoding: 'WIN1252' });
    t.after(() => server.stop());
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
    await server.createSlot('enc');
    const session = await sessionOn(server, 'enc');
    await server.sql(`INSERT INTO t VALUES (1, 'a')`);
    // A byte that WIN1252 does not define, and that a database of that encoding takes all the same.
    await server.sql(`INSERT INTO t VALUES (2, 'b'), (3, convert_from('\\x81', 'WIN1252'))`);
    const seen: string[] = [];
    const read = async () => {
      seen.length = 0;
      const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
      try {
        for await (const block of peek) {
          for (let message = block.next(); message !== undefined; message = block.next()) seen.push(shortly(message));
        }
      } finally {
        await peek.close();
      }
    };
    const first = await firstReadable(session.slot);
    await session.slot.advance(first?.commitLsn ?? 0n);
    const second = await firstReadable(session.slot);
    assert.ok(second !== undefined && second.commitLsn > (first?.commitLsn ?? 0n));
    await assert.rejects(read(), (error: Error) => {
      assert.match(error.message, new RegExp(`^DECODE_FAILED: .*commit LSN is ${formatLsn(second.commitLsn)};`));
      // Not the server's words, which are: character with byte sequence 0x81 in encoding "WIN1252" has no equivalent ...
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /0x81|byte sequence/);
      return true;
    });
    assert.deepEqual(seen, ['B', 'INSERT public.t 2|b']);
    await session.slot.advance(second.commitLsn);
    await server.sql(`INSERT INTO t VALUES (4, 'd')`);
    await read();
    assert.deepEqual(seen, ['B', 'INSERT public.t 4|d', 'C']);
    await session.close();
  });

  it('fails with DECODE_FAILED on bytes of a SQL_ASCII database that are no UTF-8', async (t) => {
    const server = await startPostgres({ encoding: 'SQL_ASCII' });
    t.after(() => server.stop());
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
    await server.createSlot('enc');
    const session = await sessionOn(server, 'enc');
    await server.sql(`INSERT INTO t VALUES (1, convert_from('\\xE9', 'SQL_ASCII'))`);
    await assert.rejects(told(session.slot.peek(await session.slot.flushLsn(), undefined, 30_000)), {
      code: 'DECODE_FAILED',
      message: /commit LSN is 0\//,
    });
    await session.close();
  });
});
