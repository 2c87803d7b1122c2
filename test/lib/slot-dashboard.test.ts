/** The dashboard: what it shows, in which order, of metrics that exist. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SLOT_METRICS } from '../../lib/slot-metrics.ts';
import { onlyResource, synthesise } from './synth.ts';

/** A widget, as CloudWatch reads it. */
interface Widget {
  readonly type: string;
  readonly y: number;
  readonly x: number;
  readonly properties: {
    readonly title: string;
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
    const titles = widgetsOf({ alarmEmail: 'oncall@example.com' }).map(({ properties }) =>
      properties.title.replace(/[:(].*/, '').trim(),
    );
    assert.deepEqual(titles, [
      'Alarms',
      'Lag',
      'Throughput',
      'WAL that the slot retains',
      'Errors',
      'Duration of runs',
      'Kinesis',
    ]);
  });

  it('shows the states of all alarms first, and does without alarms', () => {
    assert.equal(widgetsOf({ alarmEmail: 'oncall@example.com' })[0]?.properties.alarms?.length, 7);
    assert.equal(widgetsOf({ alarms: 'false' })[0]?.properties.title.slice(0, 3), 'Lag');
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
