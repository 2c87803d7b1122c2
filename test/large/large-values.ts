/**
 * What is too heavy for `npm test`: `npm run test:large`. Values so large that the server itself takes 2 GB and more to
 * print them, or cannot print them at all.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Drains, startDrains } from '../chaos/drain-process.ts';
import { pipelineOn } from '../lambda/run/pipeline.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../support/postgres.ts';

const MAX_MB = 256;

describe('large values', () => {
  let server: PostgresServer;
  let drains: Drains;
  before(async () => {
    server = await startPostgres({ settings: { max_wal_size: '4GB' } });
    drains = await startDrains(server);
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, body bytea)');
  });
  after(async () => {
    drains.stop();
    await server.stop();
  });
  const insert = (id: number, megabytes: number): Promise<unknown> =>
    server.sql(`INSERT INTO t VALUES ($1, convert_to(repeat('x', $2), 'UTF8'))`, [id, megabytes << 20]);

  // pgoutput is read from 11 on.
  for (const plugin of TESTED_MAJOR < 11 ? ['test_decoding'] : ['test_decoding', 'pgoutput']) {
    it(`I8: a line of 600 MB by ${plugin} is published by its key, in the memory of a small function`, async (t) => {
      await server.sql('CREATE PUBLICATION large FOR ALL TABLES');
      await server.createSlot('printable', plugin);
      for (const [id, megabytes] of [
        [1, 0],
        [2, 300],
        [3, 0],
      ] as const)
        await insert(id, megabytes);
      const { maxRssMb, answer } = await drains.drain('printable', {
        PLUGIN: plugin,
        ...(plugin === 'pgoutput' ? { PUBLICATIONS: 'large' } : {}),
      });
      t.diagnostic(`${maxRssMb.toFixed(0)} MB resident`);
      assert.deepEqual([answer.published, answer.truncated, answer.caughtUp], [3, 1, true]);
      assert.ok(maxRssMb < MAX_MB, `${maxRssMb.toFixed(0)} MB resident`);
      await server.sql(`SELECT pg_drop_replication_slot('printable'); TRUNCATE t; DROP PUBLICATION large`);
    });
  }

  it('I1: a value of 530 MB, which no server can print, is named and skipped; all around it is published', async () => {
    const { runs, refused, skip, keys } = await pipelineOn(server, 'unprintable');
    for (const [id, megabytes] of [
      [1, 0],
      [2, 530],
      [3, 0],
    ] as const)
      await insert(id, megabytes);
    const { error, commitLsn } = await refused();
    assert.equal(error.code, 'TRANSACTION_UNDECODABLE', error.message);
    assert.match(error.message, /SQLSTATE XX000, raised in \w+: invalid memory alloc request size \d+/);
    await skip(commitLsn);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 3]);
    await server.sql(`SELECT pg_drop_replication_slot('unprintable'); TRUNCATE t`);
  });

  it('I1: a transaction that is larger than temp_file_limit allows is named and skipped; all around it is published', async () => {
    const { runs, refused, skip, keys } = await pipelineOn(server, 'room');
    await server.sql(`ALTER ROLE postgres SET temp_file_limit = '1MB'`);
    // A peek keeps 64 MB in memory before it writes a file.
    for (const [id, megabytes] of [
      [1, 3],
      [2, 35],
      [3, 3],
    ] as const)
      await insert(id, megabytes);
    const { error, commitLsn } = await refused({ maxRows: 100 });
    assert.equal(error.code, 'NO_PROGRESS', error.message);
    assert.match(error.message, /temp_file_limit.*53400.*skip-transaction/);
    await skip(commitLsn);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 3]);
    await server.sql(`ALTER ROLE postgres RESET temp_file_limit`);
  });
});
