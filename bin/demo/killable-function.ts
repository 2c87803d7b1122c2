/**
 * The demo's function in a container that can be killed at any moment, as Lambda's may end at any moment. The next invocation
 * starts another one. Knows nothing of what it does.
 */
import type { LocalFunction } from './function.ts';

/** A function whose container was killed. */
export class KilledError extends Error {
  override readonly name = 'KilledError';
}

/** A function that can be killed. */
export class KillableFunction implements LocalFunction {
  /** How often a container was killed. */
  kills = 0;
  readonly #start: () => LocalFunction;
  #container: LocalFunction | undefined;
  #isOver = false;

  /** @param start - starts a container */
  constructor(start: () => LocalFunction) {
    this.#start = start;
  }

  /** @throws {KilledError} where it was killed meanwhile */
  async invoke(event: unknown): Promise<unknown> {
    if (this.#isOver) throw new KilledError('The function is not started any more.');
    const container = (this.#container ??= this.#start());
    try {
      return await container.invoke(event);
    } catch (error) {
      if (this.#container === container) throw error;
      throw new KilledError('The function was killed.', { cause: error });
    }
  }

  /** Kills the container, whatever it is doing. */
  async kill(): Promise<void> {
    const container = this.#container;
    if (container === undefined) return;
    this.#container = undefined;
    this.kills++;
    await container.stop();
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#isOver = true;
    const container = this.#container;
    this.#container = undefined;
    await container?.stop();
  }
}
