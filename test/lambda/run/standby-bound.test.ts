/** Runs that publish nothing beyond what awaited standbys have confirmed (I2), over a slot in memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { logicalMessageKeyWriter } from '../../../lambda/format/partition-key.ts';
import { run } from '../../../lambda/run/run.ts';
import { addRunMetrics } from '../../../lambda/run/run-metrics.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type RunKit, runKit } from '../../support/run-kit.ts';

const insert = (id: number): string => `table public.t: INSERT: id[integer]:${id}`;

function lay(): { slot: FakeSlot; kit: RunKit } {
  const slot = new FakeSlot();
  return { slot, kit: runKit(slot, new FakeKeys({ 'public.t': {} })) };
}

describe('what a standby has not confirmed', () => {
  it('I2: is not published: the run says whom it waits for, and is a success', async () => {
    const { slot, kit } = lay();
    slot.commit(insert(1));
    slot.standby = slot.commit(insert(2));
    slot.commit(insert(3));
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.caughtUp, answer.published], ['waiting-for-standby', false, 2]);
    assert.deepEqual(answer.waitsFor, ['phys']);
    assert.equal(answer.lagBytes, Number(slot.flushed - slot.standby));
    assert.equal(slot.confirmed, slot.standby);
    assert.ok(slot.advances.every((lsn) => lsn <= (slot.standby ?? 0n)));
    assert.ok(answer.durationMs < 5_000, 'in seconds');
    assert.ok(kit.recorder.lines.some((line) => /^info .*"phys" \(connected, \d+ bytes behind\)/.test(line)));
    addRunMetrics(kit.recorder, answer, { moved: false, retainedWalBytes: undefined });
    assert.ok(kit.recorder.values.some(([name, value]) => name === 'WaitingForStandby' && value === 1));

    slot.standby = slot.flushed;
    const next = await run(kit.ports, kit.options());
    assert.deepEqual([next.stopped, next.published, next.waitsFor], ['caught-up', 1, undefined]);
  });

  it('I2: leaves a run that can do nothing at all a success, which Stalled tells', async () => {
    const { slot, kit } = lay();
    slot.standby = 900n;
    slot.commit(insert(1));
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.published, slot.advances.length], ['waiting-for-standby', 0, 0]);
    assert.ok(kit.recorder.lines.some((line) => /^warn .*"phys".*If one is gone for good/.test(line)));
    addRunMetrics(kit.recorder, answer, { moved: false, retainedWalBytes: undefined });
    assert.ok(kit.recorder.values.some(([name, value]) => name === 'Stalled' && value === 1));
  });

  it('I2: a message outside transactions of which a standby may lack the end is not published either', async () => {
    const { slot, kit } = lay();
    slot.commit(insert(1));
    const content = 'x'.repeat(1_000);
    const lsn = slot.message(`message: transactional: 0 prefix: p, sz: 1000 content:${content}`);
    slot.idleWal(10_000n);
    const messages = { prefixes: [/^p$/], partitionKey: logicalMessageKeyWriter('primary-key', 'test') };
    const options = { messages, format: FORMATS.json(FORMAT_OPTIONS) };
    slot.standby = lsn + 1_073n;
    const answer = await run(kit.ports, kit.options(options));
    assert.deepEqual([answer.stopped, answer.published, answer.messages], ['waiting-for-standby', 1, 0]);
    assert.ok(slot.confirmed <= lsn);
    slot.standby = lsn + 1_074n;
    const next = await run(kit.ports, kit.options(options));
    assert.deepEqual([next.stopped, next.published, next.messages], ['waiting-for-standby', 0, 1]);
  });

  /** A slot of which half is confirmed at once, and the rest at a look. */
  function layHalf(confirmedAt: number): { slot: FakeSlot; kit: RunKit } {
    const { slot, kit } = lay();
    slot.standby = slot.commit(insert(1));
    slot.commit(insert(2));
    let looks = 0;
    slot.onBound = () => {
      if (++looks === confirmedAt) slot.standby = slot.flushed;
    };
    return { slot, kit };
  }
  const slept = ({ clock }: RunKit): number => clock.slept.reduce((sum, ms) => sum + ms, 0);

  it('is waited for a little, so that one peek reads it all', async () => {
    const { slot, kit } = layHalf(2);
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.caughtUp, answer.published], ['caught-up', true, 2]);
    assert.equal(slot.peeks.length, 1);
    assert.ok(slept(kit) < 100, `${slept(kit)} ms`);
  });

  it('is waited for no longer where the standby confirms nothing meanwhile: what there is comes first', async () => {
    const { slot, kit } = layHalf(3);
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.caughtUp, answer.published], ['caught-up', true, 2]);
    assert.equal(slot.peeks.length, 2);
    assert.equal(slept(kit), 5);
  });

  it('is not waited for where it came after the session was opened, or was there for long', async () => {
    for (const [half, stopped] of [
      ['confirmed', 'caught-up'],
      ['flushed', 'waiting-for-standby'],
    ] as const) {
      const { slot, kit } = layHalf(20);
      const walEnd = half === 'confirmed' ? slot.standby : slot.flushed;
      const session = { ...kit.session, server: { ...kit.session.server, walEnd }, connectedAt: kit.clock.now() - 40 };
      const answer = await run({ ...kit.ports, session }, kit.options());
      assert.deepEqual([answer.stopped, answer.published, slot.peeks.length, slept(kit)], [stopped, 1, 1, 0]);
    }
  });

  it('is not waited for where its standby is not connected', async () => {
    const { slot, kit } = layHalf(20);
    slot.standbyConnected = false;
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.published, slept(kit)], ['waiting-for-standby', 1, 0]);
    assert.ok(kit.recorder.lines.some((line) => /^warn .*"phys" \(not connected/.test(line)));
  });

  it('is waited for by a drain, which is to publish everything, and no run waits as long', async () => {
    for (const action of ['drain', 'run'] as const) {
      const { kit } = layHalf(9);
      const answer = await run(kit.ports, kit.options({ action }));
      assert.equal(answer.stopped, action === 'drain' ? 'caught-up' : 'waiting-for-standby');
      assert.ok(slept(kit) < (action === 'drain' ? 5_000 : 100), `${slept(kit)} ms`);
    }
  });

  it('I7: does not keep a run that writers are always ahead of', async () => {
    const { slot, kit } = lay();
    slot.commit(insert(0));
    let id = 0;
    slot.onBound = () => {
      slot.standby = slot.flushed;
      slot.commit(insert(++id));
    };
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.caughtUp], ['caught-up', true]);
    assert.ok(id < 5, `${id} looks`);
  });

  it('is no reason to end a drain before its backlog is published', async () => {
    const { slot, kit } = lay();
    kit.warmState.peekLimits = { rows: 6, walBytes: 1_000_000 };
    for (let id = 0; id < 50; id++) slot.commit(insert(id));
    slot.onBound = () => {
      slot.standby = slot.flushed;
      if (slot.unconsumed().length > 30) slot.commit(insert(1));
      slot.idleWal(8n);
    };
    const answer = await run(kit.ports, kit.options());
    assert.equal(answer.stopped, 'caught-up');
    assert.equal(answer.published, slot.wal.length);
  });

  it('I2: counts a commit whose record it has in part', async () => {
    const { slot, kit } = lay();
    const first = slot.commit(insert(1));
    const second = slot.commit(insert(2));
    slot.standby = second - 4n;
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.published], ['waiting-for-standby', 1]);
    assert.equal(formatLsn(slot.confirmed), formatLsn(first), 'the slot is not advanced into a commit record');
    slot.standby = slot.flushed;
    assert.equal((await run(kit.ports, kit.options())).published, 1);
    assert.equal(kit.publisher.acknowledged.length, 2);
  });

  it('I2: counts a commit whose record it has in part also where it is the last of the WAL', async () => {
    const { slot, kit } = lay();
    const last = slot.commit(insert(1));
    slot.flushed = slot.standby = last - 4n;
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.published, slot.advances.length], ['caught-up', 0, 0]);
    slot.flushed = slot.standby = last;
    assert.equal((await run(kit.ports, kit.options())).published, 1);
  });
});
