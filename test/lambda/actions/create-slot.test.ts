/** What becomes of a slot whose snapshot cannot be asked for. At a scripted server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSlot } from '../../../lambda/actions/create-slot.ts';
import type { Container } from '../../../lambda/container.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import { coldState } from '../../../lambda/run/warm-state.ts';
import { type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { databaseAt, memoryLog } from '../postgres/fixtures.ts';

const NOW = 1_767_400_000_000;

/** Makes a slot at a server that does not list its tables in time. @returns what is said */
async function create(drop: Reply) {
  let slot: object | null = null;
  const made = { plugin: 'test_decoding', slot_type: 'logical', database: 'd', confirmed_flush_lsn: '0/20' };
  await using server = await startScriptedPostgres([
    ['pg_backend_pid() AS pid', ({ pid }) => [{ pid }]],
    ['AS encoding', [{ version: '160004', encoding: 'UTF8' }]],
    ['AS started', [{ started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' }]],
    ['pg_try_advisory_lock', [{ held: true }]],
    ['SELECT l.pid, l.granted', [{ pid: 101, granted: true }]],
    ['AS level', () => [{ level: 'logical', recovery: false, num: 160004, slot }]],
    ['pg_create_logical_replication_slot', () => ((slot = made), [])],
    ['pg_drop_replication_slot', drop],
    ['NOT c.relispartition', '57014'],
  ]);
  const clock: Clock = { now: () => NOW, random: () => 0, sleep: () => new Promise(() => undefined) };
  const log = memoryLog();
  const config = { slot: 's', slotFailover: false, snapshot: 'initial' };
  const given = { config, database: databaseAt(server, clock), clock, log, warmState: coldState() };
  const deadlines = { functionDeadline: NOW + 60_000, leaseExpiresAt: NOW + 60_000 };
  const error: unknown = await createSlot(
    { kind: 'create-slot', onStandby: false },
    given as unknown as Container,
    deadlines as Parameters<typeof createSlot>[2],
  ).catch((failure: unknown) => failure);
  assert.ok(error instanceof PipelineError && error.code === 'NO_PROGRESS');
  return { what: error.what, lines: log.lines };
}

describe('a slot whose snapshot cannot be asked for', () => {
  it('is dropped again', async () => {
    const { what, lines } = await create([]);
    assert.match(
      what,
      /did not finish a statement.* The slot was dropped again, as its snapshot could not be asked for\.$/,
    );
    assert.deepEqual(lines, ['The slot was dropped again, as its snapshot could not be asked for. {"slot":"s"}']);
  });

  it('is said to be there where it cannot be dropped', async () => {
    const { what, lines } = await create('57P01');
    assert.match(what, /The slot was made, .* drop it with drop-slot, then create it again\.$/);
    assert.equal(lines.length, 1);
  });
});
