/**
 * What to do with each table's changes: published by which key, or left out for which reason. Decided once a table and
 * batch, so that no filter and no look-up runs a row.
 * Knows no catalog query: the primary-key cache answers from memory, and its owner reads the catalogs when asked to.
 */
import type { ColumnHeader, TableName, Tuple } from '../decode/messages.ts';
import type { Log, PrimaryKeys, TableEntry } from '../ports.ts';
import { type Filters, omitsColumn, selectsTable } from '../settings/filters.ts';
import type { Skipped } from './counts.ts';

/** What to do with a table's changes. */
export interface TablePolicy {
  /** Why they are left out; undefined: they are published. */
  readonly skip: keyof Skipped | undefined;
  /** The key's columns, as printed; empty where they are left out for want of it. */
  readonly key: readonly string[];
  /** What was known of the key before the newest reading; empty: that there was none. */
  readonly earlierKey: readonly string[] | undefined;
  /** Whether the server sends the key of a DELETE. */
  readonly identityHoldsKey: boolean;
  /** Columns to leave out, as printed; grows with {@link TablePolicies.judgeColumns}. */
  readonly omitted: Set<string>;
  /** Columns judged already. */
  readonly judged: Set<ColumnHeader>;
  /** The table's names, its ancestors' too. */
  readonly names: readonly string[];
  /** The reading of the catalogs that it was made from. */
  readonly version: number;
}

/** Plans by table, good for one batch: a table unknown to the catalogs now may be made again before the next. */
export class TablePolicies {
  readonly #keys: PrimaryKeys;
  readonly #filters: Filters;
  readonly #log: Log;
  readonly #named: Set<string>;
  readonly #plans = new Map<TableName, TablePolicy>();
  readonly #asked = new Set<TableName>();
  #lastTable: TableName | undefined;
  #lastPlan: TablePolicy | undefined;

  /**
   * @param keys - the primary-key cache
   * @param filters - which tables and columns are wanted
   * @param log - where a table without a primary key is named
   * @param named - the tables named there already, by printed name; kept across warm runs
   */
  constructor(keys: PrimaryKeys, filters: Filters, log: Log, named: Set<string>) {
    this.#keys = keys;
    this.#filters = filters;
    this.#log = log;
    this.#named = named;
  }

  /** Forgets all plans: what was concluded from the catalogs holds for rows that were committed before, no others. */
  beginBatch(): void {
    this.#plans.clear();
    this.#asked.clear();
    this.#lastTable = undefined;
  }

  /**
   * Asks for the catalogs to be read again because of a table, once a batch: every row of a batch is older than any
   * reading made while it is read, so a second would say nothing new.
   *
   * @returns true: read them and come again; false: they were read already
   */
  needsReload(table: TableName): boolean {
    if (this.#asked.has(table)) return false;
    this.#asked.add(table);
    return true;
  }

  /** @returns the table's plan, or undefined when the catalogs have to be read again first */
  of(table: TableName): TablePolicy | undefined {
    if (table === this.#lastTable && this.#lastPlan?.version === this.#keys.version) return this.#lastPlan;
    let plan = this.#plans.get(table);
    if (plan?.version !== this.#keys.version) {
      plan = this.#make(table);
      if (plan === undefined) return undefined;
      this.#plans.set(table, plan);
    }
    this.#lastTable = table;
    this.#lastPlan = plan;
    return plan;
  }

  /**
   * Applies COLUMN_EXCLUDE_LIST to the columns of a row that were not judged before.
   *
   * @param plan - the table's
   * @param tuple - the row
   */
  judgeColumns(plan: TablePolicy, tuple: Tuple | undefined): void {
    if (tuple === undefined || this.#filters.columnExclude.length === 0) return;
    for (let i = 0; i < tuple.count; i++) {
      const header = tuple.headers[i];
      if (header === undefined || plan.judged.has(header)) continue;
      plan.judged.add(header);
      // Without its key a record would be of no use: a key column stays.
      if (!plan.key.includes(header.printed) && omitsColumn(this.#filters, plan.names, header.name)) {
        plan.omitted.add(header.printed);
      }
    }
  }

  #make(table: TableName): TablePolicy | undefined {
    const own = [`${table.schema}.${table.name}`];
    // An excluded table needs no catalogs. One that is not included might be by its ancestors' names.
    if (this.#filters.tableExclude.length > 0 && !selectsTable({ ...this.#filters, tableInclude: [] }, own)) {
      // Its key is taken where it is known: a key change counts two ordinals, filtered or not.
      return this.#plan('filtered', this.#keys.current(table) ?? this.#keys.earlier(table), own);
    }
    const current = this.#keys.current(table);
    if (current === undefined && this.needsReload(table)) return undefined;
    const earlier = this.#keys.earlier(table);
    const entry = current ?? earlier;
    const names = [...own, ...(entry?.ancestors ?? [])];
    if (!selectsTable(this.#filters, names)) return this.#plan('filtered', entry, names);
    if (entry === undefined) return this.#plan('droppedTable', entry, names);
    if (entry.key.length === 0) {
      this.#nameOnce(table);
      return this.#plan(current === undefined ? 'droppedTable' : 'noPrimaryKey', entry, names);
    }
    return this.#plan(undefined, entry, names, earlier);
  }

  #plan(
    skip: TablePolicy['skip'],
    entry: TableEntry | undefined,
    names: readonly string[],
    earlier?: TableEntry,
  ): TablePolicy {
    return {
      skip,
      key: entry?.key ?? [],
      earlierKey: earlier?.key,
      identityHoldsKey: entry?.identityHoldsKey ?? false,
      omitted: new Set(entry?.virtualColumns),
      judged: new Set(),
      names,
      version: this.#keys.version,
    };
  }

  #nameOnce(table: TableName): void {
    if (this.#named.has(table.printed)) return;
    this.#named.add(table.printed);
    this.#log.warn(`The table ${table.printed} has no primary key: its changes are not published, but counted.`, {
      table: table.printed,
    });
  }
}
