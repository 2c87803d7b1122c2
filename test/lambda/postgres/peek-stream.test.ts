/** What a peek makes of a result that no server should send, and of a cancellation that comes late. Without a server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { PluginDecoder } from '../../../lambda/decode/plugin-decoder.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { Wal2jsonDecoder } from '../../../lambda/decode/wal2json/decoder.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { SlotPeek } from '../../../lambda/postgres/peek.ts';
import { TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { COPY_BEGINS, COPY_ENDS, copyData, failsWith, startWireServer } from '../../support/wire-server.ts';
import { NAMES } from '../decode/pgoutput/printer.ts';
import { told } from './fixtures.ts';

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const NONE = Buffer.alloc(0);
const TRAILER = Buffer.from([0xff, 0xff]);

type Row = readonly [lsn: bigint, line: string];

/** A row of a binary COPY. */
function encode([lsn, line]: Row): Buffer {
  const data = Buffer.from(line);
  const head = Buffer.alloc(18);
  head.writeInt16BE(2, 0);
  head.writeInt32BE(8, 2);
  head.writeBigUInt64BE(lsn, 6);
  head.writeInt32BE(data.length, 14);
  return Buffer.concat([head, data]);
}

const begin = (xid: number, lsn: bigint): Row => [lsn, `BEGIN ${xid}`];
const change = (id: number, lsn: bigint): Row => [lsn, `table public.t: INSERT: id[integer]:${id}`];
const commit = (xid: number, lsn: bigint): Row => [lsn, `COMMIT ${xid} (at 2026-01-02 03:04:05.678901+00)`];

/**
 * A peek whose server is the test's.
 *
 * @param sleep - how its time-outs pass
 * @param cancelled - what a cancellation waits for
 * @param decoder - reads the lines @default test_decoding's
 */
