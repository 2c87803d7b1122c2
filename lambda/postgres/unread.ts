/**
 * What a slot holds that nobody has read: asked before it is dropped. Reads without consuming.
 */
import { formatLsn } from '../decode/lsn.ts';
import type { Connection } from './connection.ts';
import { readFlushLsn, readSlotRow } from './status-queries.ts';

/** What would be lost with the slot. */
export interface Unread {
  /** WAL after the slot's position, of which the unread changes are a part. */
  readonly walBytes: number;
  /** When the first unread transaction was committed, as the server prints it; undefined: it could not be read in time. */
  readonly since: string | undefined;
}

/** How long to look for the first transaction. */
const TIMEOUT_MS = 10_000;

/**
 * Looks for the first unread transaction.
 *
 * @param connection - holds the slot's lock; its statement time-out is changed
 * @param slotName - the slot
 * @returns undefined: there is no slot, nothing is unread in it, or the server has given it up, so that nobody can read it
 */
export async function readUnread(connection: Connection, slotName: string): Promise<Unread | undefined> {
  const slot = await readSlotRow(connection.client, slotName);
  const flush = await readFlushLsn(connection.client);
  if (slot?.confirmedFlush === undefined || flush === undefined || flush <= slot.confirmedFlush) return undefined;
  const { plugin } = connection;
  const walBytes = Number(flush - slot.confirmedFlush);
  if (slot.walStatus === 'lost' || slot.invalidationReason !== undefined) return undefined;
  try {
    await connection.client.query(`SET statement_timeout = ${TIMEOUT_MS}`);
    // A limit of one row reads the whole of the first transaction; of it only the COMMIT is sent here.
    const { rows } = await connection.client.query<{ commit: string | null }>(
      `SELECT max(CASE WHEN ${plugin.endsTransaction} THEN ${plugin.commitTime} END) AS commit
         FROM pg_logical_slot_peek_binary_changes($1, $2, 1, ${plugin.options}) p HAVING count(*) > 0`,
      [slotName, formatLsn(flush)],
    );
    if (rows[0] === undefined) return undefined;
    return { walBytes, since: rows[0].commit ?? undefined };
  } catch {
    // Too much to be read in time, or not to be read at all: it is not known to be nothing.
    return { walBytes, since: undefined };
  } finally {
    await connection.client.query('SET statement_timeout = 60000').catch(() => undefined);
  }
}
