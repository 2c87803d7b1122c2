/**
 * Which server a connection has reached. Two connections to one host name may reach two servers: a name with two
 * addresses, a balancer, DNS that turns. Reads and compares; knows no slot and does not decide what follows.
 */
import { parseLsn } from '../decode/lsn.ts';
import type { ServerIdentity } from '../ports/session.ts';
import { codeOf } from './error-context.ts';
import { type Queryable, WAL_END } from './status-queries.ts';

const STARTED_AT = `pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const ALWAYS = `${STARTED_AT} AS started, pg_catalog.pg_is_in_recovery() AS recovery`;
const SYSTEM = '(SELECT s.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() s) AS system';
// Of a standby what it receives, else what its last restartpoint was on. Of a primary pg_control_checkpoint is seconds late.
const TIMELINE = `CASE WHEN pg_catalog.pg_is_in_recovery()
  THEN coalesce((SELECT r.received_tli FROM pg_catalog.pg_stat_get_wal_receiver() r), (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c))::pg_catalog.text
  ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END AS timeline`;
const END = `(${WAL_END})::pg_catalog.text AS wal_end`;

/**
 * Asks a server who it is.
 *
 * @param client - the connection
 * @returns what it says; what it does not let this role ask is undefined
 */
export async function readServerIdentity(client: Queryable): Promise<ServerIdentity> {
  const row = (await ask(client, `${ALWAYS}, ${SYSTEM}, ${TIMELINE}, ${END}`)) ?? {
    ...(await client.query(`SELECT ${ALWAYS}`)).rows[0],
    ...(await ask(client, SYSTEM)),
    ...(await ask(client, TIMELINE)),
    ...(await ask(client, END)),
  };
  const { started, recovery, system, timeline, wal_end: walEnd } = row;
  if (typeof started !== 'string') throw new Error('the server did not say when it was started');
  return {
    systemIdentifier: typeof system === 'string' ? system : undefined,
    startedAt: started,
    inRecovery: recovery === true,
    // The name of a segment has it in hexadecimal digits.
    timeline: typeof timeline === 'string' ? parseInt(timeline, recovery === true ? 10 : 16) : undefined,
    walEnd: typeof walEnd === 'string' ? parseLsn(walEnd) : undefined,
  };
}

/** No right to the function, not there in this kind of server, or a promotion between its two parts. */
const NOT_TOLD = new Set(['42501', '42883', '0A000', '55000']);

async function ask(client: Queryable, columns: string): Promise<Record<string, unknown> | undefined> {
  try {
    return (await client.query(`SELECT ${columns}`)).rows[0];
  } catch (error) {
    if (NOT_TOLD.has(codeOf(error))) return undefined;
    throw error;
  }
}

/**
 * Tells one server from two. A physical standby has its primary's system identifier; no two servers start in the same
 * microsecond.
 *
 * @param one - what one connection says of its server
 * @param other - what the other connection says
 */
export function isSameServer(one: ServerIdentity, other: ServerIdentity): boolean {
  return one.systemIdentifier === other.systemIdentifier && one.startedAt === other.startedAt;
}

/**
 * Names a server so that an operator can tell it from another.
 *
 * @param identity - what was read from the server
 * @returns for example `system 7301234, started 2026-01-02T03:04:05.678901Z, a standby`
 */
export function describeServer({ systemIdentifier, startedAt, inRecovery }: ServerIdentity): string {
  return `system ${systemIdentifier ?? 'unknown'}, started ${startedAt}${inRecovery ? ', a standby' : ''}`;
}
