/**
 * Signs of life from inside a long run, so that the alarm on runs that do not end well stays quiet while one works.
 */
import type { Clock, Metrics } from '../ports.ts';

const INTERVAL_MS = 60_000;

/** Reports health each minute of a run that makes progress. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  #dueAt: number;
  #records = 0;

  /**
   * @param clock - for the minute
   * @param metrics - where it reports
   */
  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock;
    this.#metrics = metrics;
    this.#dueAt = clock.now() + INTERVAL_MS;
  }

  /**
   * To be called when a round was acknowledged.
   *
   * @param records - how many user records were, in the whole run
   */
  beat(records: number): void {
    if (this.#clock.now() < this.#dueAt) return;
    const progressed = records > this.#records;
    this.#records = records;
    this.#dueAt = this.#clock.now() + INTERVAL_MS;
    if (!progressed) return;
    this.#metrics.add('RunHealthy', 1);
    this.#metrics.add('Stalled', 0);
    this.#metrics.flush();
  }
}
