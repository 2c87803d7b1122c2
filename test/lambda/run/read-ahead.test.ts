/** When the next peek is read ahead, and when that ends. Over a source that a test lets answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import type { AheadSource } from '../../../lambda/ports/read-ahead.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
import {
  AHEAD_ROWS,
  FIRST_ROWS,
  MIN_AHEAD_BYTES,
  MIN_BACKLOG_BYTES,
  ReadAhead,
} from '../../../lambda/run/read-ahead.ts';

/** A peek that nobody reads. */
const PEEK = { close: () => Promise.resolve() } as Peek;
const FAR = 1n << 40n;

/** Reading ahead over a source that answers each peek with the next of `peeks`. */
function readAhead(...peeks: (Peek | undefined)[]) {
  const calls: string[] = [];
  const throttling = { entries: 0 };
  const answers = peeks.map((peek) => Promise.resolve(peek));
  const source = {
    isOver: false as boolean,
    answers,
    begin: (from: Lsn, upto: Lsn, limit: number, timeoutMs: number) => {
      calls.push(`begin ${from} to ${upto}, ${limit} rows, ${timeoutMs} ms`);
      return answers.shift() ?? assert.fail('no more peeks were expected');
    },
    close: () => {
      calls.push('close');
      return Promise.resolve();
    },
  } satisfies AheadSource & { answers: unknown };
  const ahead = new ReadAhead({ source, throttledEntries: () => throttling.entries });
  const begin = (position: Lsn, firstRowMs = 10, upto = FAR) =>
    ahead.begin((rows) => ({ position, upto, rows }), firstRowMs, 900);
  return { ahead, begin, calls, source, throttling };
}

