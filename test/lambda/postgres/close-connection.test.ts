/** How a connection ends: in good order, or dropped when that takes too long. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type pg from 'pg';
import { closeGracefully } from '../../../lambda/postgres/close-connection.ts';

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
