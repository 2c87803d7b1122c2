// What a replica keeps of its position at the target, and who may go on from there.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connectTarget, type TargetConnection } from '../../../replica/postgres/connection.ts';
import { type Beginning, PositionStore, type ReplicaMode } from '../../../replica/postgres/position-store.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';

const STREAM = { arn: 'arn:aws:kinesis:us-east-1:000000000000:stream/one', createdMs: 1_000 };
const PLAINLY: Beginning = { takeOver: false, awaitsSnapshot: false };

let server: PostgresServer;
const connections: TargetConnection[] = [];

/** A replica's position, over a connection of its own. */
async function open(name: string, mode?: ReplicaMode) {
  const connection = await connectTarget({ ...server.connection, sslMode: 'disable', sslRootCert: undefined });
  connections.push(connection);
  return { client: connection.client, positions: new PositionStore(connection.client, name, mode) };
}

describe('a position', () => {
  before(async () => {
    server = await startPostgres();
  });
  after(async () => {
    for (const { client } of connections) await client.end();
    await server.stop();
  });

  it('begins anew once its row was deleted, whatever else is left of it', async () => {
    for (const mode of ['fast', 'consistent'] as const) {
      const { client, positions } = await open('anew', mode);
      const { cut, shards } = await positions.begin(STREAM, PLAINLY);
      assert.deepEqual([cut, [...shards]], [0n, []]);
      const saved = { sequence: '4711', arrivedMs: 5_000, atEnd: false };
      await positions.saveShards(new Map([['a', saved]]));
      await client.end();
      const again = await open('anew', mode);
      assert.deepEqual([...(await again.positions.begin(STREAM, PLAINLY)).shards], [['a', saved]]);
      await again.client.query(`DELETE FROM pg2kinesis.replica WHERE name = 'anew'`);
      await again.client.end();
    }
  });
});
