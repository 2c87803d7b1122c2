/** How long the server works for a slot: each statement, and a peek without the time in which it waits for its reader. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MessageBlock, Peek, Slot } from '../../../lambda/ports/slot.ts';
import { TimedSlot } from '../../../lambda/run/timed-slot.ts';
import { TestClock } from '../../support/run-kit.ts';

const BOUND = { flush: 9n, bound: 9n, confirmedOnly: false, awaited: [], absent: [] };

/** A slot each of whose statements takes 100 ms, and each block of a peek 300 ms. */
function timed(fails = false) {
  const clock = new TestClock();
  const asked: unknown[][] = [];
  const after =
    <T>(name: string, value: T) =>
    (...args: unknown[]): Promise<T> => {
      asked.push([name, ...args]);
      clock.time += 100;
      return fails ? Promise.reject(new Error(name)) : Promise.resolve(value);
    };
  let closed = 0;
  const block: MessageBlock = { rowLsn: () => 1n, next: () => undefined };
  const peek: Peek = {
    rows: 3,
    transactions: 2,
    lastCommit: 77n,
    leftOut: [{ schema: 'public', name: 't', changes: 4 }],
    firstRowMs: 12,
    close: () => {
      closed++;
      return Promise.resolve();
    },
    async *[Symbol.asyncIterator]() {
      for (let i = 0; i < 2; i++) {
        await Promise.resolve();
        clock.time += 300;
        if (fails && i === 1) throw new Error('peek');
        yield block;
      }
      clock.time += 50;
    },
  };
  const slot: Slot = {
    flushLsn: after('flushLsn', 9n),
    standbyBound: after('standbyBound', BOUND),
    position: after('position', { confirmedFlush: 5n, restart: 4n }),
    advance: after('advance', 6n),
    skip: after('skip', 7n),
    slotStatsFingerprint: after('slotStatsFingerprint', 'evidence'),
    retainedWalBytes: after('retainedWalBytes', 1_234),
    oldestTransaction: after('oldestTransaction', 'backend 1'),
    peek: (...args) => {
      asked.push(['peek', ...args]);
      return peek;
    },
  };
  return { timed: new TimedSlot(slot, clock), clock, asked, closed: () => closed };
}

/** Reads a peek to its end. */
async function readWhole(peek: Peek): Promise<void> {
  for await (const block of peek) assert.equal(block.rowLsn(), 1n);
}

const STATEMENTS: readonly (readonly [name: string, ask: (slot: TimedSlot) => Promise<unknown>, answer: unknown])[] = [
  ['flushLsn', (slot) => slot.flushLsn(), 9n],
  ['standbyBound', (slot) => slot.standbyBound(), BOUND],
  ['position', (slot) => slot.position(), { confirmedFlush: 5n, restart: 4n }],
  ['advance', (slot) => slot.advance(3n), 6n],
  ['skip', (slot) => slot.skip(3n), 7n],
  ['slotStatsFingerprint', (slot) => slot.slotStatsFingerprint(), 'evidence'],
  ['retainedWalBytes', (slot) => slot.retainedWalBytes(), 1_234],
  ['oldestTransaction', (slot) => slot.oldestTransaction(), 'backend 1'],
];

describe('a slot that is measured', () => {
  for (const [name, ask, answer] of STATEMENTS) {
    it(`passes ${name} on, and counts how long it took, also where it fails`, async () => {
      const { timed: slot, asked } = timed();
      assert.deepEqual(await ask(slot), answer);
      assert.deepEqual(asked, [['advance', 'skip'].includes(name) ? [name, 3n] : [name]]);
      assert.deepEqual([slot.busyMs, slot.slowestPeekMs], [100, 0]);
      await ask(slot);
      assert.equal(slot.busyMs, 200);
      const failing = timed(true);
      await assert.rejects(ask(failing.timed), { message: name });
      assert.equal(failing.timed.busyMs, 100);
    });
  }

  it('counts of a peek what the server took for it, not what its reader did meanwhile', async () => {
    const { timed: slot, clock, asked } = timed();
    for await (const block of slot.peek(8n, 10, 1_000)) {
      assert.equal(block.rowLsn(), 1n);
      clock.time += 5_000;
    }
    assert.deepEqual(asked, [['peek', 8n, 10, 1_000]]);
    assert.deepEqual([slot.busyMs, slot.slowestPeekMs], [650, 650]);
  });

  it('counts from when the peek was sent', async () => {
    const { timed: slot, clock } = timed();
    const peek = slot.peek(8n, 10, 1_000);
    clock.time += 40;
    await readWhole(peek);
    assert.equal(slot.busyMs, 690);
  });

  it('counts a peek that its reader leaves, without the time in which it had it', async () => {
    const { timed: slot, clock } = timed();
    for await (const block of slot.peek(8n, undefined, 1_000)) {
      assert.equal(block.rowLsn(), 1n);
      clock.time += 5_000;
      break;
    }
    assert.equal(slot.busyMs, 300);
  });

  it('counts a peek that fails', async () => {
    const { timed: slot } = timed(true);
    await assert.rejects(readWhole(slot.peek(8n, undefined, 1_000)), { message: 'peek' });
    assert.equal(slot.busyMs, 600);
  });

  it('remembers the slowest peek until it is told otherwise', async () => {
    const { timed: slot } = timed();
    slot.slowestPeekMs = 900;
    await readWhole(slot.peek(8n, undefined, 1_000));
    assert.equal(slot.slowestPeekMs, 900);
    slot.slowestPeekMs = 0;
    await readWhole(slot.peek(8n, undefined, 1_000));
    assert.equal(slot.slowestPeekMs, 650);
  });

  it('says of a peek what the peek says', async () => {
    const { timed: slot, closed } = timed();
    const peek = slot.peek(8n, undefined, 1_000);
    assert.deepEqual([peek.rows, peek.transactions, peek.lastCommit, peek.firstRowMs], [3, 2, 77n, 12]);
    assert.deepEqual(peek.leftOut, [{ schema: 'public', name: 't', changes: 4 }]);
    await peek.close();
    assert.equal(closed(), 1);
  });
});
