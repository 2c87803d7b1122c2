/** The alarms: their rules, what they say, and whom they tell. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import * as sns from 'aws-cdk-lib/aws-sns';
import { RUNBOOK } from '../../lib/runbook.ts';
import { SlotAlarms } from '../../lib/slot-alarms.ts';
import { SLOT_METRICS } from '../../lib/slot-metrics.ts';
import { onlyResource, type Resource, resourcesOf, synthesise } from './synth.ts';

const EMAIL = { alarmEmail: 'oncall@example.com' };

/** A metric of the template: as a whole, or one of an expression's. */
interface AlarmMetric {
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions: readonly { readonly Name: string; readonly Value: unknown }[];
}

/** The alarms by the last part of their construct's name. */
function alarmsOf(
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const { template } = synthesise(settings);
  return Object.fromEntries(
    Object.entries(resourcesOf(template, 'AWS::CloudWatch::Alarm')).map(([id, { Properties }]) => [
      /^Alarms([A-Za-z]+?)[0-9A-F]{8}$/.exec(id)?.[1] ?? id,
      Properties,
    ]),
  );
}

/** What decides when an alarm is raised. */
function ruleOf(alarm: Readonly<Record<string, unknown>> | undefined): unknown {
  assert.ok(alarm);
  const {
    Statistic,
    Period,
    Threshold,
    ComparisonOperator,
    EvaluationPeriods,
    DatapointsToAlarm,
    TreatMissingData,
    MetricName,
    Namespace,
    Metrics,
  } = alarm;
  const metrics = (
    Metrics as { Expression?: string; MetricStat?: { Metric: AlarmMetric; Period: number; Stat: string } }[] | undefined
  )?.map(({ Expression, MetricStat }) =>
    MetricStat === undefined ? Expression : `${MetricStat.Metric.MetricName} ${MetricStat.Stat} ${MetricStat.Period}`,
  );
  const what = metrics ?? `${String(Namespace)} ${String(MetricName)} ${String(Statistic)} ${String(Period)}`;
  return [
    what,
    ComparisonOperator,
    Threshold,
    `${String(DatapointsToAlarm)} of ${String(EvaluationPeriods)}`,
    TreatMissingData,
  ];
}

