/** Peek after peek: what each asks for, how far the slot follows, and why reading ends. Over batches that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import { PeekTooLargeError, ServerDecodingError } from '../../../lambda/peek-errors.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
import type { Batch, PeekRequest } from '../../../lambda/run/batch-ports.ts';
import type { PeekLimits } from '../../../lambda/run/peek-limits.ts';
import { type PeekPlan, PeekPlanner } from '../../../lambda/run/peek-planner.ts';
import type { ReadyPeek } from '../../../lambda/run/read-ahead.ts';
import { ReadLoop } from '../../../lambda/run/read-loop.ts';
import type { ReadableRange } from '../../../lambda/run/standby-bound-tracker.ts';
import { Recorder } from '../../support/run-kit.ts';

const MIB = 1024 * 1024;
const WAL_BYTES = 64 * MIB;
/** So slow that no limit grows. */
const SLOW = { firstRowMs: 9_000, budgetMs: 10_000 };
const tooLarge = () => new PeekTooLargeError('out of time');
const undecodable = () =>
  new ServerDecodingError('failed', { sqlState: 'XX000', report: 'r', near: undefined, cause: new Error('c') });

/** What becomes of a peek; `boundary` is the newest of the run so far. */
type Outcome = Partial<Batch> | PeekTooLargeError | ServerDecodingError;

/** What a test writes down. */
interface Script {
  readonly position?: Lsn;
  /** What may be read, look after look; the last one for good. */
  readonly bounds: readonly (Partial<ReadableRange> | 'caught-up' | 'waiting-for-standby')[];
  readonly batches: readonly Outcome[];
  readonly limits?: PeekLimits;
  readonly maxBatches?: number;
  /** Asked before each peek. */
  readonly isAwaited?: () => boolean;
  readonly hasTime?: () => boolean;
  readonly snapshots?: { holdsSlot: boolean };
  /** The farthest that the slot may follow. @default it may follow everything */
  readonly slotBound?: Lsn;
  /** The newest commit LSN of each peek in turn, known at its beginning. @default none holds a transaction */
  readonly lastCommits?: readonly Lsn[];
  /** What reading ahead does. @default nothing is read ahead */
  readonly ahead?: {
    /** The most rows of a peek. */
    readonly mostRows: number;
    /** The peeks that can be had, by where they begin. */
    readonly ready: readonly Lsn[];
  };
}

/** What is read ahead, as a script says. */
function scriptedAhead({ mostRows, ready }: NonNullable<Script['ahead']>, calls: string[], weighed: bigint[]) {
  let next: PeekPlan | undefined;
  let isOver = false;
  return {
    weigh: (unreadBytes: bigint) => void weighed.push(unreadBytes),
    get mostRows() {
      return isOver ? undefined : mostRows;
    },
    begin: (planFor: (rows: number) => PeekPlan, firstRowMs: number, timeoutMs: number) => {
      assert.deepEqual([firstRowMs, timeoutMs], [SLOW.firstRowMs, SLOW.budgetMs]);
      if (isOver || next !== undefined) return;
      const plan = planFor(mostRows);
      calls.push(`ahead ${hex(plan.position)} to ${hex(plan.upto)}, ${plan.rows ?? 'all'} rows`);
      next = plan;
    },
    hasBegun: (position: Lsn) => !isOver && next?.position === position,
    take: (position: Lsn): Promise<ReadyPeek | undefined> => {
      const plan = next;
      next = undefined;
      const isReady = plan?.position === position && ready.includes(position);
      if (plan !== undefined && !isReady) isOver = true;
      return Promise.resolve(isReady ? { plan, peek: AHEAD } : undefined);
    },
    close: () => {
      if (!isOver) calls.push('no more ahead');
      isOver = true;
      return Promise.resolve();
    },
  };
}

/** A peek of which the loop asks nothing. */
const AHEAD = {} as Peek;

