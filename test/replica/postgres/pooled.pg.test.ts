/** A connection pool in the place of a replica's target or source. The real pgbouncer behaves so, where it takes options. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PostgresAddress } from '../../../replica/postgres/address.ts';
import { connectSource, connectTarget } from '../../../replica/postgres/connection.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { startSessionPool, startTransactionPool } from '../../support/protocol-proxy.ts';

let server: PostgresServer;

const addressOf = (port: number): PostgresAddress => ({
  ...{ ...server.connection, port, user: 'trusted', password: 'none' },
  ...{ sslMode: 'disable', sslRootCert: undefined },
});

describe('a connection pool', () => {
  before(async () => {
    server = await startPostgres({ hba: ['host all all all trust'] });
    await server.sql('CREATE ROLE trusted SUPERUSER LOGIN');
  });
  after(() => server.stop());

  it('that shares its backends is refused as target and as source, and nothing is set in them', async () => {
    const of = { port: server.port, user: 'trusted', database: 'postgres' };
    const pool = await startTransactionPool({ ...of, size: 3, refuseOptions: false });
    try {
      const why = /_UNREACHABLE: .*\(POOLER_REFUSED\).* Give the address of the server itself/;
      await assert.rejects(connectTarget(addressOf(pool.port)), why);
      await assert.rejects(connectSource(addressOf(pool.port)), why);
      const rows = await server.sql(`SELECT DISTINCT query FROM pg_stat_activity WHERE usename = 'trusted'`);
      assert.ok(rows.length > 0 && !JSON.stringify(rows).includes('set_config'), JSON.stringify(rows));
    } finally {
      await pool.stop();
    }
  });

  it('that takes no options is refused with what helps', async () => {
    const pool = await startSessionPool(server.port);
    try {
      await assert.rejects(
        connectTarget(addressOf(pool.port)),
        /TARGET_UNREACHABLE: .*\(08P01\).* Give the address of the server itself/,
      );
    } finally {
      await pool.stop();
    }
  });
});
