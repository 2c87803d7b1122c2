/**
 * A replica's position, saved at the target, so that rows and position are committed together. It also decides which replica may
 * write: each one that begins raises the epoch, and a batch of an older one finds no row to update.
 */
import type pg from 'pg';
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import type { Position } from '../rules/applier.ts';
import type { SavedPosition } from '../rules/intake.ts';
import type { ShardPosition } from '../rules/shards.ts';
import { refuseSecondCopy } from './other-copies.ts';
import { usingOwnTables } from './own-tables.ts';
import {
  copyingFrom,
  type CopyingJson,
  copyingJson,
  createPositionTables,
  insertPosition,
  positionGone,
  type ReplicaMode,
  type StreamIdentity,
} from './position-tables.ts';
import { busy, lockEpoch, lockLastEpoch, unlockEpoch } from './replica-lock.ts';
import { requireLsn } from './sql-text.ts';
import { STOP_OF_ROW } from './stop-at-lsn.ts';

/** How a replica begins. */
export interface Beginning {
  /** The commit LSN after which a copy begins whose rows were loaded in another way. */
  readonly startAfter?: Lsn | undefined;
  /** Goes on though another replica is at work, which then stops. */
  readonly takeOver: boolean;
  /** The rows of a copy that begins are still to come, by a snapshot. */
  readonly awaitsSnapshot: boolean;
  /** The source to copy, where the stream has several. */
  readonly source?: string | undefined;
  /** Looks at the position, before another replica is thrown out. @throws where it cannot be gone on from */
  readonly check?: (position: BegunPosition) => void;
}

