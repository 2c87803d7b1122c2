/**
 * The metrics that a lingering run sends each minute: the same as a run of one minute would send at its end, so that alarms and
 * graphs work as before. Decides nothing.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Clock, Log, Metrics } from '../ports/runtime.ts';
import { ageSeconds } from './answer.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { CountReporter, ReportedCounts } from './run-metrics.ts';
import type { StopReason } from './stop-reason.ts';
import type { TimedSlot } from './timed-slot.ts';

/** What it works with. */
export interface LingerReportPorts {
  readonly slot: TimedSlot;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly reporter: CountReporter;
  /** Is reset at each report, as it need not report that minute too. */
  readonly heartbeat: Heartbeat;
}

/** How far the run is. */
export interface LingerState {
  readonly counts: ReportedCounts;
  readonly position: Lsn;
  /** How long the run has waited for the catalogs, in milliseconds. */
  readonly catalogMs: number;
  readonly oldestUnpublishedMicros: bigint | undefined;
  /** The standbys that are waited for, in words. */
  readonly standbys: string;
}

const INTERVAL_MS = 60_000;

/** Reports each minute. */
export class LingerReport {
  readonly #ports: LingerReportPorts;
  #dueAt: number;
  #position: Lsn | undefined;
  #kinesisRecords = 0;

  /** @param ports - where it reports to, and what it asks */
  constructor(ports: LingerReportPorts) {
    this.#ports = ports;
    this.#dueAt = ports.clock.now() + INTERVAL_MS;
  }

  /**
   * Reports, if it is time.
   *
   * @param state - how far the run is
   * @param stopped - why there was nothing more to read
   */
  async report(state: LingerState, stopped: StopReason): Promise<void> {
    const { slot, clock, log, metrics, reporter, heartbeat } = this.#ports;
    if (clock.now() < this.#dueAt) return;
    this.#dueAt = clock.now() + INTERVAL_MS;
    heartbeat.reset(state.counts.records);
    const caughtUp = stopped === 'caught-up';
    const lagBytes = caughtUp ? 0 : Math.max(0, Number((await slot.flushLsn()) - state.position));
    const progressed = state.counts.kinesisRecords > this.#kinesisRecords || state.position !== this.#position;
    this.#kinesisRecords = state.counts.kinesisRecords;
    this.#position = state.position;
    const stalled = lagBytes > 0 && !progressed;
    if (!stalled) metrics.add('RunHealthy', 1);
    metrics.add('Stalled', stalled ? 1 : 0);
    reporter.report(state.counts);
    metrics.add('LagBytes', lagBytes);
    const lagSeconds = lagBytes === 0 ? 0 : ageSeconds(state.oldestUnpublishedMicros, clock.now());
    if (lagSeconds !== undefined) metrics.add('LagSeconds', lagSeconds);
    metrics.add('RetainedWalBytes', await slot.retainedWalBytes());
    if (slot.slowestPeekMs > 0) metrics.add('PeekMs', slot.slowestPeekMs);
    slot.slowestPeekMs = 0;
    if (stopped === 'waiting-for-standby') {
      metrics.add('WaitingForStandby', 1);
      log.warn(`Nothing more is published before these standbys have confirmed it: ${state.standbys}.`);
    }
    metrics.flush();
  }
}
