/**
 * The demo's own list of what was committed, made from its own statements: the changes of each transaction, and the
 * records that a consumer must therefore receive. Written from docs/records.md alone; knows none of the code that it tests.
 */
import { createHash } from 'node:crypto';
import { contentsInEnvelope, debeziumKey } from './envelopes.ts';
import type { FormatName } from './parse-record.ts';
import { canonical, identityOf, keyText } from './record-identity.ts';
import { type DemoTable, type Json, printedName, type Row, TABLES } from './tables.ts';
import type { ExpectedRecord } from './verifier.ts';

/** One change of a transaction, in the order in which it was made. */
export type Change =
  | { readonly kind: 'INSERT' | 'DELETE'; readonly table: DemoTable; readonly row: Row }
  | { readonly kind: 'UPDATE'; readonly table: DemoTable; readonly before: Row; readonly row: Row }
  | { readonly kind: 'TRUNCATE'; readonly table: DemoTable };

/** A transaction that was committed. */
export interface Committed {
  /** Who wrote it: the order between two writers' transactions is not known, but a table has one writer. */
  readonly writer: string;
  readonly xid: string;
  readonly changes: readonly Change[];
}

/** What decides the partition key, as PARTITION_BY names it. */
export type PartitionBy = 'primary-key' | 'table' | 'transaction' | 'stream';

/** What the records depend on. */
export interface LedgerOptions {
  readonly partitionBy: PartitionBy;
  readonly format: FormatName;
  /** Whether partition keys are those of Debezium Server. */
  readonly debeziumKeys: boolean;
  /** SOURCE_NAME. */
  readonly source: string;
  /** OPERATIONS. */
  readonly operations: ReadonlySet<string>;
  /** TABLE_INCLUDE_LIST, TABLE_EXCLUDE_LIST and COLUMN_EXCLUDE_LIST, each expression anchored. */
  readonly filters: {
    readonly tableInclude: readonly RegExp[];
    readonly tableExclude: readonly RegExp[];
    readonly columnExclude: readonly RegExp[];
  };
}

/** Counts commits and says which records they must give. */
export class Ledger {
  /** Transactions committed. */
  transactions = 0;
  /** Changes committed to tables with a primary key. */
  keyed = 0;
  /** Changes committed to tables without one. */
  keyless = 0;
  /** Changes committed that the settings exclude. */
  filtered = 0;
  readonly #options: LedgerOptions;