/** Reads to the end. @returns why it ended, and all that was done on the way */
async function reading(script: Script) {
  const calls: string[] = [];
  const weighed: bigint[] = [];
  const outcomes = [...script.batches];
  const bounds = [...script.bounds];
  const lastCommits = [...(script.lastCommits ?? [])];
  const { position = 0x1000n, snapshots } = script;
  const advancer = {
    position,
    advanceTo: (target: Lsn) => {
      const to = script.slotBound !== undefined && script.slotBound < target ? script.slotBound : target;
      if (to > advancer.position) calls.push(`advance to ${hex((advancer.position = to))}`);
      return Promise.resolve();
    },
  };
  const limits = script.limits ?? { rows: 8_000, walBytes: WAL_BYTES };
  const planner = new PeekPlanner(
    { log: new Recorder(), warmState: { peekLimits: limits, undecodable: undefined } },
    limits.rows,
  );
  const batches = {
    boundary: undefined as Lsn | undefined,
    process: ({ upto, rows, timeoutMs, confirmed, peek, onBlock }: PeekRequest) => {
      const standby = confirmed === undefined ? '' : `, confirmed ${hex(confirmed)}`;
      calls.push(`${peek === AHEAD ? 'take' : 'peek'} to ${hex(upto)}, ${rows ?? 'all'} rows${standby}`);
      assert.equal(timeoutMs, SLOW.budgetMs);
      const outcome = outcomes.shift() ?? assert.fail(`no more peeks were expected: ${calls.join('; ')}`);
      if (outcome instanceof Error) return Promise.resolve(outcome);
      const begun = { lastCommit: lastCommits.shift(), firstRowMs: SLOW.firstRowMs };
      onBlock?.({ ...begun, rows: 0 } as Peek);
      const isBegun = calls.at(-1)?.startsWith('ahead') === true;
      const isToBegin = peek === AHEAD && begun.lastCommit !== undefined;
      assert.equal(isBegun, isToBegin, 'the first peek may be all that there is; behind a full one more is likely');
      onBlock?.({ ...begun, rows: outcome.rows ?? 10 } as Peek);
      batches.boundary = outcome.boundary ?? batches.boundary;
      return Promise.resolve({
        ended: 'whole' as const,
        rows: 10,
        firstRowMs: SLOW.firstRowMs,
        boundary: batches.boundary,
        oldestUnpublishedMicros: undefined,
        ...outcome,
      });
    },
  };
  const loop = new ReadLoop({
    slot: { position: () => Promise.resolve({ confirmedFlush: advancer.position, restart: advancer.position }) },
    planner,
    batches,
    advancer,
    standbyBound: {
      next: () => {
        const next = (bounds.length > 1 ? bounds.shift() : bounds[0]) ?? 'caught-up';
        if (typeof next === 'string') return Promise.resolve(next);
        const bound = next.bound ?? 0x5000n;
        return Promise.resolve({ bound, confirmed: next.confirmed, caughtUpAt: next.caughtUpAt ?? bound });
      },
      exhaust: (bound) => void calls.push(`exhausted ${hex(bound)}`),
      restart: () => void calls.push('look on'),
    },
    deadline: {
      hasTime: script.hasTime ?? (() => true),
      peekBudgetMs: () => SLOW.budgetMs,
      useFunctionDeadline: (why) => {
        calls.push(`longer: ${why}`);
        return true;
      },
    },
    snapshots: snapshots && {
      get holdsSlot() {
        return snapshots.holdsSlot;
      },
      restartLater: () => Promise.resolve(void calls.push('snapshot later')),
    },
    ahead: script.ahead && scriptedAhead(script.ahead, calls, weighed),
    isAwaited: script.isAwaited ?? (() => false),
    maxBatches: script.maxBatches,
  });
  const stopped = await loop.readToEnd();
  return { stopped, calls, weighed, loop, planner, left: outcomes.length };
}

const hex = (lsn: Lsn): string => lsn.toString(16);

