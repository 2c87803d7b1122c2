/** A signal between two loops of one process. Knows nothing of them. */
import { systemClock } from '../../lambda/clock.ts';

/** Wakes whoever waits for it. */
export class Signal {
  readonly #waiters = new Set<() => void>();
  #sent = false;

  /** Ends all current waits. If there is none, the next one ends at once. */
  send(): void {
    if (this.#waiters.size === 0) this.#sent = true;
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }

  /** Waits for the signal. @param ms - the longest wait, in milliseconds */
  async wait(ms: number): Promise<void> {
    if (this.#sent) {
      this.#sent = false;
      return;
    }
    const over = new AbortController();
    const wake = (): void => over.abort();
    this.#waiters.add(wake);
    await systemClock.sleep(ms, over.signal);
    this.#waiters.delete(wake);
  }
}
