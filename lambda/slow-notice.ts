/**
 * Says that something takes long, for whom and for how long, so that nobody has to guess whether it hangs. Knows nothing
 * of what is waited for.
 */
import type { Clock, Log } from './ports/runtime.ts';

/** A wait that takes longer than this is logged. */
export const SLOW_MS = 3_000;
/** And again after so long. */
const AGAIN_MS = 15_000;
/** No more than so often: nothing here waits for longer. */
const MAX_NOTICES = 100;

/**
 * Waits for something, and says so in the log while it takes long.
 *
 * @param parts - time and log
 * @param about - a sentence without its end, for example `Waiting for Kinesis, up to 10 s`; asked for when it is needed
 * @param work - what is waited for
 * @returns what it results in
 */
export async function withNotice<T>(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  about: () => string | Promise<string>,
  work: Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const begun = clock.now();
  const tell = async (): Promise<void> => {
    for (let i = 0; i < MAX_NOTICES; i++) {
      await clock.sleep(i === 0 ? SLOW_MS : AGAIN_MS, over.signal);
      if (over.signal.aborted) return;
      const text = await about();
      log.info(`${text}; ${Math.round((clock.now() - begun) / 1000)} s so far.`);
    }
  };
  void tell().catch(() => undefined);
  try {
    return await work;
  } finally {
    over.abort();
  }
}
