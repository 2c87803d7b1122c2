/**
 * Failover slots (17+): the property by which a standby keeps a copy of a slot. It can be given to a slot that is there,
 * without a gap, by any role that may replicate, on a connection of the replication protocol. Knows no invocation.
 *
 * @see https://www.postgresql.org/docs/current/protocol-replication.html
 */
import pg from 'pg';
import { PipelineError } from '../errors.ts';
import { type Connection, type ConnectOptions, type Database, toPipelineError } from './connection.ts';
import { openReplication } from './replication-connection.ts';
import { readSlotRow } from './status-queries.ts';

/** The oldest server that has them. */
const MIN_VERSION_NUM = 170_000;

/**
 * Refuses what a server cannot do.
 *
 * @param connection - to the server
 * @param name - the slot
 * @throws {PipelineError} CONFIG_INVALID before 17, and on a standby
 */
export function requireFailoverSupport({ versionNum, identity }: Connection, name: string): void {
  const why =
    versionNum < MIN_VERSION_NUM
      ? `this server is PostgreSQL ${Math.floor(versionNum / 10_000)}, and they came with 17`
      : identity.inRecovery
        ? 'this server is a standby, which can have none of its own'
        : undefined;
  if (why === undefined) return;
  throw new PipelineError(
    'CONFIG_INVALID',
    `SLOT_FAILOVER is on, so that the slot "${name}" is to be a failover slot, but ${why}. The slot was not made or changed.`,
    { remedy: 'Set SLOT_FAILOVER=off. What to do without failover slots: docs/failover.md.' },
  );
}

/**
 * Makes a slot a failover slot, if it is none.
 *
 * @param database - for a connection of the replication protocol
 * @param options - how long it is for
 * @param connection - holds the slot's lock, or nobody reads the slot
 * @param name - the slot, which is there
 * @returns whether it was changed
 * @throws {PipelineError} CONFIG_INVALID before 17, SERVERS_DIFFER, and what the server says against it
 */
export async function makeFailoverSlot(
  database: Database,
  options: ConnectOptions,
  connection: Connection,
  name: string,
): Promise<boolean> {
  requireFailoverSupport(connection, name);
  if ((await readSlotRow(connection, name))?.failover !== false) return false;
  const notDone = `The slot "${name}" is there, and is no failover slot yet. To make it one: SLOT_FAILOVER=on and create-slot.`;
  const client = await openReplication(database, options, connection.identity, notDone);
  try {
    await client.query(`ALTER_REPLICATION_SLOT ${pg.escapeIdentifier(name)} (FAILOVER true)`);
    return true;
  } catch (error) {
    throw toPipelineError(error, { ...connection.context, slot: name, notDone });
  } finally {
    await client.end().catch(() => undefined);
  }
}