describe('the alarms', () => {
  const alarms = alarmsOf({ ...EMAIL, skippedAlarm: true });
  for (const [name, rule] of [
    ['Errors', ['AWS/Lambda Errors Sum 60', 'GreaterThanOrEqualToThreshold', 1, '2 of 3', 'ignore']],
    ['NotRunning', [['FILL(healthy,0)', 'RunHealthy Sum 60'], 'LessThanThreshold', 1, '5 of 5', 'breaching']],
    ['Stalled', ['pg2kinesis Stalled Minimum 60', 'GreaterThanOrEqualToThreshold', 1, '5 of 5', 'ignore']],
    [
      'FallingBehind',
      [
        ['IF(lag > 300 AND DIFF(lag) >= 0, 1, 0)', 'LagSeconds Maximum 60'],
        'GreaterThanOrEqualToThreshold',
        1,
        '10 of 15',
        'ignore',
      ],
    ],
    [
      'RetainedWal',
      ['pg2kinesis RetainedWalBytes Maximum 60', 'GreaterThanThreshold', 10 * 1024 ** 3, '3 of 5', 'ignore'],
    ],
    ['Throttled', ['AWS/Lambda Throttles Sum 60', 'GreaterThanOrEqualToThreshold', 1, '3 of 5', 'notBreaching']],
    ['Overrun', ['pg2kinesis DeadlineOverrunMs Maximum 60', 'GreaterThanThreshold', 5000, '1 of 1', 'notBreaching']],
    [
      'Skipped',
      [
        [
          'FILL(primaryKey,0) + FILL(keyUnknown,0) + FILL(replicaIdentity,0) + FILL(keyTooLarge,0)',
          'SkippedNoPrimaryKey Sum 60',
          'SkippedKeyUnknown Sum 60',
          'SkippedNoReplicaIdentity Sum 60',
          'SkippedKeyTooLarge Sum 60',
        ],
        'GreaterThanThreshold',
        0,
        '1 of 1',
        'notBreaching',
      ],
    ],
  ] as const) {
    it(`${name}: ${JSON.stringify(rule)}`, () => assert.deepEqual(ruleOf(alarms[name]), rule));
  }

  it('are these, and none where they are switched off', () => {
    assert.equal(Object.keys(alarms).length, 8);
    assert.deepEqual(Object.keys(alarmsOf(EMAIL)).sort(), [
      'Errors',
      'FallingBehind',
      'NotRunning',
      'Overrun',
      'RetainedWal',
      'Stalled',
      'Throttled',
    ]);
    assert.deepEqual(alarmsOf({ alarms: 'false' }), {});
  });

  it('do not miss runs while the schedule is off', () => {
    assert.ok(!('NotRunning' in alarmsOf({ ...EMAIL, schedule: 'false' })));
  });

  it('take other thresholds', () => {
    const other = alarmsOf({ ...EMAIL, lagAlarmSeconds: '900', retainedWalAlarmGib: '50' });
    assert.match(JSON.stringify(other['FallingBehind']), /IF\(lag > 900 AND/);
    assert.equal(other['RetainedWal']?.['Threshold'], 50 * 1024 ** 3);
  });

  it('lead to their section of the runbook', () => {
    const page = readFileSync(new URL(`../../${RUNBOOK}`, import.meta.url), 'utf8');
    for (const [name, { AlarmDescription }] of Object.entries(alarms)) {
      const link = `${RUNBOOK}#alarm-${name.toLowerCase()} (npx pg2kinesis explain ${name}).`;
      assert.ok(String(AlarmDescription).endsWith(link), String(AlarmDescription));
      assert.ok(page.includes(`\n### Alarm ${name}\n`), name);
    }
  });

  it('link to it where a team keeps it', () => {
    const url = 'https://wiki.example.com/pg2kinesis';
    for (const [name, { AlarmDescription }] of Object.entries(alarmsOf({ ...EMAIL, runbookUrl: url })))
      assert.ok(String(AlarmDescription).includes(` Runbook: ${url}#alarm-${name.toLowerCase()} `), name);
  });

  it('say what each means, and what to do first, within what CloudWatch takes', () => {
    for (const { AlarmDescription } of Object.values(alarms)) {
      assert.match(String(AlarmDescription), /^[A-Z].{20,}\. First: .{20,}\.$/);
      assert.ok(String(AlarmDescription).length <= 1024);
    }
  });

  it('go to the topic when raised and when over', () => {
    const { template } = synthesise({ ...EMAIL, skippedAlarm: true });
    const topic = onlyResource(template, 'AWS::SNS::Topic');
    for (const { AlarmActions, OKActions } of Object.values(alarms)) {
      assert.deepEqual(AlarmActions, [{ Ref: topic.id }]);
      assert.deepEqual(OKActions, [{ Ref: topic.id }]);
    }
  });

  it("look at metrics that the function emits, under its one dimension, and at the function's own", () => {
    const { template, function: own } = synthesise({ ...EMAIL, name: 'orders', skippedAlarm: true });
    const seen = new Set<string>();
    for (const metric of metricsOf(resourcesOf(template, 'AWS::CloudWatch::Alarm'))) {
      seen.add(metric.Namespace);
      if (metric.Namespace === 'AWS/Lambda') {
        assert.deepEqual(metric.Dimensions, [{ Name: 'FunctionName', Value: { Ref: own.id } }]);
      } else {
        assert.equal(metric.Namespace, 'pg2kinesis');
        assert.deepEqual(metric.Dimensions, [
          { Name: 'service', Value: own.properties.Environment.Variables['POWERTOOLS_SERVICE_NAME'] },
        ]);
        assert.ok(
          SLOT_METRICS.some((name) => name === metric.MetricName),
          metric.MetricName,
        );
      }
    }
    assert.deepEqual([...seen].sort(), ['AWS/Lambda', 'pg2kinesis']);
  });
});

/** Every metric that the alarms look at. */
function metricsOf(alarms: Readonly<Record<string, Resource>>): AlarmMetric[] {
  return Object.values(alarms).flatMap(({ Properties }) => {
    const parts = Properties['Metrics'] as { MetricStat?: { Metric: AlarmMetric } }[] | undefined;
    return parts === undefined
      ? [Properties as unknown as AlarmMetric]
      : parts.flatMap(({ MetricStat }) => (MetricStat === undefined ? [] : [MetricStat.Metric]));
  });
}

describe('the topic', () => {
  const { template } = synthesise(EMAIL);

  it('mails to the address', () => {
    const topic = onlyResource(template, 'AWS::SNS::Topic');
    template.hasResourceProperties('AWS::SNS::Subscription', {
      Protocol: 'email',
      Endpoint: 'oncall@example.com',
      TopicArn: { Ref: topic.id },
    });
  });

  it("can be used by CloudWatch's alarms of this account, and its policy does not only deny", () => {
    const { id } = onlyResource(template, 'AWS::SNS::Topic');
    const policy = onlyResource(template, 'AWS::SNS::TopicPolicy').Properties['PolicyDocument'] as {
      Statement: { Effect: string }[];
    };
    assert.deepEqual(
      policy.Statement.filter(({ Effect }) => Effect === 'Allow'),
      [
        {
          Sid: 'AllowAlarms',
          Effect: 'Allow',
          Principal: { Service: 'cloudwatch.amazonaws.com' },
          Action: 'sns:Publish',
          Resource: { Ref: id },
          Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
        },
      ],
    );
  });

  it('is encrypted with a key that CloudWatch can use, not with one that AWS manages', () => {
    const key = onlyResource(template, 'AWS::KMS::Key');
    assert.deepEqual(onlyResource(template, 'AWS::SNS::Topic').Properties['KmsMasterKeyId'], {
      'Fn::GetAtt': [key.id, 'Arn'],
    });
    assert.equal(key.Properties['EnableKeyRotation'], true);
    const { Statement } = key.Properties['KeyPolicy'] as { Statement: { Principal: unknown }[] };
    assert.deepEqual(
      Statement.filter(({ Principal }) => JSON.stringify(Principal).includes('cloudwatch')),
      [
        {
          Sid: 'AllowAlarms',
          Effect: 'Allow',
          Principal: { Service: 'cloudwatch.amazonaws.com' },
          Action: ['kms:Decrypt', 'kms:GenerateDataKey*'],
          Resource: '*',
        },
      ],
    );
  });

  it('can be one that is there', () => {
    const alarmTopicArn = 'arn:aws:sns:eu-central-1:123456789012:oncall';
    const { template: imported } = synthesise({ alarmTopicArn });
    imported.resourceCountIs('AWS::SNS::Topic', 0);
    for (const { Properties } of Object.values(resourcesOf(imported, 'AWS::CloudWatch::Alarm')))
      assert.deepEqual(Properties['AlarmActions'], [alarmTopicArn]);
  });

  it('fails to be both', () => {
    const { stack } = synthesise(EMAIL);
    const topic = new sns.Topic(new Stack(new App(), 'other'), 'Topic');
    assert.throws(
      () => new SlotAlarms(stack, 'More', { publisher: stack.publisher, email: 'a@b.example', topic }),
      /email and topic cannot both be given/,
    );
  });
});
