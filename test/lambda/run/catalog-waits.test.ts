/** What a batch waits for: for how long it looks for a transaction's end, and when it asks the WAL how far back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CommitHistory, KeyQuestion } from '../../../lambda/ports/catalogs.ts';
import { Advancer } from '../../../lambda/run/advancer.ts';
import { CatalogWaits } from '../../../lambda/run/catalog-waits.ts';
import { NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { AlterationOrder } from '../../../lambda/transform/alterations.ts';
import { KeyHistoryCache } from '../../../lambda/transform/key-history-cache.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { FakeKeys, fakeSession, FakeSlot } from '../../support/fake-slot.ts';
import { TestClock } from '../../support/run-kit.ts';

const TRANSACTION = { xid: 702, commitLsn: 20n, commitTimeMicros: 0n };

/** The waits of a run that stands at position 50, over catalogs that a test decides on. */
function waiting(over: { deadlineMs?: number; commits?: CommitHistory; altered?: readonly number[] } = {}) {
  const slot = new FakeSlot();
  const keys = new FakeKeys({ 'public.t': { alteredBy: [...(over.altered ?? [])] } });
  const clock = new TestClock();
  const { session, lose } = fakeSession(slot, keys);
  const begun = clock.time;
  const policies = new TablePolicies(keys, NO_FILTERS);
  const alterations = new AlterationOrder();
  const keyHistory = new KeyHistoryCache(policies);
  const waits = new CatalogWaits({
    session: { ...session, ...(over.commits === undefined ? {} : { commitHistory: over.commits }) },
    clock,
    advancer: new Advancer(slot, clock, 50n, session.lost),
    keyHistory,
    policies,
    alterations,
    deadline: () => begun + (over.deadlineMs ?? 60_000),
  });
  return { waits, keys, clock, lose, begun, alterations, policies };
}

describe('a transaction that is in the WAL and not over', () => {
  it('is looked for again sooner at first, and up to twice a second, for two seconds', async () => {
    const { waits, keys, clock } = waiting();
    keys.pending.add(702);
    assert.equal(await waits.untilOver(TRANSACTION), false);
    assert.deepEqual(clock.slept, [5, 10, 20, 40, 80, 160, 320, 500, 500]);
    assert.equal(waits.ms, 1_635, 'what the wait took is counted');
  });

  it('is waited for exactly as long as the run has time', async () => {
    for (const [deadlineMs, slept] of [
      [15, [5, 10]],
      [14, [5]],
      [4, []],
    ] as const) {
      const { waits, keys, clock } = waiting({ deadlineMs });
      keys.pending.add(702);
      assert.equal(await waits.untilOver(TRANSACTION), false);
      assert.deepEqual(clock.slept, slept);
    }
  });

  it('is taken as soon as it is over, and the catalogs are looked at after each pause', async () => {
    const { waits, keys, clock } = waiting();
    keys.pending.add(702);
    let looks = 0;
    keys.onLook = () => {
      if (++looks === 3) keys.pending.clear();
    };
    assert.equal(await waits.untilOver(TRANSACTION), true);
    assert.deepEqual([clock.slept, looks], [[5, 10, 20], 3]);
  });

  it('costs nothing where it is over', async () => {
    const { waits, clock } = waiting({ deadlineMs: -1 });
    assert.equal(await waits.untilOver(TRANSACTION), true);
    assert.deepEqual([clock.slept, waits.ms], [[], 0]);
  });

  it('I6: is waited for no longer once the lock is lost', async () => {
    const { waits, keys, clock, lose } = waiting();
    keys.pending.add(702);
    const lost = new Error('the lock is lost');
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async (ms, signal) => {
      await sleep(ms, signal);
      if (clock.slept.length === 2) lose(lost);
    };
    await assert.rejects(waits.untilOver(TRANSACTION), lost);
    assert.deepEqual(clock.slept, [5, 10]);
    assert.equal(waits.ms, 15, 'counted all the same');
  });
});

describe('the waits for the catalogs', () => {
  it('are measured, and know the position of the slot', async () => {
    const { waits, keys, clock } = waiting();
    const positions: unknown[] = [];
    keys.refreshIfStale = (...args: unknown[]) => {
      positions.push(...args);
      clock.time += 300;
      return Promise.resolve();
    };
    await waits.refresh();
    await waits.refresh();
    assert.deepEqual([waits.ms, positions], [600, [50n, 50n]]);
  });

  it('ask for keys in half of the time that is left', async () => {
    const { waits, clock, begun } = waiting({ deadlineMs: 10_000 });
    clock.time += 4_000;
    const asked: KeyQuestion[] = [];
    const read = (question: KeyQuestion) => {
      asked.push(question);
      clock.time += 70;
      return Promise.resolve(undefined);
    };
    const question = { tables: undefined, except: [], insertsOnly: true };
    await waits.askWal({ read }, question, 90n);
    assert.deepEqual(asked, [{ ...question, upto: 90n, deadline: begun + 7_000 }]);
    assert.equal(waits.ms, 70);
  });
});

describe('where transactions committed that altered tables', () => {
  /** A history that answers as a test says, and what it was asked. */
  function history(answer: (xids: readonly number[]) => ReadonlyMap<number, bigint> | undefined) {
    const asked: { xids: readonly number[]; upto: bigint; deadline: number }[] = [];
    const read: CommitHistory['read'] = (xids, upto, deadline) => {
      asked.push({ xids, upto, deadline });
      return Promise.resolve(answer(xids));
    };
    return { asked, commits: { read } };
  }

  it('is asked of all tables at once, each transaction once, in half of the time that is left', async () => {
    const { asked, commits } = history((xids) => new Map(xids.map((xid) => [xid, BigInt(xid)])));
    const { waits, begun, alterations, policies } = waiting({ commits, deadlineMs: 10_000 });
    policies.alterations = () => new Set([651, 650, 652]);
    alterations.take(new Map([[652, 5n]]));
    await waits.askForCommits([650], 90n);
    assert.deepEqual(asked, [{ xids: [650, 651], upto: 90n, deadline: begun + 5_000 }]);
    assert.deepEqual([alterations.knows(650), alterations.knows(651)], [true, true]);
  });

  it('is asked once in a batch where there is no answer, and again by the next', async () => {
    const { asked, commits } = history(() => undefined);
    const { waits, policies } = waiting({ commits });
    policies.alterations = () => new Set();
    await waits.askForCommits([650], 90n);
    await waits.askForCommits([650], 90n);
    assert.equal(asked.length, 1);
    await waits.askForCommits([650, 651], 90n);
    assert.deepEqual(asked[1]?.xids, [650, 651], 'one of them was not asked for');
    waits.beginBatch();
    await waits.askForCommits([650], 95n);
    assert.deepEqual(asked[2], { ...asked[2], xids: [650], upto: 95n });
  });

  it('is asked for 200 transactions at most, those first on which the next message depends', async () => {
    const { asked, commits } = history(() => new Map());
    const { waits, policies } = waiting({ commits });
    policies.alterations = () => new Set(Array.from({ length: 300 }, (_, i) => i));
    await waits.askForCommits([900], 90n);
    assert.deepEqual(asked[0]?.xids, [900, ...Array.from({ length: 199 }, (_, i) => i)]);
  });

  it('is not asked where the server cannot be', async () => {
    const { waits, clock } = waiting();
    await waits.askForCommits([650], 90n);
    assert.deepEqual([waits.ms, clock.slept], [0, []]);
  });
});
