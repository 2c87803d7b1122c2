/** What a month costs, from what a minute takes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Cost, costArithmetic, type CostLine, costTable, monthOf } from '../../scripts/cost.ts';

const LINE: CostLine = {
  format: '`json`',
  rate: 1_000,
  changes: 60_000,
  functionCpuMs: 600,
  wallMs: 1_000,
  bytes: 27_000_000,
  kinesisRecords: 120,
  roundedBytes: 30_000_000,
  putUnits: 1_200,
};
const COST: Cost = { machine: 'a machine', memoryMib: 1024, lines: [{ ...LINE, rate: 10, changes: 600 }, LINE] };

describe('the price of changes', () => {
  it('is the price of a month of such minutes', () => {
    const { lambda, onDemand, shards, provisioned } = monthOf(LINE, 1024);
    assert.equal(lambda.toFixed(4), (43_800 * 1 * 1 * 0.0000133334).toFixed(4));
    assert.equal(onDemand.toFixed(4), (29.2 + 43_800 * 0.03 * 0.08).toFixed(4));
    assert.equal(shards, 1);
    assert.equal(provisioned.toFixed(4), (10.95 + (43_800 * 1_200 * 0.014) / 1e6).toFixed(4));
  });

  it('is that of half as much memory for half as much', () => {
    assert.equal(monthOf(LINE, 512).lambda * 2, monthOf(LINE, 1024).lambda);
  });

  it('counts as many shards as the bytes or the records of a minute need, whichever is more', () => {
    assert.equal(monthOf({ ...LINE, roundedBytes: 60 * 1024 * 1024 }, 1024).shards, 1);
    assert.equal(monthOf({ ...LINE, roundedBytes: 60 * 1024 * 1024 + 1 }, 1024).shards, 2);
    assert.equal(monthOf({ ...LINE, kinesisRecords: 180_000 }, 1024).shards, 3);
  });

  it('is a table: a million changes, and a month', () => {
    assert.match(
      costTable(COST),
      /^\| 1,000, `json` \| 10\.0 \| 450 \| 2,000 \| 0\.58 \| 134\.32 \| 11\.69 \(1\) \|$/m,
    );
    assert.equal(costTable(COST).trim().split('\n').length, 4);
  });

  it('shows its arithmetic', () => {
    assert.match(costArithmetic(COST), /730 h x 0\.04 \+ 43,800 x 0\.0300 GB x 0\.08 = \$134\.32/);
  });
});
