/** The model of CloudWatch's alarms against the tables of its own documentation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AlarmState, decide, evaluateAlarm } from './cloudwatch.ts';

/** X breaches, 0 does not, - is missing; "kept" is the state before. */
const DOCUMENTED: [
  m: number,
  range: string,
  missing: string,
  ignore: string,
  breaching: string,
  notBreaching: string,
][] = [
  [3, '0-X-X', 'OK', 'OK', 'OK', 'OK'],
  [3, '----0', 'OK', 'OK', 'OK', 'OK'],
  [3, '-----', 'INSUFFICIENT_DATA', 'kept', 'ALARM', 'OK'],
  [3, '0XX-X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
  [3, '--X--', 'ALARM', 'kept', 'ALARM', 'OK'],
  [2, '0-X-X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
  [2, '00X0X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
  [2, '0-X--', 'OK', 'OK', 'ALARM', 'OK'],
  [2, '----0', 'OK', 'OK', 'ALARM', 'OK'],
  [2, '----X', 'ALARM', 'kept', 'ALARM', 'OK'],
];

describe('the model of an alarm', () => {
  for (const [m, range, ...results] of DOCUMENTED) {
    it(`evaluates ${range}, ${m} of 3, as CloudWatch documents it`, () => {
      const points = Array.from(range, (sign) => (sign === '-' ? undefined : sign === 'X'));
      for (const state of ['OK', 'ALARM', 'INSUFFICIENT_DATA'] as const satisfies AlarmState[])
        assert.deepEqual(
          ['missing', 'ignore', 'breaching', 'notBreaching'].map((treatment) =>
            decide(points, { n: 3, m, treatment, state }),
          ),
          results.map((result) => (result === 'kept' ? state : result)),
        );
    });
  }

  it('reads metric math', () => {
    const states = evaluateAlarm(
      {
        Metrics: [
          { Id: 'e', Expression: 'IF(lag > 300 AND DIFF(lag) >= 0, 1, 0)' },
          { Id: 'lag', MetricStat: { Metric: { MetricName: 'LagSeconds' } } },
        ],
        Threshold: 1,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        EvaluationPeriods: 1,
      },
      { LagSeconds: [0, 299, 301, 400, 390, undefined, 500, 501] },
      { lookBack: 0 },
    );
    assert.deepEqual(states, [
      'INSUFFICIENT_DATA',
      'OK',
      'ALARM',
      'ALARM',
      'OK',
      'INSUFFICIENT_DATA',
      'INSUFFICIENT_DATA',
      'ALARM',
    ]);
  });
});