describe('reading', () => {
  it('ends where everything was read, with the slot there', async () => {
    const { stopped, calls, loop } = await reading({
      bounds: [{}],
      batches: [{ boundary: 0x4000n, oldestUnpublishedMicros: 5n }],
    });
    assert.deepEqual([stopped, calls], ['caught-up', ['peek to 5000, 8000 rows', 'advance to 5000']]);
    assert.deepEqual([loop.batchCount, loop.position, loop.oldestUnpublishedMicros], [1, 0x5000n, 5n]);
  });

  it('ends before any peek where there is nothing to read', async () => {
    const { stopped, calls, loop } = await reading({ bounds: ['waiting-for-standby'], batches: [] });
    assert.deepEqual([stopped, calls, loop.batchCount, loop.position], ['waiting-for-standby', [], 0, 0x1000n]);
  });

  it('is caught up where what was there at the beginning is read, though more was written', async () => {
    const more = await reading({ bounds: [{ bound: 0x6000n, caughtUpAt: 0x5000n }], batches: [{}] });
    assert.deepEqual([more.stopped, more.calls], ['caught-up', ['peek to 6000, 8000 rows', 'advance to 6000']]);
    const less = await reading({
      bounds: [{ bound: 0x5000n, caughtUpAt: 0x6000n }, 'waiting-for-standby'],
      batches: [{}],
    });
    assert.deepEqual(
      [less.stopped, less.calls],
      ['waiting-for-standby', ['peek to 5000, 8000 rows', 'advance to 5000']],
    );
  });

  it('I2: goes on behind the last COMMIT of a peek that was full, and looks how far it may read once more', async () => {
    const { stopped, calls, loop } = await reading({
      bounds: [{}],
      batches: [{ rows: 8_000, boundary: 0x2000n }, { rows: 8_003, boundary: 0x3000n }, { rows: 7_999 }],
    });
    assert.equal(stopped, 'caught-up');
    assert.deepEqual(calls, [
      'peek to 5000, 8000 rows',
      'advance to 2000',
      'look on',
      'peek to 5000, 8000 rows',
      'advance to 3000',
      'look on',
      'peek to 5000, 8000 rows',
      'advance to 5000',
    ]);
    assert.equal(loop.batchCount, 3);
  });

  it('I2: stays where a peek was full without one COMMIT, and asks for all rows next', async () => {
    const { calls, stopped } = await reading({
      bounds: [{}],
      batches: [
        { rows: 8_000, boundary: 0x2000n },
        // The boundary is still that of the first.
        { rows: 8_000 },
        { rows: 9_000, boundary: 0x4000n },
      ],
    });
    assert.equal(stopped, 'caught-up');
    assert.deepEqual(calls, [
      'peek to 5000, 8000 rows',
      'advance to 2000',
      'look on',
      'peek to 5000, 8000 rows',
      'look on',
      'peek to 5000, all rows',
      'advance to 5000',
    ]);
  });

  it('goes on, up to where a peek was asked to read that was short of the end', async () => {
    const { calls, stopped } = await reading({
      bounds: [{ bound: 0x1000n + 100n * BigInt(MIB) }],
      batches: [{ rows: 0 }, { rows: 3 }],
    });
    assert.equal(stopped, 'caught-up');
    assert.deepEqual(calls, [
      'peek to 4001000, 8000 rows',
      'advance to 4001000',
      'look on',
      'peek to 6401000, 8000 rows',
      'advance to 6401000',
    ]);
  });

  it('asks for more WAL next where that ended a quick peek, and for more rows where they did', async () => {
    const quick = { firstRowMs: 2_500 };
    const byWal = await reading({
      bounds: [{ bound: 0x1000n + 100n * BigInt(MIB) }, { bound: 1n << 40n }],
      batches: [{ rows: 0, ...quick }, { ended: 'deadline' }],
    });
    assert.equal(byWal.calls.at(-1), `peek to ${hex(0x1000n + 192n * BigInt(MIB))}, 8000 rows`);
    const byNothing = await reading({
      bounds: [{ bound: 0x5000n, caughtUpAt: 0x6000n }, { bound: 1n << 40n }],
      batches: [{ rows: 0, ...quick }, { ended: 'deadline' }],
    });
    assert.equal(byNothing.calls.at(-1), `peek to ${hex(0x5000n + 64n * BigInt(MIB))}, 8000 rows`);
  });

  for (const ended of ['deadline', 'throttled', 'commit-pending', 'handed-over'] as const)
    it(`ends with ${ended} where a batch did, and leaves the slot to the end of the run`, async () => {
      const { stopped, calls, loop } = await reading({ bounds: [{}], batches: [{ ended, boundary: 0x2000n }] });
      assert.deepEqual([stopped, calls], [ended, ['peek to 5000, 8000 rows']]);
      assert.equal(loop.batchCount, 1);
    });

  it('I2: goes up to a commit that a standby may lack a part of, and looks for more', async () => {
    const { stopped, calls } = await reading({
      bounds: [{ confirmed: 0x4ff0n }, 'waiting-for-standby'],
      batches: [{ ended: 'beyond-bound', boundary: 0x2000n }],
    });
    assert.equal(stopped, 'waiting-for-standby');
    assert.deepEqual(calls, ['peek to 5000, 8000 rows, confirmed 4ff0', 'advance to 2000', 'exhausted 5000']);
    const none = await reading({
      bounds: [{ confirmed: 0x4ff0n }, 'waiting-for-standby'],
      batches: [{ ended: 'beyond-bound' }],
    });
    assert.deepEqual(none.calls, ['peek to 5000, 8000 rows, confirmed 4ff0', 'exhausted 5000']);
  });

  it('ends after the most batches', async () => {
    const { stopped, calls, left } = await reading({
      bounds: [{}],
      batches: [
        { rows: 8_000, boundary: 0x2000n },
        { rows: 8_000, boundary: 0x3000n },
        { rows: 8_000, boundary: 0x4000n },
      ],
      maxBatches: 2,
    });
    assert.deepEqual([stopped, calls.at(-2), left], ['max-batches', 'advance to 3000', 1]);
  });

  it('ends where there is no more time', async () => {
    let asked = 0;
    const { stopped, loop } = await reading({
      bounds: [{}],
      batches: [{ rows: 8_000, boundary: 0x2000n }, {}],
      hasTime: () => asked++ === 0,
    });
    assert.deepEqual([stopped, loop.batchCount], ['deadline', 1]);
  });

  it('gives the slot to whoever waits for it, behind the first batch', async () => {
    const { stopped, loop } = await reading({
      bounds: [{}],
      batches: [{ rows: 8_000, boundary: 0x2000n }, {}],
      isAwaited: () => true,
    });
    assert.deepEqual([stopped, loop.batchCount], ['handed-over', 1]);
  });
});