async function peeked(
  sleep: Clock['sleep'] = () => new Promise(() => undefined),
  cancelled = Promise.resolve(),
  decoder: PluginDecoder = new TestDecodingDecoder(),
) {
  const server = await startWireServer();
  let cancellations = 0;
  const clock: Clock = { now: () => 0, sleep, random: () => 0 };
  const main = {
    pid: 4711,
    encoding: 'UTF8',
    plugin: TEST_DECODING,
    client: server.client,
    query: () => Promise.resolve({ rows: [] }),
  } as unknown as Connection;
  const control = {
    query: async () => {
      cancellations++;
      await cancelled;
      return { rows: [] };
    },
  } as unknown as Connection;
  const translateError = (error: unknown): Promise<unknown> => Promise.resolve(error);
  const parts = { main, control, slotName: 's', decoder, clock, translateError };
  const peek = new SlotPeek(parts, 1n, undefined, 5_000);
  return {
    server,
    peek,
    cancellations: () => cancellations,
    /** The client has read that the statement is over. */
    over: once(server.client, 'drain'),
    send: (rows: readonly Row[]) =>
      server.send(
        Buffer.concat([
          COPY_BEGINS,
          ...rows.map((row, i) => copyData(Buffer.concat([i > 0 ? NONE : HEADER, encode(row)]))),
        ]),
      ),
    /** Behind {@link send}. */
    sendMore: (rows: readonly Row[]) => server.send(Buffer.concat(rows.map((row) => copyData(encode(row))))),
    end: (trailer = true) => server.send(trailer ? Buffer.concat([copyData(TRAILER), COPY_ENDS]) : COPY_ENDS),
    fail: (code: string) => server.send(failsWith(code)),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe('a peek', () => {
  it('has no block before all its transactions are known, and waits no longer once its first row is there', async () => {
    let signal: AbortSignal | undefined;
    await using peeking = await peeked((_, given) => {
      signal = given;
      return new Promise(() => undefined);
    });
    const { peek, send, sendMore, end } = peeking;
    send([commit(700, 100n)]);
    const blocks = peek[Symbol.asyncIterator]();
    const first = blocks.next();
    assert.equal(await peek.begun(), true);
    assert.deepEqual([signal?.aborted, peek.firstRowMs], [true, 0]);
    sendMore([commit(701, 200n), begin(700, 90n)]);
    await first;
    assert.deepEqual([peek.lastCommit, peek.transactions], [200n, 2]);
    sendMore([change(1, 95n), commit(700, 100n), begin(701, 190n), commit(701, 200n)]);
    end();
  });
});

describe('a peek that ends before its first row', () => {
  for (const how of ['without rows', 'with an error'] as const)
    it(`${how} waits for it no longer`, async () => {
      let signal: AbortSignal | undefined;
      await using peeking = await peeked((_, given) => {
        signal = given;
        return new Promise(() => undefined);
      });
      const { peek, end, fail, server } = peeking;
      if (how === 'with an error') fail('XX000');
      else {
        server.send(COPY_BEGINS);
        end(false);
      }
      assert.equal(await peek.begun(), false);
      await peeking.over;
      assert.equal(signal?.aborted, true);
    });
});

describe('a result that a peek must not take', () => {
  const whole = [commit(700, 100n), commit(701, 200n), begin(700, 90n), change(1, 95n), commit(700, 100n)];

  it('is read to its end where nothing is wrong', async () => {
    await using peeking = await peeked();
    const { peek, send, end } = peeking;
    send([...whole, begin(701, 190n), commit(701, 200n)]);
    end();
    assert.deepEqual(await told(peek), ['B', 'INSERT public.t 1', 'C', 'B', 'C']);
  });

  it('I1: fails where a COMMIT is not at the LSN that was told of it', async () => {
    await using peeking = await peeked();
    const { peek, send, end } = peeking;
    send([...whole, begin(701, 190n), commit(701, 208n)]);
    end();
    await assert.rejects(told(peek), { code: 'DECODE_FAILED', message: /COMMIT of the transaction begun last/ });
  });

  it('I1: fails where transactions are missing that were told of', async () => {
    await using peeking = await peeked();
    const { peek, send, end } = peeking;
    send(whole);
    end();
    await assert.rejects(told(peek), { code: 'DECODE_FAILED', message: /the result to end with its last COMMIT/ });
  });

  it('I1: fails where it ends inside a transaction', async () => {
    await using peeking = await peeked();
    const { peek, send, end } = peeking;
    send([...whole, begin(701, 190n), change(2, 195n)]);
    end();
    await assert.rejects(told(peek), { code: 'DECODE_FAILED', message: /the result to end with its last COMMIT/ });
  });

  it('I1: fails where the trailer is missing', async () => {
    await using peeking = await peeked();
    const { peek, send, end } = peeking;
    send([...whole, begin(701, 190n), commit(701, 200n)]);
    end(false);
    await assert.rejects(told(peek), { code: 'DECODE_FAILED', message: /the result to end with its last COMMIT/ });
  });
});

describe("wal2json's lines", () => {
  const timestamp = '"timestamp":"2026-01-02 03:04:05.678901+00"';
  const lines: readonly Row[] = [
    [100n, `C","xid":700,${timestamp}}`],
    [90n, `B","xid":700,${timestamp}}`],
    [
      95n,
      `I","xid":700,${timestamp},"schema":"public","table":"t","columns":[{"name":"id","value":1}],"pk":[{"name":"id"}]}`,
    ],
  ];

  it('are refused where the plugin is too old, and the advice is to have a newer one, not to skip', async () => {
    await using peeking = await peeked(undefined, undefined, new Wal2jsonDecoder(NAMES));
    const { peek, send } = peeking;
    send(lines);
    await assert.rejects(told(peek), {
      code: 'CONFIG_INVALID',
      message: /older than 2\.4.*not advanced.*Install wal2json 2\.4/s,
    });
  });
});

describe('a cancellation that comes late', () => {
  it('asks for less, though it strikes behind the first row', async () => {
    // The time-out passes in the next turn: the cancellation is on its way when the first rows come.
    await using peeking = await peeked(() => turn());
    const { peek, send, fail, cancellations } = peeking;
    while (cancellations() === 0) await turn();
    send([commit(700, 100n), begin(700, 90n)]);
    setImmediate(() => fail('57014'));
    await assert.rejects(told(peek), PeekTooLargeError);
    await peek.close();
  });

  it('of somebody else behind the first row is what it is: an error', async () => {
    await using peeking = await peeked();
    const { peek, send, fail, cancellations } = peeking;
    send([commit(700, 100n), begin(700, 90n)]);
    setImmediate(() => fail('57014'));
    await assert.rejects(told(peek), { code: '57014' });
    assert.equal(cancellations(), 0);
  });

  it('is over before the next statement: close waits for it', async () => {
    let arrive: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    await using peeking = await peeked(() => turn(), arrived);
    const { peek, end, cancellations } = peeking;
    let closed = false;
    const closing = peek.close().then(() => (closed = true));
    assert.equal(cancellations(), 1);
    end();
    await peeking.over;
    for (let i = 0; i < 20; i++) await turn();
    assert.equal(closed, false);
    arrive();
    await closing;
  });
});
