/** I6: how the lock of a slot is taken: whom it waits for and how long, whom it ends, and whom it names. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  acquireSlotLock,
  clearSlot,
  describeHolder,
  lockKey,
  type LockOptions,
  readHolder,
  readLock,
  readSlotReader,
} from '../../../lambda/postgres/slot-lock.ts';
import type { Queryable } from '../../../lambda/postgres/status-queries.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';
import { refusal, scriptedServer } from './scripted-server.ts';

const HOLDER = {
  pid: 4711,
  application: 'pg2kinesis until 2026-01-01T00:00:00.000Z',
  user: 'cdc',
  state: 'active',
  age: 12.4,
  ours: true,
  ends_in_ms: 60_000,
};
const NAMED =
  'backend 4711 (user cdc, application pg2kinesis until 2026-01-01T00:00:00.000Z, connected for 12 s, active)';

/** A server whose lock a holder has until the test lets it go; waiting in the queue takes its time. */
function locked(over: Partial<typeof HOLDER> | null = {}) {
  const clock = new TestClock();
  const begun = clock.time;
  const log = new Recorder();
  const asked: string[] = [];
  const server = {
    holder: over === null ? undefined : { ...HOLDER, ...over },
    /** Called with each wait. @returns after how many milliseconds the lock is there, undefined: not in this wait */
    onWait: (): number | undefined => undefined,
    terminates: true,
    error: undefined as Error | undefined,
  };
  let timeout = 0;
  const asOfNow = (holder: typeof HOLDER) => ({ ...holder, ends_in_ms: holder.ends_in_ms - (clock.time - begun) });
  const query: Queryable['query'] = (text, values) => {
    const answer = (rows: Record<string, unknown>[]) => Promise.resolve({ rows });
    if (text.includes('pg_try_advisory_lock')) return answer([{ held: server.holder === undefined }]);
    if (text.includes('FROM pg_locks')) return answer(server.holder === undefined ? [] : [asOfNow(server.holder)]);
    if (text.includes('pg_terminate_backend')) {
      asked.push(`end ${String(values?.[0])}`);
      assert.equal(values?.[1], HOLDER.application);
      return answer(server.terminates ? [{ ended: true }] : []);
    }
    if (text.includes('lock_timeout')) {
      timeout = Number.parseInt(String(values?.[0]));
      if (timeout > 0) asked.push(`wait ${timeout}`);
      return answer([]);
    }
    assert.ok(text.includes('pg_advisory_lock($1)') && values?.[0] === String(lockKey('s')), text);
    const after = server.onWait();
    if (server.error !== undefined) return Promise.reject(server.error);
    clock.time += Math.min(timeout, after ?? timeout);
    return after === undefined || after > timeout ? Promise.reject(refusal('55P03')) : answer([]);
  };
  const acquire = (options: Partial<LockOptions> = {}) =>
    acquireSlotLock({ query }, { slotName: 's', clock, log, ...options });
  return { acquire, asked, clock, log, server, elapsed: () => clock.time - begun, left: () => timeout };
}

