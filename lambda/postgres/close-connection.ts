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
  const gone = new AbortController();
  void clock.sleep(1_000, gone.signal).then(() => {
    if (!gone.signal.aborted) destroy(client);
  });
  if (before !== undefined) await before().catch(() => undefined);
  await client.end().catch(() => undefined);
  gone.abort();
}
