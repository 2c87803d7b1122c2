/**
 * What a finished run says to CloudWatch. Pure but for the port; what the names mean stands in the README.
 */
import type { RunAnswer } from './answer.ts';
import type { Metrics } from './ports.ts';

/** What only the end of a run knows, besides its answer. */
export interface RunEnd {
  /** Whether the slot's position changed. */
  readonly moved: boolean;
  /** Undefined: not read. */
  readonly retainedWalBytes: number | undefined;
}

/**
 * Adds a run's metrics. Sending them is its caller's.
 *
 * @param metrics - where to
 * @param answer - the run's
 * @param end - what else is known
 */
export function addRunMetrics(metrics: Metrics, answer: RunAnswer, end: RunEnd): void {
  metrics.add('RunDurationMs', answer.durationMs);
  // It did nothing, and knows nothing: whoever holds the lock tells how things are.
  if (answer.stopped === 'locked') return;
  if (answer.stopped !== 'throttled') {
    const stalled = (answer.lagBytes ?? 0) > 0 && answer.kinesisRecords === 0 && !end.moved;
    metrics.add('RunHealthy', 1);
    metrics.add('Stalled', stalled ? 1 : 0);
  }
  metrics.add('ChangesPublished', answer.published);
  metrics.add('SkippedNoPrimaryKey', answer.skipped.noPrimaryKey);
  metrics.add('SkippedNoReplicaIdentity', answer.skipped.noReplicaIdentity);
  metrics.add('SkippedDroppedTable', answer.skipped.droppedTable);
  metrics.add('SkippedFiltered', answer.skipped.filtered);
  metrics.add('TransactionsPublished', answer.transactions);
  metrics.add('KinesisRecords', answer.kinesisRecords);
  metrics.add('BytesPublished', answer.bytes);
  metrics.add('ThrottledEntries', answer.throttledEntries);
  if (answer.lagBytes !== undefined) metrics.add('LagBytes', answer.lagBytes);
  if (answer.lagSeconds !== undefined) metrics.add('LagSeconds', answer.lagSeconds);
  if (end.retainedWalBytes !== undefined) metrics.add('RetainedWalBytes', end.retainedWalBytes);
}
