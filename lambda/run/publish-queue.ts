/**
 * Sends rounds one after the other: the next only when every entry of the last is acknowledged (I3), while the one
 * after it is being filled. Knows no SDK; the publisher behind its port does the retries.
 */
import type { Round } from '../pack/round.ts';
import type { Clock, Publisher } from '../ports.ts';
import type { AckPosition } from '../transform/transform.ts';

/** What a pump is made of. */
export interface RoundPumpParts {
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** Sending stops when it aborts. */
  readonly signal: AbortSignal;
  /** @returns milliseconds since 1970: no request may end after it. Asked before each round: it moves with the cost of an advance. */
  readonly deadline: () => number;
  /** Called when a round is acknowledged whole, before the next is sent. */
  readonly acknowledged: (round: Round, mark: AckPosition) => void;
}

/** One round in flight at most. */
export class PublishQueue {
  /** Why no more rounds are sent: time ran out with entries unacknowledged, for want of capacity or else. */
  stopped: 'throttled' | 'deadline' | undefined;
  /** Entries refused for want of capacity. */
  throttledEntries = 0;
  /** What the last refusal of a request or entry was. */
  lastFailure: string | undefined;
  /** How long the slowest round took, in milliseconds. */
  slowestMs = 0;

  readonly #parts: RoundPumpParts;
  #inFlight: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param parts - what it is made of */
  constructor(parts: RoundPumpParts) {
    this.#parts = parts;
  }

  /** Whether another round may be sent. */
  get open(): boolean {
    return this.stopped === undefined && this.#failure === undefined;
  }

  /**
   * Begins to send a round, once the last is acknowledged. Does nothing when stopped.
   *
   * @param round - what to send; its memory is the publisher's until it is acknowledged
   * @param mark - where its acknowledgement takes the run
   * @throws {PipelineError} what made an earlier round fail
   */
  async send(round: Round, mark: AckPosition): Promise<void> {
    await this.drainInFlight();
    if (!this.open) return;
    this.#inFlight = this.#send(round, mark).catch((error: unknown) => {
      this.#failure = { error };
    });
  }

  /**
   * Waits until no request is in flight.
   *
   * @throws {PipelineError} what made a round fail
   */
  async drainInFlight(): Promise<void> {
    await this.waitUntilIdle();
    if (this.#failure) throw this.#failure.error;
  }

  /** As {@link drainInFlight}, without throwing: for when something else has failed already. */
  async waitUntilIdle(): Promise<void> {
    await this.#inFlight;
    this.#inFlight = undefined;
  }

  async #send(round: Round, mark: AckPosition): Promise<void> {
    const { publisher, clock, signal, deadline, acknowledged } = this.#parts;
    const begun = clock.now();
    const result = await publisher.publish(round, deadline(), signal);
    this.slowestMs = Math.max(this.slowestMs, clock.now() - begun);
    this.throttledEntries += result.throttledEntries;
    this.lastFailure = result.lastFailure ?? this.lastFailure;
    if (result.complete) acknowledged(round, mark);
    else this.stopped = result.throttledEntries > 0 ? 'throttled' : 'deadline';
  }
}
