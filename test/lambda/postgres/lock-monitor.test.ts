/** The watch over a lock, without a server: when it reports a loss, and when the two connections are closed. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { PipelineError } from '../../../lambda/errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { monitorLock } from '../../../lambda/postgres/lock-monitor.ts';
import type { LockResult } from '../../../lambda/postgres/slot-lock.ts';

/** A clock whose sleepers wake when the test moves it. */
class SteppedClock implements Clock {
  #time = 0;
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#time;
  }
  random(): number {
    return 0.5;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      signal?.addEventListener('abort', () => resolve());
      this.#sleepers.push({ at: this.#time + ms, wake: resolve });
    });
  }
  async to(time: number): Promise<void> {
    while (this.#time < time) {
      this.#time = Math.min(time, this.#time + 100);
      for (const { at, wake } of this.#sleepers) if (at <= this.#time) wake();
      for (let i = 0; i < 5; i++) await turn();
    }
  }
}

/** A connection whose server answers as the test says. */
function connection(pid: number, answer: () => Promise<{ rows: Record<string, unknown>[] }>) {
  const client = Object.assign(new EventEmitter(), {
    destroyed: 0,
    connection: { stream: { destroy: () => client.destroyed++ } },
  });
  const asked = { count: 0 };
  const query = () => {
    asked.count++;
    return answer();
  };
  const made = { client, pid, query, context: { host: 'db', port: 5432 } } as unknown as Connection;
  return { made, client, asked };
}

const DEADLINE = 10_000;

/** A watch that was begun, over a lock that this process holds until the test says otherwise. */
function watched(takeSecond?: () => Promise<LockResult>) {
  const clock = new SteppedClock();
  const lock: { holder: number | undefined; answers: boolean } = { holder: 7, answers: true };
  const main = connection(7, () => Promise.resolve({ rows: [] }));
  const control = connection(8, () =>
    lock.answers
      ? Promise.resolve({ rows: lock.holder === undefined ? [] : [{ pid: lock.holder, granted: true }] })
      : new Promise(() => undefined),
  );
  const monitor = monitorLock(main.made, control.made, { slotName: 's', clock, deadline: DEADLINE });
  monitor.start(takeSecond);
  return { clock, lock, main, control, monitor, lost: () => monitor.signal.reason as PipelineError };
}

describe('the watch over a lock', () => {
  it('says nothing as long as the lock is held, and looks each second', async () => {
    const { clock, monitor, control, main } = watched();
    await clock.to(5_500);
    assert.equal(monitor.signal.aborted, false);
    assert.equal(control.asked.count, 5);
    monitor.stop();
    await clock.to(60_000);
    assert.equal(control.asked.count, 5, 'it looks no more');
    assert.deepEqual([monitor.signal.aborted, main.client.destroyed, control.client.destroyed], [false, 0, 0]);
  });

  for (const [what, holder] of [
    ['nobody', undefined],
    ['another', 9],
  ] as const) {
    it(`I6: reports the loss where ${what} holds the lock, and keeps the second connection for 15 s`, async () => {
      const { clock, lock, monitor, lost, main, control } = watched();
      await clock.to(3_500);
      lock.holder = holder;
      await clock.to(4_100);
      assert.equal(lost().code, 'DATABASE_UNREACHABLE');
      assert.match(
        lost().message,
        /connection to PostgreSQL at db:5432 that holds the lock was lost, so sending stopped/,
      );
      assert.deepEqual([main.client.destroyed, control.client.destroyed], [1, 0]);
      // Its deadline comes first here.
      await clock.to(DEADLINE + 600);
      assert.equal(control.client.destroyed, 1);
      await clock.to(19_200);
      assert.equal(control.client.destroyed, 2);
      monitor.stop();
    });
  }

  for (const event of ['error', 'end'] as const) {
    it(`I6: reports the loss at once where a connection has an ${event}`, () => {
      for (const which of ['main', 'control'] as const) {
        const all = watched();
        all[which].client.emit(event, new Error('reset'));
        assert.equal(all.lost().code, 'DATABASE_UNREACHABLE');
        assert.equal(all[which].client.destroyed, 1);
        all[which].client.emit(event, new Error('again'));
        assert.equal(all[which].client.destroyed, 1, 'once');
        all.monitor.stop();
      }
    });
  }

  it('I6: keeps the lock for 15 s where the other connection is lost: a request may be in flight, and nobody else is to send', async () => {
    const { clock, lost, monitor, main, control } = watched();
    await clock.to(1_500);
    control.client.emit('end');
    assert.match(
      lost().message,
      /connection to PostgreSQL at db:5432 that watches the lock was lost, so sending stopped/,
    );
    await clock.to(16_400);
    assert.deepEqual([main.client.destroyed, control.client.destroyed > 0], [0, true]);
    await clock.to(16_600);
    assert.equal(main.client.destroyed, 1);
    monitor.stop();
  });

  it('I6: takes what is no answer for a loss', async () => {
    const clock = new SteppedClock();
    const main = connection(7, () => Promise.resolve({ rows: [] }));
    const control = connection(8, () => Promise.reject(new Error('terminated')));
    const monitor = monitorLock(main.made, control.made, { slotName: 's', clock, deadline: DEADLINE });
    monitor.start();
    await clock.to(1_100);
    assert.equal((monitor.signal.reason as PipelineError).cause instanceof Error, true);
    monitor.stop();
  });

  it('I7: closes both connections half a second after the deadline where the server does not answer', async () => {
    const { clock, lock, monitor, lost, main, control } = watched();
    lock.answers = false;
    await clock.to(DEADLINE + 400);
    assert.deepEqual([monitor.signal.aborted, main.client.destroyed, control.client.destroyed], [false, 0, 0]);
    await clock.to(DEADLINE + 600);
    assert.match(lost().message, /PostgreSQL at db:5432 had not answered when the time was over/);
    assert.deepEqual([main.client.destroyed, control.client.destroyed], [1, 1]);
    monitor.stop();
  });

  it('I6: tries at each look to take the second lock, until it is held', async () => {
    const results: LockResult[] = [
      { kind: 'locked', holder: undefined },
      { kind: 'locked', holder: undefined },
      { kind: 'held', tookOver: false },
    ];
    let tried = 0;
    const { clock, monitor } = watched(() => Promise.resolve(results[tried++] ?? assert.fail('it is held already')));
    await clock.to(6_500);
    assert.equal(tried, 3);
    assert.equal(monitor.signal.aborted, false);
    monitor.stop();
  });

  it('is told of nothing once it was stopped', () => {
    const { monitor, main, control } = watched();
    monitor.stop();
    main.client.emit('end');
    control.client.emit('end');
    assert.equal(monitor.signal.aborted, false);
    assert.equal(main.client.listenerCount('error') + control.client.listenerCount('end'), 0);
  });
});
