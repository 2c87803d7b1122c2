/**
 * Writes the planned changes: first all deletes of all tables, then all inserts. So a unique value that moves from one row to
 * another never conflicts. Old rows whose values are needed are saved to a temporary table before.
 */
import type pg from 'pg';
import { ReplicaError } from '../errors.ts';
import { copyRows } from './copy.ts';
import { quoteName } from './sql-text.ts';
import type { RowGroup, TablePlan } from './table-plan.ts';
import type { TargetTable } from './target-table.ts';

/** What a writer works with. */
export interface TableWriterOptions {
  readonly client: pg.Client;
  /** Leaves out changes whose old row is not there, instead of refusing them. */
  readonly skipMissing: boolean;
}

/** Writes to the tables of one target. */
export class TableWriter {
  /** How many changes were left out because their old row was not there. */
  missing = 0;
  /** The same, where a snapshot is to bring the row. */
  awaitingRead = 0;
  readonly #client: pg.Client;
  readonly #skipMissing: boolean;
  /** Tables for which this session has a temporary table. */
  #staged = new Set<string>();

  constructor({ client, skipMissing }: TableWriterOptions) {
    this.#client = client;
    this.#skipMissing = skipMissing;
  }

  /** The transaction was rolled back, and with it the temporary tables that it created. */
  forget(): void {
    this.#staged = new Set();
  }

  /**
   * @param plans - of all tables that a batch touches
   * @param awaits - tells whether rows of a table may be missing, which come later
   * @throws {ReplicaError} MISSING_ROW
   */
  async write(plans: readonly TablePlan[], awaits: (plan: TablePlan) => boolean): Promise<void> {
    for (const plan of plans) {
      this.#leaveOut(plan.table, plan.missing, awaits(plan));
      if (plan.filled.length > 0) await this.#stage(plan, awaits(plan));
    }
    for (const plan of plans) await this.#delete(plan);
    for (const plan of plans) {
      const { table, complete } = plan;
      for (const { columns, lines } of complete) await copyRows(this.#client, into(table, columns), lines);
      if (plan.filled.length > 0) await this.#insertStaged(plan);
    }
  }

  async #delete({ table, isEmptied, key, deleted }: TablePlan): Promise<void> {
    if (isEmptied)
      await this.#client.query(table.isReferenced ? `DELETE FROM ${table.only}` : `TRUNCATE ${table.only}`);
    else if ((deleted[0]?.length ?? 0) > 0) await this.#client.query(deletion(table, key), deleted);
  }

  /** Puts rows that lack values into a temporary table, and fills them from the rows that are there. */
  async #stage({ table, key, filled }: TablePlan, awaits: boolean): Promise<void> {
    const stage = stageOf(table);
    if (this.#staged.has(table.oid)) await this.#client.query(`TRUNCATE ${stage}`);
    else await this.#makeStage(table, key);
    for (const [g, { columns, lines, oldKeys }] of filled.entries()) {
      const names = ['g', ...key.map((_, i) => `k${i}`), ...columns.map((column) => `c${column}`)];
      const rows = lines.map((line, i) => [g, oldKeys[i] ?? '', ...(columns.length === 0 ? [] : [line])].join('\t'));
      await copyRows(this.#client, `${stage} (${names.join(', ')})`, rows);
    }
    const same = key.map(({ column, equals }, i) => `t.${quoteName(column.name)} ${equals} s.k${i}`).join(' AND ');
    for (const [g, group] of filled.entries()) {
      const set = lackingOf(table, group).map(
        (column) => `c${column} = t.${quoteName(table.columns[column]?.name ?? '')}`,
      );
      const { rowCount } = await this.#client.query(
        `UPDATE ${stage} AS s SET ${['found = true', ...set].join(', ')} FROM ${table.only} AS t WHERE s.g = ${g} AND ${same}`,
      );
      const missing = group.lines.length - (rowCount ?? 0);
      if (missing === 0 || !group.needsOld) continue;
      this.#leaveOut(table, missing, awaits);
      await this.#client.query(`DELETE FROM ${stage} WHERE g = ${g} AND NOT found`);
    }
  }