describe('a peek that does not reach its first row', () => {
  it('is followed by a smaller one, and the slot by what came before', async () => {
    const { calls, stopped, loop } = await reading({
      bounds: [{ bound: 0x1000n + 40n * BigInt(MIB) }],
      batches: [tooLarge(), { rows: 0 }, { rows: 0 }],
    });
    assert.equal(stopped, 'caught-up');
    assert.deepEqual(calls, [
      'peek to 2801000, 8000 rows',
      'peek to 1401000, 4000 rows',
      'advance to 1401000',
      'look on',
      'peek to 2801000, 4000 rows',
      'advance to 2801000',
    ]);
    assert.equal(loop.batchCount, 2, 'it was not read');
  });

  it('has the slot follow the transactions that came before it was cancelled', async () => {
    const { calls } = await reading({
      bounds: [{ bound: 0x1000n + 40n * BigInt(MIB) }],
      batches: [{ rows: 8_000, boundary: 0x2000n }, tooLarge(), { ended: 'deadline' }],
    });
    assert.deepEqual(calls.slice(0, 5), [
      'peek to 2801000, 8000 rows',
      'advance to 2000',
      'look on',
      'peek to 2801000, 8000 rows',
      'peek to 1401800, 4000 rows',
    ]);
  });

  const SMALLEST: PeekLimits = { rows: 1_000, walBytes: 16 * MIB };
  const LONGER = 'longer: Not even a small peek finishes in maxSeconds';

  it('takes the time of the function where a smaller one is not possible, and nothing was read yet', async () => {
    const first = await reading({ bounds: [{}], batches: [tooLarge(), {}], limits: SMALLEST });
    assert.deepEqual(first.calls, ['peek to 5000, 1000 rows', LONGER, 'peek to 5000, 1000 rows', 'advance to 5000']);
    const later = await reading({
      bounds: [{}],
      batches: [{ rows: 1_000, boundary: 0x2000n }, tooLarge(), {}],
      limits: SMALLEST,
    });
    assert.ok(!later.calls.includes(LONGER), later.calls.join());
  });

  it('takes it, too, where there is no time left for a smaller one', async () => {
    for (const [hasTime, isLonger] of [
      [false, true],
      [true, false],
    ] as const) {
      let asked = 0;
      const { calls } = await reading({
        bounds: [{}],
        batches: [tooLarge(), {}],
        // It is asked before each peek, and after the failure.
        hasTime: () => asked++ !== 1 || hasTime,
      });
      assert.equal(calls.includes(LONGER), isLonger, calls.join());
    }
  });
});

