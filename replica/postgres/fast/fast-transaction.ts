/**
 * One transaction of a PostgreSQL target to which changes are applied as they come. Each part is a savepoint. The rows that a
 * part writes have the same xmin as its row in `replica_note`: so a TRUNCATE finds the rows that are newer than itself. The
 * rules are in `../../rules/fast`.
 */
import type pg from 'pg';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import type { AwaitsRows } from '../../rules/applier.ts';
import {
  type CarriedRow,
  copyingOf,
  type DeferredChange,
  type FastState,
  type FastTransaction,
  laneStart,
  type LeftOut,
  type TableName,
  type Truncation,
} from '../../rules/fast/fast-target.ts';
import { type CommitPlace, type LanePosition, leastReadUpto } from '../../rules/fast/lane-position.ts';
import type { FoldedTable, JsonText } from '../../rules/fold.ts';
import { type Change, readRecord } from '../../rules/record.ts';
import type { ShardPosition } from '../../rules/shards.ts';
import { copyingFrom, type CopyingJson, copyingJson } from '../position-tables.ts';
import { quoteName, requireLsn } from '../sql-text.ts';
import { keyOf, keyValues } from '../table-plan.ts';
import type { PostgresTarget } from '../target.ts';
import type { TargetTable } from '../target-table.ts';
import { sourceOf } from '../values.ts';
import { READ_STATE } from './fast-schema.ts';

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
  readonly #before: ReadonlyMap<number, LanePosition>;
  /** Source, system, start and number of lanes, as they were at the beginning. */
  readonly #described: string;
  #parts = 0;
  #counted = new Map<string, number>();
  /** Counts before the part that may be undone. */
  #kept = new Map<string, number>();

  constructor(options: FastTransactionOptions) {
    this.#options = options;
    this.state = options.state;
    this.#before = new Map(options.state.lanes);
    this.#described = this.#describe();
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
    const leftOut = await this.#options.target.translatingErrors(() => this.#options.target.write(tables, awaits));
    for (const { schema, name, changes } of tables) this.#count({ schema, table: name }, changes);
    return leftOut;
  }

  async park(move: Change): Promise<void> {
    const table = await this.#table(move);
    const key = keyOf(move.key ?? '{}', { schema: move.schema, name: move.table }, table);
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
      await this.#saveState();
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

  async #saveState(): Promise<void> {
    const { client } = this.#options;
    const { source, system, start, laneCount = 0, lanes } = this.state;
    if (this.#describe() !== this.#described) {
      await client.query(
        'UPDATE pg2kinesis.replica SET source = $2, system = $3, cut = $4, updated_at = now() WHERE name = $1',
        [this.#name, source ?? null, system ?? null, formatLsn(start)],
      );
      await client.query('DELETE FROM pg2kinesis.replica_lane WHERE name = $1 AND lane >= $2', [this.#name, laneCount]);
    }
    const changed = [...lanes].filter(([lane, position]) => this.#before.get(lane) !== position);
    if (changed.length === 0) return;
    const tells = ({ copying }: LanePosition): string => JSON.stringify(copying);
    const isTold = changed.some(
      ([lane, position]) => tells(position) !== tells(this.#before.get(lane) ?? laneStart(this.state)),
    );
    const column = <T>(of: (position: LanePosition) => T): T[] => changed.map(([, position]) => of(position));
    await client.query(
      `INSERT INTO pg2kinesis.replica_lane AS l (name, lane, lanes, lsn, ordinal, reach, timeline, unmarked_since, copying)
       SELECT $1, u.lane, $2, u.lsn, u.ordinal, u.reach, u.timeline, u.since, u.copying
         FROM unnest($3::int[], $4::pg_lsn[], $5::bigint[], $6::pg_lsn[], $7::int[], $8::timestamptz[], $9::jsonb[])
           AS u (lane, lsn, ordinal, reach, timeline, since, copying)
       ON CONFLICT (name, lane) DO UPDATE SET lanes = excluded.lanes, lsn = excluded.lsn, ordinal = excluded.ordinal, reach = excluded.reach,
         timeline = excluded.timeline, unmarked_since = excluded.unmarked_since, copying = excluded.copying, updated_at = now()`,
      [
        this.#name,
        laneCount,
        changed.map(([lane]) => lane),
        column(({ lsn }) => formatLsn(lsn)),
        column(({ ordinal }) => (ordinal === Infinity ? null : ordinal)),
        column(({ readUpto }) => formatLsn(readUpto)),
        column(({ timeline }) => timeline ?? null),
        column(({ unmarkedSinceMs: since }) => (since === undefined ? null : new Date(since))),
        column(({ copying }) => copyingJson(copying)),
      ],
    );
    if (isTold) await this.#tellCopying();
    await this.#prune();
  }

  /** Saves for which tables rows are still to come, in whatever lane. */
  async #tellCopying(): Promise<void> {
    const { client } = this.#options;
    // Others may tell the same of their lanes at this moment: one after the other, so that the last one sees all.
    await client.query('SELECT FROM pg2kinesis.replica WHERE name = $1 FOR UPDATE', [this.#name]);
    const { rows } = await client.query<StateRow>(READ_STATE, [this.#name]);
    const [row] = rows;
    if (row === undefined) return;
    await client.query('UPDATE pg2kinesis.replica SET copying = $2 WHERE name = $1', [
      this.#name,
      copyingJson(copyingOf(stateOf(row))),
    ]);
  }

  /** Deletes what is no longer needed, because every lane was read beyond it. */
  async #prune(): Promise<void> {
    const { lanes, laneCount = 0 } = this.state;
    const least = leastReadUpto(lanes, laneCount);
    if (least === undefined || least === leastReadUpto(this.#before, laneCount)) return;
    for (const table of ['replica_note', 'replica_truncate']) {
      // Another process may delete the same rows at this moment.
      await this.#options.client.query(
        `DELETE FROM pg2kinesis.${table} WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM pg2kinesis.${table} WHERE name = $1 AND lsn <= $2 FOR UPDATE SKIP LOCKED))`,
        [this.#name, formatLsn(least)],
      );
    }
  }

  get #name(): string {
    return this.#options.name;
  }

  #describe(): string {
    const { source, system, start, laneCount } = this.state;
    return JSON.stringify([source, system, String(start), laneCount]);
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

/** A row of `READ_STATE`. */
export interface StateRow {
  readonly source: string | null;
  readonly system: string | null;
  readonly start: string;
  readonly copying: CopyingJson;
  readonly lanes: readonly [number, number, string, number | null, string, number | null, number | null, CopyingJson][];
  readonly truncations: readonly [string, string, string, number][];
  readonly isWaiting: boolean;
}

/** @param row - as the target has it @returns the state */
export function stateOf({ source, system, start, copying, lanes, truncations, isWaiting }: StateRow): FastState {
  const [first] = lanes;
  return {
    source: source ?? undefined,
    system: system ?? undefined,
    start: requireLsn(start),
    awaitsSnapshot: copying === 'awaited',
    laneCount: first?.[1],
    lanes: new Map(
      lanes.map(([lane, , lsn, ordinal, reach, timeline, since, tables]) => [
        lane,
        {
          lsn: requireLsn(lsn),
          ordinal: ordinal ?? Infinity,
          readUpto: requireLsn(reach),
          timeline: timeline ?? undefined,
          unmarkedSinceMs: since ?? undefined,
          copying: copyingFrom(tables),
        },
      ]),
    ),
    truncations: truncations.map(([schema, table, lsn, ordinal]) => ({ schema, table, lsn: requireLsn(lsn), ordinal })),
    isWaiting,
    waiting: new Set(),
  };
}
