/**
 * Who is at work on a copy. Each replica that begins raises the copy's epoch, and holds a lock of that epoch as long as its session
 * lasts. So whoever begins next sees whether the last one is still there, however that one began. What protects the rows is the
 * epoch; the lock is for a clear message.
 */
import type pg from 'pg';
import { ReplicaError } from '../errors.ts';

const KEY = `hashtext('pg2kinesis.replica'), hashtext($1 || ' ' || $2)`;

/** The server may not have noticed yet that the last replica was killed. */
const ATTEMPTS = 20;

/**
 * Takes the lock of the copy's epoch: the replica that has raised it is gone.
 *
 * @param client - of the target
 * @param name - the copy's
 * @returns the epoch
 * @throws {ReplicaError} REPLICA_BUSY
 */
export async function lockLastEpoch(client: pg.Client, name: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const { rows } = await client.query<{ epoch: string }>(
      `SELECT COALESCE((SELECT epoch FROM pg2kinesis.replica WHERE name = $1), 0)::text AS epoch`,
      [name],
    );
    const epoch = rows[0]?.epoch ?? '0';
    if (await tryLock(client, name, epoch)) return epoch;
    if (attempt === ATTEMPTS) throw await busy(client, name, epoch);
    await client.query('SELECT pg_sleep(0.25)');
  }
}

/** Takes the lock of an epoch that nobody has yet. Where it cannot be had, `--take-over` has been quicker. */
export async function lockEpoch(client: pg.Client, name: string, epoch: string): Promise<void> {
  if (!(await tryLock(client, name, epoch))) throw await busy(client, name, epoch);
}

/** Gives the lock of an epoch back. */
export async function unlockEpoch(client: pg.Client, name: string, epoch: string): Promise<void> {
  await client.query(`SELECT pg_advisory_unlock(${KEY})`, [name, epoch]);
}

/** @param epoch - of the replica that is at work @returns the failure that says who it is */
export async function busy(client: pg.Client, name: string, epoch: string): Promise<ReplicaError> {
  const { rows } = await client.query<{ pid: number; since: Date; host: string | null; usename: string }>(
    `SELECT a.pid, a.backend_start AS since, host(a.client_addr) AS host, a.usename FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.classid::bigint = hashtext('pg2kinesis.replica')::bigint & 4294967295 AND l.objid::bigint = hashtext($1 || ' ' || $2)::bigint & 4294967295`,
    [name, epoch],
  );
  const [holder] = rows;
  const who =
    holder === undefined
      ? ''
      : ` (process ${holder.pid} of the target, user "${holder.usename}"${holder.host === null ? '' : ` from ${holder.host}`}, since ${holder.since.toISOString()})`;
  return new ReplicaError(
    'REPLICA_BUSY',
    `Another replica "${name}" is at work with this target${who}. Nothing was applied.`,
  );
}

async function tryLock(client: pg.Client, name: string, epoch: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(${KEY}) AS locked`, [
    name,
    epoch,
  ]);
  return rows[0]?.locked === true;
}
