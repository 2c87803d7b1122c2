/** What a large transaction takes of memory, of many rows and of large ones: the command in a process of its own, as a user runs it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { replicateMade } from '../bench/replica-memory.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

/** By how much a hundred times as much data may raise it: what is left is how late the collector comes. */
const MAX_MIB = 130;

describe('the memory of a replica', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  it('does not grow with the size of a transaction, nor with that of its rows', async (t) => {
    const few = await replicateMade(server, { rows: 640, shards: 4, noteChars: 100 });
    for (const made of [
      { rows: 64_000, shards: 4, noteChars: 100 },
      { rows: 2_560, shards: 4, noteChars: 25_000 },
    ]) {
      const { rows, maxRssMiB } = await replicateMade(server, made);
      t.diagnostic(`${rows} rows: ${maxRssMiB.toFixed(0)} MiB; ${few.rows} rows: ${few.maxRssMiB.toFixed(0)} MiB`);
      assert.equal(rows, made.rows);
      assert.ok(maxRssMiB - few.maxRssMiB < MAX_MIB, `${maxRssMiB} MiB for ${rows} rows`);
    }
  });
});
