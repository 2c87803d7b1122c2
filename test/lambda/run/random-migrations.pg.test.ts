/** Random histories of tables that are altered while they are written to: `test/support/migrations`. */
import { after, before, describe, it } from 'node:test';
import { seeded } from '../../chaos/workload.ts';
import { tryMigrations } from '../../support/migrations/random-history.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';

const SEEDS = [1, 2];

describe('tables that are altered at random while they are written to', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  for (const seed of SEEDS)
    it(`seed ${seed}: no reader stops, shows a wrong key, or shows what must not be seen`, async (t) => {
      const { published, changes } = await tryMigrations(server, seeded(seed), { transactions: 25 });
      t.diagnostic(`${changes} changes, ${published} published`);
    });
});
