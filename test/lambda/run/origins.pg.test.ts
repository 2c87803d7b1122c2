/** Transactions that were applied from another server: their commit times are what their replication origin gave them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';

const PLUGINS = TESTED_MAJOR >= 11 ? (['test_decoding', 'pgoutput'] as const) : (['test_decoding'] as const);

describe('transactions of a replication origin', () => {
  it('are published whatever commit time they were given, and are no lag of years', async () => {
    const server = await startPostgres();
    try {
      await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
      await server.sql('CREATE PUBLICATION origin FOR TABLE t');
      for (const plugin of PLUGINS) await server.createSlot(plugin, plugin);
      const client = await server.client();
      await client.query(`SELECT pg_replication_origin_create('o'), pg_replication_origin_session_setup('o')`);
      const times = ['infinity', '-infinity', '12345-01-01', '0044-03-15 BC', '2000-01-01'];
      for (const [i, time] of times.entries()) {
        await client.query('BEGIN');
        await client.query('SELECT pg_replication_origin_xact_setup($1::pg_lsn, $2::timestamptz)', [
          `0/${20 + i}`,
          time,
        ]);
        await client.query('INSERT INTO t VALUES ($1)', [i]);
        await client.query('COMMIT');
      }
      await client.end();
      for (const plugin of PLUGINS) {
        const options = plugin === 'pgoutput' ? { publications: ['origin'] } : {};
        const first = new Pipeline(server, plugin, { ...options, maxRows: 1, maxBatches: 4 });
        const cut = await first.run();
        assert.ok(cut.published >= 1, 'something was published');
        const pipeline = new Pipeline(server, plugin, options);
        const answer = await pipeline.run();
        assert.equal(answer.stopped, 'caught-up');
        assert.ok((cut.lagSeconds ?? 0) < 366 * 86_400);
        const records = [...first.records, ...pipeline.records] as unknown as readonly {
          readonly key: { readonly id: number };
          readonly commitTime: string;
        }[];
        assert.deepEqual(
          records.map(({ key, commitTime }) => `${key.id} ${commitTime}`),
          [
            '0 9999-12-31T23:59:59.999999Z',
            '1 0001-01-01T00:00:00.000000Z',
            '2 9999-12-31T23:59:59.999999Z',
            '3 0001-01-01T00:00:00.000000Z',
            '4 2000-01-01T00:00:00.000000Z',
          ],
          plugin,
        );
      }
    } finally {
      await server.stop();
    }
  });
});
