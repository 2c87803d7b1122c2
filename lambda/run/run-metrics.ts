/**
 * What a finished run says to CloudWatch. Pure but for the port; what the names mean is in docs/operations.md.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Metrics } from '../ports.ts';
import type { Counts } from '../transform/counts.ts';
import type { RunAnswer } from './answer.ts';

/** What only the end of a run knows, besides its answer. */
export interface RunEnd {
  /** Whether the slot's position changed. */
  readonly moved: boolean;
  /** Undefined: not read. */
  readonly retainedWalBytes: number | undefined;
}

/**
 * Adds what a run did, also one that fails: what it left out would be told nowhere else (I9).
 *
 * @param metrics - the metrics to add to
 * @param counts - the run's counts
 */
export function addCountMetrics(metrics: Metrics, counts: Counts & Pick<RunAnswer, 'throttledEntries'>): void {
  metrics.add('ChangesPublished', counts.published);
  metrics.add('SkippedNoPrimaryKey', counts.skipped.noPrimaryKey);
  metrics.add('SkippedKeyUnknown', counts.skipped.keyUnknown);
  metrics.add('SkippedNoReplicaIdentity', counts.skipped.noReplicaIdentity);
  metrics.add('SkippedKeyTooLarge', counts.skipped.keyTooLarge);
  metrics.add('SkippedDroppedTable', counts.skipped.droppedTable);
  metrics.add('SkippedNotTable', counts.skipped.notTable);
  metrics.add('SkippedFiltered', counts.skipped.filtered);
  // Only pipelines with a formatter have it: each metric costs.
  if (counts.skipped.formatter > 0) metrics.add('SkippedFormatter', counts.skipped.formatter);
  if (counts.messages > 0) metrics.add('MessagesPublished', counts.messages);
  metrics.add('TransactionsPublished', counts.transactions);
  metrics.add('KinesisRecords', counts.kinesisRecords);
  metrics.add('BytesPublished', counts.bytes);
  metrics.add('ThrottledEntries', counts.throttledEntries);
}

/**
 * Adds a run's metrics. Sending them is its caller's.
 *
 * @param metrics - the metrics to add to
 * @param answer - the run's answer
 * @param end - what else is known
 */
export function addRunMetrics(metrics: Metrics, answer: RunAnswer, end: RunEnd): void {
  metrics.add('RunDurationMs', answer.durationMs);
  // It did nothing: whether the slot moves is told by whoever holds the lock.
  if (answer.stopped === 'locked') return;
  const stalled = (answer.lagBytes ?? 0) > 0 && answer.kinesisRecords === 0 && !end.moved;
  if (answer.stopped !== 'throttled') metrics.add('RunHealthy', 1);
  metrics.add('Stalled', stalled ? 1 : 0);
  if (answer.stopped === 'waiting-for-standby') metrics.add('WaitingForStandby', 1);
  addCountMetrics(metrics, answer);
  if (answer.lagBytes !== undefined) metrics.add('LagBytes', answer.lagBytes);
  if (answer.lagSeconds !== undefined) metrics.add('LagSeconds', answer.lagSeconds);
  if (end.retainedWalBytes !== undefined) metrics.add('RetainedWalBytes', end.retainedWalBytes);
}

/** Where a slot was found by a run that did not get to publish to its end. */
export interface SlotMeasure {
  readonly confirmedFlush: Lsn | undefined;
  readonly lagBytes: number | undefined;
  readonly retainedWalBytes: number | undefined;
}

/**
 * Adds what the slot holds after a run that failed, or found the slot locked: the disk fills all the same.
 *
 * @param metrics - the metrics to add to
 * @param measure - what was read
 * @param failed - of a run that failed: where the slot was before it, undefined where that is not known. Undefined: it did not fail
 */
export function addSlotMetrics(
  metrics: Metrics,
  { confirmedFlush, lagBytes, retainedWalBytes }: SlotMeasure,
  failed?: { readonly before: Lsn | undefined },
): void {
  if (lagBytes !== undefined) {
    metrics.add('LagBytes', lagBytes);
    const moved = failed?.before !== undefined && failed.before !== confirmedFlush;
    if (failed !== undefined) metrics.add('Stalled', lagBytes > 0 && !moved ? 1 : 0);
  }
  if (retainedWalBytes !== undefined) metrics.add('RetainedWalBytes', retainedWalBytes);
}
