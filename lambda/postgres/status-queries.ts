/**
 * What the server says of the slot: position, retained WAL, what holds it, who holds the lock. Reads only.
 * Knows no event and concludes nothing: what the rows mean is said in `lambda/health/retained-wal.ts`.
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';

/** What a query needs of a connection; `pg.Client` has it. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

/** A row of pg_replication_slots. What a server version does not have is undefined. */
export interface SlotRow {
  readonly name: string;
  readonly plugin: string | undefined;
  /** `logical` or `physical`. */
  readonly type: string;
  readonly database: string | undefined;
  readonly temporary: boolean;
  /** The backend that reads it just now. */
  readonly activePid: number | undefined;
  readonly restart: Lsn | undefined;
  readonly confirmedFlush: Lsn | undefined;
  /** From 13: reserved, extended, unreserved, lost. */
  readonly walStatus: string | undefined;
  /** From 13, where max_slot_wal_keep_size is set: bytes of WAL to write until it is lost. */
  readonly safeWalBytes: number | undefined;
  /** From 14. */
  readonly twoPhase: boolean;
  /** From 17, of a conflict from 16: why it is lost. */
  readonly invalidationReason: string | undefined;
  /** From 17: whether the server keeps it in step with the primary's. */
  readonly synced: boolean;
  /** From 17. */
  readonly failover: boolean;
  /** From 17: since when nobody has read it; undefined before, and while somebody does. */
  readonly inactiveSince: string | undefined;
}

/** A transaction, and the session it runs in. What the role may not see is undefined. */
export interface TransactionRow {
  /** Undefined: prepared, in no session. */
  readonly pid: number | undefined;
  /** A prepared transaction's name. */
  readonly prepared: string | undefined;
  readonly user: string | undefined;
  readonly application: string | undefined;
  readonly ageSeconds: number | undefined;
  readonly state: string | undefined;
}

/** A session. */
export interface SessionRow {
  readonly pid: number;
  readonly user: string | undefined;
  readonly application: string | undefined;
  readonly ageSeconds: number | undefined;
  readonly state: string | undefined;
}

/** Another slot that keeps more WAL. */
export interface OlderSlot {
  readonly name: string;
  readonly restart: Lsn;
  readonly active: boolean;
  /** From 17: since when nobody has read it. */
  readonly inactiveSince: string | undefined;
}

/** All that `status` asks for. */
export interface StatusRows {
  readonly serverVersion: string;
  readonly serverVersionNum: number;
  /** The flush LSN; of a standby what it has received. */
  readonly flush: Lsn;
  /** Undefined: it does not exist. */
  readonly slot: SlotRow | undefined;
  /** Other slots that keep WAL from before this slot's restart_lsn; the oldest first. */
  readonly olderSlots: readonly OlderSlot[];
  /** The oldest transaction that writes and is still open. */
  readonly oldestTransaction: TransactionRow | undefined;
}

/** Reads a column by kind, tolerant of what a version does not have. */
const column = {
  text: (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined),
  number: (value: unknown): number | undefined =>
    value === null || value === undefined || value === '' ? undefined : Number(value),
  lsn: (value: unknown): Lsn | undefined => (typeof value === 'string' ? parseLsn(value) : undefined),
  // An empty text is what pg_stat_activity shows for an application that gave no name.
  name: (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined),
};

/** The farthest position a peek can see; the write LSN is not, and must not be used (I2). */
export const FLUSH_LSN =
  'CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END';

/** The end of the WAL here, with all names qualified, since a server's identity is read before anything is set: on a standby what it has received, replayed or not. */
export const WAL_END = `CASE WHEN pg_catalog.pg_is_in_recovery() THEN greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) ELSE ${FLUSH_LSN} END`;

/**
 * Reads the end of the WAL.
 *
 * @param client - a connection to any database of the server
 */
export async function readFlushLsn(client: Queryable): Promise<Lsn | undefined> {
  const { rows } = await client.query(`SELECT (${WAL_END})::text AS flush`);
  return column.lsn(rows[0]?.['flush']);
}

/**
 * Reads one slot's row, whatever the server's version.
 *
 * @param client - a connection to any database of the server
 * @param name - the slot's name
 * @returns undefined when there is no such slot
 */
export async function readSlotRow(client: Queryable, name: string): Promise<SlotRow | undefined> {
  const { rows } = await client.query(`SELECT ${SLOT_JSON} AS slot`, [name]);
  return toSlotRow(name, rows[0]?.['slot']);
}

/** The slot $1. As JSON, a row is read by its columns' names, and those a version does not have are merely absent. */
export const SLOT_JSON = '(SELECT to_jsonb(s) FROM pg_replication_slots s WHERE slot_name = $1)';

/**
 * @param name - the slot's name
 * @param json - what {@link SLOT_JSON} gave
 * @returns undefined when there is no such slot
 */
export function toSlotRow(name: string, json: unknown): SlotRow | undefined {
  if (json === null || json === undefined) return undefined;
  const row = json as Record<string, unknown>;
  return {
    name,
    plugin: column.text(row['plugin']),
    type: column.text(row['slot_type']) ?? 'logical',
    database: column.text(row['database']),
    temporary: row['temporary'] === true,
    activePid: column.number(row['active_pid']),
    restart: column.lsn(row['restart_lsn']),
    confirmedFlush: column.lsn(row['confirmed_flush_lsn']),
    walStatus: column.text(row['wal_status']),
    safeWalBytes: column.number(row['safe_wal_size']),
    twoPhase: row['two_phase'] === true,
    // 16 has only this of it.
    invalidationReason:
      column.text(row['invalidation_reason']) ?? (row['conflicting'] === true ? 'conflict' : undefined),
    synced: row['synced'] === true,
    failover: row['failover'] === true,
    inactiveSince: column.text(row['inactive_since']),
  };
}

