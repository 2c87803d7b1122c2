/** The dashboard: what it shows, in which order, of metrics that exist. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { SLOT_METRICS } from '../../lib/slot-metrics.ts';
import { onlyResource, synthesise } from './synth.ts';

/** A widget, as CloudWatch reads it. */
interface Widget {
  readonly type: string;
  readonly y: number;
  readonly x: number;
  readonly properties: {
    readonly title?: string;
    readonly markdown?: string;
    readonly metrics?: readonly (readonly unknown[])[];
    readonly alarms?: readonly unknown[];
  };
}

/** The widgets; what CloudFormation resolves, resolved. */
function widgetsOf(settings: Readonly<Record<string, unknown>>): readonly Widget[] {
  const body = onlyResource(synthesise(settings).template, 'AWS::CloudWatch::Dashboard').Properties[
    'DashboardBody'
  ] as { 'Fn::Join': [string, unknown[]] };
  const text = body['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : 'X')).join('');
  return (JSON.parse(text) as { widgets: Widget[] }).widgets;
}

describe('the dashboard', () => {
  it('shows what an engineer on call reads, in that order', () => {
    const titles = widgetsOf({ alarmEmail: 'oncall@example.com' }).flatMap(({ properties: { title } }) =>
      title === undefined ? [] : title.replace(/[:(].*/, '').trim(),
    );
    assert.deepEqual(titles, [
      'Healthy? The alarms',
      'How far behind? Seconds, bytes of WAL',
      'What does it hold? Bytes of WAL on the server',
      'Lag',
      'Throughput',
      'WAL that the slot retains',
      'Errors',
      'Duration of runs',
      'Kinesis',
    ]);
  });

  it('answers in its first row: healthy, how far behind, what does it hold; without alarms by the runs', () => {
    const [healthy, behind, held] = widgetsOf({ alarmEmail: 'oncall@example.com' });
    assert.equal(healthy?.properties.alarms?.length, 7);
    assert.deepEqual([healthy.y, behind?.y, held?.y], [0, 0, 0]);
    assert.deepEqual(
      behind?.properties.metrics?.map(([, name]) => name),
      ['LagSeconds', 'LagBytes'],
    );
    assert.deepEqual(
      held?.properties.metrics?.map(([, name]) => name),
      ['RetainedWalBytes'],
    );
    const [runs] = widgetsOf({ alarms: 'false' });
    assert.deepEqual(
      runs?.properties.metrics?.map(([, name]) => name),
      ['RunHealthy'],
    );
  });

  it('links to the function, the log and its saved queries, which are there', () => {
    const { template } = synthesise({ name: 'orders' });
    const saved = Object.values(template.findResources('AWS::Logs::QueryDefinition')).map(
      ({ Properties }) => Properties as { Name: string; QueryString: string; LogGroupNames: unknown[] },
    );
    assert.ok(saved.length >= 4);
    const text = widgetsOf({ name: 'orders' }).find(({ type }) => type === 'text')?.properties.markdown ?? '';
    for (const { Name, QueryString, LogGroupNames } of saved) {
      assert.match(Name, /^pg2kinesis\/orders\//);
      assert.ok(text.includes(Name), Name);
      assert.match(QueryString, /level = |answer\.action/);
      assert.equal(LogGroupNames.length, 1);
    }
    assert.match(text, /^Runbook: `docs\/operations\.md`/);
    assert.match(text, /\]\(https:\/\/\S+#logsV2:logs-insights\)/);
    assert.match(text, /`npx pg2kinesis status --function X`/);
  });

  it("links to the console of the region's partition", () => {
    for (const [region, partition, console] of [
      ['eu-central-1', 'aws', 'console.aws.amazon.com'],
      ['cn-north-1', 'aws-cn', 'console.amazonaws.cn'],
      ['us-gov-west-1', 'aws-us-gov', 'console.amazonaws-us-gov.com'],
      ['eusc-de-east-1', 'aws-eusc', 'console.amazonaws-eusc.eu'],
    ] as const) {
      const databaseSecretArn = `arn:${partition}:secretsmanager:${region}:123456789012:secret:s-AbCdEf`;
      const text = widgetsOf({ region, availabilityZones: `${region}a,${region}b`, databaseSecretArn })
        .map(({ properties }) => properties.markdown)
        .join('');
      assert.ok(text.includes(`(https://${region}.${console}/lambda/home?region=${region}#`), text);
    }
  });

  it('links to the runbook where a team keeps it', () => {
    const runbookUrl = 'https://wiki.example.com/pg2kinesis';
    const text = widgetsOf({ name: 'orders', runbookUrl }).find(({ type }) => type === 'text')?.properties.markdown;
    assert.ok(text?.startsWith(`[Runbook](${runbookUrl}) ·`), text);
  });

  it('asks the log for fields that the log has', () => {
    const { template } = synthesise({});
    const asked = JSON.stringify(template.findResources('AWS::Logs::QueryDefinition'));
    const handler = readFileSync(new URL('../../lambda/handler.ts', import.meta.url), 'utf8');
    const telemetry = readFileSync(new URL('../../lambda/telemetry/telemetry.ts', import.meta.url), 'utf8');
    assert.ok(
      handler.includes("log.info('The action has succeeded.', { answer })") && handler.includes('{ code: error.name'),
    );
    assert.ok(telemetry.includes('function_request_id') && asked.includes('function_request_id'));
    const answer = readFileSync(new URL('../../lambda/run/answer.ts', import.meta.url), 'utf8');
    const counts = readFileSync(new URL('../../lambda/transform/counts.ts', import.meta.url), 'utf8');
    for (const [, field = ''] of asked.matchAll(/answer\.(\w+)/g))
      assert.match(answer + counts, new RegExp(`\\b${field}\\??:`), field);
  });

  it("shows metrics that exist, under the pipeline's own dimension or the stream's", () => {
    const shown = new Set<unknown>();
    for (const { properties } of widgetsOf({ name: 'orders' })) {
      for (const [namespace, name, dimension, value] of properties.metrics ?? []) {
        shown.add(name);
        if (namespace === 'pg2kinesis') {
          assert.ok(
            SLOT_METRICS.some((known) => known === name),
            String(name),
          );
          assert.deepEqual([dimension, value], ['service', 'orders']);
        } else {
          assert.deepEqual(
            [namespace, dimension],
            namespace === 'AWS/Kinesis' ? ['AWS/Kinesis', 'StreamName'] : ['AWS/Lambda', 'FunctionName'],
          );
        }
      }
    }
    for (const name of [
      'LagSeconds',
      'LagBytes',
      'ChangesPublished',
      'RetainedWalBytes',
      'Errors',
      'RunDurationMs',
      'ThrottledEntries',
      'WriteProvisionedThroughputExceeded',
      'IncomingBytes',
    ]) {
      assert.ok(shown.has(name), name);
    }
  });

  it('can be left out', () =>
    synthesise({ dashboard: 'false' }).template.resourceCountIs('AWS::CloudWatch::Dashboard', 0));
});
