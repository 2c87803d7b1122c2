/**
 * A replica's position, saved at the target, so that rows and position are committed together. It also decides which replica may
 * write: each one that begins raises the epoch, and a batch of an older one finds no row to update.
 */
import type pg from 'pg';
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import type { Position } from '../rules/applier.ts';
import { type CopyingTables, tableId } from '../rules/copying.ts';
import type { SavedPosition } from '../rules/intake.ts';
import type { ShardPosition } from '../rules/shards.ts';
import { makeOwnTables, usingOwnTables } from './own-tables.ts';
import { requireLsn } from './sql-text.ts';

/** The stream that is read. */
export interface StreamIdentity {
  readonly arn: string;
  /** When it was made, milliseconds since 1970: one of the same name may be made anew. */
  readonly createdMs: number;
}

const CREATE = `CREATE TABLE IF NOT EXISTS pg2kinesis.replica (name text PRIMARY KEY, source text, stream_arn text, stream_created timestamptz,
    mode text, cut pg_lsn, cut_time timestamptz, system text, lane_timelines int[], forks jsonb, epoch bigint, updated_at timestamptz);
  ALTER TABLE pg2kinesis.replica ADD COLUMN IF NOT EXISTS copying jsonb, ADD COLUMN IF NOT EXISTS stop_at pg_lsn, ADD COLUMN IF NOT EXISTS stop_pid int;
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_shard (name text, shard text, sequence text, arrived timestamptz, at_end boolean,
    PRIMARY KEY (name, shard))`;

/** Whether the tables are there, with the columns that came last. */
const THERE = `SELECT to_regclass('pg2kinesis.replica_shard') IS NOT NULL
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('pg2kinesis.replica') AND attname = 'stop_pid') AS there`;

/** How a replica begins. */
export interface Beginning {
  /** The commit LSN after which a copy begins whose rows were loaded in another way. */
  readonly startAfter?: Lsn | undefined;
  /** Goes on though another replica is at work, which then stops. */
  readonly takeOver: boolean;
  /** The rows of a copy that begins are still to come, by a snapshot. */
  readonly awaitsSnapshot: boolean;
}

/** A position that was read, and when it was saved. */
export interface BegunPosition extends SavedPosition {
  /** When the cut was committed at the source; undefined: nothing was applied. */
  readonly cutMs: number | undefined;
  /** Milliseconds since 1970, by the target's clock. */
  readonly savedAtMs: number;
}

/** How a copy is kept: equal to a state of the source at each moment, or by applying changes as they come (`--fast`). */
export type ReplicaMode = 'consistent' | 'fast';

/** @throws {ReplicaError} REPLICA_USAGE where a copy was begun in the other way */
export function refuseOtherMode(name: string, begun: ReplicaMode, wanted: ReplicaMode): void {
  if (begun === wanted) return;
  const [was, is] = begun === 'fast' ? ['with', 'without'] : ['without', 'with'];
  throw new ReplicaError(
    'REPLICA_USAGE',
    `The copy "${name}" was begun ${was} --fast, and cannot go on ${is} it. Nothing was applied.`,
    { remedy: 'Go on as it was begun, or make the copy anew (docs/replica.md).' },
  );
}

/** A replica's row. */
interface Row {
  readonly mode: ReplicaMode;
  readonly source: string | null;
  readonly arn: string;
  /** Null: a Lambda function began the copy, which does not know when the stream was made. */
  readonly created: Date | null;
  readonly cut: string;
  readonly cutTime: Date | null;
  readonly updated: Date;
  readonly system: string | null;
  readonly timelines: (number | null)[];
  readonly forks: [number, string][];
  readonly epoch: string;
  readonly copying: CopyingJson;
}

/** Tables whose rows are still to come, as the target has them; null: none. */
export type CopyingJson = 'awaited' | 'all' | (readonly [schema: string, table: string])[] | null;

/** What each table has had from the beginning, as far as it tells them from others. */
const COLUMNS = {
  replica: ['name', 'stream_arn', 'lane_timelines', 'epoch'],
  replica_shard: ['name', 'shard', 'at_end'],
};

/** Creates the tables where they are missing. @throws {ReplicaError} TARGET_REFUSED */
export async function createPositionTables(client: pg.Client): Promise<void> {
  await makeOwnTables(client, { there: THERE, create: CREATE, columns: COLUMNS });
}

/** Reads and saves the position of one replica. */
export class PositionStore {
  readonly #client: pg.Client;
  readonly #name: string;
  readonly #mode: ReplicaMode;
  #epoch = '0';
  readonly #shards = new Map<string, string>();

  /** @param name - tells replicas in one target apart @param mode - how it is kept: a copy stays in the mode that it was begun in */
  constructor(client: pg.Client, name: string, mode: ReplicaMode = 'consistent') {
    this.#client = client;
    this.#name = name;
    this.#mode = mode;
  }

