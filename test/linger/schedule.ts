/**
 * A schedule, sped up, and containers as Lambda keeps them: an invocation takes the one that was used last, or a new one;
 * one that has not answered when the function's time is over is killed. Knows nothing of slots and records.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Container, Ending } from '../chaos/container.ts';

/** One invocation. */
export interface Invocation {
  readonly name: string;
  readonly container: Container;
  /** When it was invoked, by `performance.now()`. */
  readonly begun: number;
  /** The function's time-out. */
  readonly timeoutMs: number;
  /** Undefined while it is under way. */
  ending: Ending | undefined;
  /** By `performance.now()`; undefined while it is under way. */
  endedAt: number | undefined;
  /** Set: it is not killed when its time is over. */
  isSpared: boolean;
  readonly ended: Promise<Ending>;
}

/** Lambda ends what has not answered so long after its time. */
const KILL_AFTER_MS = 500;

/** The containers of a function. */
export class Containers {
  readonly all: Invocation[] = [];
  readonly #start: (name: string) => Promise<Container>;
  readonly #idle: { readonly name: string; readonly container: Container }[] = [];
  #made = 0;

  /** @param start - starts a container by a name of its own */
  constructor(start: (name: string) => Promise<Container>) {
    this.#start = start;
  }

  /** Those under way, the one that was invoked first at the front. */
  get running(): Invocation[] {
    return this.all.filter(({ ending }) => ending === undefined);
  }

  /** Has some containers ready, so that a slow machine's time to start one does not count as the product's. */
  async warm(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.#idle.push(await this.#new());
  }

  /** @param event - what to do. @param timeoutMs - the function's time-out */
  async invoke(event: unknown, timeoutMs: number): Promise<Invocation> {
    const { name, container } = this.#idle.pop() ?? (await this.#new());
    const ended = container.invoke(event, timeoutMs);
    const begun = performance.now();
    const invocation: Invocation = {
      name,
      container,
      begun,
      timeoutMs,
      ending: undefined,
      endedAt: undefined,
      isSpared: false,
      ended,
    };
    this.all.push(invocation);
    const over = new AbortController();
    void ended.then((ending) => {
      invocation.ending = ending;
      invocation.endedAt = performance.now();
      over.abort();
      if (ending !== 'killed') this.#idle.push({ name, container });
    });
    void wait(timeoutMs + KILL_AFTER_MS, undefined, { signal: over.signal }).then(
      () => (invocation.isSpared ? undefined : container.kill()),
      () => undefined,
    );
    return invocation;
  }

  async #new(): Promise<{ readonly name: string; readonly container: Container }> {
    const name = `container-${++this.#made}`;
    return { name, container: await this.#start(name) };
  }
}