describe('I6: the lock of a slot', () => {
  it('is taken at once where nobody has it', async () => {
    const { acquire, asked } = locked(null);
    assert.deepEqual(await acquire(), { kind: 'held', tookOver: false });
    assert.deepEqual(asked, []);
  });

  it('is of the slot, by a number that is always the same', () => {
    assert.equal(lockKey('s'), lockKey('s'));
    assert.notEqual(lockKey('s'), lockKey('S'));
    assert.equal(lockKey('pg2kinesis'), BigInt.asIntN(64, lockKey('pg2kinesis')));
  });

  it('is not waited for where another has it, who is told', async () => {
    const { acquire, asked, elapsed } = locked();
    const result = await acquire();
    assert.equal(result.kind === 'locked' && result.holder?.pid, 4711);
    assert.deepEqual([asked, elapsed()], [[], 0]);
  });

  it('is waited for in the queue, three seconds at a time, as long as asked for; the log says so', async () => {
    const { acquire, asked, elapsed, log, left } = locked();
    const result = await acquire({ waitMs: 7_000 });
    assert.equal(result.kind, 'locked');
    assert.deepEqual([asked, elapsed(), left()], [['wait 3000', 'wait 3000', 'wait 1000'], 7_000, 0]);
    assert.deepEqual(log.lines, [
      `info Waiting for the slot, which is held by ${NAMED}: 3 s so far, up to 7 s.`,
      `info Waiting for the slot, which is held by ${NAMED}: 6 s so far, up to 7 s.`,
    ]);
    assert.deepEqual(log.fieldsOf('Waiting'), [{ slot: 's' }, { slot: 's' }]);
  });

  it('is had as soon as the holder gives it up', async () => {
    const { acquire, server, elapsed, left } = locked();
    let waits = 0;
    server.onWait = () => (++waits === 2 ? 400 : undefined);
    assert.deepEqual(await acquire({ waitMs: 60_000 }), { kind: 'held', tookOver: false, endedAt: undefined });
    assert.deepEqual([elapsed(), left()], [3_400, 0], 'and the time-out is taken back');
  });

  it('fails with whatever else the wait fails with', async () => {
    const { acquire, server } = locked();
    server.error = refusal('57P01');
    await assert.rejects(acquire({ waitMs: 1_000 }), server.error);
  });

  it('is waited for to the end of a holder that ends soon, where that is asked for', async () => {
    const soon = locked({ ends_in_ms: 1_500 });
    await soon.acquire({ holderEndsWithinMs: 1_500 });
    // It is looked at again at its end, and ended right behind that.
    assert.deepEqual(soon.asked.slice(0, 3), ['wait 1500', 'wait 1', 'end 4711']);
    const late = locked({ ends_in_ms: 1_501 });
    await late.acquire({ holderEndsWithinMs: 1_500 });
    assert.deepEqual(late.asked, []);
  });

  it('is taken from a holder that is past its end, which is ended, told, and waited for ten seconds', async () => {
    const { acquire, server, asked, clock, log } = locked({ ends_in_ms: -1 });
    server.onWait = () => 250;
    const begun = clock.time;
    assert.deepEqual(await acquire(), { kind: 'held', tookOver: true, endedAt: begun });
    assert.deepEqual(asked, ['end 4711', 'wait 3000']);
    assert.deepEqual(log.lines, [`warn Ended a backend that an earlier run left behind: ${NAMED}.`]);
    assert.deepEqual(log.fieldsOf('Ended'), [{ slot: 's', pid: 4711 }]);
    const stuck = locked({ ends_in_ms: -1 });
    assert.equal((await stuck.acquire()).kind, 'locked');
    assert.deepEqual(stuck.asked, ['end 4711', 'wait 3000', 'wait 3000', 'wait 3000', 'wait 1000'], 'it is ended once');
  });

  it('is tried once more where the holder has ended by itself', async () => {
    const { acquire, server, asked, log } = locked({ ends_in_ms: -1 });
    server.terminates = false;
    server.onWait = () => 50;
    assert.deepEqual(await acquire(), { kind: 'held', tookOver: false });
    assert.deepEqual([asked, log.lines], [['end 4711', 'wait 100'], []]);
    const other = locked({ ends_in_ms: -1 });
    other.server.terminates = false;
    assert.equal((await other.acquire()).kind, 'locked');
    assert.deepEqual(other.asked, ['end 4711', 'wait 100']);
  });
});

