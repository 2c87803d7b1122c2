/** How a connection ends: in good order, or dropped when that takes too long. Without a server that answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import type pg from 'pg';
import { closeGracefully } from '../../../lambda/postgres/close-connection.ts';
import { logIn } from '../../../lambda/postgres/connection.ts';
import { clock, databaseAt } from './fixtures.ts';

/** A connection whose farewell is answered when the test says so, or when it is dropped. */
function connection() {
  const waits: { readonly ms: number; readonly signal: AbortSignal | undefined; readonly pass: () => void }[] = [];
  const clock = {
    now: () => 0,
    random: () => 0,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        waits.push({ ms, signal, pass: resolve });
      }),
  };
  let answer: () => void = () => undefined;
  let drops = 0;
  const drop = () => {
    drops++;
    answer();
  };
  const client = {
    end: () => new Promise<void>((resolve) => (answer = resolve)),
    connection: { stream: { destroy: drop } },
  } as unknown as pg.Client;
  return { closing: closeGracefully({ client }, clock), waits, answer: () => answer(), drops: () => drops };
}

describe('a connection that is closed', () => {
  it('is dropped after a second without an answer', async () => {
    const { closing, waits, drops } = connection();
    assert.deepEqual([waits.map(({ ms }) => ms), drops()], [[1_000], 0]);
    waits[0]?.pass();
    await closing;
    assert.equal(drops(), 1);
  });

  it('is not dropped where the answer comes, however late the second passes', async () => {
    const { closing, waits, answer, drops } = connection();
    answer();
    await closing;
    waits[0]?.pass();
    await new Promise(setImmediate);
    assert.deepEqual([drops(), waits[0]?.signal?.aborted], [0, true]);
  });
});

describe('a connection that is being opened', () => {
  it('is dropped when it is of no use any more, or is not even begun', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const database = databaseAt({ host: '127.0.0.1', port }, clock);
    const stop = new AbortController();
    const options = { deadline: Date.now() + 60_000, signal: stop.signal };
    const opened = assert.rejects(logIn(database, options), { code: 'DATABASE_UNREACHABLE' });
    const [visitor] = (await once(server, 'connection')) as [Socket];
    visitor.resume();
    const gone = once(visitor, 'close');
    stop.abort(new Error('of no use'));
    await Promise.all([opened, gone]);
    let visits = 0;
    server.on('connection', () => visits++);
    await assert.rejects(logIn(database, options), { message: 'of no use' });
    assert.equal(visits, 0);
    server.close();
  });
});