/** A position that was read, and when it was saved. */
export interface BegunPosition extends SavedPosition {
  /** When the cut was committed at the source; undefined: nothing was applied. */
  readonly cutMs: number | undefined;
  /** Milliseconds since 1970, by the target's clock. As long as nothing was applied, when the copy began. */
  readonly savedAtMs: number;
}

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
   * Begins: creates its tables where they are missing, reads where to continue, takes the lock, and raises the epoch.
   *
   * @param stream - that is read
   * @param beginning - how
   * @throws {ReplicaError} REPLICA_BUSY, STREAM_CHANGED, REPLICA_USAGE, TARGET_REFUSED
   */
  async begin(stream: StreamIdentity, beginning: Beginning): Promise<BegunPosition> {
    await createPositionTables(this.#client);
    return await usingOwnTables(this.#client, () => this.#begin(stream, beginning));
  }

  async #begin(stream: StreamIdentity, beginning: Beginning): Promise<BegunPosition> {
    const client = this.#client;
    const free = beginning.takeOver ? undefined : await lockLastEpoch(client, this.#name);
    await client.query('BEGIN');
    try {
      const position = await this.#read(stream, beginning, free);
      // Nobody is thrown out by a replica that does not begin.
      beginning.check?.(position);
      this.#epoch = String(BigInt(this.#epoch) + 1n);
      await lockEpoch(client, this.#name, this.#epoch);
      await client.query('UPDATE pg2kinesis.replica SET epoch = $2 WHERE name = $1', [this.#name, this.#epoch]);
      await client.query('COMMIT');
      return position;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    } finally {
      // From now on it is the lock of the new epoch that counts.
      if (free !== undefined) await unlockEpoch(client, this.#name, free).catch(() => undefined);
    }
  }

  /** Reads the position, or makes it. @param free - the epoch whose replica is gone; undefined: whoever is at work is thrown out */
  async #read(stream: StreamIdentity, beginning: Beginning, free: string | undefined): Promise<BegunPosition> {
    const { startAfter, awaitsSnapshot, source } = beginning;
    await insertPosition(this.#client, {
      name: this.#name,
      stream,
      mode: this.#mode,
      source,
      startAfter,
      awaitsSnapshot,
      epoch: 0,
    });
    const { rows } = await this.#client.query<Row>(
      `SELECT mode, source, stream_arn AS arn, stream_created AS created, cut::text, cut_time AS "cutTime", updated_at AS updated, system, lane_timelines AS timelines, forks, epoch::text, copying
         FROM pg2kinesis.replica WHERE name = $1 FOR UPDATE`,
      [this.#name],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('The position gave no row.');
    if (free !== undefined && row.epoch !== free) throw await busy(this.#client, this.#name, row.epoch);
    this.#epoch = row.epoch;
    refuseOtherMode(this.#name, row.mode, this.#mode);
    if (row.arn !== stream.arn || (row.created !== null && row.created.getTime() !== stream.createdMs)) {
      const made = row.created === null ? '' : ` that was made at ${row.created.toISOString()}`;
      throw new ReplicaError(
        'STREAM_CHANGED',
        `The copy "${this.#name}" is of the stream ${row.arn}${made}, and the one that is read is ${stream.arn}, made at ${new Date(stream.createdMs).toISOString()}. Nothing was applied.`,
      );
    }
    if (startAfter !== undefined && row.epoch !== '0') {
      throw new ReplicaError(
        'REPLICA_USAGE',
        `--start-after is for a copy that begins, and the copy "${this.#name}" is at ${row.cut}. Nothing was applied.`,
        { remedy: 'Start without --start-after.' },
      );
    }
    // Of a copy of this name whose position was deleted.
    if (row.epoch === '0')
      await this.#client.query('DELETE FROM pg2kinesis.replica_shard WHERE name = $1', [this.#name]);
    return {
      cut: requireLsn(row.cut),
      cutMs: row.cutTime?.getTime(),
      savedAtMs: row.updated.getTime(),
      source: await this.#takeSource(row, source),
      system: row.system ?? undefined,
      timelines: row.timelines.map((each) => each ?? undefined),
      forks: row.forks.map(([timeline, lsn]) => [timeline, requireLsn(lsn)] as const),
      shards: await this.#readShards(),
      copying: copyingFrom(row.copying),
    };
  }

  /** As long as nothing is applied a copy is of the source that was asked for last. @returns the source; undefined: it is not known yet */
  async #takeSource({ source, timelines, arn }: Row, wanted: string | undefined): Promise<string | undefined> {
    const isOpen = source === null || (this.#mode === 'consistent' && timelines.length === 0);
    if (!isOpen || wanted === undefined || wanted === source) return source ?? undefined;
    await this.#client.query('UPDATE pg2kinesis.replica SET source = $2 WHERE name = $1', [this.#name, wanted]);
    await refuseSecondCopy(this.#client, { name: this.#name, streamArn: arn, source: wanted });
    return wanted;
  }

  /**
   * Keeps that a copy has begun whose rows are still to come, for whoever begins it then.
   *
   * @param client - another one, in the transaction that makes the copy's tables
   * @throws {ReplicaError} REPLICA_BUSY where another replica has begun it meanwhile, REPLICA_USAGE
   */
  async announce(
    client: pg.Client,
    stream: StreamIdentity,
    { source, awaitsSnapshot }: Pick<Beginning, 'source' | 'awaitsSnapshot'>,
  ): Promise<void> {
    const copy = { name: this.#name, stream, mode: this.#mode, source, awaitsSnapshot, epoch: 0 } as const;
    if (!(await insertPosition(client, copy))) throw await busy(client, this.#name, this.#epoch);
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
      `UPDATE pg2kinesis.replica SET updated_at = CASE WHEN mode = 'fast' THEN now() ELSE updated_at END WHERE name = $1 AND epoch = $2
       RETURNING ${STOP_OF_ROW} AS stop`,
      [this.#name, this.#epoch],
    );
    const [row] = rows;
    if (row !== undefined) return row.stop === null ? undefined : requireLsn(row.stop);
    const { rowCount } = await this.#client.query('SELECT FROM pg2kinesis.replica WHERE name = $1', [this.#name]);
    await this.#client.query('ROLLBACK');
    if (rowCount === 0) throw positionGone(this.#name);
    throw new ReplicaError(
      'TAKEN_OVER',
      `Another replica "${this.#name}" has begun with this target. This one has written nothing since.`,
    );
  }

  /** Writes a position, in the transaction. */
  async save(position: Position): Promise<void> {
    const { cut, cutMs, source, system, timelines, forks, copying } = position;
    await this.#client.query(
      `UPDATE pg2kinesis.replica SET cut = $2, cut_time = COALESCE($3, cut_time), source = $4, system = $5, lane_timelines = $6::int[], forks = $7, copying = $8,
          updated_at = CASE WHEN $6::int[] = '{}' THEN updated_at ELSE now() END
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
       SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::boolean[], $6::timestamptz[]) AS u
       ON CONFLICT (name, shard) DO UPDATE SET sequence = excluded.sequence, arrived = excluded.arrived, at_end = excluded.at_end, at_tip = excluded.at_tip`,
      [
        this.#name,
        changed.map(([id]) => id),
        column(({ sequence }) => sequence ?? null),
        column(({ arrivedMs }) => (arrivedMs === undefined ? null : new Date(arrivedMs))),
        column(({ atEnd }) => atEnd),
        column(({ tipMs }) => (tipMs === undefined ? null : new Date(tipMs))),
      ],
    );
    for (const [id, shard] of changed) this.#shards.set(id, JSON.stringify(shard));
  }

  async #readShards(): Promise<Map<string, ShardPosition>> {
    const { rows } = await this.#client.query<{
      shard: string;
      sequence: string | null;
      arrived: Date | null;
      at_end: boolean;
      at_tip: Date | null;
    }>('SELECT shard, sequence, arrived, at_end, at_tip FROM pg2kinesis.replica_shard WHERE name = $1', [this.#name]);
    return new Map(
      rows.map(({ shard, sequence, arrived, at_end, at_tip }) => [
        shard,
        {
          sequence: sequence ?? undefined,
          arrivedMs: arrived?.getTime(),
          atEnd: at_end,
          ...(at_tip === null ? {} : { tipMs: at_tip.getTime() }),
        },
      ]),
    );
  }
}
