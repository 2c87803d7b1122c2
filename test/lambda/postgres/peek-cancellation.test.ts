/** How a peek is cancelled, without PostgreSQL: what the server says is the test's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { SlotPeek } from '../../../lambda/postgres/peek.ts';
import { TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { CANCEL_BACKEND } from '../../../lambda/postgres/signal-backend.ts';
import { failsWith, startWireServer } from '../../support/wire-server.ts';

/** A server that begins the statement only once so many cancellations have come, which have no effect then. */
async function peekWhere(tooEarly: number) {
  const server = await startWireServer();
  const cancellations: unknown[] = [];
  // Every time is over in the next turn of the event loop, until the cancellation that has an effect.
  const clock: Clock = {
    now: () => 0,
    sleep: (_ms, signal) =>
      cancellations.length <= tooEarly
        ? turn()
        : new Promise((resolve) => signal?.addEventListener('abort', () => resolve())),
    random: () => 0,
  };
  const main = {
    pid: 4711,
    encoding: 'UTF8',
    plugin: TEST_DECODING,
    client: server.client,
    query: () => Promise.resolve({ rows: [] }),
  } as unknown as Connection;
  const control = {
    query: (text: string, values: unknown[]) => {
      assert.equal(text, CANCEL_BACKEND);
      cancellations.push(...values);
      if (cancellations.length > tooEarly) {
        setImmediate(() => server.send(failsWith('57014')));
      }
      return Promise.resolve({ rows: [] });
    },
  } as unknown as Connection;
  const translateError = (error: unknown): Promise<unknown> => Promise.resolve(error);
  const parts = { main, control, slotName: 's', decoder: new TestDecodingDecoder(), clock, translateError };
  return {
    peek: new SlotPeek(parts, 1n, undefined, 5_000),
    cancellations,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe('a peek that runs out of time', () => {
  for (const tooEarly of [0, 1, 3]) {
    it(`is cancelled on the server, after ${tooEarly} cancellations that came before its statement`, async () => {
      await using peeking = await peekWhere(tooEarly);
      const { peek, cancellations } = peeking;
      await assert.rejects(async () => {
        for await (const block of peek) assert.fail(`it gave rows: ${String(block.next()?.kind)}`);
      }, PeekTooLargeError);
      await peek.close();
      assert.deepEqual(
        cancellations,
        Array.from({ length: tooEarly + 1 }, () => 4711),
      );
    });
  }
});