describe('a search for the transaction that the server cannot decode', () => {
  it('takes the time of the function; its steps without rows are no batches and move nothing', async () => {
    const { calls, stopped, loop } = await reading({
      bounds: [{ bound: 0x1100n }],
      batches: [
        undecodable(),
        { rows: 0 },
        { rows: 5, boundary: 0x10b8n },
        { rows: 0 },
        { rows: 0 },
        { rows: 0 },
        // What failed does not fail any more.
        { rows: 0 },
      ],
      maxBatches: 1,
    });
    assert.deepEqual(calls, [
      'peek to 1100, 8000 rows',
      'longer: Finding the transaction takes a peek a step',
      'peek to 1080, 8000 rows',
      'look on',
      'peek to 10c0, 8000 rows',
      'advance to 10c0',
      'look on',
      'peek to 10e0, 8000 rows',
      'look on',
      'peek to 10f0, 8000 rows',
      'look on',
      'peek to 10f8, 8000 rows',
      'look on',
      'peek to 1100, 8000 rows',
    ]);
    assert.deepEqual([stopped, loop.batchCount], ['max-batches', 1]);
  });
});

describe('reading while a snapshot holds the slot', () => {
  it('asks for everything up to the end each time: a smaller peek would read the same again', async () => {
    const { calls, stopped, loop } = await reading({
      bounds: [{ bound: 0x5000n, caughtUpAt: 0x6000n }, { bound: 0x6000n }],
      batches: [{ rows: 20_000 }, {}],
      snapshots: { holdsSlot: true },
    });
    assert.equal(stopped, 'caught-up');
    assert.deepEqual(calls, ['peek to 5000, all rows', 'advance to 5000', 'peek to 6000, all rows', 'advance to 6000']);
    assert.deepEqual([loop.batchCount, loop.position], [2, 0x6000n]);
  });

  it('is as ever where it does not', async () => {
    const { calls } = await reading({ bounds: [{}], batches: [{}], snapshots: { holdsSlot: false } });
    assert.deepEqual(calls, ['peek to 5000, 8000 rows', 'advance to 5000']);
  });

  it('lets go of the slot where a peek fails', async () => {
    const snapshots = { holdsSlot: true };
    const { calls } = await reading({
      bounds: [{}],
      batches: [undecodable(), { ended: 'deadline' }],
      snapshots,
    });
    assert.deepEqual(calls, [
      'peek to 5000, all rows',
      'longer: Finding the transaction takes a peek a step',
      'snapshot later',
      // The search has limits, whatever holds the slot.
      'peek to 3000, 8000 rows',
    ]);
  });

  it('is not done with less than was read, once the slot follows again in small peeks', async () => {
    const snapshots = { holdsSlot: true };
    let peeks = 0;
    const { loop, calls } = await reading({
      bounds: [
        { bound: 0x5000n, caughtUpAt: 0x6000n },
        { bound: 0x6000n, caughtUpAt: 0x6000n },
      ],
      batches: [{}, { rows: 8_000, boundary: 0x5500n, ended: 'whole' }, { ended: 'deadline' }],
      snapshots,
      hasTime: () => {
        if (++peeks === 2) snapshots.holdsSlot = false;
        return true;
      },
    });
    assert.deepEqual(calls.slice(2), [
      'peek to 6000, 8000 rows',
      'advance to 5500',
      'look on',
      'peek to 6000, 8000 rows',
    ]);
    assert.equal(loop.position, 0x5500n);
  });
});

