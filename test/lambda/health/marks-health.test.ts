/** What `check` says of replicas. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkMarks } from '../../../lambda/health/marks-health.ts';

describe('checkMarks', () => {
  it('names the setting that a replica needs, where there can be one', () => {
    const found = (format: 'json' | 'csv', aggregation: 'kpl' | 'none', marks: boolean) =>
      checkMarks({ format, aggregation, marks }).map(
        (finding) => `${finding.check} ${finding.state}: ${finding.found}`,
      );
    assert.deepEqual(found('json', 'kpl', true), ['replica ok: MARKS is on: "pg2kinesis replicate" can keep a copy']);
    assert.deepEqual(found('json', 'kpl', false), [
      'replica ok: MARKS is off: a copy by "pg2kinesis replicate" needs it on',
    ]);
    assert.deepEqual(found('csv', 'kpl', false), []);
    assert.deepEqual(found('json', 'none', false), []);
  });
});
