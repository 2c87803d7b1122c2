/** The tables of the target in which positions are kept, and a position that begins. */
import type pg from 'pg';
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import { type CopyingTables, tableId } from '../rules/copying.ts';
import { refuseSecondCopy } from './other-copies.ts';
import { makeOwnTables } from './own-tables.ts';

const CREATE = `CREATE TABLE IF NOT EXISTS pg2kinesis.replica (name text PRIMARY KEY, source text, stream_arn text, stream_created timestamptz,
    mode text, cut pg_lsn, cut_time timestamptz, system text, lane_timelines int[], forks jsonb, epoch bigint, updated_at timestamptz);
  ALTER TABLE pg2kinesis.replica ADD COLUMN IF NOT EXISTS copying jsonb, ADD COLUMN IF NOT EXISTS stop_at pg_lsn, ADD COLUMN IF NOT EXISTS stop_pid int;
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_shard (name text, shard text, sequence text, arrived timestamptz, at_end boolean,
    PRIMARY KEY (name, shard));
  ALTER TABLE pg2kinesis.replica_shard ADD COLUMN IF NOT EXISTS at_tip timestamptz`;

/** Whether the tables are there, with the columns that came last. */
const THERE = `SELECT to_regclass('pg2kinesis.replica_shard') IS NOT NULL
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('pg2kinesis.replica_shard') AND attname = 'at_tip') AS there`;

/** The stream that is read. */
export interface StreamIdentity {
  readonly arn: string;
  /** When it was made, milliseconds since 1970: one of the same name may be made anew. */
  readonly createdMs: number;
}

/** How a copy is kept: equal to a state of the source at each moment, or by applying changes as they come (`--fast`). */
export type ReplicaMode = 'consistent' | 'fast';

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

/** A copy that begins. */
export interface NewPosition {
  /** Tells it from others in the target. */
  readonly name: string;
  readonly stream: Omit<StreamIdentity, 'createdMs'> & Partial<StreamIdentity>;
  readonly mode: ReplicaMode;
  /** The source that it is of. @default that of the first record */
  readonly source?: string | undefined;
  /** The commit LSN up to which its rows were loaded in another way. @default they were not */
  readonly startAfter?: Lsn | undefined;
  /** Whether its rows come by a snapshot. */
  readonly awaitsSnapshot: boolean;
  /** How often a replica has begun to apply it. */
  readonly epoch: 0 | 1;
}

/**
 * Keeps that a copy begins, unless it has begun.
 *
 * @param client - of the target, in a transaction, which is rolled back where this fails
 * @returns whether it begins
 * @throws {ReplicaError} REPLICA_USAGE where there is another one of the same stream and source
 */
export async function insertPosition(
  client: pg.Client,
  { name, stream: { arn, createdMs }, mode, source, startAfter = 0n, awaitsSnapshot, epoch }: NewPosition,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `INSERT INTO pg2kinesis.replica (name, source, stream_arn, stream_created, mode, cut, lane_timelines, forks, epoch, updated_at, copying)
     VALUES ($1, $2, $3, $4, $5, $6, '{}', '[]', $7, now(), $8) ON CONFLICT (name) DO NOTHING`,
    [
      name,
      source ?? null,
      arn,
      createdMs === undefined ? null : new Date(createdMs),
      mode,
      formatLsn(startAfter),
      epoch,
      copyingJson(awaitsSnapshot ? 'awaited' : []),
    ],
  );
  if (rowCount === 1) await refuseSecondCopy(client, { name, streamArn: arn, source });
  return rowCount === 1;
}

/** The failure where somebody has deleted the position of a copy that is at work. */
export function positionGone(name: string): ReplicaError {
  return new ReplicaError(
    'TAKEN_OVER',
    `The copy "${name}" has no position at the target any more. This replica has written nothing since.`,
    { remedy: 'To make the copy anew, empty its tables and start again. Else go on with the --name that it has.' },
  );
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
