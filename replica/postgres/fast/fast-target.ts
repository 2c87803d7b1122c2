/**
 * A PostgreSQL target to which changes are applied as they come, by one process or by several at once. Two never apply the same
 * lane at a time; a batch with changes that concern other lanes is applied while no other is. Knows no stream.
 */
import type pg from 'pg';
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../errors.ts';
import { type FastTarget, type FastTransaction, keyName, keyOfName } from '../../rules/fast/fast-target.ts';
import type { ShardPosition } from '../../rules/shards.ts';
import { makeOwnTables, usingOwnTables } from '../own-tables.ts';
import { refuseOtherMode } from '../position-store.ts';
import { createPositionTables, insertPosition, positionGone, type ReplicaMode } from '../position-tables.ts';
import type { PostgresTarget } from '../target.ts';
import { CREATE_FAST, FAST_IS_THERE, FAST_TABLES, READ_STATE, READ_WAITING } from './fast-schema.ts';
import { stateOf, type StateRow } from './fast-state.ts';
import { PostgresFastTransaction } from './fast-transaction.ts';

/** What a target works with. */
export interface PostgresFastTargetOptions {
  readonly client: pg.Client;
  /** The copy's name. */
  readonly name: string;
  readonly target: PostgresTarget;
  /** Begins a transaction. @default BEGIN: several may write */
  readonly hold?: () => Promise<void>;
  /** Saves how far shards are read, in the transaction. @default not at all: Lambda keeps that itself */
  readonly saveShards?: (shards: ReadonlyMap<string, ShardPosition>) => Promise<void>;
}

/**
 * Makes the tables where they are missing. Deletes what is left of a copy whose position was deleted: it is made anew.
 *
 * @param client - of the target, outside a transaction
 * @param name - the copy's
 */
export async function prepareFastTables(client: pg.Client, name: string): Promise<void> {
  await createPositionTables(client);
  await makeOwnTables(client, { there: FAST_IS_THERE, create: CREATE_FAST });
  await usingOwnTables(client, async () => {
    for (const table of FAST_TABLES) {
      await client.query(
        `DELETE FROM pg2kinesis.${table} WHERE name = $1 AND NOT EXISTS (SELECT FROM pg2kinesis.replica WHERE name = $1)`,
        [name],
      );
    }
  });
}

/** A row of `READ_WAITING`. */
interface WaitingRow {
  readonly schema: string;
  readonly tab: string;
  readonly key: string;
}

/** Begins the transactions in which batches are applied. */
export class PostgresFastTarget implements FastTarget {
  readonly #options: PostgresFastTargetOptions;

  constructor(options: PostgresFastTargetOptions) {
    this.#options = options;
  }

  begin(lanes: readonly number[], alone: boolean, keys: () => ReadonlySet<string>): Promise<FastTransaction> {
    const { client, name, target } = this.#options;
    return target.translatingErrors(async () => {
      await (this.#options.hold?.() ?? client.query('BEGIN'));
      target.begun();
      const lock = alone ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared';
      await client.query(`SELECT ${lock}(hashtext('pg2kinesis.replica_lane'), hashtext($1))`, [name]);
      await this.#lockLanes(lanes);
      // After the locks: a statement sees what was committed before it began.
      const { rows } = await client.query<StateRow>(READ_STATE, [name]);
      const [row] = rows;
      if (row === undefined) {
        await client.query('ROLLBACK');
        throw positionGone(name);
      }
      const state = stateOf(row);
      if (state.isWaiting) {
        const texts = [...keys()].map((each) => keyOfName(each));
        const { rows: waiting } = await client.query<WaitingRow>(READ_WAITING, [name, texts]);
        for (const { schema, tab: table, key } of waiting) state.waiting.add(keyName({ schema, table }, key));
      }
      return new PostgresFastTransaction({
        client,
        name,
        target,
        state,
        saveShards: this.#options.saveShards ?? (() => Promise.resolve()),
      });
    });
  }

  /** Lambda may give a batch a second time while its first invocation still runs: the second one waits here. */
  async #lockLanes(lanes: readonly number[]): Promise<void> {
    const { client, name } = this.#options;
    for (const lane of [...lanes].sort((a, b) => a - b)) {
      await client.query(`SELECT pg_advisory_xact_lock(hashtext('pg2kinesis.replica_lane ' || $1), $2)`, [name, lane]);
    }
  }
}

/** A copy that several processes apply. */
export interface SharedCopy {
  readonly name: string;
  readonly streamArn: string;
  /** The source that it is of. @default that of the first record */
  readonly source?: string | undefined;
  /** The commit LSN up to which its rows were loaded in another way. @default they were not */
  readonly startAfter?: Lsn | undefined;
  /** Whether its rows come by a snapshot. @default they do not */
  readonly awaitsSnapshot?: boolean;
}

/**
 * Begins a copy that several processes apply side by side, so without the lock and the epoch of a single one.
 *
 * @param client - of the target, outside a transaction
 * @param copy - unless it has begun
 * @throws {ReplicaError} STREAM_CHANGED, REPLICA_USAGE, TARGET_REFUSED, TARGET_UNREACHABLE
 */
export async function beginShared(client: pg.Client, copy: SharedCopy): Promise<void> {
  await usingOwnTables(client, async () => {
    await client.query('BEGIN');
    try {
      await beginIn(client, copy);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
}

async function beginIn(
  client: pg.Client,
  { name, streamArn, source, startAfter, awaitsSnapshot = false }: SharedCopy,
): Promise<void> {
  await insertPosition(client, {
    ...{ name, source, startAfter, awaitsSnapshot },
    ...{ stream: { arn: streamArn }, mode: 'fast', epoch: 1 },
  });
  const { rows } = await client.query<{ arn: string; mode: ReplicaMode }>(
    'SELECT stream_arn AS arn, mode FROM pg2kinesis.replica WHERE name = $1',
    [name],
  );
  const [row] = rows;
  if (row === undefined) return;
  if (row.arn !== streamArn) {
    throw new ReplicaError(
      'STREAM_CHANGED',
      `The copy "${name}" is of the stream ${row.arn}, and the one that is read is ${streamArn}. Nothing was applied.`,
    );
  }
  refuseOtherMode(name, row.mode, 'fast');
}
