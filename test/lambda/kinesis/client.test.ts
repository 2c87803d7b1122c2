/** The publisher's client: how long its connections and requests may take. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { ListStreamsCommand } from '@aws-sdk/client-kinesis';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { startScripted } from '../../support/scripted-endpoint.ts';
import { clientOf } from './publisher-fixtures.ts';

describe('the Kinesis client', () => {
  it('lets a request take its time, and a connection no longer, and 3 s at most', async () => {
    const endpoint = await startScripted(() => ({ body: '{"StreamNames":[]}' }));
    for (const [requestTimeout, connectionTimeout] of [
      [20_000, 3_000],
      [2_000, 2_000],
    ] as const) {
      const client = clientOf(endpoint.endpoint, requestTimeout);
      await client.send(new ListStreamsCommand());
      // They are known with the first request.
      const known = (client.config.requestHandler as NodeHttpHandler).httpHandlerConfigs();
      assert.deepEqual([known.requestTimeout, known.connectionTimeout], [requestTimeout, connectionTimeout]);
      client.destroy();
    }
    await endpoint.stop();
  });

  it('ends a request that is not answered in time by a TimeoutError', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const client = clientOf(`http://127.0.0.1:${port}`, 200);
    await assert.rejects(client.send(new ListStreamsCommand()), { name: 'TimeoutError' });
    client.destroy();
    silent.close();
  });
});
