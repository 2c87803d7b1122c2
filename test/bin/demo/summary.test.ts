/** What the demo concludes from what it found. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Findings, succeeded, summary } from '../../../bin/demo/summary.ts';

const RUNS = {
  answered: 2,
  failed: 0,
  killed: 0,
  published: 5,
  noPrimaryKey: 1,
  filtered: 0,
  kinesisRecords: 2,
  bytes: 900,
};
const COMPARISON = {
  expected: 6,
  distinct: 6,
  missing: 0,
  outOfOrder: 0,
  duplicates: 0,
  unexpected: 0,
  wrong: 0,
  examples: [],
};
const GOOD: Findings = {
  ledger: { transactions: 3, keyed: 5, keyless: 1, filtered: 0 },
  comparison: COMPARISON,
  runs: RUNS,
  snapshotRows: 7,
  compared: [{ table: 'shop.customers', rows: 4, hash: 'aa', isEqual: true }],
};
const text = (findings: Findings): string => summary(findings).join('\n');

describe("the demo's summary", () => {
  it('succeeds where everything has arrived and the second PostgreSQL is equal, or there is none', () => {
    assert.equal(succeeded(GOOD), true);
    assert.match(text(GOOD), /^ {2}shop\.customers +4 {2}aa {2}equal$/m);
    assert.equal(succeeded({ ...GOOD, compared: undefined }), true);
  });

  it('fails where one table differs, and names it', () => {
    const differing: Findings = {
      ...GOOD,
      compared: [
        { table: 'shop.customers', rows: 4, hash: 'aa', isEqual: true },
        { table: 'shop.order_lines', rows: 2, hash: 'bb', isEqual: false },
      ],
    };
    assert.equal(succeeded(differing), false);
    assert.match(text(differing), /^ {2}shop\.order_lines +2 {2}bb {2}DIFFERENT$/m);
    assert.match(text(differing), /FAILED: the second PostgreSQL is not equal to the first\.$/);
  });

  it('excuses what comes again, and what is not counted, only where a run was cut short', () => {
    const again: Findings = { ...GOOD, comparison: { ...COMPARISON, duplicates: 2 } };
    assert.equal(succeeded(again), false);
    const cutShort: Findings = { ...again, runs: { ...RUNS, killed: 1, published: 3 } };
    assert.equal(succeeded(cutShort), true);
    assert.match(text(cutShort), /2 {2}of runs that were cut short/);
  });
});
