/**
 * Asks the replica that is at work to stop at an LSN. The request is in the table of the position, and counts as long as the
 * session that wrote it holds its lock. The replica reads it in `position-store.ts`.
 */
import type pg from 'pg';
import { formatLsn, type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';

/** Where the replica of a row of pg2kinesis.replica has to stop. The session's number alone may be that of another one by now. */
export const STOP_OF_ROW = `CASE WHEN stop_pid IS NOT NULL AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND pid = stop_pid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = hashtext('pg2kinesis.verify')::bigint & 4294967295 AND objid::bigint = hashtext(name)::bigint & 4294967295) THEN stop_at::text END`;

/** A --verify that was killed may hold the lock until the server has noticed. */
const LOCK_ATTEMPTS = 8;

/** One session's request. */
export class StopAt {
  readonly #client: pg.Client;
  readonly #name: string;

  /**
   * @param client - of the target: the stop ends with its session
   * @param name - the copy's
   */
  constructor(client: pg.Client, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /**
   * Stops the replica where it is.
   *
   * @throws {ReplicaError} REPLICA_USAGE where there is no copy; VERIFY_IMPOSSIBLE where rows are still to come, or where another
   *   session has stopped it
   */
  async here(): Promise<void> {
    await this.#lock();
    const { rows: found } = await this.#client.query<{ there: boolean }>(
      `SELECT to_regclass('pg2kinesis.replica') IS NOT NULL AS there`,
    );
    const { rows } = await this.#client.query<{ copying: unknown; mode: string }>(
      found[0]?.there === true
        ? `UPDATE pg2kinesis.replica SET stop_at = cut, stop_pid = pg_backend_pid() WHERE name = $1 RETURNING copying, mode`
        : 'SELECT WHERE $1::text IS NULL',
      [this.#name],
    );
    const [row] = rows;
    if (row === undefined) {
      throw new ReplicaError(
        'REPLICA_USAGE',
        `There is no copy "${this.#name}" in this database. Nothing was compared.`,
        {
          remedy: 'Correct --to or --name.',
        },
      );
    }
    if (row.mode !== 'consistent') {
      throw new ReplicaError(
        'VERIFY_IMPOSSIBLE',
        `The copy "${this.#name}" is not kept equal at each moment (--fast). Nothing was compared.`,
      );
    }
    if (row.copying !== null) {
      throw new ReplicaError(
        'VERIFY_IMPOSSIBLE',
        `A snapshot is still to bring rows of the copy "${this.#name}". Nothing was compared.`,
        { remedy: 'Wait until the snapshot is over.' },
      );
    }
  }

  /** There is one place for a request. A second one would move the state that the first holds, or free the replica too early. */
  async #lock(): Promise<void> {
    for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
      const { rows } = await this.#client.query<{ locked: boolean }>(
        `SELECT pg_try_advisory_lock(hashtext('pg2kinesis.verify'), hashtext($1)) AS locked, pg_sleep(CASE WHEN $2 THEN 0.25 ELSE 0 END)`,
        [this.#name, attempt > 0],
      );
      if (rows[0]?.locked === true) return;
    }
    throw new ReplicaError(
      'VERIFY_IMPOSSIBLE',
      `Another --verify is comparing the copy "${this.#name}". Nothing was compared.`,
      { remedy: 'Wait until it is over, then start again.' },
    );
  }

  /** Lets the replica go on, up to an LSN. */
  async set(lsn: Lsn): Promise<void> {
    await this.#client.query('UPDATE pg2kinesis.replica SET stop_at = $2 WHERE name = $1', [
      this.#name,
      formatLsn(lsn),
    ]);
  }

  /** Lets the replica go on without end. */
  async goOn(): Promise<void> {
    await this.#client.query('UPDATE pg2kinesis.replica SET stop_at = NULL, stop_pid = NULL WHERE name = $1', [
      this.#name,
    ]);
  }

  /** How far it is. */
  async cut(): Promise<Lsn> {
    const { rows } = await this.#client.query<{ cut: string }>(
      'SELECT cut::text FROM pg2kinesis.replica WHERE name = $1',
      [this.#name],
    );
    return parseLsn(rows[0]?.cut ?? '') ?? 0n;
  }
}
