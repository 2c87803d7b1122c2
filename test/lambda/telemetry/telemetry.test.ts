/** What is emitted: names, units and the one dimension, as CloudWatch will read them; and the terminal's log. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PipelineError } from '../../../lambda/errors.ts';
import type { MetricName } from '../../../lambda/metrics.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import { addRunMetrics } from '../../../lambda/run/run-metrics.ts';
import { sanitizeError } from '../../../lambda/telemetry/error-report.ts';
import { createTerminalLog } from '../../../lambda/telemetry/telemetry.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';

const telemetry = new URL('../../../lambda/telemetry/telemetry.ts', import.meta.url).href;

interface Emf {
  readonly _aws: {
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string;
      readonly Dimensions: readonly string[][];
      readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
    }[];
  };
  readonly service: string;
}

/** Runs a script in a process of its own and parses its output: Powertools writes to the process's. */
async function linesOf(script: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { createFunctionLog, createFunctionMetrics } from '${telemetry}';\n${script}`,
    ],
    { env: { PATH: process.env['PATH'] } },
  );
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('createFunctionMetrics', () => {
  it('emits one dimension set, of service alone, whatever is added and however often it is sent', async () => {
    const lines = (await linesOf(`
      const metrics = createFunctionMetrics('orders');
      metrics.flush();
      metrics.add('RunHealthy', 1); metrics.add('LagBytes', 7); metrics.add('RunDurationMs', 12); metrics.add('LagSeconds', 0.5);
      metrics.flush(); metrics.flush();
      metrics.add('Stalled', 0); metrics.add('Stalled', 1); metrics.flush();`)) as unknown as Emf[];
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.equal(line._aws.CloudWatchMetrics.length, 1);
      const [metrics] = line._aws.CloudWatchMetrics;
      assert.equal(metrics?.Namespace, 'pg2kinesis');
      assert.deepEqual(metrics.Dimensions, [['service']]);
      assert.equal(line.service, 'orders');
    }
    assert.deepEqual(lines[0]?._aws.CloudWatchMetrics[0]?.Metrics, [
      { Name: 'RunHealthy', Unit: 'Count' },
      { Name: 'LagBytes', Unit: 'Bytes' },
      { Name: 'RunDurationMs', Unit: 'Milliseconds' },
      { Name: 'LagSeconds', Unit: 'Seconds' },
    ]);
    assert.deepEqual((lines[1] as unknown as { Stalled: unknown }).Stalled, [0, 1]);
  });
});

describe('createFunctionLog', () => {
  it('writes JSON lines with the pipeline and the request, from the level that was set', async () => {
    const lines = await linesOf(`
      const log = createFunctionLog('orders');
      log.debug('unseen'); log.setRequestId('r-1'); log.setLevel('DEBUG'); log.debug('seen', { slot: 's' }); log.setLevel('ERROR'); log.warn('unseen');`);
    assert.deepEqual(
      lines.map(({ message, service, function_request_id: id, level, slot }) => ({
        message,
        service,
        id,
        level,
        slot,
      })),
      [{ message: 'seen', service: 'orders', id: 'r-1', level: 'DEBUG', slot: 's' }],
    );
  });
});

describe('createTerminalLog', () => {
  const record = (json: boolean): string[] => {
    const lines: string[] = [];
    const log = createTerminalLog((line) => lines.push(line), { level: 'INFO', json, now: () => 0 });
    log.debug('unseen');
    log.info('Made.', { slot: 's', bytes: 12n, cause: new Error('why') });
    log.error('Failed.');
    return lines;
  };

  it('writes text', () => {
    assert.deepEqual(record(false), [
      '1970-01-01T00:00:00.000Z INFO Made. slot=s bytes="12" cause={"name":"Error","message":"why"}\n',
      '1970-01-01T00:00:00.000Z ERROR Failed.\n',
    ]);
  });

  it('writes JSON', () => {
    assert.deepEqual(
      record(true).map((line) => JSON.parse(line) as unknown),
      [
        {
          level: 'INFO',
          message: 'Made.',
          timestamp: '1970-01-01T00:00:00.000Z',
          slot: 's',
          bytes: '12',
          cause: { name: 'Error', message: 'why' },
        },
        { level: 'ERROR', message: 'Failed.', timestamp: '1970-01-01T00:00:00.000Z' },
      ],
    );
  });
});

describe('addRunMetrics', () => {
  const emitted = (answer: Partial<RunAnswer>, moved = false): Map<MetricName, number> => {
    const values = new Map<MetricName, number>();
    const whole: RunAnswer = {
      action: 'run',
      slot: 's',
      caughtUp: false,
      stopped: 'deadline',
      batches: 1,
      ...noCounts(),
      throttledEntries: 0,
      durationMs: 5,
      ...answer,
    };
    addRunMetrics({ add: (name, value) => values.set(name, value), flush: () => undefined }, whole, {
      moved,
      retainedWalBytes: 9,
    });
    return values;
  };
  const cases: [
    what: string,
    answer: Partial<RunAnswer>,
    moved: boolean,
    healthy: number | undefined,
    stalled: number | undefined,
  ][] = [
    ['caught up', { stopped: 'caught-up', lagBytes: 0 }, false, 1, 0],
    ['cut short, having published', { lagBytes: 5, kinesisRecords: 1 }, false, 1, 0],
    ['cut short, having advanced', { lagBytes: 5 }, true, 1, 0],
    ['left with lag, nothing done', { lagBytes: 5 }, false, 1, 1],
    ['locked out', { stopped: 'locked' }, false, undefined, undefined],
    ['throttled', { stopped: 'throttled', lagBytes: 5, kinesisRecords: 1 }, true, undefined, 0],
  ];
  for (const [what, answer, moved, healthy, stalled] of cases) {
    it(`tells health and standstill of a run that was ${what}`, () => {
      const values = emitted(answer, moved);
      assert.deepEqual([values.get('RunHealthy'), values.get('Stalled')], [healthy, stalled]);
    });
  }

  it('leaves out a lag that is unknown, and counts each reason', () => {
    const values = emitted({
      skipped: {
        noPrimaryKey: 1,
        keyUnknown: 5,
        noReplicaIdentity: 2,
        keyTooLarge: 7,
        droppedTable: 3,
        notTable: 6,
        filtered: 4,
        formatter: 8,
      },
    });
    assert.ok(!values.has('LagSeconds') && !values.has('LagBytes'));
    assert.deepEqual(
      [
        values.get('SkippedNoPrimaryKey'),
        values.get('SkippedKeyUnknown'),
        values.get('SkippedNoReplicaIdentity'),
        values.get('SkippedKeyTooLarge'),
        values.get('SkippedDroppedTable'),
        values.get('SkippedNotTable'),
        values.get('SkippedFiltered'),
        values.get('SkippedFormatter'),
        values.get('RetainedWalBytes'),
      ],
      [1, 5, 2, 7, 3, 6, 4, 8, 9],
    );
  });
});

describe('sanitizeError', () => {
  it('I10: keeps a cause out of sight: Lambda logs every enumerable property', () => {
    const row = Object.assign(new Error('driver'), { detail: 'Key (ssn)=(123-45) exists.' });
    const error = new PipelineError('SLOT_BUSY', 'It is busy.');
    // As slot-state.ts does: assigned, a property is enumerable.
    error.cause = row;
    const shown = sanitizeError(error);
    assert.equal(shown.cause, row);
    assert.deepEqual(Object.keys(shown).sort(), ['code', 'name']);
    assert.ok(!JSON.stringify(shown).includes('123-45'));
  });
});
