/** Transactions that are in the WAL, and that the catalogs cannot say anything of yet. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { run } from '../../../lambda/run/run.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const insert = (id: number, table = 'public.t'): string => `table ${table}: INSERT: id[integer]:${id}`;

/** Two transactions that are over, and one that made a table and is not: its xid is 702. */
function pendingThird(): { slot: FakeSlot; keys: FakeKeys; before: bigint; third: bigint } {
  const slot = new FakeSlot();
  slot.commit(insert(1));
  const before = slot.commit(insert(2));
  const third = slot.commit(insert(3, 'public.born'));
  slot.commit(insert(4));
  const keys = new FakeKeys({ 'public.t': {} });
  keys.pending.add(702);
  return { slot, keys, before, third };
}

describe('a transaction that is not over', () => {
  it('I11: ends the run before it, by name, with all before it published; the next run goes on', async () => {
    const { slot, keys, before } = pendingThird();
    const kit = runKit(slot, keys);
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.caughtUp, answer.published], ['commit-pending', false, 2]);
    assert.equal(slot.confirmed, before);
    assert.ok((answer.lagSeconds ?? 0) > 0, 'how old it is');
    keys.pending.clear();
    keys.catalog.set('public.born', {});
    const next = await run(kit.ports, kit.options());
    assert.deepEqual([next.stopped, next.published, next.skipped.droppedTable], ['caught-up', 2, 0]);
  });

  it('I11: is waited for a little, and the catalogs are read again', async () => {
    const { slot, keys } = pendingThird();
    const kit = runKit(slot, keys);
    let looks = 0;
    keys.onLook = () => {
      if (++looks < 4) return;
      keys.pending.clear();
      keys.catalog.set('public.born', {});
    };
    const answer = await run(kit.ports, kit.options());
    assert.deepEqual([answer.stopped, answer.published], ['caught-up', 4]);
    assert.ok(kit.clock.slept.length > 0 && Math.max(...kit.clock.slept) < 1_000);
  });

  it('I11: fails with NO_PROGRESS where it is the first, naming it and what it waits for', async () => {
    const { slot, keys, third, before } = pendingThird();
    slot.confirmed = before;
    const kit = runKit(slot, keys);
    await assert.rejects(run(kit.ports, kit.options()), (error: Error) => {
      assert.match(error.message, /^NO_PROGRESS: .*xid 702 .*synchronous_standby_names.*not advanced/s);
      assert.ok(error.message.includes(formatLsn(third)));
      return true;
    });
    assert.equal(slot.confirmed, before);
  });

  it('I7: is not waited for longer than the run may last', async () => {
    const { slot, keys } = pendingThird();
    const kit = runKit(slot, keys);
    const begun = kit.clock.now();
    await run(kit.ports, kit.options({ deadline: begun + 4_000 })).catch(() => undefined);
    assert.ok(kit.clock.now() <= begun + 4_000);
  });

  it('fails with NO_PROGRESS that names the catalogs where they took the time', async () => {
    const slot = new FakeSlot();
    slot.commit(insert(1));
    const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
    const keys = { ...kit.session.keys, isOver: () => true, refreshIfStale: () => kit.clock.sleep(60_000) };
    const session = { ...kit.session, keys };
    slot.evidence = undefined;
    await assert.rejects(
      run({ ...kit.ports, session }, kit.options({ functionDeadline: kit.clock.now() + 50_000 })),
      /NO_PROGRESS: .*reading the catalogs took 60\.0 of 60\.0 seconds/,
    );
  });
});
