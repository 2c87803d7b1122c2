/**
 * Where a server's timelines began: at a promotion or the end of a restore to a point in time its history forks, and what
 * the former server wrote after that does not exist here. Asked on a connection of the replication protocol, which the
 * role of the pipeline may use. Reads only.
 *
 * @see https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import { type ConnectOptions, type Database, logIn } from './connection.ts';

/** The end of a timeline, where the next one began. */
export interface Fork {
  readonly timeline: number;
  /** What was written on that timeline after this position is no part of the history. */
  readonly end: Lsn;
}

/**
 * Reads the timelines before one.
 *
 * @param database - for the connection
 * @param options - how long it is for
 * @param timeline - the server's own
 * @returns the oldest first; undefined where the server does not tell
 */
export async function readTimelineHistory(
  database: Database,
  options: ConnectOptions,
  timeline: number,
): Promise<readonly Fork[] | undefined> {
  if (timeline <= 1) return [];
  const opened = await logIn(database, { ...options, replication: true }).catch(() => undefined);
  if (opened === undefined) return undefined;
  try {
    const { rows } = await opened.client.query<{ content: unknown }>(`TIMELINE_HISTORY ${timeline}`);
    return parseHistory(String(rows[0]?.content));
  } catch {
    return undefined;
  } finally {
    await opened.client.end().catch(() => undefined);
  }
}

/**
 * @param text - a timeline history file: timeline, LSN and reason a line, comments after `#`
 * @returns the forks, in the order of the file
 */
export function parseHistory(text: string): Fork[] {
  return text.split('\n').flatMap((line) => {
    const [, timeline, lsn = ''] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];
    const end = parseLsn(lsn);
    return timeline === undefined || end === undefined ? [] : [{ timeline: Number(timeline), end }];
  });
}
