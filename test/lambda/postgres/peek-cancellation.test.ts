/** How a peek is cancelled, without a server: the statement's stream and the connections are the test's. */
import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { type Clock, PeekTooLargeError } from '../../../lambda/ports.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { SlotPeek } from '../../../lambda/postgres/peek.ts';
import { TEST_DECODING } from '../../../lambda/postgres/plugins.ts';

/** A clock on which every time is over in the next turn of the event loop. */
const clock: Clock = { now: () => 0, sleep: () => turn(), random: () => 0 };

/** A server that begins the statement only once so many cancellations have come, which have no effect then. */
function peekWhere(tooEarly: number) {
  let statement: Readable | undefined;
  const cancellations: unknown[] = [];
  const reader = {
    pid: 4711,
    encoding: 'UTF8',
    plugin: TEST_DECODING,
    client: {
      query: (stream: Readable) => (statement = stream),
      connection: { stream: { removeAllListeners: () => undefined } },
    },
    query: () => Promise.resolve({ rows: [] }),
  } as unknown as Connection;
  const control = {
    query: (text: string, values: unknown[]) => {
      assert.equal(text, 'SELECT pg_cancel_backend($1)');
      cancellations.push(...values);
      if (cancellations.length > tooEarly) {
        const cancelled = Object.assign(new Error('canceling statement due to user request'), { code: '57014' });
        setImmediate(() => statement?.destroy(cancelled));
      }
      return Promise.resolve({ rows: [] });
    },
  } as unknown as Connection;
  const explain = (error: unknown): Promise<unknown> => Promise.resolve(error);
  const parts = { reader, control, slotName: 's', decoder: new TestDecodingDecoder(), clock, explain };
  return { peek: new SlotPeek(parts, 1n, undefined, 5_000), cancellations };
}

describe('a peek that runs out of time', () => {
  for (const tooEarly of [0, 1, 3]) {
    it(`is cancelled on the server, after ${tooEarly} cancellations that came before its statement`, async () => {
      const { peek, cancellations } = peekWhere(tooEarly);
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