/**
 * Reads what `status` tells.
 *
 * @param client - a connection to the slot's database
 * @param name - the slot's name
 */
export async function readStatus(client: Queryable, name: string): Promise<StatusRows> {
  const { rows } = await client.query(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS num, (${WAL_END})::text AS flush`,
  );
  const slot = await readSlotRow(client, name);
  return {
    serverVersion: column.text(rows[0]?.['version']) ?? '',
    serverVersionNum: Number(rows[0]?.['num']),
    flush: column.lsn(rows[0]?.['flush']) ?? 0n,
    slot,
    olderSlots: await readOlderSlots(client, name),
    oldestTransaction: await readOldestTransaction(client),
  };
}

/** Slots that hold WAL from before this one's restart_lsn. */
async function readOlderSlots(client: Queryable, name: string): Promise<StatusRows['olderSlots']> {
  const { rows } = await client.query(
    `SELECT o.slot_name AS name, o.restart_lsn::text AS restart, o.active, to_jsonb(o)->>'inactive_since' AS inactive
       FROM pg_replication_slots o
      JOIN pg_replication_slots s ON s.slot_name = $1 AND o.slot_name <> s.slot_name AND o.restart_lsn < s.restart_lsn
      ORDER BY o.restart_lsn LIMIT 5`,
    [name],
  );
  return rows.map((row) => ({
    name: String(row['name']),
    restart: column.lsn(row['restart']) ?? 0n,
    active: row['active'] === true,
    inactiveSince: column.text(row['inactive']),
  }));
}

/**
 * The oldest open transaction that has written: a session's, or a prepared one.
 *
 * @param client - a connection to any database of the server
 */
export async function readOldestTransaction(client: Queryable): Promise<TransactionRow | undefined> {
  const { rows } = await client.query(
    `SELECT * FROM (
       SELECT age(backend_xid) AS xid_age, pid, NULL::text AS prepared, usename::text AS "user", application_name AS application,
              extract(epoch FROM clock_timestamp() - xact_start) AS age, state
         FROM pg_stat_activity WHERE backend_xid IS NOT NULL
       UNION ALL
       SELECT age(transaction), NULL, gid, owner::text, NULL, extract(epoch FROM clock_timestamp() - prepared), 'prepared'
         FROM pg_prepared_xacts
     ) t ORDER BY xid_age DESC LIMIT 1`,
  );
  return rows[0] === undefined ? undefined : toTransaction(rows[0]);
}

/**
 * Finds whom a waiting backend waits for.
 *
 * @param client - another connection than the waiting one
 * @param pid - the backend that waits
 * @returns undefined when it waits for none that can be seen
 */
export async function readBlocker(client: Queryable, pid: number): Promise<TransactionRow | undefined> {
  const { rows } = await client.query(
    `SELECT a.pid, NULL AS prepared, a.usename::text AS "user", a.application_name AS application,
            extract(epoch FROM clock_timestamp() - a.xact_start) AS age, a.state
       FROM unnest(pg_blocking_pids($1)) b(pid) JOIN pg_stat_activity a ON a.pid = b.pid
     UNION ALL
     SELECT NULL, gid, owner::text, NULL, extract(epoch FROM clock_timestamp() - prepared), 'prepared'
       FROM pg_prepared_xacts WHERE 0 = ANY (pg_blocking_pids($1))
     LIMIT 1`,
    [pid],
  );
  return rows[0] === undefined ? undefined : toTransaction(rows[0]);
}

/** One backend, as pg_stat_activity shows it. @param pid - its process. @returns undefined when it is gone */
export async function readSession(client: Queryable, pid: number): Promise<SessionRow | undefined> {
  const { rows } = await client.query(
    `SELECT pid, usename::text AS "user", application_name AS application,
            extract(epoch FROM clock_timestamp() - backend_start) AS age, state
       FROM pg_stat_activity WHERE pid = $1`,
    [pid],
  );
  return rows[0] === undefined ? undefined : { ...toTransaction(rows[0]), pid };
}

function toTransaction(row: Record<string, unknown>): TransactionRow {
  const age = column.number(row['age']);
  return {
    pid: column.number(row['pid']),
    prepared: column.text(row['prepared']),
    user: column.name(row['user']),
    application: column.name(row['application']),
    ageSeconds: age === undefined ? undefined : Math.round(age * 10) / 10,
    state: column.name(row['state']),
  };
}

/**
 * Names a transaction so that an operator can find it.
 *
 * @param transaction - the row of the transaction
 * @returns for example `backend 4711 (user app, application psql, open for 12 s, idle in transaction)`
 */
export function describeTransaction(transaction: TransactionRow): string {
  const { pid, prepared, user, application, ageSeconds, state } = transaction;
  const details = [
    `user ${user ?? 'unknown'}`,
    `application ${application ?? 'unnamed'}`,
    ageSeconds === undefined ? 'of unknown age' : `open for ${ageSeconds} s`,
    ...(prepared === undefined ? [state ?? 'state not visible to this role'] : []),
  ].join(', ');
  return prepared === undefined
    ? `backend ${pid ?? 'unknown'} (${details})`
    : `prepared transaction ${JSON.stringify(prepared)} (${details})`;
}
