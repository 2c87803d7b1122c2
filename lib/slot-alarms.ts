/**
 * When to worry: the alarms of a publisher. What is measured is in `slot-metrics.ts`.
 * Each alarm's description says what it means and what to do first, for whoever is woken by it.
 */
import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { AlarmTopic } from './alarm-topic.ts';
import { arnFaults, durationFaults, faultOf, refuse } from './prop-faults.ts';
import { runbookSentence } from './runbook.ts';
import type { SlotPublisher } from './slot-publisher.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';

/** What `SlotAlarms` takes. */
export interface SlotAlarmsProps {
  /** Whose alarms they are. */
  readonly publisher: SlotPublisher;
  /** The address that a topic, which is made, mails to. Not with `topic`. @default no topic is made */
  readonly email?: string;
  /** A topic that is there; its policy, and its key's, must admit cloudwatch.amazonaws.com. @default none: alarms show, and tell nobody */
  readonly topic?: sns.ITopic;
  /** The lag above which, when it does not fall, `fallingBehind` is raised, 60 seconds to a day. @default 5 minutes */
  readonly lag?: Duration;
  /** The retained WAL above which an alarm is raised, in GiB, at least 1: below the disk's free space, and below max_slot_wal_keep_size. @default 10 */
  readonly retainedWalGib?: number;
  /** Whether changes left out because their key is not known raise an alarm. @default false */
  readonly skipped?: boolean;
  /** Where your engineers on call read docs/operations.md: each alarm's description links to its section. @default the file's name, without a link */
  readonly runbookUrl?: string;
}

/** An alarm's rule, but for what all have alike. */
interface Rule {
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  readonly comparison: cloudwatch.ComparisonOperator;
  /** `[of the last, so many]` periods of a minute. */
  readonly periods: readonly [last: number, atLeast: number];
  readonly missing?: cloudwatch.TreatMissingData;
  readonly description: string;
}

const {
  GREATER_THAN_OR_EQUAL_TO_THRESHOLD: AT_LEAST,
  GREATER_THAN_THRESHOLD: ABOVE,
  LESS_THAN_THRESHOLD: BELOW,
} = cloudwatch.ComparisonOperator;
const MINUTE = Duration.minutes(1);
/** The state stays: only a run that ended well says that it is over. */
const IGNORE = cloudwatch.TreatMissingData.IGNORE;

/** The alarms of one publisher. */
export class SlotAlarms extends Construct {
  /** The topic that they go to. */
  readonly topic: sns.ITopic | undefined;
  /** The function failed. */
  readonly errors: cloudwatch.Alarm;
  /** No run ended well. Not made while the schedule is off. */
  readonly notRunning: cloudwatch.Alarm | undefined;
  /** Runs end well and move nothing. */
  readonly stalled: cloudwatch.Alarm;
  /** More is written than is published. */
  readonly fallingBehind: cloudwatch.Alarm;
  /** The slot makes the server keep much WAL. */
  readonly retainedWal: cloudwatch.Alarm;
  /** Lambda refuses invocations. */
  readonly throttled: cloudwatch.Alarm;
  /** Runs end late. */
  readonly overrun: cloudwatch.Alarm;
  /** Changes are left out because their key is not known. Made where asked for. */
  readonly skipped: cloudwatch.Alarm | undefined;
  private readonly runbookUrl: string | undefined;

