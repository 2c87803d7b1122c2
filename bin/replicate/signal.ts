/** A signal between two that work side by side in one process. Knows nothing of them. */
import { systemClock } from '../../lambda/clock.ts';

/** Wakes those who wait. */
export class Signal {
  #waiters: (() => void)[] = [];
  #sent = false;

  /** Ends the waits that are under way; or the next one. */
  send(): void {
    if (this.#waiters.length === 0) this.#sent = true;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Waits for it, at most so long. */
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
