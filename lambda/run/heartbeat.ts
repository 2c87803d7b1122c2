/**
 * Metrics from inside a long run that makes progress, so that the alarm NotRunning is not raised meanwhile.
 */
import type { Clock, Metrics } from '../ports/runtime.ts';

const INTERVAL_MS = 60_000;

/** Reports health each minute of a run that makes progress. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #intervalMs: number;
  #dueAt: number;
  #records = 0;

  /**
   * @param clock - measures the minute
   * @param metrics - gets the metrics
   * @param intervalMs - how often, in milliseconds
   */
  constructor(clock: Clock, metrics: Metrics, intervalMs = INTERVAL_MS) {
    this.#clock = clock;
    this.#metrics = metrics;
    this.#intervalMs = intervalMs;
    this.#dueAt = clock.now() + intervalMs;
  }

  /**
   * Something else has reported this minute: the next is counted from now.
   *
   * @param records - how many user records the run has published so far
   */
  reset(records: number): void {
    this.#records = records;
    this.#dueAt = this.#clock.now() + this.#intervalMs;
  }

  /**
   * Call it when a round was acknowledged.
   *
   * @param records - how many user records the run has published so far
   */
  beat(records: number): void {
    if (this.#clock.now() < this.#dueAt) return;
    const progressed = records > this.#records;
    this.reset(records);
    if (!progressed) return;
    this.#metrics.add('RunHealthy', 1);
    this.#metrics.add('Stalled', 0);
    this.#metrics.flush();
  }
}
