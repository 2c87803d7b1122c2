/**
 * The lock of a slot (I6): a session advisory lock. Its holder may publish. A run's is held by the connection that peeks, from
 * `openSession` until the session closes; an action's by a connection of its own; in both cases until the server ends that connection.
 * A holder of ours that is past its time is ended; any other is named and left alone.
 * Knows nothing of what is done under the lock.
 */
import { createHash } from 'node:crypto';
import { PipelineError } from '../errors.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import { APPLICATION_NAME_PREFIX } from './session-settings.ts';
import { TERMINATE_BACKEND } from './signal-backend.ts';
import type { Queryable } from './status-queries.ts';

/** A backend that holds the lock, or uses the slot. */
export interface Holder {
  readonly pid: number;
  /** Undefined: not visible to this role, or none given. */
  readonly application: string | undefined;
  readonly user: string | undefined;
  /** How long it has been connected. */
  readonly ageSeconds: number | undefined;
  readonly state: string | undefined;
}

/** What became of asking for the lock. */
export type LockResult =
  | {
      readonly kind: 'held';
      /** Whether a holder was ended. */
      readonly tookOver: boolean;
      /** When that was. Another may have had the lock since. */
      readonly endedAt?: number | undefined;
    }
  | { readonly kind: 'locked'; readonly holder: Holder | undefined };

