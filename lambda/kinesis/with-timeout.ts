/** A limit of time that holds for what heeds no signal, too: credentials that do not come. Knows no request. */

/**
 * Runs a request under a time-out that covers all of it, from credentials to the answer's last byte. When it strikes,
 * the connection is closed, and the SDK begins nothing more under an aborted signal: nothing stays in flight (I6).
 *
 * @param ms - how long it may take
 * @param request - makes it; the signal ends it
 * @throws TimeoutError, and what the request throws
 */
export async function withTimeout<T>(ms: number, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort();
      const error = new Error('The request to Kinesis took too long.');
      error.name = 'TimeoutError';
      reject(error);
    }, ms);
  });
  try {
    return await Promise.race([request(controller.signal), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
