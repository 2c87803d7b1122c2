/**
 * What a finished run says to CloudWatch. Pure but for the port; what the names mean is in docs/operations.md.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Metrics } from '../ports/runtime.ts';
import { copyCounts, type Counts, noCounts, subtractCounts } from '../transform/counts.ts';
import type { RunAnswer } from './answer.ts';
import type { SnapshotAnswer } from './snapshot-answer.ts';

/** What only the end of a run knows, besides its answer. */
export interface RunEnd {
  /** Whether the slot's position changed. */
  readonly moved: boolean;
  /** Undefined: not read. */
  readonly retainedWalBytes: number | undefined;
}

/** What a run has done, as the metrics tell it. */
export type ReportedCounts = Counts &
  Pick<RunAnswer, 'throttledEntries'> & {
    /** Undefined: none was under way. */
    readonly snapshot?: Pick<SnapshotAnswer, 'rowsPublished' | 'tablesLeft'> | undefined;
  };

function addCountMetrics(metrics: Metrics, counts: ReportedCounts): void {
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

/** Adds what a run did to the metrics, once: what was added in the middle of the run is not added again at its end. */
export class CountReporter {
  readonly #metrics: Metrics;
  #reported: Counts = noCounts();
  #throttledEntries = 0;
  #snapshotRows = 0;
  #saidDone = false;

  /** @param metrics - the metrics to add to */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** @param counts - the run's counts so far */
  report(counts: ReportedCounts): void {
    const throttledEntries = counts.throttledEntries - this.#throttledEntries;
    addCountMetrics(this.#metrics, { ...subtractCounts(counts, this.#reported), throttledEntries });
    this.#reported = copyCounts(counts);
    this.#throttledEntries = counts.throttledEntries;
    if (counts.snapshot !== undefined) this.#reportSnapshot(counts.snapshot);
  }

  #reportSnapshot({ rowsPublished, tablesLeft }: NonNullable<ReportedCounts['snapshot']>): void {
    const rows = rowsPublished - this.#snapshotRows;
    const isDone = rows === 0 && tablesLeft === 0;
    // A run that lingers would report a snapshot that has ended for as long as it lives.
    if (isDone && this.#saidDone) return;
    this.#metrics.add('SnapshotRowsPublished', rows);
    this.#metrics.add('SnapshotTablesLeft', tablesLeft);
    this.#snapshotRows = rowsPublished;
    this.#saidDone = tablesLeft === 0;
  }
}

/**
 * Adds a run's metrics. The caller sends them.
 *
 * @param metrics - the metrics to add to
 * @param answer - the run's answer
 * @param end - what else is known
 * @param reporter - tells its counts, unless they were told before
 */
export function addRunMetrics(
  metrics: Metrics,
  answer: RunAnswer,
  end: RunEnd,
  reporter = new CountReporter(metrics),
): void {
  metrics.add('RunDurationMs', answer.durationMs);
  // It did nothing. The run that holds the lock reports whether the slot moves.
  if (answer.stopped === 'locked') return;
  const stalled = (answer.lagBytes ?? 0) > 0 && answer.kinesisRecords === 0 && !end.moved;
  if (answer.stopped !== 'throttled') metrics.add('RunHealthy', 1);
  metrics.add('Stalled', stalled ? 1 : 0);
  if (answer.stopped === 'waiting-for-standby') metrics.add('WaitingForStandby', 1);
  reporter.report(answer);
  if (answer.lagBytes !== undefined) metrics.add('LagBytes', answer.lagBytes);
  if (answer.lagSeconds !== undefined) metrics.add('LagSeconds', answer.lagSeconds);
  if (end.retainedWalBytes !== undefined) metrics.add('RetainedWalBytes', end.retainedWalBytes);
}

/** The state of the slot, as read after a run that did not come to its end. */
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