describe('what a snapshot has held the slot before', () => {
  it('is read once more where it is let go, and is no less read meanwhile', async () => {
    const snapshots = { holdsSlot: true };
    let peeks = 0;
    const { loop, calls } = await reading({
      bounds: [{ bound: 0x5000n, caughtUpAt: 0x6000n }, { bound: 0x6000n }],
      batches: [{}, { rows: 8_000, boundary: 0x3000n }, { ended: 'deadline' }],
      snapshots,
      slotBound: 0x2000n,
      hasTime: () => {
        if (++peeks === 2) snapshots.holdsSlot = false;
        return true;
      },
    });
    assert.deepEqual(calls.slice(0, 3), ['peek to 5000, all rows', 'advance to 2000', 'peek to 6000, 8000 rows']);
    assert.equal(loop.position, 0x5000n);
  });
});

describe('a backlog that is read ahead', () => {
  const FULL = { rows: 3 };
  const ahead = { mostRows: 3, ready: [0x2000n, 0x3000n] };

  it('is read peek after peek, each begun while the one before it is published; the slot follows at the end', async () => {
    const { stopped, calls, weighed } = await reading({
      bounds: [{}],
      ahead,
      lastCommits: [0x2000n, 0x3000n],
      batches: [
        { ...FULL, boundary: 0x2000n },
        { ...FULL, boundary: 0x3000n },
        { rows: 1, boundary: 0x4000n },
      ],
    });
    assert.equal(stopped, 'caught-up');
    assert.deepEqual(weighed, [0x4000n, 0x3000n, 0x2000n], 'by what is left to read');
    assert.deepEqual(calls, [
      'peek to 5000, 3 rows',
      'ahead 2000 to 5000, 3 rows',
      'look on',
      'take to 5000, 3 rows',
      'ahead 3000 to 5000, 3 rows',
      'look on',
      'take to 5000, 3 rows',
      'advance to 5000',
    ]);
  });

  it('I2: has read up to where the peek that was read ahead ended, not to where one of now would', async () => {
    const { calls, loop } = await reading({
      bounds: [{ bound: 0x4000n, caughtUpAt: 0x6000n }, { bound: 0x6000n, caughtUpAt: 0x6000n }, 'caught-up'],
      ahead,
      lastCommits: [0x2000n],
      batches: [
        { ...FULL, boundary: 0x2000n },
        { rows: 1, boundary: 0x3000n },
      ],
    });
    assert.deepEqual(calls, [
      'peek to 4000, 3 rows',
      'ahead 2000 to 4000, 3 rows',
      'look on',
      'take to 4000, 3 rows',
      'advance to 4000',
      'look on',
    ]);
    assert.equal(loop.position, 0x4000n);
  });

  it('has no boundary of its own where it is full of messages: then the next peek has no limit of rows', async () => {
    const { calls } = await reading({
      bounds: [{}],
      ahead,
      lastCommits: [0x2000n],
      batches: [{ ...FULL, boundary: 0x2000n }, FULL, { rows: 9, boundary: 0x4000n }],
    });
    assert.deepEqual(calls, [
      'peek to 5000, 3 rows',
      'ahead 2000 to 5000, 3 rows',
      'look on',
      'take to 5000, 3 rows',
      'look on',
      'advance to 2000',
      'peek to 5000, all rows',
      'advance to 5000',
    ]);
  });

  it('is read from the slot itself where it cannot be read ahead, once the slot is where reading has come to', async () => {
    const { calls } = await reading({
      bounds: [{}],
      ahead: { mostRows: 3, ready: [] },
      lastCommits: [0x2000n, 0x3000n],
      batches: [
        { ...FULL, boundary: 0x2000n },
        { rows: 10, boundary: 0x3000n },
      ],
    });
    assert.deepEqual(calls, [
      'peek to 5000, 3 rows',
      'ahead 2000 to 5000, 3 rows',
      'look on',
      'advance to 2000',
      'peek to 5000, 8000 rows',
      'advance to 5000',
    ]);
  });

  it('is not read ahead from where the peek did not end', async () => {
    // It was not full, so the WAL behind its last commit is read, too.
    const { calls } = await reading({
      bounds: [
        { bound: 0x4000n, caughtUpAt: 0x6000n },
        { bound: 0x6000n, caughtUpAt: 0x6000n },
      ],
      ahead,
      lastCommits: [0x2000n],
      batches: [{ rows: 2, boundary: 0x2000n }, { rows: 1 }],
    });
    assert.deepEqual(calls, [
      'peek to 4000, 3 rows',
      'ahead 2000 to 4000, 3 rows',
      'advance to 4000',
      'peek to 6000, 8000 rows',
      'advance to 6000',
    ]);
  });

  it('is as a peek of the slot where the server fails: the slot follows, and the next peek is smaller', async () => {
    const { calls } = await reading({
      bounds: [{}],
      ahead,
      lastCommits: [0x2000n],
      batches: [{ ...FULL, boundary: 0x2000n }, tooLarge(), { rows: 1, boundary: 0x4000n }],
    });
    assert.deepEqual(calls, [
      'peek to 5000, 3 rows',
      'ahead 2000 to 5000, 3 rows',
      'look on',
      'take to 5000, 3 rows',
      'advance to 2000',
      'peek to 5000, 3 rows',
      'advance to 5000',
    ]);
  });

  it('is searched from where the slot follows to, where the server cannot decode what was read ahead', async () => {
    const { calls } = await reading({
      bounds: [{}],
      ahead,
      lastCommits: [0x2000n],
      batches: [{ ...FULL, boundary: 0x2000n }, undecodable(), { ended: 'deadline' }],
    });
    assert.deepEqual(calls.slice(-5), [
      'take to 5000, 3 rows',
      'advance to 2000',
      'longer: Finding the transaction takes a peek a step',
      'no more ahead',
      'peek to 3800, 8000 rows',
    ]);
  });

  it('is not begun by the last batch, nor behind a peek without a transaction', async () => {
    const last = await reading({
      bounds: [{}],
      ahead,
      maxBatches: 1,
      lastCommits: [0x2000n],
      batches: [{ ...FULL, boundary: 0x2000n }],
    });
    assert.deepEqual(
      [last.stopped, last.calls],
      ['max-batches', ['peek to 5000, 3 rows', 'advance to 2000', 'look on']],
    );
    const empty = await reading({ bounds: [{}], ahead, batches: [{ rows: 0 }] });
    assert.deepEqual(empty.calls, ['peek to 5000, 3 rows', 'advance to 5000']);
  });

  it('is begun once a quarter of a peek has come', async () => {
    const { calls } = await reading({
      bounds: [{}],
      ahead: { mostRows: 8, ready: [] },
      lastCommits: [0x2000n],
      batches: [{ rows: 2, boundary: 0x2000n }],
    });
    assert.ok(calls.includes('ahead 2000 to 5000, 8 rows'), calls.join());
  });

  it('is over where a snapshot holds the slot, and in a search', async () => {
    const snapshots = { holdsSlot: true };
    const held = await reading({ bounds: [{}], ahead, snapshots, batches: [{ rows: 9 }] });
    assert.deepEqual(held.calls, ['no more ahead', 'peek to 5000, all rows', 'advance to 5000']);
    const searched = await reading({
      bounds: [{}, {}, 'caught-up'],
      ahead,
      batches: [undecodable(), { rows: 1, boundary: 0x5000n }],
    });
    assert.equal(searched.calls.includes('no more ahead'), true);
    assert.equal(
      searched.calls.some((call) => call.startsWith('ahead')),
      false,
    );
  });
});
