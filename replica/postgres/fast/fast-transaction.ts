/**
 * One transaction of a PostgreSQL target to which changes are applied as they come. Each part is a savepoint. The rows that a
 * part writes have the same xmin as its row in `replica_note`: so a TRUNCATE finds the rows that are newer than itself. The
 * rules are in `../../rules/fast`.
 */
import type pg from 'pg';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../errors.ts';
import type { AwaitsRows } from '../../rules/applier.ts';
import { keyDiffers } from '../../rules/fast/fast-errors.ts';
import {
  type CarriedRow,
  type DeferredChange,
  type FastState,
  type FastTransaction,
  type LeftOut,
  type TableName,
  type Truncation,
} from '../../rules/fast/fast-target.ts';
import type { CommitPlace } from '../../rules/fast/lane-position.ts';
import type { FoldedTable, JsonText } from '../../rules/fold.ts';
import { type Change, readRecord } from '../../rules/record.ts';
import type { ShardPosition } from '../../rules/shards.ts';
import { quoteName } from '../sql-text.ts';
import { keyOf, keyValues } from '../table-plan.ts';
import type { PostgresTarget } from '../target.ts';
import type { TargetTable } from '../target-table.ts';
import { sourceOf } from '../values.ts';
import { SavedState } from './fast-state.ts';

/** What a transaction works with. */
export interface FastTransactionOptions {
  readonly client: pg.Client;
  /** The copy's name. */
  readonly name: string;
  readonly target: PostgresTarget;
  readonly state: FastState;
  /** Saves how far shards are read, in the transaction. */
  readonly saveShards: (shards: ReadonlyMap<string, ShardPosition>) => Promise<void>;
}

/** A transaction in which a batch is applied. */
export class PostgresFastTransaction implements FastTransaction {
  readonly state: FastState;
  readonly #options: FastTransactionOptions;
  readonly #saved: SavedState;
  #parts = 0;
  #counted = new Map<string, number>();
  /** Counts before the part that may be undone. */
  #kept = new Map<string, number>();

  constructor(options: FastTransactionOptions) {
    this.#options = options;
    this.state = options.state;
    this.#saved = new SavedState(options);
  }

  async begin(): Promise<void> {
    if (this.#parts === 0) this.#kept = new Map(this.#counted);
    this.#parts++;
    await this.#query(`SAVEPOINT p${this.#parts}`);
  }

  async note({ lsn, ordinal }: CommitPlace): Promise<void> {
    await this.#query('INSERT INTO pg2kinesis.replica_note VALUES ($1, $2, $3)', [this.#name, formatLsn(lsn), ordinal]);
  }

  async end(): Promise<void> {
    await this.#query(`RELEASE SAVEPOINT p${this.#parts}`);
    this.#parts--;
  }

  async undo(): Promise<void> {
    await this.#query('ROLLBACK TO SAVEPOINT p1');
    this.#parts = 0;
    this.#counted = this.#kept;
    this.#options.target.forget();
  }

  async write(tables: readonly FoldedTable[], awaits: AwaitsRows): Promise<LeftOut> {
    const leftOut = await byKey(() =>
      this.#options.target.translatingErrors(() => this.#options.target.write(tables, awaits)),
    );
    for (const { schema, name, changes } of tables) this.#count({ schema, table: name }, changes);
    return leftOut;
  }

  async park(move: Change): Promise<void> {
    const table = await this.#table(move);
    const key = await byKey(() => keyOf(move.key ?? '{}', { schema: move.schema, name: move.table }, table));
    const own = table.columns.filter(({ isGenerated }) => !isGenerated);
    const texts = own.map(({ name }) => `t.${quoteName(name)}::text`);
    const same = key.map(({ column, equals }, i) => `t.${quoteName(column.name)} ${equals} $${i + 6}::${column.type}`);
    await this.#query(
      `WITH gone AS (DELETE FROM ${table.only} AS t WHERE ${same.join(' AND ')} RETURNING json_object($5::text[], ARRAY[${texts.join(', ')}]) AS content)
       INSERT INTO pg2kinesis.replica_parked SELECT $1, $2::pg_lsn, ${move.ordinal + 1}, $3, $4, (SELECT content FROM gone)`,
      [
        this.#name,
        formatLsn(move.lsn),
        move.schema,
        move.table,
        own.map(({ name }) => name),
        ...keyValues(move.key ?? '{}', key),
      ],
    );
    this.#count(move, 1);
  }

  async unpark(move: Change): Promise<{ readonly row: CarriedRow } | undefined> {
    const { rows } = await this.#query<{ content: Record<string, string | null> | null }>(
      'DELETE FROM pg2kinesis.replica_parked WHERE name = $1 AND lsn = $2 AND ordinal = $3 RETURNING content',
      [this.#name, formatLsn(move.lsn), move.ordinal],
    );
    const [found] = rows;
    if (found === undefined) return undefined;
    if (found.content === null) return { row: undefined };
    const { columns } = await this.#table(move);
    const row = new Map<string, JsonText>();
    for (const { name, kind, isGenerated } of columns) {
      const text = found.content[name];
      if (text !== undefined && !isGenerated) row.set(name, sourceOf(text, kind));
    }
    return { row };
  }

