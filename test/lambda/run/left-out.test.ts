/** Changes that the plugin itself leaves out: counted by table, once a batch was read to its end. The server is a fake. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Slot } from '../../../lambda/ports/slot.ts';
import { run } from '../../../lambda/run/run.ts';
import { compilePatterns, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

for (const [what, lingerDutyPercent] of [
  ['', undefined],
  [', also by a run that lingers', 100],
] as const)
  it(`I9: are counted under the reason that their table has, and named${what}`, async () => {
    const fake = new FakeSlot();
    fake.commit('table public.t: INSERT: id[integer]:1');
    const kit = runKit(fake, new FakeKeys({ 'public.t': {}, 'public.keyless': { key: [] }, 'public.hidden': {} }));
    const leftOut = ['t', 'keyless', 'hidden', 'gone'].map((name, i) => ({ schema: 'public', name, changes: 10 ** i }));
    let peeks = 0;
    const peek: Slot['peek'] = (...args) => Object.assign(fake.peek(...args), peeks++ === 0 ? { leftOut } : {});
    const slot = Object.assign(Object.create(fake) as FakeSlot, { peek });
    const session = { ...kit.session, slot };
    const filters = { ...NO_FILTERS, tableExclude: compilePatterns('public\\.hidden') };
    const answer = await run(
      { ...kit.ports, session },
      kit.options({ filters, ...(lingerDutyPercent && { lingerDutyPercent }) }),
    );
    const { noReplicaIdentity, noPrimaryKey, filtered, droppedTable } = answer.skipped;
    assert.deepEqual([noReplicaIdentity, noPrimaryKey, filtered, droppedTable], [1, 10, 100, 1000]);
    assert.deepEqual([answer.changes, answer.published], [1112, 1]);
    const warnings = kit.recorder.lines.filter((line) => line.startsWith('warn'));
    for (const name of ['t', 'keyless', 'gone'])
      assert.ok(
        warnings.some((line) => line.includes(`public.${name} `)),
        name,
      );
    assert.equal(warnings.length, 3);
  });
