/**
 * Whether the source that a command was given (`--from`) is the one that a copy is of. What is compared with another server, or
 * with the copy itself, proves nothing. Knows no stream.
 */
import type pg from 'pg';
import type { Lsn } from '../../lambda/decode/lsn.ts';
import { isSameServer, readServerIdentity } from '../../lambda/postgres/server-identity.ts';
import { ReplicaError } from '../errors.ts';
import { requireLsn } from './sql-text.ts';

/** A database, by its server and its name. */
export type DatabaseIdentity = Awaited<ReturnType<typeof readServerIdentity>> & { readonly database: string };

/** What a copy's position says of its source. */
interface CopyRow {
  readonly system: string | null;
  readonly cut: string;
  readonly timeline: number | null;
}

/** @param client - outside a transaction */
export async function readDatabaseIdentity(client: pg.Client): Promise<DatabaseIdentity> {
  const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name');
  return { ...(await readServerIdentity(client)), database: rows[0]?.name ?? '' };
}

/**
 * Refuses another source than that of the copy. A copy that has begun and has read no mark yet does not know its server: ask
 * again once it has.
 *
 * @param source - what `--from` leads to
 * @param target - a client of the target, outside a transaction
 * @param name - the copy's
 * @returns up to where the copy is; 0: there is none
 * @throws {ReplicaError} REPLICA_USAGE
 */
export async function refuseOtherSource(source: DatabaseIdentity, target: pg.Client, name: string): Promise<Lsn> {
  const refuse = (what: string): never => {
    throw new ReplicaError('REPLICA_USAGE', `${what} Nothing was done.`, {
      remedy: 'Correct --from, --to or --name.',
    });
  };
  const here = await readDatabaseIdentity(target);
  if (isSameServer(source, here) && source.database === here.database)
    refuse('--from leads to the database of the copy itself.');
  const copy = await readCopy(target, name);
  if (copy === undefined) return 0n;
  const { systemIdentifier, timeline, inRecovery } = source;
  if (copy.system !== null && systemIdentifier !== undefined && copy.system !== systemIdentifier)
    refuse(
      `--from leads to another server (system identifier ${systemIdentifier}) than the one that this copy is of (${copy.system}).`,
    );
  // What a standby says of its timeline may be late.
  if (copy.timeline !== null && timeline !== undefined && timeline < copy.timeline && !inRecovery)
    refuse(
      `--from leads to a primary of before a failover: it is on timeline ${timeline}, and this copy has come to timeline ${copy.timeline}.`,
    );
  return requireLsn(copy.cut);
}

async function readCopy(target: pg.Client, name: string): Promise<CopyRow | undefined> {
  const { rows: found } = await target.query<{ there: boolean }>(
    `SELECT to_regclass('pg2kinesis.replica') IS NOT NULL AS there`,
  );
  if (found[0]?.there !== true) return undefined;
  const { rows } = await target.query<CopyRow>(
    `SELECT system, cut::text, (SELECT max(t) FROM unnest(lane_timelines) AS t) AS timeline FROM pg2kinesis.replica WHERE name = $1`,
    [name],
  );
  return rows[0];
}
