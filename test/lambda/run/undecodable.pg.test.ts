/**
 * A transaction that the server cannot decode, between others: those are published, it is named, and skip-transaction
 * passes it and no other.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parseLsn } from '../../../lambda/decode/lsn.ts';
import { BROKEN_TYPE_ERROR, createBrokenType } from '../../support/broken-type.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { pipelineOn } from './pipeline.ts';

const SECRET = 'MARKER-row';

describe('a transaction that the server cannot decode', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await createBrokenType(server);
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, v broken)');
  });
  after(() => server.stop());

  const insert = (id: number): Promise<unknown> => server.sql('INSERT INTO t VALUES ($1)', [id]);
  const insertBroken = (id: number): Promise<unknown> => server.sql(`INSERT INTO t VALUES ($1, '${SECRET}')`, [id]);

  const pipeline = (name: string) => pipelineOn(server, name);

  it('I1: is named after all before it is published, is skipped, and all behind it is published', async () => {
    const { runs, refused, skip, keys } = await pipeline('middle');
    for (const id of [1, 2]) await insert(id);
    await insertBroken(3);
    for (const id of [4, 5]) await insert(id);
    const { error, commitLsn } = await refused();
    assert.equal(error.code, 'TRANSACTION_UNDECODABLE', error.message);
    assert.ok(error.message.includes(`SQLSTATE ${BROKEN_TYPE_ERROR.sqlState}`), error.message);
    assert.ok(error.message.includes(BROKEN_TYPE_ERROR.message), error.message);
    assert.ok(!error.message.includes(SECRET), `I10: ${error.message}`);
    assert.deepEqual(keys(), [1, 2]);
    const { transaction, advancedTo } = await skip(commitLsn);
    assert.deepEqual([transaction, advancedTo], [undefined, parseLsn(commitLsn)]);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 2, 4, 5]);
    await server.sql('DELETE FROM t');
  });

  it('I2: only the first one is skipped, and only by its own commit LSN', async () => {
    const { runs, refused, skip, keys } = await pipeline('several');
    await insertBroken(1);
    await insertBroken(2);
    await insert(3);
    const first = (await refused()).commitLsn;
    // The same again, from a container that remembers it.
    assert.equal((await refused()).commitLsn, first);
    // A commit record has 40 bytes: where a page might begin in it, another position inside it may stand for the same transaction.
    for (const wrong of [-16n, -8n, 40n, 1_000n]) {
      const lsn = (parseLsn(first) ?? 0n) + wrong;
      await assert.rejects(skip(`0/${lsn.toString(16)}`), {
        code: 'EVENT_INVALID',
        message: /Let a run tell/,
      });
    }
    await skip(first);
    const second = (await refused()).commitLsn;
    assert.ok((parseLsn(second) ?? 0n) > (parseLsn(first) ?? 0n));
    await assert.rejects(skip(first), { code: 'EVENT_INVALID' });
    await skip(second);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [3]);
    // Nothing is left to be skipped.
    await assert.rejects(skip(second), { code: 'EVENT_INVALID' });
    await server.sql('DELETE FROM t');
  });

  it('is found among many transactions, read in small batches, with messages outside of any between', async () => {
    const { runs, refused, skip, keys } = await pipeline('many');
    for (let id = 1; id <= 40; id++) await insert(id);
    for (let i = 0; i < 30; i++) await server.sql(`SELECT pg_logical_emit_message(false, 'p', repeat('x', 300))`);
    await server.sql(`BEGIN; INSERT INTO t SELECT generate_series(100, 149); INSERT INTO t VALUES (150, 'x'); COMMIT`);
    for (let i = 0; i < 30; i++) await server.sql(`SELECT pg_logical_emit_message(false, 'p', 'y')`);
    for (let id = 200; id < 240; id++) await insert(id);
    const { commitLsn } = await refused({ maxRows: 20 });
    assert.deepEqual(
      keys(),
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    await skip(commitLsn);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(
      keys().slice(40),
      Array.from({ length: 40 }, (_, i) => i + 200),
    );
    await server.sql('DELETE FROM t');
  });

  it('is skipped where its commit record begins a page of WAL', async () => {
    const { runs, refused, skip, keys } = await pipeline('page');
    const writer = await server.client();
    const lsn = async (): Promise<bigint> => {
      const insertLsn = await writer.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      return parseLsn(insertLsn.rows[0]?.lsn ?? '') ?? 0n;
    };
    const emit = (bytes: bigint) => writer.query(`SELECT pg_logical_emit_message(true, '', repeat('x', ${bytes}))`);
    for (let attempt = 0, done = false; !done; attempt++) {
      assert.ok(attempt < 20, 'no commit record came to begin a page');
      await writer.query(`BEGIN; INSERT INTO t VALUES (1, 'x')`);
      const from = await lsn();
      await emit(1_000n);
      // What a message takes besides its text, unless a page begins in it.
      const overhead = (await lsn()) - from - 1_000n;
      const left = 8192n - ((await lsn()) % 8192n) - overhead;
      if (overhead < 200n && left > 300n) {
        await emit(left);
        // At a page's end the next record stands behind the next page's header.
        done = (await lsn()) % 8192n === 24n;
      }
      await writer.query(done ? 'COMMIT; INSERT INTO t VALUES (2)' : 'ROLLBACK');
    }
    const { error, commitLsn } = await refused();
    assert.equal(error.code, 'TRANSACTION_UNDECODABLE');
    assert.equal((parseLsn(commitLsn) ?? 0n) % 8192n, 32n);
    await skip(commitLsn);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [2]);
    await server.sql('DELETE FROM t');
  });
});
