/** The ordinals of records: what takes one, and what takes two. They are part of ids, so they must be the same in every run. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { run } from '../../../lambda/run/run.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

it('an UPDATE of a table without a key takes one, whatever table the change before it was of', async () => {
  const slot = new FakeSlot();
  const moved = 'table public.bare: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2';
  const row = 'table public.t: INSERT: id[integer]:1';
  slot.commit(moved, row);
  slot.commit(moved, row);
  slot.commit(row, moved, row);
  const kit = runKit(slot, new FakeKeys({ 'public.t': {}, 'public.bare': { key: [] } }));
  await run(kit.ports, kit.options({ format: FORMATS.json(FORMAT_OPTIONS) }));
  assert.deepEqual(
    kit.publisher.acknowledged.map((text) => (JSON.parse(text) as { ordinal: number }).ordinal),
    [2, 2, 1, 3],
  );
});
