/**
 * Ctrl-C and its like: the first asks for an orderly end, a second for an immediate one. Does not know what is
 * interrupted.
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/**
 * One Ctrl-C at a terminal reaches us twice, once directly and once through npm. What comes within this time, in
 * milliseconds, is the same one.
 */
const DEBOUNCE_MS = 500;

const AT_ONCE = 'Interrupted a second time: ended at once, nothing verified.';
const AT_START = 'Interrupted at the start: nothing was written.';

/** The demo was interrupted. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** Listens from its making to its release. */
export class Interruption {
  readonly #stop = new AbortController();
  readonly #now = new AbortController();
  readonly #clock: () => number;
  #first: number | undefined;

  /** @param clock - milliseconds, never going back */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    // `npm start | head` closes our output: nobody reads the summary.
    process.stdout.on('error', this.#onOutputClosed);
  }

  /** Aborts when the end is asked for. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Asks for the orderly end, as a first Ctrl-C does. */
  ask(): void {
    this.#stop.abort();
  }

  /**
   * @param work - the start, before which nothing is there to be verified
   * @returns what it returns
   * @throws {InterruptedError} when the end was asked for meanwhile; Ctrl-C ends what was being started, too
   */
  async starting<T>(work: Promise<T>): Promise<T> {
    const result = await work.catch((error: unknown) => {
      if (!this.stop.aborted) throw error;
    });
    if (this.stop.aborted) throw new InterruptedError(AT_START);
    return result as T;
  }

  /**
   * @param work - what a second Ctrl-C cuts short
   * @returns what it returns
   * @throws {InterruptedError} at the second Ctrl-C; the work goes on unattended until what it uses is taken away
   */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#now;
    work.catch(() => undefined);
    let cut = (): void => undefined;
    const interrupted = new Promise<never>((_resolve, reject) => {
      cut = () => reject(new InterruptedError(AT_ONCE));
      if (signal.aborted) cut();
      signal.addEventListener('abort', cut);
    });
    try {
      return await Promise.race([work, interrupted]);
    } finally {
      signal.removeEventListener('abort', cut);
    }
  }

  /** Listens no more. */
  release(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (): void => {
    const now = this.#clock();
    this.#first ??= now;
    if (now - this.#first > DEBOUNCE_MS) this.#now.abort();
    this.#stop.abort();
  };

  readonly #onOutputClosed = (): void => {
    this.#stop.abort();
    this.#now.abort();
  };
}
