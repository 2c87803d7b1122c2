/**
 * What every module gets handed in and none makes for itself: time and chance, the log, the metrics. Types only.
 */
import type { MetricName } from '../metrics.ts';

/** Time, as the run sees it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /**
   * Waits.
   *
   * @param ms - milliseconds
   * @param signal - ends the wait early, without an error
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

/** Structured log lines. No secret and no row value goes in (I10). */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Where metrics go. What is added gets the time of the next flush. */
export interface Metrics {
  /**
   * Adds one value. The unit follows from the name.
   *
   * @param name - the metric's name
   * @param value - a count, bytes, seconds or milliseconds; left out of the metric altogether where it is unknown: do not call
   */
  add(name: MetricName, value: number): void;
  /** Sends what was added since the last flush; nothing where nothing was. */
  flush(): void;
}
