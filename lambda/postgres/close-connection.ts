/**
 * The end of a connection: in good order, at once, or by itself when its time is over. Knows no statement.
 */
import type pg from 'pg';
import type { Clock } from '../ports/runtime.ts';

/**
 * Drops a connection when its time is over. A server that stopped answering must not keep us past our time, and no time-out
 * of the server's would end that.
 *
 * @param client - whose connection it is
 * @param when - milliseconds since 1970
 * @param clock - measures the time
 */
export function closeAt(client: pg.Client, when: number, clock: Clock): void {
  const over = new AbortController();
  client.once('end', () => over.abort());
  void clock.sleep(Math.max(0, when - clock.now()), over.signal).then(() => {
    if (!over.signal.aborted) destroy(client);
  });
}

/**
 * Drops a connection without a farewell, which could wait for a server that does not answer.
 *
 * @param client - whose queries all reject
 */
export function destroy(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}

/**
 * Drops a connection where work on it is not done in time. A pool lets everybody log in, and may have no backend for minutes.
 *
 * @param client - whose statements the work waits for
 * @param ms - how long it may take
 * @param clock - measures the time
 * @param work - what is waited for
 */
export async function dropIfLate<T>(client: pg.Client, ms: number, clock: Clock, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  void clock.sleep(ms, done.signal).then(() => {
    if (!done.signal.aborted) destroy(client);
  });
  return await work.finally(() => done.abort());
}

/**
 * Ends a connection in good order, within a second: the server gives up the lock when it goes, one way or the other.
 *
 * @param connection - the connection to close
 * @param clock - measures the second that it is given
 * @param before - what is done on it before, within that second @default nothing
 */
export async function closeGracefully(
  { client }: { readonly client: pg.Client },
  clock: Clock,
  before?: () => Promise<unknown>,
): Promise<void> {
  const end = async (): Promise<void> => {
    if (before !== undefined) await before().catch(() => undefined);
    await client.end().catch(() => undefined);
  };
  await dropIfLate(client, 1_000, clock, end());
}
