/**
 * Sends rounds one after the other: the next only when every entry of the last is acknowledged (I3), while the one
 * after it is being filled. Knows no SDK; the publisher does the retries.
 */
import { formatLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import type { Round } from '../pack/round.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { Clock } from '../ports/runtime.ts';
import type { AckPosition, LargestRecord } from '../transform/ack-position.ts';

/** What a queue works with. */
export interface PublishQueueParts {
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** Sending stops when it aborts. */
  readonly signal: AbortSignal;
  /** @returns milliseconds since 1970: no request may end after it. Asked before each round: it moves with the cost of an advance. */
  readonly deadline: () => number;
  /** Called when a round is acknowledged whole, before the next is sent. */
  readonly acknowledged: (round: Round, position: AckPosition) => void;
}

/** Sends rounds: at most one is in flight. */
export class PublishQueue {
  /** Why no more rounds are sent: time ran out before every entry was acknowledged, because of throttling or another cause. */
  stopped: 'throttled' | 'deadline' | undefined;
  /** Entries that Kinesis throttled, each refusal counted. */
  throttledEntries = 0;
  /** What the last refusal of a request or entry was, of a round that was not taken whole. */
  lastFailure: string | undefined;
  /** How long the slowest round took, in milliseconds. */
  slowestMs = 0;

  readonly #parts: PublishQueueParts;
  #inFlight: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param parts - what it works with */
  constructor(parts: PublishQueueParts) {
    this.#parts = parts;
  }

  /** Whether another round may be sent. */
  get canSend(): boolean {
    return this.stopped === undefined && this.#failure === undefined;
  }

  /**
   * Begins to send a round, once the last is acknowledged. Does nothing when stopped.
   *
   * @param round - what to send; its memory is the publisher's until it is acknowledged
   * @param position - how far the run is once it is acknowledged
   * @throws {PipelineError} what made an earlier round fail
   */
  async send(round: Round, position: AckPosition): Promise<void> {
    await this.waitForAcknowledgement();
    if (!this.canSend) return;
    this.#inFlight = this.#send(round, position).catch((error: unknown) => {
      this.#failure = { error };
    });
  }

  /**
   * Waits until no request is in flight.
   *
   * @throws {PipelineError} what made a round fail
   */
  async waitForAcknowledgement(): Promise<void> {
    await this.waitUntilIdle();
    if (this.#failure) throw this.#failure.error;
  }

  /** As {@link waitForAcknowledgement}, without throwing: for after another failure. */
  async waitUntilIdle(): Promise<void> {
    await this.#inFlight;
  }

  async #send(round: Round, position: AckPosition): Promise<void> {
    const { publisher, clock, signal, deadline, acknowledged } = this.#parts;
    const begun = clock.now();
    const result = await publisher.publish(round, deadline(), signal).catch((error: unknown) => {
      throw withRecord(error, position.largest);
    });
    this.slowestMs = Math.max(this.slowestMs, clock.now() - begun);
    this.throttledEntries += result.throttledEntries;
    this.lastFailure = result.complete ? undefined : result.lastFailure;
    if (result.complete) acknowledged(round, position);
    else this.stopped = result.throttledEntries > 0 ? 'throttled' : 'deadline';
  }
}

/** Kinesis says that a record is too large, and not which. The largest of the round is. */
function withRecord(error: unknown, largest: LargestRecord | undefined): unknown {
  if (!(error instanceof PipelineError) || error.code !== 'RECORD_TOO_LARGE' || largest === undefined) return error;
  const { bytes, table, commitLsn } = largest;
  const of = table === undefined ? 'a logical message' : `a change of ${table}`;
  const where =
    commitLsn === undefined ? 'outside a transaction' : `in the transaction with commit LSN ${formatLsn(commitLsn)}`;
  const record = `The largest record sent has ${bytes} bytes: of ${of}, ${where}.`;
  return new PipelineError(error.code, `${error.what} ${record}`, { cause: error.cause, remedy: error.remedy });
}
