/** What is asked of a server of each version: nothing that it does not have. The real servers of the oldest are run apart from these. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DESCRIBE } from '../../../lambda/postgres/snapshot-tables.ts';
import { TABLES } from '../../../lambda/postgres/table-queries.ts';

describe('a statement', () => {
  for (const [column, since, text] of [
    ['indnkeyatts (11)', 110_000, (versionNum: number) => TABLES(versionNum, false)],
    ["attgenerated = 'v' (18)", 180_000, (versionNum: number) => TABLES(versionNum, false)],
    ['indnkeyatts (11)', 110_000, (versionNum: number) => DESCRIBE(versionNum, [], '= 1')],
    ["attgenerated <> 'v' (18)", 180_000, (versionNum: number) => DESCRIBE(versionNum, [], '= 1')],
    ["attgenerated = '' (12)", 120_000, (versionNum: number) => DESCRIBE(versionNum, ['cdc'], '= 1')],
    ['t.attnames (15)', 150_000, (versionNum: number) => DESCRIBE(versionNum, ['cdc'], '= 1')],
    ['t.rowfilter (15)', 150_000, (versionNum: number) => DESCRIBE(versionNum, ['cdc'], '= 1')],
    ['ANY (p.attnames) (15)', 150_000, (versionNum: number) => DESCRIBE(versionNum, ['cdc'], '= 1')],
  ] as const) {
    it(`names a column from its version on: ${column}`, () => {
      const name = column.replace(/ \(\d+\)$/, '');
      assert.ok(!text(since - 1).includes(name), 'the version before');
      assert.ok(text(since).includes(name), 'this version');
    });
  }

  it('names generated columns as not sent until 17: 15 lists them all the same', () => {
    for (const [versionNum, said] of [
      [120_000, true],
      [150_000, true],
      [179_999, true],
      [180_000, false],
    ] as const)
      assert.equal(DESCRIBE(versionNum, ['cdc'], '= 1').includes("attgenerated = ''"), said, String(versionNum));
  });

  it('of a publication names it as SQL needs it', () => {
    assert.ok(DESCRIBE(180_000, ["it's", 'b'], '= 1').includes("IN ('it''s', 'b')"));
    assert.ok(!DESCRIBE(180_000, [], '= 1').includes('pg_publication'));
  });
});
