/**
 * The demo's writers: each makes transactions on tables of its own, and reports those that were committed to the ledger.
 * It knows what it has committed from its own statements and their row counts. Knows no slot, no function and no stream.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import type { Change, Committed } from './ledger.ts';
import { Rows } from './rows.ts';
import {
  auditTrail,
  customers,
  type DemoTable,
  hostile,
  type Json,
  orderLines,
  printedName,
  quoted,
  type Random,
  readings,
  type Row,
} from './tables.ts';

/** What a writer works with. */
export interface WriterOptions {
  /** Its name in the ledger. */
  readonly name: string;
  /** A connection that nobody else uses: its transactions are committed in the order in which it sends them. */
  readonly client: pg.Client;
  /** Tables that nobody else writes; the first is also the one for larger transactions and TRUNCATE. */
  readonly tables: readonly [DemoTable, ...DemoTable[]];
  readonly random: Random;
  /** Changes a second, roughly; larger transactions come on top. */
  readonly rate: number;
  /** Rows of a larger transaction, least and most. @default 300 to 1500 */
  readonly larger?: readonly [number, number];
  /** Told of each transaction once the server has said that it is committed. */
  readonly onCommit: (transaction: Committed) => void;
}

/** On which steps of a writer something special happens: `first`, early enough for a short demo, then once in `every` steps. */
const OCCASIONS = {
  savepoint: { first: 3, every: 7 },
  rollback: { first: 4, every: 25 },
  larger: { first: 9, every: 60 },
  truncate: { first: 16, every: 90 },
} as const;
const LARGE_TRANSACTION_ROWS = [300, 1500] as const;
/** A table with more rows gets more DELETEs than INSERTs. */
const MAX_ROWS = 4000;

/** What a transaction has done so far. */
interface Draft {
  readonly changes: Change[];
  /** Rows not to touch again in it: so each of its records differs from the others by table, key and operation. */
  readonly touched: Set<string>;
  readonly truncated: Set<DemoTable>;
}

