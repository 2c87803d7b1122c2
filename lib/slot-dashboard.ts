/**
 * The dashboard of a publisher, in the order in which an engineer on call reads: is it wrong, how far behind, what is
 * waiting, is anything moving, what failed, who slows it.
 */
import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { faultOf, refuse } from './check-props.ts';
import { text } from './setting-kinds.ts';
import type { SlotAlarms } from './slot-alarms.ts';
import type { SlotPublisher } from './slot-publisher.ts';

/** What a `SlotDashboard` takes. */
export interface SlotDashboardProps {
  /** Whose dashboard it is. */
  readonly publisher: SlotPublisher;
  /** Its alarms, whose states are then the first row. @default no such row */
  readonly alarms?: SlotAlarms;
  /** The dashboard's name, unique in the account. @default generated */
  readonly dashboardName?: string;
}

const WIDTH = 12;
const DASHBOARD_NAME = text('1 to 255 letters, digits, - and _', /^[\w-]{1,255}$/);

/** The dashboard of one publisher. */
export class SlotDashboard extends Construct {
  /** The dashboard, to add to. */
  readonly dashboard: cloudwatch.Dashboard;

  /**
   * @param scope - the construct in which it is made
   * @param id - its id in that scope; a changed one replaces what was deployed
   * @param props - its properties
   */
  constructor(scope: Construct, id: string, props: SlotDashboardProps) {
    super(scope, id);
    refuse(this, faultOf('dashboardName', props.dashboardName, DASHBOARD_NAME));
    const { publisher, alarms } = props;
    const { region } = Stack.of(this);
    const graph = (
      title: string,
      left: cloudwatch.IMetric[],
      right: cloudwatch.IMetric[] = [],
      annotations: cloudwatch.HorizontalAnnotation[] = [],
    ): cloudwatch.GraphWidget =>
      new cloudwatch.GraphWidget({
        title,
        region,
        left,
        right,
        leftAnnotations: annotations,
        width: WIDTH,
        leftYAxis: { min: 0 },
        rightYAxis: { min: 0 },
      });
    const minute = { period: Duration.minutes(1) };
    // An imported stream has no metrics that say its region; the same names under the stream's own.
    const stream = (metricName: string, statistic: string): cloudwatch.Metric =>
      new cloudwatch.Metric({
        ...minute,
        namespace: 'AWS/Kinesis',
        metricName,
        statistic,
        dimensionsMap: { StreamName: publisher.stream.streamName },
        region: publisher.stream.env.region,
      });

    this.dashboard = new cloudwatch.Dashboard(this, 'Dashboard', {
      defaultInterval: Duration.hours(3),
      ...(props.dashboardName === undefined ? {} : { dashboardName: props.dashboardName }),
    });
    if (alarms !== undefined) {
      this.dashboard.addWidgets(
        new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms.all], width: 2 * WIDTH, height: 3 }),
      );
    }
    this.dashboard.addWidgets(
      graph(
        'Lag: age of the first unpublished commit (s), WAL not consumed (bytes)',
        [publisher.metric('LagSeconds')],
        [publisher.metric('LagBytes')],
      ),
      graph(
        'Throughput: changes, bytes',
        [publisher.metric('ChangesPublished'), publisher.metric('TransactionsPublished')],
        [publisher.metric('BytesPublished')],
      ),
    );
    this.dashboard.addWidgets(
      graph(
        'WAL that the slot retains (bytes)',
        [publisher.metric('RetainedWalBytes')],
        [],
        alarms === undefined ? [] : [alarms.retainedWal.toAnnotation()],
      ),
      graph(
        'Errors: failed, refused, stalled and waiting runs; changes left out',
        [
          publisher.function.metricErrors(minute),
          publisher.function.metricThrottles(minute),
          publisher.metric('Stalled'),
          publisher.metric('WaitingForStandby'),
          publisher.metric('RunHealthy'),
        ],
        [
          publisher.metric('SkippedNoPrimaryKey'),
          publisher.metric('SkippedKeyUnknown'),
          publisher.metric('SkippedNoReplicaIdentity'),
          publisher.metric('SkippedKeyTooLarge'),
          publisher.metric('SkippedDroppedTable'),
        ],
      ),
    );
    this.dashboard.addWidgets(
      graph(
        'Duration of runs (ms), how late they ended (ms)',
        [publisher.metric('RunDurationMs')],
        [publisher.metric('DeadlineOverrunMs')],
      ),
      graph(
        'Kinesis: refused entries; bytes that came in',
        [publisher.metric('ThrottledEntries'), stream('WriteProvisionedThroughputExceeded', cloudwatch.Stats.SUM)],
        [stream('IncomingBytes', cloudwatch.Stats.SUM)],
      ),
    );
  }
}
