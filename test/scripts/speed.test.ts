/** The benchmark's figures as tables, text and picture. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { median, type Speed, speedSummary, speedTables, speedText } from '../../scripts/speed.ts';
import { barsOf, drawBars } from '../../scripts/speed-plot.ts';

const line = { workload: 'small', changes: 1_000 };
const SPEED: Speed = {
  machine: 'a machine',
  rounds: 3,
  workloads: { small: 'small rows' },
  lines: [
    { ...line, subject: 'pg_recvlogical', wallMs: 20, serverCpuMs: 6 },
    { ...line, subject: 'json', wallMs: 10, functionCpuMs: 4, serverCpuMs: 3, bytes: 450_000, maxRssMb: 190 },
    { ...line, subject: 'json', share: 0.29, wallMs: 40, functionCpuMs: 4, bytes: 450_000 },
    { workload: 'idle', subject: 'warm run', changes: 0, wallMs: 17.9, functionCpuMs: 6 },
  ],
};

describe('the figures of the benchmark', () => {
  it('are tables, a workload each, beside the peer', () => {
    const text = speedTables(SPEED);
    assert.match(text, /^\*\*small\*\*: small rows; 1,000 changes$/m);
    assert.match(text, /^\| json \| 0\.0 s \| 100,000 \| 2\.00 \| 4\.0 µs \| 3\.0 µs \| 450 \| 190 MB \|$/m);
    assert.match(text, /^\| json, 0\.29 of a core \| 0\.0 s \| 25,000 \| 0\.50 \|/m);
    assert.match(text, /^\| warm run \| 17\.9 ms \| 6\.0 ms \|$/m);
  });

  it('are lines of one width at a terminal', () => {
    const lines = speedText(SPEED.lines.slice(0, 3)).replace(/\n$/, '').split('\n');
    assert.equal(lines.length, 4);
    assert.equal(new Set(lines.map(({ length }) => length)).size, 1);
  });

  it('are a sentence and bars, of whole cores alone', () => {
    assert.match(speedSummary(SPEED), /100,000 as `json` \(2\.00 times `pg_recvlogical`\)\.\n$/);
    assert.deepEqual(barsOf(SPEED), [
      { name: 'pg_recvlogical', perSecond: 50_000 },
      { name: 'pg2kinesis, json', perSecond: 100_000 },
    ]);
    assert.equal(drawBars(barsOf(SPEED), 'dark').match(/<rect /g)?.length, 2);
  });

  it('have the middle one of several', () => {
    assert.equal(median([3, 100, 2]), 3);
  });
});
