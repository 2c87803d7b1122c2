/**
 * The dashboard of a publisher, in the order in which an engineer on call reads. The first row answers: is it healthy, how
 * far behind, what does it hold. Then where to read on, and the graphs: is anything moving, what failed, what slows it.
 */
import { Duration, Stack, Token } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { faultOf, refuse } from './prop-faults.ts';
import { RUNBOOK } from './runbook.ts';
import { saveQueries } from './saved-queries.ts';
import { text } from './setting-kinds.ts';
import type { SlotAlarms } from './slot-alarms.ts';
import type { SlotPublisher } from './slot-publisher.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';

/** What a `SlotDashboard` takes. */
export interface SlotDashboardProps {
  /** Whose dashboard it is. */
  readonly publisher: SlotPublisher;
  /** Its alarms, whose states then stand first. @default the number of runs that ended well does */
  readonly alarms?: SlotAlarms;
  /** Where your engineers on call read docs/operations.md; the dashboard links to it. @default its name is said */
  readonly runbookUrl?: string;
  /** Whether queries of the log are saved for CloudWatch Logs Insights, under `pg2kinesis/<pipeline>/`. @default true */
  readonly savedQueries?: boolean;
  /** The dashboard's name, unique in the account. @default generated */
  readonly dashboardName?: string;
}

const WIDTH = 12;
const FIRST_ROW = 4;
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
    refuse(
      this,
      faultOf('dashboardName', props.dashboardName, DASHBOARD_NAME),
      faultOf('runbookUrl', props.runbookUrl, STACK_SETTINGS.runbookUrl),
    );
    const { publisher, alarms } = props;
    const { region } = Stack.of(publisher);
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
    const now = (title: string, width: number, ...metrics: cloudwatch.IMetric[]): cloudwatch.SingleValueWidget =>
      new cloudwatch.SingleValueWidget({ title, region, metrics, width, height: FIRST_ROW, sparkline: true });
    this.dashboard.addWidgets(
      alarms === undefined
        ? now('Healthy? Runs that ended well, each minute', 8, publisher.metric('RunHealthy'))
        : new cloudwatch.AlarmStatusWidget({
            title: 'Healthy? The alarms',
            alarms: [...alarms.all],
            width: 8,
            height: FIRST_ROW,
          }),
      now('How far behind? Seconds, bytes of WAL', 8, publisher.metric('LagSeconds'), publisher.metric('LagBytes')),
      now('What does it hold? Bytes of WAL on the server', 8, publisher.metric('RetainedWalBytes')),
    );
    const queries = props.savedQueries === false ? [] : saveQueries(this, publisher.pipelineName, publisher.logGroup);
    this.dashboard.addWidgets(
      new cloudwatch.TextWidget({
        markdown: guide({ publisher, region, queries, runbookUrl: props.runbookUrl }),
        width: 2 * WIDTH,
        height: 4,
      }),
    );
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

/** Where to read on: runbook, log, function; and the commands to type. */
function guide({
  publisher,
  region,
  queries,
  runbookUrl,
}: {
  readonly publisher: SlotPublisher;
  readonly region: string;
  readonly queries: readonly string[];
  readonly runbookUrl: string | undefined;
}): string {
  const console = `https://${region}.${consoleDomain(region)}`;
  const name = publisher.function.functionName;
  const runbook = runbookUrl === undefined ? `Runbook: \`${RUNBOOK}\`` : `[Runbook](${runbookUrl})`;
  const insights = `${console}/cloudwatch/home?region=${region}#logsV2:logs-insights`;
  const saved = queries.length === 0 ? '' : `, saved queries: ${queries.map((query) => `\`${query}\``).join(', ')}`;
  return [
    `${runbook} · [Function](${console}/lambda/home?region=${region}#/functions/${name}?tab=monitoring) · [Logs Insights](${insights})${saved}`,
    '',
    `\`npx pg2kinesis status --function ${name}\` where the slot is and what holds WAL · \`check\` every precondition · \`drain\` works off a backlog · \`explain CODE\` what an error or an alarm means`,
  ].join('\n');
}

/** The console's domain in the region's partition. */
function consoleDomain(region: string): string {
  if (Token.isUnresolved(region)) return 'console.aws.amazon.com';
  if (region.startsWith('cn-')) return 'console.amazonaws.cn';
  if (region.startsWith('eusc-')) return 'console.amazonaws-eusc.eu';
  return region.startsWith('us-gov-') ? 'console.amazonaws-us-gov.com' : 'console.aws.amazon.com';
}