/** One writer. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #rows: ReadonlyMap<DemoTable, Rows>;
  #serial = 0;
  #step = 0;

  /** @param options - who it is, where it writes, how fast */
  constructor(options: WriterOptions) {
    this.#options = options;
    this.#rows = new Map(options.tables.map((table) => [table, new Rows(table.key)]));
  }

  /**
   * Inserts rows that are there before anything is captured: the ledger does not know them.
   *
   * @param count - how many in each table that has a key
   */
  async fill(count: number): Promise<void> {
    const draft: Draft = { changes: [], touched: new Set(), truncated: new Set() };
    for (const table of this.#options.tables) if (table.key.length > 0) await this.#insert(table, count, draft);
    for (const change of draft.changes) this.#apply(change);
  }

  /**
   * Writes until told to stop, and finishes the transaction it is in.
   *
   * @param signal - aborts when it has to stop
   * @throws {Error} when the server refuses a statement, or a row count is not what the ledger would say
   */
  async write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changes = await this.#transaction();
      const pause = (Math.min(changes, 10) / this.#options.rate) * 1000 * (0.5 + this.#options.random());
      await wait(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One transaction. @returns how many changes it made */
  async #transaction(): Promise<number> {
    const { client, name, tables, random } = this.#options;
    const step = ++this.#step;
    const due = ({ first, every }: { first: number; every: number }): boolean => step % every === first;
    const draft: Draft = { changes: [], touched: new Set(), truncated: new Set() };
    await client.query('BEGIN');
    // The top-level transaction's id, which is the one that is published, whatever savepoints are made.
    const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::xid::text AS xid');
    const [largest] = tables;
    if (due(OCCASIONS.truncate)) await this.#truncate(largest, draft);
    const count = 1 + Math.floor(random() ** 3 * 8);
    for (let i = 0; i < count; i++) await this.#change(this.#pickTable(), draft);
    const [min, max] = this.#options.larger ?? LARGE_TRANSACTION_ROWS;
    if (due(OCCASIONS.larger)) await this.#insert(largest, min + Math.floor(random() * (max - min)), draft);
    if (due(OCCASIONS.savepoint)) {
      // What is rolled back to a savepoint must not arrive.
      await client.query('SAVEPOINT before_doubt');
      await this.#change(this.#pickTable(), { ...draft, changes: [] });
      await client.query('ROLLBACK TO SAVEPOINT before_doubt');
    }
    if (due(OCCASIONS.rollback)) {
      await client.query('ROLLBACK');
    } else {
      await client.query('COMMIT');
      this.#options.onCommit({ writer: name, xid: rows[0]?.xid ?? '', changes: draft.changes });
      for (const change of draft.changes) this.#apply(change);
    }
    return draft.changes.length;
  }

  #pickTable(): DemoTable {
    const { tables, random } = this.#options;
    return tables[Math.floor(random() * tables.length)] ?? tables[0];
  }

  /** One change of one row, none of whose keys the transaction has touched. */
  async #change(table: DemoTable, draft: Draft): Promise<void> {
    const { random } = this.#options;
    const rows = this.#rowsOf(table);
    const row = draft.truncated.has(table) ? undefined : rows.any(random);
    const dice = random();
    const free = row !== undefined && table.key.length > 0 && !draft.touched.has(this.#rowId(table, row));
    if (!free || dice < (rows.size > MAX_ROWS ? 0.1 : 0.4)) return this.#insert(table, 1, draft);
    draft.touched.add(this.#rowId(table, row));
    if (dice < 0.75) return this.#update(table, row, table.changed(row, random), draft);
    if (dice > 0.88) return this.#delete(table, row, draft);
    const moved = table.moved(row, ++this.#serial);
    draft.touched.add(this.#rowId(table, moved));
    return this.#update(table, row, moved, draft);
  }

  async #insert(table: DemoTable, count: number, draft: Draft): Promise<void> {
    const rows = Array.from({ length: count }, () => table.fresh(++this.#serial, this.#options.random));
    const name = printedName(table);
    await this.#expectRows(
      count,
      `INSERT INTO ${name} SELECT * FROM jsonb_populate_recordset(NULL::${name}, $1::jsonb)`,
      [rows],
    );
    for (const row of rows) {
      draft.touched.add(this.#rowId(table, row));
      draft.changes.push({ kind: 'INSERT', table: leaf(table, row), row });
    }
  }

  async #update(table: DemoTable, before: Row, row: Row, draft: Draft): Promise<void> {
    const name = printedName(table);
    const set = Object.keys(row)
      .filter((column) => row[column] !== before[column])
      .map((column) => `${quoted(column)} = n.${quoted(column)}`);
    const changed =
      set.length > 0
        ? set
        : Object.keys(row)
            .slice(0, 1)
            .map((column) => `${quoted(column)} = n.${quoted(column)}`);
    await this.#expectRows(
      1,
      `UPDATE ${name} t SET ${changed.join(', ')} FROM jsonb_populate_record(NULL::${name}, $2::jsonb) n, jsonb_populate_record(NULL::${name}, $1::jsonb) o WHERE ${sameKey(table)}`,
      [before, row],
    );
    const [from, to] = [leaf(table, before), leaf(table, row)];
    if (from === to) draft.changes.push({ kind: 'UPDATE', table: from, before, row });
    else draft.changes.push({ kind: 'DELETE', table: from, row: before }, { kind: 'INSERT', table: to, row });
  }

  async #delete(table: DemoTable, row: Row, draft: Draft): Promise<void> {
    const name = printedName(table);
    await this.#expectRows(
      1,
      `DELETE FROM ${name} t USING jsonb_populate_record(NULL::${name}, $1::jsonb) o WHERE ${sameKey(table)}`,
      [row],
    );
    draft.changes.push({ kind: 'DELETE', table: leaf(table, row), row });
  }

  async #truncate(table: DemoTable, draft: Draft): Promise<void> {
    draft.truncated.add(table);
    await this.#options.client.query(`TRUNCATE ${printedName(table)}`);
    // A partitioned table is listed first, then its partitions.
    for (const each of [table, ...(table.partitions ?? [])]) draft.changes.push({ kind: 'TRUNCATE', table: each });
  }

  async #expectRows(count: number, text: string, values: readonly (Json | readonly Row[])[]): Promise<void> {
    const result = await this.#options.client.query(
      text,
      values.map((value) => JSON.stringify(value)),
    );
    if (result.rowCount !== count)
      throw new Error(`The demo's writer changed ${result.rowCount ?? 'no'} rows where it meant ${count}: ${text}`);
  }

  #rowsOf(table: DemoTable): Rows {
    const rows = this.#rows.get(table);
    if (rows === undefined) throw new Error(`not a table of this writer: ${table.name}`);
    return rows;
  }

  #rowId(table: DemoTable, row: Row): string {
    return `${table.name} ${this.#rowsOf(table).keyOf(row)}`;
  }

  #apply(change: Change): void {
    const table = this.#options.tables.find(
      (each) => each === change.table || each.partitions?.includes(change.table) === true,
    );
    if (table === undefined || table.key.length === 0) return;
    const rows = this.#rowsOf(table);
    if (change.kind === 'TRUNCATE') return rows.clear();
    if (change.kind === 'UPDATE') rows.delete(change.before);
    if (change.kind === 'DELETE') rows.delete(change.row);
    else rows.add(change.row);
  }
}

const leaf = (table: DemoTable, row: Row): DemoTable => table.partitionOf?.(row) ?? table;
const sameKey = (table: DemoTable): string =>
  table.key.map((column) => `t.${quoted(column)} = o.${quoted(column)}`).join(' AND ');

/** What the writers work with together. */
export interface WorkloadOptions extends Pick<WriterOptions, 'random' | 'onCommit' | 'larger'> {
  /** @returns a connection for one writer alone */
  readonly connect: () => Promise<pg.Client>;
  /** Changes a second of all writers, roughly. */
  readonly rate: number;
}

/**
 * Makes two writers on tables of their own, so that transactions overlap and each table's order is known all the same.
 *
 * @param options - connections, pace, and whom to tell
 */
export async function makeWriters(options: WorkloadOptions): Promise<Writer[]> {
  const each = { ...options, rate: options.rate / 2 };
  return [
    new Writer({ ...each, name: 'shop', client: await options.connect(), tables: [customers, orderLines, auditTrail] }),
    new Writer({ ...each, name: 'sensors', client: await options.connect(), tables: [readings, hostile] }),
  ];
}
