/** What pg_dump writes, and what of it is given to the target. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withoutUnknownSettings } from '../../../replica/postgres/table-definitions.ts';
import { PRE_DATA } from '../support/dumped.ts';

describe('definitions by a pg_dump that is newer than the target', () => {
  const settingsAt = (versionNum: number): string[] =>
    withoutUnknownSettings(PRE_DATA, versionNum)
      .split('\n')
      .filter((line) => /^SET (transaction_timeout|default_table_access_method)/.test(line));

  it('come without settings that the target does not have', () => {
    assert.deepEqual(settingsAt(110_022), []);
    assert.deepEqual(settingsAt(120_000), ['SET default_table_access_method = heap;']);
    assert.deepEqual(settingsAt(160_009), ['SET default_table_access_method = heap;']);
    assert.equal(settingsAt(170_000).length, 2);
  });

  it('are the same otherwise', () => {
    const without = withoutUnknownSettings(PRE_DATA, 100_000).split('\n').filter(Boolean);
    const dropped = PRE_DATA.split('\n').filter((line) => line !== '' && !without.includes(line));
    assert.equal(dropped.length, 2);
    assert.equal(withoutUnknownSettings(PRE_DATA, 180_000), PRE_DATA);
  });
});