/** How to ask. */
export interface LockOptions {
  readonly slotName: string;
  /** How long to wait for a holder that is alive and well. @default 0 */
  readonly waitMs?: number;
  /** Wait for a holder until its end, where its own time limit ends within so many milliseconds. @default no holder is waited for so */
  readonly holderEndsWithinMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Backend extends Holder {
  /** Of our role and with our name. */
  readonly ours: boolean;
  /** Whether the time in its application name has passed. */
  readonly expired: boolean;
  /** How long it is until that time, in milliseconds; undefined: its name has none, or it is not of our role. */
  readonly endsInMs: number | undefined;
}

const SLOT_POLL_MS = 200;
/** One wait in the lock's queue. After it the holder is looked at again: it may have expired, or the wait be worth a line. */
const QUEUE_MS = 3_000;
/** How long the lock is tried once more where the holder could not be ended. */
const RETRY_MS = 100;
/** A holder that has to end is gone so long after its end, or is ended. */
const END_GRACE_MS = 2_000;
/** SQLSTATE lock_not_available: lock_timeout has passed. */
const LOCK_NOT_AVAILABLE = '55P03';
/** A backend ended by pg_terminate_backend is gone in milliseconds; one deep in decoding takes a little longer. */
const TERMINATE_GRACE_MS = 10_000;
/** Another client may use the slot for a moment, for example to peek. */
const BUSY_GRACE_MS = 2_000;

/**
 * The key of a slot's advisory lock. The lock is of the slot's database.
 *
 * @param slotName - the slot
 * @returns 64 bits, signed
 */
export function lockKey(slotName: string): bigint {
  return createHash('sha256').update(`pg2kinesis:${slotName}`).digest().readBigInt64BE();
}

/**
 * Takes the lock, for as long as the connection lives. It waits in the server's queue for the lock, where the holder sees
 * it (`readLock`): a run that lingers gives the lock to whoever waits.
 *
 * @param client - the connection that is to hold it
 * @param options - which, and how long to wait
 * @returns held, or who holds it
 */
export async function acquireSlotLock(
  client: Queryable,
  { slotName, waitMs = 0, holderEndsWithinMs = -1, clock, log }: LockOptions,
): Promise<LockResult> {
  const key = String(lockKey(slotName));
  const begun = clock.now();
  let until = begun + waitMs;
  let tookOver = false;
  let endedAt: number | undefined;
  const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS held', [key]);
  if (rows[0]?.['held'] === true) return { kind: 'held', tookOver };
  for (;;) {
    const holder = await readHolder(client, slotName);
    if (holder?.expired === true && !tookOver) {
      tookOver = await terminate(client, holder, slotName, log);
      if (tookOver) {
        endedAt = clock.now();
        until = Math.max(until, endedAt + TERMINATE_GRACE_MS);
      }
      // It has ended by itself, or another backend has its process id by now.
      else if (await queueForLock(client, key, RETRY_MS)) return { kind: 'held', tookOver };
    } else if (holder?.endsInMs !== undefined && holder.endsInMs <= holderEndsWithinMs) {
      until = Math.max(until, clock.now() + holder.endsInMs + END_GRACE_MS);
    }
    const now = clock.now();
    if (now >= until) return { kind: 'locked', holder };
    if (now - begun >= QUEUE_MS) {
      log.info(
        `Waiting for the slot, which is held by ${describeHolder(holder)}: ${Math.round((now - begun) / 1000)} s so far, up to ${Math.round((until - begun) / 1000)} s.`,
        { slot: slotName },
      );
    }
    // Not past the holder's end: it is ended then.
    const expiresInMs = Math.max(1, holder?.expired === false ? (holder.endsInMs ?? Infinity) : Infinity);
    if (await queueForLock(client, key, Math.min(QUEUE_MS, until - now, expiresInMs)))
      return { kind: 'held', tookOver, endedAt };
  }
}

/**
 * Waits in the queue for a lock. Not for longer at a time than needed: a waiting statement keeps a snapshot, and with it dead rows.
 *
 * @returns whether it is held
 */
async function queueForLock(client: Queryable, key: string, ms: number): Promise<boolean> {
  const setTimeout = async (timeout: string) =>
    await client.query("SELECT set_config('lock_timeout', $1, false)", [timeout]);
  await setTimeout(`${Math.max(1, Math.ceil(ms))}ms`);
  let held = true;
  try {
    await client.query('SELECT pg_advisory_lock($1)', [key]);
  } catch (error) {
    if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    held = false;
  }
  await setTimeout('0');
  return held;
}

/**
 * Finds who holds a slot's lock. Takes nothing.
 *
 * @param client - a connection to the slot's database
 * @param slotName - the slot
 * @returns undefined when nobody does
 */
export async function readHolder(client: Queryable, slotName: string): Promise<Backend | undefined> {
  const { rows } = await client.query(
    `SELECT ${BACKEND} FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND ${IS_LOCK} LIMIT 1`,
    [String(lockKey(slotName))],
  );
  return toBackend(rows[0]);
}

/** A slot's lock, as pg_locks shows it. */
export interface LockView {
  /** The process id of the backend that holds it; undefined: nobody does. */
  readonly holderPid: number | undefined;
  /** Whether another backend waits for it. */
  readonly isAwaited: boolean;
}

/**
 * Looks at a slot's lock, and at nothing else of its holder: a fifth of the time that {@link readHolder} takes.
 *
 * @param client - a connection to the slot's database
 * @param slotName - the slot
 */
export async function readLock(client: Queryable, slotName: string): Promise<LockView> {
  const { rows } = await client.query(`SELECT l.pid, l.granted FROM pg_locks l WHERE ${IS_LOCK}`, [
    String(lockKey(slotName)),
  ]);
  const holder = rows.find(({ granted }) => granted === true);
  return {
    holderPid: holder === undefined ? undefined : Number(holder['pid']),
    isAwaited: rows.some(({ granted }) => granted === false),
  };
}

/**
 * With the lock taken, sees to it that no other backend is inside the slot: an orphan of ours (a run that was killed,
 * its lock gone, a statement of it still working) is ended, anybody else is waited for a moment.
 *
 * @param client - the connection that holds the lock
 * @param options - the slot, time and the log
 * @returns whether an orphan was ended
 * @throws {PipelineError} SLOT_BUSY, naming the other process
 */
export async function clearSlot(client: Queryable, { slotName, clock, log }: LockOptions): Promise<boolean> {
  let until = clock.now() + BUSY_GRACE_MS;
  let ended = false;
  for (;;) {
    const user = await readSlotUser(client, slotName);
    if (user === undefined) return ended;
    if (clock.now() >= until) {
      if (!user.ours || ended) {
        throw new PipelineError(
          'SLOT_BUSY',
          `Slot "${slotName}" is in use by ${describeHolder(user)}. Nothing was read and the slot was not advanced.`,
        );
      }
      ended = await terminate(client, user, slotName, log);
      until = clock.now() + TERMINATE_GRACE_MS;
    }
    await clock.sleep(SLOT_POLL_MS);
  }
}

/** A backend that reads a slot, in words. */
export interface SlotReader {
  readonly pid: number;
  readonly description: string;
  /** Whether it is a run's, by its role and name. */
  readonly ours: boolean;
}

/**
 * Finds who reads a slot just now. Takes nothing.
 *
 * @param client - a connection to any database of the server
 * @param slotName - the slot
 * @returns undefined when nobody does
 */
export async function readSlotReader(client: Queryable, slotName: string): Promise<SlotReader | undefined> {
  const user = await readSlotUser(client, slotName);
  return user && { pid: user.pid, description: describeHolder(user), ours: user.ours };
}

async function readSlotUser(client: Queryable, slotName: string): Promise<Backend | undefined> {
  const { rows } = await client.query(
    `SELECT ${BACKEND} FROM (SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL) l
       LEFT JOIN pg_stat_activity a ON a.pid = l.pid`,
    [slotName],
  );
  return toBackend(rows[0]);
}

/**
 * Names a backend so that an operator can find it.
 *
 * @param holder - undefined: it was gone before it could be looked at
 * @returns for example `backend 4711 (user app, application psql, connected for 12 s, active)`
 */
export function describeHolder(holder: Holder | undefined): string {
  if (holder === undefined) return 'a backend that is gone by now';
  const age = holder.ageSeconds === undefined ? 'for an unknown time' : `for ${Math.round(holder.ageSeconds)} s`;
  return `backend ${holder.pid} (user ${holder.user ?? 'unknown'}, application ${holder.application ?? 'unnamed'}, connected ${age}, ${holder.state ?? 'state not visible to this role'})`;
}

/** Whether a row of pg_locks, as `l`, is of the lock of the key $1. */
export const IS_LOCK = `l.locktype = 'advisory' AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32) | l.objid::bigint = $1::bigint`;

/** Columns of a backend joined as `a` to `l`, which has its pid. The server's clock decides, as the names are the server's. */
const BACKEND = `l.pid, a.application_name AS application, a.usename::text AS "user", a.state,
  extract(epoch FROM clock_timestamp() - a.backend_start)::float8 AS age,
  a.usename = session_user AND a.application_name LIKE '${APPLICATION_NAME_PREFIX}%' AS ours,
  CASE WHEN a.usename = session_user AND a.application_name ~ '^${APPLICATION_NAME_PREFIX}[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$'
    THEN 1000 * extract(epoch FROM substr(a.application_name, ${APPLICATION_NAME_PREFIX.length + 1})::timestamptz - clock_timestamp())::float8 END AS ends_in_ms`;

function toBackend(row: Record<string, unknown> | undefined): Backend | undefined {
  if (row === undefined) return undefined;
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const endsInMs = typeof row['ends_in_ms'] === 'number' ? row['ends_in_ms'] : undefined;
  return {
    pid: Number(row['pid']),
    application: text(row['application']),
    user: text(row['user']),
    state: text(row['state']),
    ageSeconds: typeof row['age'] === 'number' ? row['age'] : undefined,
    ours: row['ours'] === true,
    expired: endsInMs !== undefined && endsInMs < 0,
    endsInMs,
  };
}

/** Ends a backend, if it is still the one that was looked at. */
async function terminate(client: Queryable, backend: Backend, slotName: string, log: Log): Promise<boolean> {
  const { rows } = await client.query(TERMINATE_BACKEND, [backend.pid, backend.application ?? '']);
  const ended = rows[0]?.['ended'] === true;
  if (ended)
    log.warn(`Ended a backend that an earlier run left behind: ${describeHolder(backend)}.`, {
      slot: slotName,
      pid: backend.pid,
    });
  return ended;
}
