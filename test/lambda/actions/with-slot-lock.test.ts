/** The slot's lock for an action: what is asked before the action begins, and when it does not. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withSlotLock } from '../../../lambda/actions/with-slot-lock.ts';
import type { Container } from '../../../lambda/container.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import { type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { databaseAt, eventually, memoryLog } from '../postgres/fixtures.ts';

const NOW = 1_767_400_000_000;
const [MAIN, CONTROL] = [101, 102];

/** A server at which the lock can be had. The first answers win. */
async function serverFor(replies: readonly (readonly [string, Reply])[] = []) {
  const identity = { started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' };
  const server = await startScriptedPostgres([
    ...replies,
    ['pg_backend_pid() AS pid', ({ pid }) => [{ pid }]],
    ['AS encoding', [{ version: '160004', encoding: 'UTF8' }]],
    ['AS started', [identity]],
    ['pg_try_advisory_lock', [{ held: true }]],
    ['SELECT l.pid, l.granted', [{ pid: MAIN, granted: true }]],
  ]);
  // Nothing ends by itself.
  const clock: Clock = { now: () => NOW, random: () => 0, sleep: () => new Promise(() => undefined) };
  const database = databaseAt(server, clock);
  const container = { config: { slot: 's' }, database, clock, log: memoryLog() } as unknown as Container;
  const deadlines = { functionDeadline: NOW + 60_000, leaseExpiresAt: NOW + 60_000 };
  const pids: number[][] = [];
  const locked = () =>
    withSlotLock(container, deadlines as Parameters<typeof withSlotLock>[1], 'Nothing was done.', (main, control) =>
      Promise.resolve(pids.push([main.pid, control.pid])),
    );
  const ended = () => eventually(() => server.visitors.every(({ isGone }) => isGone()), 'both are closed');
  return { ...server, locked, pids, ended };
}

describe('an action under the lock', () => {
  it('I6: has the lock on the first connection, seen by the second', async () => {
    await using server = await serverFor();
    await server.locked();
    assert.deepEqual(server.pids, [[MAIN, CONTROL]]);
    const asked = (part: string) => server.sent.filter(({ text }) => text.includes(part)).map(({ pid }) => pid);
    assert.deepEqual([asked('pg_try_advisory_lock'), asked('SELECT l.pid, l.granted')], [[MAIN], [CONTROL]]);
    await server.ended();
  });

  it('I1: does not begin where the second connection does not see the lock: it is of another server', async () => {
    for (const rows of [[], [{ pid: 9, granted: true }], [{ pid: MAIN, granted: false }]]) {
      await using server = await serverFor([['SELECT l.pid, l.granted', rows]]);
      await assert.rejects(server.locked(), { code: 'SERVERS_DIFFER' });
      assert.deepEqual(server.pids, []);
      await server.ended();
    }
  });
});
