/**
 * Advances the slot: to acknowledged positions only, and only when that is worth its cost.
 * Knows no SQL. The caller knows which positions are acknowledged (I1, I2).
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Clock } from '../ports/runtime.ts';
import type { Slot } from '../ports/slot.ts';

/** In mid-batch, an advance is worthwhile after work that took this many times as long as an advance. */
const MIN_WORK_PER_ADVANCE_COST = 10;
/** The least time between two advances, however cheap: each one uses the slot and writes its position. */
const MIN_INTERVAL_MS = 1_000;

/** Moves a slot forward, one advance at a time. */
export class Advancer {
  /** The slot's confirmed_flush_lsn as far as is known. */
  position: Lsn;
  /** What an advance costs, in milliseconds: the slowest so far in this run. */
  costMs = 0;
  /** Whether the slot moved. */
  hasAdvanced = false;
  /** @returns the farthest position to which it may be advanced whatever is acknowledged; undefined: there is none */
  bound: () => Lsn | undefined = () => undefined;

  readonly #slot: Slot;
  readonly #clock: Clock;
  readonly #lost: AbortSignal;
  #inFlight: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #lastEnd: number;

  /**
   * @param slot - the slot to advance
   * @param clock - measures what an advance costs
   * @param position - the slot's confirmed_flush_lsn
   * @param lost - aborts when the lock is lost: from then on nothing is advanced, and its reason is thrown (I6)
   */
  constructor(slot: Slot, clock: Clock, position: Lsn, lost: AbortSignal) {
    this.#slot = slot;
    this.#clock = clock;
    this.#lost = lost;
    this.position = position;
    this.#lastEnd = clock.now();
  }

  /**
   * Advances in the background if it is worth it now. Its failure is thrown by the next {@link advanceTo}.
   *
   * @param acknowledged - an acknowledged commit LSN
   */
  advanceIfWorthwhile(acknowledged: Lsn): void {
    const boundary = this.#bounded(acknowledged);
    const due = this.#lastEnd + Math.max(MIN_INTERVAL_MS, MIN_WORK_PER_ADVANCE_COST * this.costMs);
    if (boundary <= this.position || this.#inFlight || this.#failure || this.#clock.now() < due) return;
    this.#inFlight = this.#advance(boundary).catch((error: unknown) => {
      this.#failure = { error };
    });
  }

  /**
   * Advances now, after an advance that is in flight; does nothing if the slot is there already.
   *
   * @param target - an advance target of I2
   */
  async advanceTo(target: Lsn): Promise<void> {
    await this.#inFlight;
    if (this.#failure) throw this.#failure.error;
    const to = this.#bounded(target);
    if (to > this.position) await this.#advance(to);
  }

  /** Advances once more to the same position: each advance moves restart_lsn by one step, and this one lets it catch up. */
  async advanceAgain(): Promise<void> {
    await this.#inFlight;
    if (this.#failure) throw this.#failure.error;
    this.#lost.throwIfAborted();
    if (this.hasAdvanced) await this.#slot.advance(this.position);
  }

  #bounded(target: Lsn): Lsn {
    const bound = this.bound();
    return bound !== undefined && bound < target ? bound : target;
  }

  async #advance(target: Lsn): Promise<void> {
    this.#lost.throwIfAborted();
    const begun = this.#clock.now();
    this.position = await this.#slot.advance(target);
    this.hasAdvanced = true;
    this.#lastEnd = this.#clock.now();
    this.costMs = Math.max(this.costMs, this.#lastEnd - begun);
    this.#inFlight = undefined;
  }
}