  /**
   * @param scope - the construct in which it is made
   * @param id - its id in that scope; a changed one replaces what was deployed
   * @param props - its properties
   * @throws {PropsError} naming every prop whose value is not allowed
   */
  constructor(scope: Construct, id: string, props: SlotAlarmsProps) {
    super(scope, id);
    this.runbookUrl = props.runbookUrl;
    const { publisher } = props;
    refuse(
      this,
      props.email === undefined || props.topic === undefined
        ? []
        : ['email and topic cannot both be given: subscribe the address to the topic.'],
      faultOf('email', props.email, STACK_SETTINGS.alarmEmail),
      arnFaults(this, 'alarmTopicArn', 'topic', props.topic?.topicArn),
      durationFaults('lag', props.lag, 60, 86_400),
      faultOf('runbookUrl', props.runbookUrl, STACK_SETTINGS.runbookUrl),
      faultOf('retainedWalGib', props.retainedWalGib, STACK_SETTINGS.retainedWalAlarmGib),
    );
    const own = props.email === undefined ? undefined : new AlarmTopic(this, 'Topic', { email: props.email });
    this.topic = own?.topic ?? props.topic;
    const lag = props.lag ?? Duration.minutes(5);
    const retainedWalGib = props.retainedWalGib ?? 10;
    const perMinute = { period: MINUTE };

    this.errors = this.add('Errors', {
      metric: publisher.function.metricErrors({ ...perMinute, statistic: cloudwatch.Stats.SUM }),
      threshold: 1,
      comparison: AT_LEAST,
      periods: [3, 2],
      missing: IGNORE,
      description:
        'Runs fail, so changes wait in the replication slot. First: invoke {"action":"check"}, or read the newest error in the log: its code and message say what to do.',
    });
    this.notRunning = publisher.scheduled
      ? this.add('NotRunning', {
          // FILL, because an alarm that counts missing data as breaching looks back past its window at older points first.
          metric: new cloudwatch.MathExpression({
            ...perMinute,
            expression: 'FILL(healthy,0)',
            label: 'RunHealthy',
            usingMetrics: { healthy: publisher.metric('RunHealthy') },
          }),
          threshold: 1,
          comparison: BELOW,
          periods: [5, 5],
          missing: cloudwatch.TreatMissingData.BREACHING,
          description:
            'No run has ended well for 5 minutes, so changes wait in the replication slot and the server keeps their WAL. First: see whether the schedule is enabled and the log has entries; then invoke {"action":"status"}, which names who holds the slot.',
        })
      : undefined;
    // Made last: before the first run it would be raised at once.
    this.notRunning?.node.addDependency(publisher.schedule);
    this.stalled = this.add('Stalled', {
      metric: publisher.metric('Stalled'),
      threshold: 1,
      comparison: AT_LEAST,
      periods: [5, 5],
      missing: IGNORE,
      description:
        'Nothing moves: changes wait, none was acknowledged and the slot is where it was. First: if Errors is raised, too, follow that; else invoke {"action":"status"} and see what holds the slot back (a standby that is waited for, a transaction open for long, a throttled stream); then drain by hand.',
    });
    this.fallingBehind = this.add('FallingBehind', {
      metric: new cloudwatch.MathExpression({
        ...perMinute,
        // Lag that falls is a backlog being worked off: nobody need get up for it.
        expression: `IF(lag > ${lag.toSeconds()} AND DIFF(lag) >= 0, 1, 0)`,
        label: 'lag is high and does not fall',
        usingMetrics: { lag: publisher.metric('LagSeconds') },
      }),
      threshold: 1,
      comparison: AT_LEAST,
      periods: [15, 10],
      missing: IGNORE,
      description: `The oldest change that waits to be published is over ${lag.toSeconds()} seconds old and the lag does not fall: more is written than is published. First: drain by hand; if it returns, see ThrottledEntries (the stream's capacity), then give the function more memory.`,
    });
    this.retainedWal = this.add('RetainedWal', {
      metric: publisher.metric('RetainedWalBytes'),
      threshold: retainedWalGib * 1024 ** 3,
      comparison: ABOVE,
      periods: [5, 3],
      missing: IGNORE,
      description: `The slot makes the server keep over ${retainedWalGib} GiB of WAL, which fills its disk or, at max_slot_wal_keep_size, loses the slot. First: invoke {"action":"status"}: it tells lag, to be drained, from a transaction open for long, to be ended.`,
    });
    // Alarms of another stack are made after the slot, and go before it: that stack depends on the publisher's.
    if (Stack.of(this) === Stack.of(publisher))
      publisher.watchers.add(this.retainedWal, ...(own === undefined ? [] : [own]));
    this.throttled = this.add('Throttled', {
      metric: publisher.function.metricThrottles({ ...perMinute, statistic: cloudwatch.Stats.SUM }),
      threshold: 1,
      comparison: AT_LEAST,
      periods: [5, 3],
      description:
        "Lambda refuses to start the function, so runs are left out. First: see the account's concurrent executions in this region, and raise the quota or reserve concurrency for this function (at least 3).",
    });
    this.overrun = this.add('Overrun', {
      metric: publisher.metric('DeadlineOverrunMs'),
      threshold: 5000,
      comparison: ABOVE,
      periods: [1, 1],
      description:
        "A run answered over 5 seconds past its deadline: a round or an advance took longer than was foreseen, and runs may begin to overlap. First: read that run's answer in the log; see RunDurationMs and whether the database or the stream was slow.",
    });
    this.skipped =
      props.skipped === true
        ? this.add('Skipped', {
            metric: new cloudwatch.MathExpression({
              ...perMinute,
              expression: 'FILL(primaryKey,0) + FILL(keyUnknown,0) + FILL(replicaIdentity,0) + FILL(keyTooLarge,0)',
              label: 'changes left out because their key is not known',
              usingMetrics: {
                primaryKey: publisher.metric('SkippedNoPrimaryKey'),
                keyUnknown: publisher.metric('SkippedKeyUnknown'),
                replicaIdentity: publisher.metric('SkippedNoReplicaIdentity'),
                keyTooLarge: publisher.metric('SkippedKeyTooLarge'),
              },
            }),
            threshold: 0,
            comparison: ABOVE,
            periods: [1, 1],
            description:
              'Changes were left out because their table has no primary key, does not send it, or had another one when they were written, or because the key alone is larger than a record may be. First: read the warnings in the log, which name the tables, and invoke {"action":"check"}; give each table a primary key, or exclude it. Drain the slot before a primary key is changed.',
          })
        : undefined;
  }

  /** All that were made, in the order in which an engineer on call reads. */
  get all(): readonly cloudwatch.Alarm[] {
    return [
      this.errors,
      this.notRunning,
      this.stalled,
      this.fallingBehind,
      this.retainedWal,
      this.throttled,
      this.overrun,
      this.skipped,
    ].filter((alarm) => alarm !== undefined);
  }

  private add(id: string, rule: Rule): cloudwatch.Alarm {
    const [evaluationPeriods, datapointsToAlarm] = rule.periods;
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription: `${rule.description} ${runbookSentence(this.runbookUrl, id)}`,
      metric: rule.metric,
      threshold: rule.threshold,
      comparisonOperator: rule.comparison,
      evaluationPeriods,
      datapointsToAlarm,
      // Sent only when something happens: no data means that it does not happen any more.
      treatMissingData: rule.missing ?? cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    if (this.topic !== undefined) {
      alarm.addAlarmAction(new actions.SnsAction(this.topic));
      alarm.addOkAction(new actions.SnsAction(this.topic));
    }
    return alarm;
  }
}
