/**
 * How old the first unread commit of a slot is, for `status`. It is read from a temporary copy of the slot: to read the slot
 * itself would change its statistics, by which a run knows that nobody has read it since, and a run could meet us in it.
 * Whatever goes wrong, the answer is that it is not known.
 */
import type { Connection } from './connection.ts';

/** `pg_copy_logical_replication_slot` came in 12. */
const COPIES_SLOTS = 120_000;
/** How long each of the statements may take. */
const TIMEOUT_MS = 1_500;

/** What was found. */
export type FirstUnread =
  | { readonly kind: 'none' }
  /** @see committedMs - milliseconds since 1970 */
  | { readonly kind: 'found'; readonly committedMs: number };

/**
 * Looks for the first unread transaction.
 *
 * @param connection - to the slot's database; its statement time-out is changed, so it is not to be used after this
 * @param slotName - a slot that runs read
 * @param onCopy - called with the name of the copy, which may be read
 * @returns undefined when it could not be found out in time
 */
export async function readFirstUnread(
  connection: Connection,
  slotName: string,
  onCopy: (copy: string) => Promise<void>,
): Promise<FirstUnread | undefined> {
  const { client, plugin, versionNum } = connection;
  if (versionNum < COPIES_SLOTS) return undefined;
  try {
    await client.query(`SET statement_timeout = ${TIMEOUT_MS}`);
    const { rows: backend } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const copy = `${slotName.slice(0, 40)}_age_${backend[0]?.pid ?? 0}`;
    // Temporary: it goes with the connection, whatever becomes of what follows.
    await client.query('SELECT pg_copy_logical_replication_slot($1, $2, true, $3)', [slotName, copy, plugin.name]);
    await onCopy(copy);
    // A limit of one row reads the whole of the first transaction; of it only the COMMIT is sent here.
    const { rows } = await client.query<{ committed: number | null }>(
      `SELECT extract(epoch FROM max(CASE WHEN ${plugin.endsTransaction} THEN ${plugin.commitTime} END)::timestamptz)::float8 AS committed
         FROM pg_logical_slot_peek_binary_changes($1, NULL, 1, ${plugin.options}) p HAVING count(*) > 0`,
      [copy],
    );
    await client.query('SELECT pg_drop_replication_slot($1)', [copy]);
    const [row] = rows;
    if (row === undefined) return { kind: 'none' };
    return row.committed === null ? undefined : { kind: 'found', committedMs: row.committed * 1000 };
  } catch {
    return undefined;
  }
}