describe('reading ahead', () => {
  it('begins where a backlog is worth it, with a small peek, for which the run has to wait', async () => {
    const { ahead, begin, calls } = readAhead(PEEK, PEEK, PEEK, PEEK);
    ahead.weigh(MIN_BACKLOG_BYTES - 1n);
    assert.equal(ahead.mostRows, undefined);
    begin(5n);
    assert.equal(calls.length, 0);
    ahead.weigh(MIN_BACKLOG_BYTES);
    assert.equal(ahead.mostRows, FIRST_ROWS);
    ahead.weigh(MIN_BACKLOG_BYTES);
    for (const position of [1n, 2n, 3n, 4n]) {
      begin(position);
      await ahead.take(position);
    }
    assert.deepEqual(
      calls.map((call) => call.replace(/to \d+, (\d+) rows, .*/, '$1')),
      [`begin 1 ${3 * FIRST_ROWS}`, `begin 2 ${AHEAD_ROWS}`, `begin 3 ${AHEAD_ROWS}`, `begin 4 ${AHEAD_ROWS}`],
    );
    assert.equal(ahead.mostRows, AHEAD_ROWS);
  });

  it('begins with 64 MiB or more to read, where 16 MiB or more are left, and a peek takes 5 s at most', () => {
    const { ahead, begin, calls } = readAhead(PEEK);
    ahead.weigh(67_108_863n);
    assert.equal(ahead.mostRows, undefined);
    ahead.weigh(67_108_864n);
    begin(5n, 5_000, 5n + 16_777_215n);
    assert.deepEqual(calls, []);
    begin(5n, 5_000, 5n + 16_777_216n);
    assert.equal(calls.length, 1);
    assert.equal(ahead.hasBegun(5n), true);
  });

  it('gives the peek that begins where reading has come to, by its own plan, once', async () => {
    const { ahead, begin, calls } = readAhead(PEEK, PEEK);
    ahead.weigh(FAR);
    assert.equal(await ahead.take(5n), undefined);
    begin(5n);
    assert.deepEqual([ahead.hasBegun(5n), ahead.hasBegun(6n)], [true, false]);
    // At most one waits.
    begin(6n);
    assert.deepEqual(await ahead.take(5n), { plan: { position: 5n, upto: FAR, rows: 3 * FIRST_ROWS }, peek: PEEK });
    assert.deepEqual([await ahead.take(5n), ahead.hasBegun(5n)], [undefined, false]);
    begin(6n);
    assert.equal((await ahead.take(6n))?.peek, PEEK);
    assert.deepEqual(calls, [
      `begin 5 to ${FAR}, ${3 * FIRST_ROWS} rows, 900 ms`,
      `begin 6 to ${FAR}, ${AHEAD_ROWS} rows, 900 ms`,
    ]);
  });

  it('begins nothing where little is left, without a limit of rows, and before it is worth it', () => {
    const { ahead, begin, calls } = readAhead();
    begin(5n);
    ahead.weigh(FAR);
    begin(FAR - MIN_AHEAD_BYTES + 1n);
    ahead.begin(() => ({ position: 5n, upto: FAR, rows: undefined }), 10, 900);
    assert.equal(ahead.mostRows, FIRST_ROWS);
    assert.deepEqual(calls, []);
  });

  const over: readonly [string, (kit: ReturnType<typeof readAhead>) => void][] = [
    ['the peek before it ended elsewhere', () => undefined],
    [
      'it cannot be had',
      ({ source }) => {
        source.answers[0] = Promise.resolve(undefined);
      },
    ],
    [
      'Kinesis throttles',
      ({ ahead, throttling }) => {
        ahead.endIfThrottled();
        assert.equal(ahead.hasBegun(7n), true);
        throttling.entries = 1;
        ahead.endIfThrottled();
      },
    ],
  ];
  for (const [why, change] of over) {
    it(`is over where ${why}, and nothing more is begun`, async () => {
      const kit = readAhead(PEEK);
      const { ahead, begin, calls } = kit;
      ahead.weigh(FAR);
      if (why === 'it cannot be had') change(kit);
      begin(7n);
      if (why !== 'it cannot be had') change(kit);
      assert.equal(await ahead.take(why.startsWith('the peek') ? 8n : 7n), undefined);
      assert.equal(calls.at(-1), 'close');
      assert.equal(ahead.mostRows, undefined);
      begin(9n);
      assert.equal(ahead.hasBegun(9n), false);
      assert.equal(calls.filter((call) => call.startsWith('begin')).length, 1);
    });
  }

  for (const [how, end] of [
    ['the run ends', (ahead: ReadAhead) => ahead.close()],
    ['reading has come elsewhere', (ahead: ReadAhead) => ahead.take(8n)],
  ] as const)
    it(`closes the peek that nobody takes where ${how}, also one that is there only later`, async () => {
      for (const isLate of [false, true]) {
        let closed = 0;
        const close = () => {
          closed++;
          return Promise.resolve();
        };
        const peek = { close } as Peek;
        let give: (peek: Peek) => void = () => undefined;
        const given = new Promise<Peek>((resolve) => (give = resolve));
        const { ahead, begin, source } = readAhead(peek);
        source.answers[0] = given;
        ahead.weigh(FAR);
        begin(7n);
        if (!isLate) give(peek);
        await end(ahead);
        give(peek);
        await given;
        await Promise.resolve();
        assert.equal(closed, 1);
      }
    });

  it('gives no peek that was closed while it was waited for', async () => {
    let give: (peek: Peek) => void = () => undefined;
    const { ahead, begin, source, throttling } = readAhead(undefined);
    source.answers[0] = new Promise<Peek>((resolve) => (give = resolve));
    ahead.weigh(FAR);
    begin(7n);
    const taken = ahead.take(7n);
    throttling.entries = 1;
    ahead.endIfThrottled();
    give(PEEK);
    assert.equal(await taken, undefined);
  });

  it('is over though the peek that nobody takes cannot be closed', async () => {
    const { ahead, begin } = readAhead({ close: () => Promise.reject(new Error('the connection is lost')) } as Peek);
    ahead.weigh(FAR);
    begin(7n);
    await ahead.close();
    // A rejection that nobody waits for would end the process.
    await new Promise(setImmediate);
  });

  it('is over where a peek takes so long that most of it was read before, or where the source has failed', () => {
    const slow = readAhead();
    slow.ahead.weigh(FAR);
    slow.begin(5n, 5_001);
    assert.deepEqual([slow.calls, slow.ahead.mostRows], [['close'], undefined]);
    const failed = readAhead();
    failed.ahead.weigh(FAR);
    failed.source.isOver = true;
    failed.begin(5n);
    assert.deepEqual([failed.calls, failed.ahead.mostRows], [[], undefined]);
    // A snapshot or a search ended it before it was worth it.
    const early = readAhead();
    void early.ahead.close();
    early.ahead.weigh(FAR);
    assert.deepEqual([early.calls, early.ahead.mostRows], [['close'], undefined]);
  });
});
