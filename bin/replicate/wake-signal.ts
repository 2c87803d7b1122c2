/** A signal between two loops of one process. Knows nothing of them. */
import { systemClock } from '../../lambda/clock.ts';

/** Wakes whoever waits for it. */
export class Signal {
  #waiters: (() => void)[] = [];
  #sent = false;

  /** Ends all current waits. If there is none, the next one ends at once. */
  send(): void {
    if (this.#waiters.length === 0) this.#sent = true;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Waits for the signal. @param ms - the longest wait, in milliseconds */
  async wait(ms: number): Promise<void> {
    if (this.#sent) {
      this.#sent = false;
      return;
    }
    const over = new AbortController();
    await Promise.race([
      new Promise<void>((resolve) => this.#waiters.push(resolve)),
      systemClock.sleep(ms, over.signal),
    ]);
    over.abort();
  }
}
