/** What is kept of tables, and forgotten: policies up to a limit, names that the log has told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TableName } from '../../../lambda/decode/messages.ts';
import { compilePatterns, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { SkippedLog } from '../../../lambda/transform/skipped-log.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { FakeKeys } from '../../support/fake-slot.ts';
import { Recorder } from '../../support/run-kit.ts';

const named = (name: string): TableName => ({ printed: `public.${name}`, schema: 'public', name });

describe('the policies of tables', () => {
  const catalog = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`public.t${i}`, { key: [`k${i}`] }]));

  it('are never more than the limit, and are the same when they are made again', () => {
    const policies = new TablePolicies(
      new FakeKeys(catalog),
      { ...NO_FILTERS, tableExclude: compilePatterns('public\\.t3') },
      4,
    );
    for (let turn = 0; turn < 3; turn++)
      for (let i = 0; i < 10; i++) {
        const { keys, skip } = policies.of(named(`t${i}`));
        assert.deepEqual([keys, skip], [[[`k${i}`]], i === 3 ? 'filtered' : undefined]);
        assert.ok(policies.size <= 4, `${policies.size} policies`);
      }
    for (let i = 0; i < 1_000; i++) assert.equal(policies.of(named(`gone_${i}`)).skip, 'droppedTable');
    assert.ok(policies.size <= 4, `${policies.size} policies`);
  });

  it('I8: are kept up to a limit also where none is given', () => {
    const policies = new TablePolicies(new FakeKeys({}), NO_FILTERS);
    for (let i = 0; i < 70_000; i++) policies.of(named(`t${i}`));
    assert.ok(policies.size < 70_000, `${policies.size} policies`);
  });

  it('are made once a table and reading', () => {
    const keys = new FakeKeys(catalog);
    const policies = new TablePolicies(keys, NO_FILTERS);
    const policy = policies.of(named('t0'));
    policies.of(named('t1'));
    assert.equal(policies.of(named('t0')), policy);
    keys.version++;
    const next = policies.of(named('t0'));
    assert.notEqual(next, policy);
    assert.equal(policies.of(named('t0')), next);
    assert.equal(policies.size, 2, 'the new policy takes the place of the old one');
  });
});

describe('the names that the log has told', () => {
  it('are forgotten when they become too many, and are then told again', () => {
    const log = new Recorder();
    const told = new Set<string>();
    const skipped = new SkippedLog(log, told);
    const note = (from: number, to: number) => {
      for (let i = from; i < to; i++) skipped.note('droppedTable', `public.tmp_${i}`, 0n);
      skipped.report();
    };
    note(0, 20_000);
    note(0, 20_000);
    assert.deepEqual([log.lines.length, told.size], [1, 20_000], 'one line, once');
    note(20_000, 20_001);
    assert.equal(told.size, 1);
    note(0, 1);
    assert.match(log.lines.at(-1) ?? '', /^warn The table public\.tmp_0 is not in the catalogs/);
  });
});
