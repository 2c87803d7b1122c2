/**
 * The metrics that the function emits, by name, and how they are read. When to worry about one is for `slot-alarms.ts`.
 */
import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';

/** The namespace of all of them. */
export const NAMESPACE = 'pg2kinesis';

/** Each metric, and the statistic that says most of it in a period. */
const STATISTICS = {
  /** 1 at the end of a run that neither failed nor was `locked` or `throttled`, and each minute inside one that makes progress. */
  RunHealthy: cloudwatch.Stats.SUM,
  /** 1 where lag was left and nothing moved, else 0. */
  Stalled: cloudwatch.Stats.MINIMUM,
  /** 1 where a run could publish no more before a standby has confirmed it. */
  WaitingForStandby: cloudwatch.Stats.MAXIMUM,
  /** How long past its deadline a run answered. */
  DeadlineOverrunMs: cloudwatch.Stats.MAXIMUM,
  ChangesPublished: cloudwatch.Stats.SUM,
  MessagesPublished: cloudwatch.Stats.SUM,
  TransactionsPublished: cloudwatch.Stats.SUM,
  SkippedNoPrimaryKey: cloudwatch.Stats.SUM,
  SkippedKeyUnknown: cloudwatch.Stats.SUM,
  SkippedNoReplicaIdentity: cloudwatch.Stats.SUM,
  SkippedKeyTooLarge: cloudwatch.Stats.SUM,
  SkippedFormatter: cloudwatch.Stats.SUM,
  SkippedDroppedTable: cloudwatch.Stats.SUM,
  SkippedNotTable: cloudwatch.Stats.SUM,
  SkippedFiltered: cloudwatch.Stats.SUM,
  KinesisRecords: cloudwatch.Stats.SUM,
  BytesPublished: cloudwatch.Stats.SUM,
  SnapshotRowsPublished: cloudwatch.Stats.SUM,
  SnapshotTablesLeft: cloudwatch.Stats.MAXIMUM,
  /** Flush LSN minus `confirmed_flush_lsn`. */
  LagBytes: cloudwatch.Stats.MAXIMUM,
  /** Age of the first unpublished commit. */
  LagSeconds: cloudwatch.Stats.MAXIMUM,
  /** WAL that the slot makes the server keep. */
  RetainedWalBytes: cloudwatch.Stats.MAXIMUM,
  /** How long the server worked for the slowest peek of a minute; of a run that lingers. */
  PeekMs: cloudwatch.Stats.MAXIMUM,
  RunDurationMs: cloudwatch.Stats.MAXIMUM,
  /** Entries that Kinesis refused because the stream lacks capacity. */
  ThrottledEntries: cloudwatch.Stats.SUM,
} as const;

/** A metric's name. */
export type SlotMetric = keyof typeof STATISTICS;

/** All names. */
export const SLOT_METRICS = Object.keys(STATISTICS) as SlotMetric[];

/**
 * @param pipelineName - the value of the one dimension that the function emits; an alarm with any other dimensions would see nothing
 * @param name - the metric's name
 * @param options - what to change, for example the statistic @default the statistic that says most of it, over 60 seconds
 */
export function slotMetric(
  pipelineName: string,
  name: SlotMetric,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  return new cloudwatch.Metric({
    statistic: STATISTICS[name],
    period: Duration.minutes(1),
    ...options,
    namespace: NAMESPACE,
    metricName: name,
    dimensionsMap: { service: pipelineName },
  });
}
