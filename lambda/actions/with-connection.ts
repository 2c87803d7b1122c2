/**
 * One connection to the database for an action, closed whatever happens. Knows no action and no lock.
 */
import type { Container } from '../container.ts';
import { type Connection, toPipelineError } from '../postgres/connection.ts';
import { open } from '../postgres/connection-pair.ts';

/** When an invocation began, and when it must be over. Milliseconds since 1970. */
export interface InvocationDeadlines {
  readonly startedAt: number;
  /** The action has answered by then. */
  readonly functionDeadline: number;
  /** The process has been ended by then, by Lambda or by itself: another run may end its backends from then on. */
  readonly leaseExpiresAt: number;
}

/** One connection, closed whatever happens. */
export async function withConnection<T>(
  container: Container,
  { functionDeadline, leaseExpiresAt }: InvocationDeadlines,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await open(container.database, { deadline: functionDeadline, leaseExpiresAt });
  try {
    return await work(connection);
  } catch (error) {
    throw toPipelineError(error, { ...connection.context, slot: container.config.slot });
  } finally {
    await connection.client.end().catch(() => undefined);
  }
}
