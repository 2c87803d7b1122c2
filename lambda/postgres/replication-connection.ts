/**
 * A connection of the replication protocol, beside others of the same work: proven to lead to the same server (I1). Knows neither
 * slots nor what is asked on it.
 */
import type pg from 'pg';
import { PipelineError } from '../errors.ts';
import type { ServerIdentity } from '../ports/session.ts';
import { type ConnectOptions, type Database, logIn, toPipelineError } from './connection.ts';
import { describeServer, isSameServer, readServerIdentity } from './server-identity.ts';

/**
 * Opens one.
 *
 * @param database - the database to connect to
 * @param options - how long it is for
 * @param others - the server that the other connections lead to
 * @param notDone - what was not done if this one does not, a sentence
 * @returns a client to be ended, with nothing set
 * @throws {PipelineError} SERVERS_DIFFER, what a statement meets, and as {@link logIn}
 */
export async function openReplication(
  database: Database,
  options: ConnectOptions,
  others: ServerIdentity,
  notDone: string,
): Promise<pg.Client> {
  const { client, context } = await logIn(database, { ...options, replication: true });
  try {
    const server = await readServerIdentity({ query: (text) => client.query(text) });
    if (isSameServer(server, others)) return client;
    throw new PipelineError(
      'SERVERS_DIFFER',
      `A connection for replication reached another server (${describeServer(server)}) than the others (${describeServer(others)}). ${notDone}`,
    );
  } catch (error) {
    await client.end().catch(() => undefined);
    throw toPipelineError(error, { ...context, notDone });
  }
}
