/**
 * The stream, as a run sees it. Types only; `kinesis` implements them, tests too.
 */
import type { Round } from '../pack/round.ts';

/** What became of a round. */
export interface Published {
  /** Every entry was acknowledged. If not, the deadline or the signal came first. */
  readonly complete: boolean;
  /** Entries that Kinesis refused because the stream lacks capacity, each refusal counted. */
  readonly throttledEntries: number;
  /** What the last refusal was, for a message; undefined where every entry was acknowledged at once. */
  readonly lastFailure?: string;
}

/** The stream. */
export interface Publisher {
  /**
   * Sends a round and its retries. Resolves only when no request is in flight.
   *
   * @param round - what to send
   * @param deadline - milliseconds since 1970: no request is begun that could end after it
   * @param signal - sending stops when it aborts
   * @throws {PipelineError} STREAM_MISSING, STREAM_ACCESS_DENIED, RECORD_TOO_LARGE, CONFIG_INVALID
   */
  publish(round: Round, deadline: number, signal: AbortSignal): Promise<Published>;
}