  /**
   * Begins: creates its tables where they are missing, takes the lock, raises the epoch, and reads where to continue.
   *
   * @param stream - that is read
   * @param beginning - how
   * @throws {ReplicaError} REPLICA_BUSY, STREAM_CHANGED, REPLICA_USAGE, TARGET_REFUSED
   */
  async begin(stream: StreamIdentity, beginning: Beginning): Promise<BegunPosition> {
    await createPositionTables(this.#client);
    return await usingOwnTables(this.#client, () => this.#begin(stream, beginning));
  }

  async #begin(stream: StreamIdentity, { startAfter, takeOver, awaitsSnapshot }: Beginning): Promise<BegunPosition> {
    if (!takeOver) await this.#lock();
    const { rows } = await this.#client.query<Row>(
      `WITH begun AS (
         INSERT INTO pg2kinesis.replica AS r (name, stream_arn, stream_created, mode, cut, lane_timelines, forks, epoch, updated_at, copying)
         VALUES ($1, $2, $3, $6, $4, '{}', '[]', 1, now(), $5)
         ON CONFLICT (name) DO UPDATE SET epoch = r.epoch + 1
         RETURNING mode, source, stream_arn AS arn, stream_created AS created, cut::text, cut_time AS "cutTime", updated_at AS updated, system, lane_timelines AS timelines, forks, epoch::text, copying),
       -- Of a copy of that name whose position was deleted.
       gone AS (DELETE FROM pg2kinesis.replica_shard WHERE name = $1 AND (SELECT epoch FROM begun) = '1')
       SELECT * FROM begun`,
      [
        this.#name,
        stream.arn,
        new Date(stream.createdMs),
        formatLsn(startAfter ?? 0n),
        copyingJson(awaitsSnapshot ? 'awaited' : []),
        this.#mode,
      ],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('The position gave no row.');
    this.#epoch = row.epoch;
    refuseOtherMode(this.#name, row.mode, this.#mode);
    if (row.arn !== stream.arn || (row.created !== null && row.created.getTime() !== stream.createdMs)) {
      const made = row.created === null ? '' : ` that was made at ${row.created.toISOString()}`;
      throw new ReplicaError(
        'STREAM_CHANGED',
        `The copy "${this.#name}" is of the stream ${row.arn}${made}, and the one that is read is ${stream.arn}, made at ${new Date(stream.createdMs).toISOString()}. Nothing was applied.`,
      );
    }
    if (startAfter !== undefined && row.epoch !== '1') {
      throw new ReplicaError(
        'REPLICA_USAGE',
        `--start-after is for a copy that begins, and the copy "${this.#name}" is at ${row.cut}. Nothing was applied.`,
        { remedy: 'Start without --start-after.' },
      );
    }
    return {
      cut: requireLsn(row.cut),
      cutMs: row.cutTime?.getTime(),
      savedAtMs: row.updated.getTime(),
      source: row.source ?? undefined,
      system: row.system ?? undefined,
      timelines: row.timelines.map((each) => each ?? undefined),
      forks: row.forks.map(([timeline, lsn]) => [timeline, requireLsn(lsn)] as const),
      shards: await this.#readShards(),
      copying: copyingFrom(row.copying),
    };
  }

  /**
   * Keeps that a copy has begun whose rows are still to come, for whoever begins it then.
   *
   * @param client - another one, in the transaction that makes the copy's tables
   */
  async announce(client: pg.Client, { arn, createdMs }: StreamIdentity, awaitsSnapshot: boolean): Promise<void> {
    await client.query(
      `INSERT INTO pg2kinesis.replica (name, stream_arn, stream_created, mode, cut, lane_timelines, forks, epoch, updated_at, copying)
       VALUES ($1, $2, $3, $4, '0/0', '{}', '[]', 0, now(), $5)`,
      [this.#name, arn, new Date(createdMs), this.#mode, copyingJson(awaitsSnapshot ? 'awaited' : [])],
    );
  }

  /** Whether there is a position: the copy has begun. */
  async hasBegun(): Promise<boolean> {
    await createPositionTables(this.#client);
    const { rowCount } = await this.#client.query('SELECT FROM pg2kinesis.replica WHERE name = $1', [this.#name]);
    return rowCount === 1;
  }

  /**
   * Begins a transaction in which nobody else may write.
   *
   * @returns where to stop, as long as a session wants it; undefined: nowhere
   * @throws {ReplicaError} TAKEN_OVER
   */
  async hold(): Promise<Lsn | undefined> {
    await this.#client.query('BEGIN');
    const { rows } = await this.#client.query<{ stop: string | null }>(
      `UPDATE pg2kinesis.replica SET updated_at = now() WHERE name = $1 AND epoch = $2
       RETURNING CASE WHEN EXISTS (SELECT FROM pg_stat_activity WHERE pid = stop_pid) THEN stop_at::text END AS stop`,
      [this.#name, this.#epoch],
    );
    const [row] = rows;
    if (row !== undefined) return row.stop === null ? undefined : requireLsn(row.stop);
    await this.#client.query('ROLLBACK');
    throw new ReplicaError(
      'TAKEN_OVER',
      `Another replica "${this.#name}" has begun with this target. This one has written nothing since.`,
    );
  }

  /** Writes a position, in the transaction. */
  async save(position: Position): Promise<void> {
    const { cut, cutMs, source, system, timelines, forks, copying } = position;
    await this.#client.query(
      `UPDATE pg2kinesis.replica SET cut = $2, cut_time = COALESCE($3, cut_time), source = $4, system = $5, lane_timelines = $6::int[], forks = $7, copying = $8
        WHERE name = $1`,
      [
        this.#name,
        formatLsn(cut),
        cutMs === undefined ? null : new Date(cutMs),
        source ?? null,
        system ?? null,
        timelines.map((each) => each ?? null),
        JSON.stringify(forks.map(([timeline, lsn]) => [timeline, formatLsn(lsn)])),
        copyingJson(copying),
      ],
    );
    await this.saveShards(position.shards);
  }

  /** Writes how far shards are done with, in the transaction. */
  async saveShards(shards: ReadonlyMap<string, ShardPosition>): Promise<void> {
    const changed = [...shards].filter(([id, shard]) => this.#shards.get(id) !== JSON.stringify(shard));
    if (changed.length === 0) return;
    const column = <T>(of: (shard: ShardPosition) => T): T[] => changed.map(([, shard]) => of(shard));
    await this.#client.query(
      `INSERT INTO pg2kinesis.replica_shard AS s
       SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::boolean[]) AS u
       ON CONFLICT (name, shard) DO UPDATE SET sequence = excluded.sequence, arrived = excluded.arrived, at_end = excluded.at_end`,
      [
        this.#name,
        changed.map(([id]) => id),
        column(({ sequence }) => sequence ?? null),
        column(({ arrivedMs }) => (arrivedMs === undefined ? null : new Date(arrivedMs))),
        column(({ atEnd }) => atEnd),
      ],
    );
    for (const [id, shard] of changed) this.#shards.set(id, JSON.stringify(shard));
  }

  /** A lock of the session, so that a second replica gets a clear message. What protects the rows is the epoch. */
  async #lock(): Promise<void> {
    const key = `hashtext('pg2kinesis.replica'), hashtext($1)`;
    // The server may not have noticed yet that the last replica was killed.
    for (let attempt = 0; attempt < 20; attempt++) {
      const { rows } = await this.#client.query<{ locked: boolean }>(
        `SELECT pg_try_advisory_lock(${key}) AS locked, pg_sleep(CASE WHEN $2 THEN 0.25 ELSE 0 END)`,
        [this.#name, attempt > 0],
      );
      if (rows[0]?.locked === true) return;
    }
    const { rows } = await this.#client.query<{ pid: number; since: Date; host: string | null; usename: string }>(
      `SELECT a.pid, a.backend_start AS since, host(a.client_addr) AS host, a.usename FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.classid::bigint = hashtext('pg2kinesis.replica')::bigint & 4294967295 AND l.objid::bigint = hashtext($1)::bigint & 4294967295`,
      [this.#name],
    );
    const [holder] = rows;
    const who =
      holder === undefined
        ? ''
        : ` (process ${holder.pid} of the target, user "${holder.usename}"${holder.host === null ? '' : ` from ${holder.host}`}, since ${holder.since.toISOString()})`;
    throw new ReplicaError(
      'REPLICA_BUSY',
      `Another replica "${this.#name}" is at work with this target${who}. Nothing was applied.`,
    );
  }

  async #readShards(): Promise<Map<string, ShardPosition>> {
    const { rows } = await this.#client.query<{
      shard: string;
      sequence: string | null;
      arrived: Date | null;
      at_end: boolean;
    }>('SELECT shard, sequence, arrived, at_end FROM pg2kinesis.replica_shard WHERE name = $1', [this.#name]);
    return new Map(
      rows.map(({ shard, sequence, arrived, at_end }) => [
        shard,
        { sequence: sequence ?? undefined, arrivedMs: arrived?.getTime(), atEnd: at_end },
      ]),
    );
  }
}

/** @param saved - as the target has it */
export function copyingFrom(saved: CopyingJson): CopyingTables {
  return typeof saved === 'string' ? saved : (saved ?? []).map((table) => tableId(...table));
}

/** Null: the target equals the source as it was at the cut. */
export function copyingJson(tables: CopyingTables): string | null {
  if (tables.length === 0) return null;
  return JSON.stringify(typeof tables === 'string' ? tables : tables.map((id) => JSON.parse(id) as unknown));
}
