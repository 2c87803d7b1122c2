/**
 * Where a server's timelines began: at a promotion or the end of a restore to a point in time its history forks, and what
 * the former server wrote after that does not exist here. Asked on a connection of the replication protocol, which the
 * role of the pipeline may use. Reads only.
 *
 * @see https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import type { ServerIdentity } from '../ports/session.ts';
import type { ConnectOptions, Database } from './connection.ts';
import { openReplication } from './replication-connection.ts';

/** The end of a timeline, where the next one began. */
export interface Fork {
  readonly timeline: number;
  /** What was written on that timeline after this position is no part of the history. */
  readonly end: Lsn;
}

/**
 * Reads the timelines before a server's own.
 *
 * @param database - for the connection
 * @param options - how long it is for
 * @param server - whose history it is
 * @returns the oldest first; undefined where the server does not tell
 */
export async function readTimelineHistory(
  database: Database,
  options: ConnectOptions,
  server: ServerIdentity,
): Promise<readonly Fork[] | undefined> {
  const { timeline = 1 } = server;
  if (timeline <= 1) return [];
  const client = await openReplication(database, options, server, 'No history was read.').catch(() => undefined);
  if (client === undefined) return undefined;
  try {
    const { rows } = await client.query<{ content: unknown }>(`TIMELINE_HISTORY ${timeline}`);
    return parseHistory(String(rows[0]?.content));
  } catch {
    return undefined;
  } finally {
    await client.end().catch(() => undefined);
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
