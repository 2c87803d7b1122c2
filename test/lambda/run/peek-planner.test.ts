/** What the next peek asks for, by what became of the last: pure, without a slot. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PeekTooLargeError, ServerDecodingError } from '../../../lambda/peek-errors.ts';
import type { PeekLimits } from '../../../lambda/run/peek-limits.ts';
import { type PeekOutcome, PeekPlanner } from '../../../lambda/run/peek-planner.ts';
import { Recorder } from '../../support/run-kit.ts';

const MB = 1024 * 1024;
const LIMITS: PeekLimits = { rows: 8_000, walBytes: 64 * MB };
const FAR = 1n << 60n;
const noTime = new PeekTooLargeError('no time');
const noSpace = new PeekTooLargeError('no space', { resourceSqlState: '53100' });
const failure = new ServerDecodingError('failed', {
  sqlState: 'XX000',
  report: 'SQLSTATE XX000',
  near: undefined,
  cause: new Error('what the server said'),
});

function plannerOf(limits: PeekLimits | undefined = LIMITS, maxRows = 100_000) {
  const log = new Recorder();
  const warmState: ConstructorParameters<typeof PeekPlanner>[0]['warmState'] = {
    peekLimits: limits,
    undecodable: undefined,
  };
  return { log, warmState, planner: new PeekPlanner({ log, warmState }, maxRows) };
}
const outcome = (said: Partial<PeekOutcome> = {}): PeekOutcome => ({
  done: 200n,
  rowsRead: 10,
  limitedBy: 'rows',
  firstRowMs: 1_250,
  budgetMs: 60_000,
  slot: { confirmedFlush: 100n, restart: 100n },
  ...said,
});

describe('a peek', () => {
  it('asks for what earlier runs learned, and never behind the bound', () => {
    const { planner } = plannerOf();
    const limit = 100n + BigInt(64 * MB);
    assert.deepEqual(planner.next(100n, FAR), { position: 100n, upto: limit, rows: 8_000 });
    assert.equal(planner.next(100n, limit + 1n).upto, limit);
    assert.equal(planner.next(100n, limit - 1n).upto, limit - 1n);
    const fresh = new PeekPlanner(
      { log: new Recorder(), warmState: { peekLimits: undefined, undecodable: undefined } },
      500,
    );
    assert.deepEqual(fresh.next(0n, FAR), { position: 0n, upto: 1n << 30n, rows: 500 });
  });

  it('asks for more rows after a quick one, and what it learned stays for the next run', () => {
    const { planner, warmState } = plannerOf();
    planner.succeeded(planner.next(100n, FAR), outcome());
    assert.deepEqual(warmState.peekLimits, { ...LIMITS, rows: 32_000 });
    assert.equal(planner.next(200n, FAR).rows, 32_000);
    planner.succeeded(planner.next(200n, FAR), outcome({ firstRowMs: 50_000 }));
    assert.equal(planner.next(200n, FAR).rows, 32_000, 'not after a slow one');
  });

  it('learns nothing of larger ones from one that asked for less than was learned, and asks for half of that after a failure', () => {
    const { planner, warmState } = plannerOf();
    const plan = planner.next(100n, FAR, 1_500);
    assert.equal(plan.rows, 1_500);
    planner.succeeded(plan, outcome());
    assert.deepEqual(warmState.peekLimits, LIMITS);
    planner.succeeded(plan, outcome({ limitedBy: 'wal' }));
    assert.deepEqual(warmState.peekLimits, { ...LIMITS, walBytes: 256 * MB }, 'but of more WAL, where that ended it');
    assert.equal(planner.failed(planner.next(100n, FAR, 2_400), noTime, 60_000), 'smaller');
    assert.equal(planner.next(100n, FAR).rows, 1_200);
  });

  it('asks for more after a slow one that read most of its WAL for the second time', () => {
    const rows = (restart: bigint, done: bigint | undefined, upto = FAR) => {
      const { planner } = plannerOf();
      const slot = { confirmedFlush: 1_000n, restart };
      planner.succeeded(planner.next(1_000n, upto), outcome({ firstRowMs: 10_000, done, slot }));
      planner.onPeekRead();
      return planner.next(0n, FAR).rows;
    };
    assert.equal(rows(500n, 1_499n), 16_000);
    assert.equal(rows(500n, 1_500n), 8_000);
    assert.equal(rows(500n, undefined, 1_499n), 16_000, 'without a COMMIT it read up to its end');
    assert.equal(rows(500n, undefined, 1_500n), 8_000);
  });

  it('has no limit of rows, and half the WAL, after one that was full and held no COMMIT; until rows come', () => {
    const { planner } = plannerOf();
    const plan = planner.next(100n, FAR);
    planner.succeeded(plan, outcome({ done: undefined, firstRowMs: 10_000 }));
    assert.deepEqual(planner.next(100n, FAR), { position: 100n, upto: 100n + BigInt(32 * MB), rows: undefined });
    planner.onPeekRead();
    assert.equal(planner.next(100n, FAR).rows, 8_000);
    // By what it was really asked for, where that was less.
    const near = plannerOf().planner;
    near.succeeded(near.next(100n, 100n + BigInt(40 * MB)), outcome({ done: undefined, firstRowMs: 10_000 }));
    assert.equal(near.next(0n, FAR).upto, BigInt(20 * MB));
    // One with a COMMIT changes nothing, however slow.
    const whole = plannerOf().planner;
    whole.succeeded(whole.next(100n, FAR), outcome({ firstRowMs: 10_000 }));
    assert.deepEqual(whole.next(0n, FAR), { position: 0n, upto: BigInt(64 * MB), rows: 8_000 });
    const least = plannerOf({ rows: 1_000, walBytes: 16 * MB }).planner;
    least.succeeded(least.next(100n, FAR), outcome({ done: undefined, firstRowMs: 10_000 }));
    assert.equal(least.next(0n, FAR).upto, BigInt(16 * MB), 'and never less than the least');
  });

  it('asks for half after one that had too little time or space, until there is nothing smaller', () => {
    for (const error of [noTime, noSpace]) {
      const { planner, warmState, log } = plannerOf({ rows: 2_000, walBytes: 64 * MB });
      assert.equal(planner.failed(planner.next(0n, BigInt(40 * MB)), error, 7), 'smaller');
      assert.deepEqual(warmState.peekLimits, { rows: 1_000, walBytes: 20 * MB }, 'by what it was really asked for');
      assert.deepEqual(planner.next(0n, FAR), { position: 0n, upto: BigInt(20 * MB), rows: 1_000 });
      assert.deepEqual(log.lines, [
        'info The peek ran out of time or temporary space before its first row; the next asks for less.',
      ]);
      assert.deepEqual(log.fieldsOf('asks for less'), [warmState.peekLimits]);
    }
    const { planner, log } = plannerOf({ rows: 1_000, walBytes: 16 * MB });
    assert.equal(planner.failed(planner.next(0n, FAR), noTime, 7), 'same');
    assert.deepEqual([planner.search, log.lines], [undefined, []]);
  });

  it('keeps the longest time-out before a first row, of those without time only', () => {
    const { planner } = plannerOf();
    planner.failed(planner.next(0n, FAR), noSpace, 900);
    assert.equal(planner.undecodedMs, undefined);
    for (const [ms, longest] of [
      [50, 50],
      [80, 80],
      [20, 80],
    ] as const) {
      planner.failed(planner.next(0n, FAR), noTime, ms);
      assert.equal(planner.undecodedMs, longest);
    }
  });
});

describe('a search for what the server cannot decode', () => {
  it('begins where the server failed, or had no space for the smallest peek', () => {
    for (const [error, limits] of [
      [failure, LIMITS],
      [noSpace, { rows: 1_000, walBytes: 16 * MB }],
    ] as const) {
      const { planner, log } = plannerOf(limits);
      const plan = planner.next(0n, BigInt(MB));
      assert.equal(planner.failed(plan, error, 7), 'first-step');
      assert.deepEqual(planner.search?.range, [0n, BigInt(MB)]);
      assert.equal(planner.next(0n, FAR).upto, BigInt(MB / 2), 'the search says where the next one ends');
      assert.deepEqual(log.lines, [
        'warn PostgreSQL failed while it decoded: looking for the transaction, and publishing what is before it.',
      ]);
      assert.deepEqual(log.fieldsOf('PostgreSQL failed'), [{ sqlState: error === failure ? 'XX000' : '53100' }]);
      assert.equal(planner.failed(planner.next(0n, FAR), error, 7), 'next-step');
      assert.deepEqual(planner.search.range, [0n, BigInt(MB / 2)]);
      assert.equal(log.lines.length, 1);
    }
  });

  it('goes on under time-outs, which ask for less, and learns nothing of limits meanwhile', () => {
    const { planner, warmState } = plannerOf();
    planner.failed(planner.next(0n, BigInt(MB)), failure, 7);
    planner.succeeded(planner.next(0n, FAR), outcome({ done: BigInt(MB / 2) }));
    assert.deepEqual([warmState.peekLimits, planner.search?.range], [LIMITS, [BigInt(MB / 2), BigInt(MB)]]);
    planner.succeeded(planner.next(5n, FAR), outcome({ done: undefined }));
    assert.deepEqual(planner.search?.range, [BigInt(MB / 2), BigInt(MB)], 'a peek without a COMMIT moves nothing');
    assert.equal(planner.failed(planner.next(0n, FAR), noTime, 7), 'smaller');
    assert.ok(planner.search);
  });

  it('goes on where the server has no space, too: that tells where it is', () => {
    const { planner, warmState } = plannerOf();
    planner.failed(planner.next(0n, BigInt(40 * MB)), failure, 7);
    assert.equal(planner.failed(planner.next(0n, FAR), noSpace, 7), 'next-step');
    assert.deepEqual([planner.search?.range, warmState.peekLimits], [[0n, BigInt(20 * MB)], LIMITS]);
  });

  it('ends where it does not fail any more: then the next peek takes a quarter of the rows', () => {
    for (const [rows, quarter] of [
      [8_000, 2_000],
      [7, 1],
      [3, 1],
    ] as const) {
      const { planner, warmState } = plannerOf({ ...LIMITS, rows });
      planner.failed(planner.next(0n, BigInt(MB)), failure, 7);
      planner.succeeded(planner.next(0n, FAR), outcome({ done: BigInt(MB) }));
      assert.equal(planner.search, undefined);
      assert.equal(planner.next(0n, FAR).rows, quarter);
      assert.equal(warmState.peekLimits?.rows, rows, 'for this run only');
    }
  });

  it('ends with the transaction, which the next run tries first', () => {
    const { planner, warmState } = plannerOf();
    const fails = 4_096n;
    planner.failed(planner.next(0n, BigInt(MB)), failure, 7);
    assert.throws(() => {
      for (let steps = 0; steps < 60; steps++) {
        const plan = planner.next(0n, FAR);
        if (plan.upto > fails) planner.failed(plan, failure, 7);
        else planner.succeeded(plan, outcome({ done: plan.upto, rowsRead: 0 }));
      }
    }, /0\/1020/);
    assert.equal(warmState.undecodable, 4_096n + 32n);
    const next = new PeekPlanner({ log: new Recorder(), warmState }, 100);
    next.failed(next.next(0n, BigInt(MB)), failure, 7);
    assert.equal(next.next(0n, FAR).upto, fails);
  });

  it('blames none where the server fails at nothing, and remembers none', () => {
    const { planner, warmState } = plannerOf();
    planner.failed(planner.next(0n, 8n), failure, 7);
    assert.throws(() => planner.failed({ position: 0n, upto: 0n, rows: 1 }, failure, 7), /what the server said/);
    assert.equal(warmState.undecodable, undefined);
  });
});