describe('the holder of a lock', () => {
  const holder = (row: object) =>
    readHolder(scriptedServer([['pg_locks', [row as Record<string, unknown>]]]).client, 's');

  it('is told by each column, and nobody where nobody holds it', async () => {
    assert.deepEqual(await holder(HOLDER), {
      pid: 4711,
      application: HOLDER.application,
      user: 'cdc',
      state: 'active',
      ageSeconds: 12.4,
      ours: true,
      expired: false,
      endsInMs: 60_000,
    });
    assert.equal(await readHolder(scriptedServer([]).client, 's'), undefined);
    const { client, sent } = scriptedServer([]);
    await readHolder(client, 's');
    await readSlotReader(client, 's');
    for (const { text } of sent)
      for (const column of ['l.pid', 'AS application', 'AS "user"', 'a.state', 'AS age', 'AS ours', 'AS ends_in_ms'])
        assert.ok(text.includes(column), column);
    for (const [ms, expired] of [
      [-1, true],
      [0, false],
    ] as const)
      assert.equal((await holder({ ...HOLDER, ends_in_ms: ms }))?.expired, expired);
  });

  it('of another role is known by little', async () => {
    const hidden = await holder({ pid: '7', application: '', user: null, state: null, age: null, ours: false });
    assert.deepEqual(hidden, {
      pid: 7,
      application: undefined,
      user: undefined,
      state: undefined,
      ageSeconds: undefined,
      ours: false,
      expired: false,
      endsInMs: undefined,
    });
    assert.equal(
      describeHolder(hidden),
      'backend 7 (user unknown, application unnamed, connected for an unknown time, state not visible to this role)',
    );
    assert.equal(describeHolder(undefined), 'a backend that is gone by now');
  });

  it('is looked at together with whether somebody waits', async () => {
    const look = (...rows: Record<string, unknown>[]) => readLock(scriptedServer([['pg_locks', rows]]).client, 's');
    assert.deepEqual(await look(), { holderPid: undefined, isAwaited: false });
    assert.deepEqual(await look({ pid: '7', granted: true }), { holderPid: 7, isAwaited: false });
    assert.deepEqual(await look({ pid: 8, granted: false }, { pid: 7, granted: true }), {
      holderPid: 7,
      isAwaited: true,
    });
  });
});

describe('I6: a slot whose lock is held', () => {
  /** A slot that a backend is inside of, as long as the test says. */
  function inside(user: Partial<typeof HOLDER>, looks: number, terminates = true) {
    const clock = new TestClock();
    const log = new Recorder();
    const asked: string[] = [];
    let left = looks;
    const query: Queryable['query'] = (text, values) => {
      if (text.includes('pg_terminate_backend')) {
        asked.push(`end ${String(values?.[0])} after ${clock.time - begun} ms`);
        return Promise.resolve({ rows: terminates ? [{ ended: true }] : [] });
      }
      assert.deepEqual(values, ['s']);
      return Promise.resolve({ rows: left-- > 0 ? [{ ...HOLDER, ...user }] : [] });
    };
    const begun = clock.time;
    return {
      clear: clearSlot({ query }, { slotName: 's', clock, log }),
      clock,
      asked,
      elapsed: () => clock.time - begun,
    };
  }

  it('is used at once where nobody is inside of it', async () => {
    const { clear, clock } = inside({}, 0);
    assert.equal(await clear, false);
    assert.deepEqual(clock.slept, []);
  });

  it('is waited for two seconds, looked at five times a second', async () => {
    const { clear, clock } = inside({ ours: false }, 3);
    assert.equal(await clear, false);
    assert.deepEqual(clock.slept, [200, 200, 200]);
  });

  it('fails with SLOT_BUSY where somebody else stays inside, who is named and left alone', async () => {
    const { clear, asked, elapsed } = inside({ ours: false }, 1_000);
    await assert.rejects(clear, {
      code: 'SLOT_BUSY',
      what: `Slot "s" is in use by ${NAMED}. Nothing was read and the slot was not advanced.`,
    });
    assert.deepEqual([asked, elapsed()], [[], 2_000]);
  });

  it('has a statement of ours ended that was left inside', async () => {
    const { clear, asked } = inside({}, 13);
    assert.equal(await clear, true);
    assert.deepEqual(asked, ['end 4711 after 2000 ms']);
  });

  it('fails with SLOT_BUSY where that does not end within ten seconds', async () => {
    const { clear, asked, elapsed } = inside({}, 1_000);
    await assert.rejects(clear, { code: 'SLOT_BUSY' });
    assert.deepEqual([asked.length, elapsed()], [1, 12_000]);
  });

  it('tells who reads it', async () => {
    const read = (rows: readonly Record<string, unknown>[]) =>
      readSlotReader(scriptedServer([['active_pid', rows]]).client, 's');
    assert.deepEqual(await read([HOLDER]), { pid: 4711, description: NAMED, ours: true });
    assert.equal(await read([]), undefined);
  });
});