  /** @param options - what the records depend on */
  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /**
   * Adds a transaction.
   *
   * @param transaction - what was committed; a writer's in the order of their commits
   * @returns the records that must arrive, in order
   */
  commit(transaction: Committed): ExpectedRecord[] {
    this.transactions++;
    const expected: ExpectedRecord[] = [];
    let ordinal = 0;
    for (const change of transaction.changes) {
      // Every change has an ordinal, also one of a table without a key. A change of the primary key has two.
      const isKeyChange =
        change.kind === 'UPDATE' && keyOf(change.table, change.before) !== keyOf(change.table, change.row);
      const first = ordinal + 1;
      ordinal += isKeyChange ? 2 : 1;
      if (!this.#isSelected(change.table)) {
        this.filtered++;
        continue;
      }
      if (change.table.key.length === 0) {
        this.keyless++;
        continue;
      }
      if (!this.#options.operations.has(change.kind)) {
        this.filtered++;
        continue;
      }
      this.keyed++;
      if (isKeyChange) {
        const { table, before, row } = change;
        const [oldKey, newKey] = [keyObject(table, before), keyObject(table, row)];
        expected.push(
          this.#record(transaction, table, 'DELETE', before, first, { newKey }),
          this.#record(transaction, table, 'INSERT', row, first + 1, {
            oldKey,
            ...this.#rowFields(table, row, before),
          }),
        );
      } else {
        expected.push(this.#ofChange(transaction, change, first));
      }
    }
    return expected;
  }

  #ofChange(transaction: Committed, change: Change, ordinal: number): ExpectedRecord {
    const { kind, table } = change;
    switch (kind) {
      case 'INSERT':
        return this.#record(transaction, table, kind, change.row, ordinal, this.#rowFields(table, change.row));
      case 'UPDATE':
        return this.#record(
          transaction,
          table,
          kind,
          change.row,
          ordinal,
          this.#rowFields(table, change.row, change.before),
        );
      case 'DELETE':
        return this.#record(transaction, table, kind, change.row, ordinal, {});
      case 'TRUNCATE':
        return this.#record(transaction, table, kind, undefined, ordinal, {});
    }
  }

  #record(
    transaction: Committed,
    table: DemoTable,
    operation: string,
    row: Row | undefined,
    ordinal: number,
    more: object,
  ): ExpectedRecord {
    const { writer, xid } = transaction;
    const key = row === undefined ? undefined : table.key.map((column) => row[column] ?? null);
    const partitionKey = this.#partitionKey(xid, table, key);
    const contents = {
      source: this.#options.source,
      op: operation,
      schema: table.schema,
      table: table.name,
      key: row === undefined ? null : keyObject(table, row),
      ordinal,
      ...more,
    };
    const { format } = this.#options;
    return {
      identity: identityOf({ xid, table: printedName(table), operation, key }),
      partitionKey,
      group: `${writer} ${partitionKey}`,
      table: printedName(table),
      isBarrier: operation === 'TRUNCATE',
      contents: format === 'debezium' || format === 'dms' ? contentsInEnvelope(format, contents) : canonical(contents),
    };
  }

  /** Filters come before keys. */
  #isSelected(table: DemoTable): boolean {
    const { tableInclude, tableExclude } = this.#options.filters;
    const matches = (list: readonly RegExp[]): boolean =>
      list.some((pattern) => namesOf(table).some((name) => pattern.test(name)));
    return !matches(tableExclude) && (tableInclude.length === 0 || matches(tableInclude));
  }

  /** The new row as the record has it: an unchanged long value is named, not sent. */
  #rowFields(table: DemoTable, row: Row, before?: Row): { row: Row; unchanged?: string[] } {
    const isShown = (column: string): boolean =>
      table.key.includes(column) ||
      !this.#options.filters.columnExclude.some((pattern) =>
        namesOf(table).some((name) => pattern.test(`${name}.${column}`)),
      );
    const { longColumn: long } = table;
    const isUnchanged =
      long !== undefined && before !== undefined && typeof row[long] === 'string' && row[long] === before[long];
    const shownColumns = Object.fromEntries(
      Object.entries(row).filter(([column]) => isShown(column) && !(isUnchanged && column === long)),
    );
    return isUnchanged && isShown(long) ? { row: shownColumns, unchanged: [long] } : { row: shownColumns };
  }

  #partitionKey(xid: string, table: DemoTable, key: readonly Json[] | undefined): string {
    const name = `${table.schema}.${table.name}`;
    if (this.#options.debeziumKeys) return shortened(debeziumKey(table, key));
    switch (this.#options.partitionBy) {
      case 'primary-key': {
        return shortened(key === undefined ? name : `${name}:${keyText(key)}`);
      }
      case 'table':
        return name;
      case 'transaction':
        return xid;
      case 'stream':
        return this.#options.source;
    }
  }
}

/** A partition key that is too long is replaced. */
const shortened = (text: string): string =>
  Array.from(text).length > 256 ? createHash('sha256').update(text).digest('hex') : text;

/** `schema.table`, unquoted, the table's own name and for a partition its table's. */
function namesOf(table: DemoTable): string[] {
  const parent = TABLES.find((each) => each.partitions?.includes(table) === true);
  return [table, ...(parent === undefined ? [] : [parent])].map((each) => `${each.schema}.${each.name}`);
}

const keyObject = (table: DemoTable, row: Row): Row =>
  Object.fromEntries(table.key.map((column) => [column, row[column] ?? null]));
const keyOf = (table: DemoTable, row: Row): string => canonical(keyObject(table, row));