  async defer({ change: { schema, table, key, lsn, ordinal, text }, awaitsRead }: DeferredChange): Promise<void> {
    await this.#query(
      `INSERT INTO pg2kinesis.replica_waiting (name, schema, tab, key, lsn, ordinal, record, awaits_read)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [this.#name, schema, table, key, formatLsn(lsn), ordinal, text, awaitsRead],
    );
  }

  async deferred({ schema, table }: TableName, key: string): Promise<DeferredChange[]> {
    const { rows } = await this.#query<{ record: string; awaitsRead: boolean }>(
      'SELECT record, awaits_read AS "awaitsRead" FROM pg2kinesis.replica_waiting WHERE name = $1 AND schema = $2 AND tab = $3 AND key = $4 AND md5(key) = md5($4) ORDER BY lsn, ordinal',
      [this.#name, schema, table, key],
    );
    return rows.flatMap(({ record, awaitsRead }) => {
      const change = readRecord(record);
      return change.kind === 'change' ? [{ change, awaitsRead }] : [];
    });
  }

  async forget({ schema, table }: TableName, key: string, { lsn, ordinal }: CommitPlace): Promise<void> {
    await this.#query(
      'DELETE FROM pg2kinesis.replica_waiting WHERE name = $1 AND schema = $2 AND tab = $3 AND key = $4 AND md5(key) = md5($4) AND (lsn, ordinal) <= ($5::pg_lsn, $6::bigint)',
      [this.#name, schema, table, key, formatLsn(lsn), ordinal],
    );
  }

  async truncate({ schema, table, lsn, ordinal }: Truncation): Promise<string[]> {
    const { only } = await this.#table({ schema, table });
    const at = [this.#name, schema, table, formatLsn(lsn), ordinal];
    const older = 'name = $1 AND schema = $2 AND tab = $3 AND (lsn, ordinal) < ($4::pg_lsn, $5::bigint)';
    await this.#query(
      `DELETE FROM ${only} AS t WHERE NOT EXISTS (SELECT FROM pg2kinesis.replica_note AS n
        WHERE n.name = $1 AND n.xmin = t.xmin AND (n.lsn, n.ordinal) > ($2::pg_lsn, $3::bigint))`,
      [this.#name, formatLsn(lsn), ordinal],
    );
    await this.#query(`DELETE FROM pg2kinesis.replica_parked WHERE ${older}`, at);
    const { rows } = await this.#query<{ key: string }>(
      `DELETE FROM pg2kinesis.replica_waiting WHERE ${older} RETURNING key`,
      at,
    );
    await this.#query('INSERT INTO pg2kinesis.replica_truncate VALUES ($1, $2, $3, $4, $5)', at);
    this.#count({ schema, table }, 1);
    return [...new Set(rows.map(({ key }) => key))];
  }

  async commit(shards: ReadonlyMap<string, ShardPosition>): Promise<number> {
    const waiting = await this.#options.target.translatingErrors(async () => {
      await this.#saved.save(this.state);
      if (shards.size > 0) await this.#options.saveShards(shards);
      const counted = this.state.isWaiting ? await this.#countWaiting() : 0;
      await this.#options.client.query('COMMIT');
      return counted;
    });
    const { changes } = this.#options.target;
    for (const [table, count] of this.#counted) changes.set(table, (changes.get(table) ?? 0) + count);
    return waiting;
  }

  async rollback(): Promise<void> {
    this.#options.target.forget();
    await this.#options.client.query('ROLLBACK');
  }

  async #countWaiting(): Promise<number> {
    const { rows } = await this.#query<{ n: string }>(
      'SELECT count(*) AS n FROM pg2kinesis.replica_waiting WHERE name = $1',
      [this.#name],
    );
    return Number(rows[0]?.n);
  }

  get #name(): string {
    return this.#options.name;
  }

  #count({ schema, table }: TableName, changes: number): void {
    const id = `${schema}.${table}`;
    this.#counted.set(id, (this.#counted.get(id) ?? 0) + changes);
  }

  #table({ schema, table }: TableName): Promise<TargetTable> {
    return this.#options.target.translatingErrors(() => this.#options.target.table({ schema, name: table }));
  }

  #query<R extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult<R>> {
    return this.#options.target.translatingErrors(() => this.#options.client.query<R>(text, [...values]));
  }
}

/** Does what needs the key of a table at the target. @throws {ReplicaError} TARGET_KEY_DIFFERS, with what helps here */
async function byKey<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ReplicaError && error.code === 'TARGET_KEY_DIFFERS') throw keyDiffers(error);
    throw error;
  }
}