  /** @throws {ReplicaError} MISSING_ROW */
  #leaveOut(table: TargetTable, missing: number, awaits: boolean): void {
    if (awaits) this.awaitingRead += missing;
    else if (this.#skipMissing) this.missing += missing;
    else if (missing > 0) throw missingRow(table, missing);
  }

  async #makeStage(table: TargetTable, key: TablePlan['key']): Promise<void> {
    const columns = [
      ...key.map(({ column }, i) => `t.${quoteName(column.name)} AS k${i}`),
      ...table.columns.map(({ name }, i) => `t.${quoteName(name)} AS c${i}`),
    ];
    await this.#client.query(`DROP TABLE IF EXISTS ${stageOf(table)}`);
    await this.#client.query(
      `CREATE TEMPORARY TABLE ${stageOf(table)} ON COMMIT DELETE ROWS AS SELECT 0 AS g, ${columns.join(', ')} FROM ${table.sql} AS t WITH NO DATA`,
    );
    await this.#client.query(`ALTER TABLE ${stageOf(table)} ADD COLUMN found boolean DEFAULT false`);
    this.#staged.add(table.oid);
  }

  async #insertStaged({ table, filled }: TablePlan): Promise<void> {
    for (const [g, group] of filled.entries()) {
      const all = [...group.columns, ...lackingOf(table, group)];
      await this.#insertFrom(table, all, `g = ${g} AND found`);
      // The source has sent every value; only columns that the target alone has are left.
      if (!group.needsOld) await this.#insertFrom(table, group.columns, `g = ${g} AND NOT found`);
    }
  }

  async #insertFrom(table: TargetTable, columns: readonly number[], where: string): Promise<void> {
    const from = columns.map((column) => `c${column}`).join(', ');
    await this.#client.query(
      `INSERT INTO ${into(table, columns)} OVERRIDING SYSTEM VALUE SELECT ${from} FROM ${stageOf(table)} WHERE ${where}`,
    );
  }
}

/** The target's own columns that a group has no values for. */
function lackingOf({ columns }: TargetTable, group: RowGroup): number[] {
  return [...columns.keys()].filter((i) => columns[i]?.isGenerated === false && !group.columns.includes(i));
}

/** The statement that deletes keys. Its parameters are the key's columns, each an array of texts. */
function deletion({ only }: TargetTable, key: TablePlan['key']): string {
  const [first, ...others] = key;
  // There are no arrays of arrays, and before 11 none of domains.
  const hasArray = ({ column: { kind } }: TablePlan['key'][number]): boolean =>
    kind.kind !== 'array' && kind.kind !== 'domain';
  // By far the cheapest: the index is looked up for each. A join reads the whole table again and again.
  if (first !== undefined && others.length === 0 && hasArray(first)) {
    const { column, equals } = first;
    return `DELETE FROM ${only} AS t WHERE t.${quoteName(column.name)} ${equals} ANY ($1::text[]::${column.type}[])`;
  }
  const names = key.map((_, i) => `k${i}`);
  const given = key.map((part, i) => `$${i + 1}::text[]${hasArray(part) ? `::${part.column.type}[]` : ''}`);
  const same = key.map(
    (part, i) =>
      `t.${quoteName(part.column.name)} ${part.equals} k.k${i}${hasArray(part) ? '' : `::${part.column.type}`}`,
  );
  return `DELETE FROM ${only} AS t USING unnest(${given.join(', ')}) AS k (${names.join(', ')}) WHERE ${same.join(' AND ')}`;
}

function stageOf({ oid }: TargetTable): string {
  return `pg_temp.pg2kinesis_rows_${oid}`;
}

function into({ sql, columns }: TargetTable, given: readonly number[]): string {
  return `${sql} (${given.map((i) => quoteName(columns[i]?.name ?? '')).join(', ')})`;
}

function missingRow({ sql }: TargetTable, count: number): ReplicaError {
  return new ReplicaError(
    'MISSING_ROW',
    `${count} ${count === 1 ? 'row' : 'rows'} of ${sql} that the source updated without sending all columns ${count === 1 ? 'is' : 'are'} not at the target. Nothing of that batch was applied.`,
  );
}
