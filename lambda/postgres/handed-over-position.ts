/**
 * How a run that is over in the middle of a transaction tells the next one where to go on: what waits for the lock is
 * another container, which remembers nothing of it. The text is the last statement of the control connection, which
 * pg_stat_activity shows to sessions of the same role alone. Knows nothing of what the text says.
 */
import { APPLICATION_NAME_PREFIX } from './session-settings.ts';
import { IS_LOCK, lockKey } from './slot-lock.ts';
import type { Queryable } from './status-queries.ts';

/** How long it stays there, in milliseconds: whoever waits has the lock at once, and looks first. */
export const HANDED_OVER_FOR_MS = 500;

const STATEMENT_TEXT = 'pg2kinesis left off at ';

/**
 * Leaves a text. It is there until the next statement. The server keeps 1,024 bytes of a statement, unless
 * track_activity_query_size says otherwise; what is longer arrives cut off, and is no text of ours.
 *
 * @param client - the connection with the second lock
 * @param text - what to leave, of some hundred bytes, without any row's value
 */
export async function writeHandedOver(client: Queryable, text: string): Promise<void> {
  await client.query(`SELECT '${STATEMENT_TEXT}${Buffer.from(text).toString('base64')}' AS position`);
}

/**
 * Reads what the last holder has left.
 *
 * @param client - a connection to the slot's database
 * @param lockName - of the second lock
 * @returns undefined: nothing
 */
export async function readHandedOver(client: Queryable, lockName: string): Promise<string | undefined> {
  const { rows } = await client.query(
    `SELECT a.query FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.granted AND ${IS_LOCK} AND a.usename = session_user AND a.application_name LIKE '${APPLICATION_NAME_PREFIX}%'`,
    [String(lockKey(lockName))],
  );
  const statement = rows[0]?.['query'];
  if (typeof statement !== 'string') return undefined;
  const [, text] = new RegExp(`^SELECT '${STATEMENT_TEXT}([A-Za-z0-9+/=]*)' AS position$`).exec(statement) ?? [];
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString();
}
