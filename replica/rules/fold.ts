/**
 * Reduces the changes of a batch to one final state for each key. INSERT replaces the row, UPDATE changes some of its values, a key
 * change takes the row to its new key, TRUNCATE removes all rows. Pure: changes come in commit order; knows no target.
 *
 * Keys are compared by their text. Two texts of one key (`1.0` and `1.00`) do no harm: the source has only one of them at a time,
 * and the writer deletes all keys of the batch before it inserts any.
 */
import { ReplicaError } from '../errors.ts';
import { eachMember } from './json-text.ts';
import type { Change } from './record.ts';

/** A value as it is written in the record; null: SQL's NULL; undefined: not sent. JSON's null is the text `null`. */
export type JsonText = string | null | undefined;

/** The row of a key at the end of the batch. */
export interface FinalRow {
  /** Values by the table's {@link FoldedTable.columns}. */
  readonly values: readonly JsonText[];
  /**
   * The key that the row had before the batch: at the target it has the values that `values` lack. Undefined: the row is new,
   * and lacks only columns with a default.
   */
  readonly base: string | undefined;
  /** Indexes of columns that the source did not send: their values are those of the row `base`. */
  readonly needs: readonly number[];
}

/** The row of this key was deleted. */
export const DELETED = Symbol('deleted');

/** What a batch makes of a table. */
export interface FoldedTable {
  readonly schema: string;
  readonly name: string;
  /** Columns that the records name, each once. */
  readonly columns: readonly string[];
  /** Whether all its rows are removed first, by TRUNCATE. */
  readonly isEmptied: boolean;
  /** Every key that the batch changed, as JSON, and its row at the end. */
  readonly rows: ReadonlyMap<string, FinalRow | typeof DELETED>;
  /** How many changes were folded. */
  readonly changes: number;
}

const NONE: readonly number[] = [];
const NEW_ROW: FinalRow = { values: [], base: undefined, needs: NONE };

/** One table's fold. */
class TableFold implements FoldedTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: string[] = [];
  readonly rows = new Map<string, FinalRow | typeof DELETED>();
  isEmptied = false;
  changes = 0;
  readonly #index = new Map<string, number>();
  /** Rows of key changes of which only the first half was added, by their new key. */
  readonly #moving = new Map<string, FinalRow | typeof DELETED>();

  constructor(schema: string, name: string) {
    this.schema = schema;
    this.name = name;
  }

  add(change: Change): void {
    this.changes++;
    const { key, op } = change;
    if (op === 'TRUNCATE') {
      this.rows.clear();
      this.#moving.clear();
      this.isEmptied = true;
      return;
    }
    refuseUnusable(change);
    if (key === undefined) return;
    if (op === 'DELETE') {
      if (change.newKey !== undefined) this.#moving.set(change.newKey, this.#at(key));
      this.rows.set(key, DELETED);
      return;
    }
    const held = this.#before(change, key);
    this.rows.set(key, this.#overlay(held === DELETED ? NEW_ROW : held, change));
  }

  /** Keeps the old row of a key change until its second half is added. */
  carry(key: string, row: ReadonlyMap<string, JsonText> | undefined): void {
    const values: JsonText[] = [];
    for (const [name, source] of row ?? []) values[this.#column(name)] = source;
    this.#moving.set(key, row === undefined ? DELETED : { values, base: undefined, needs: NONE });
  }

  /** The row that a change sets values of, before it. */
  #before({ op, oldKey }: Change, key: string): FinalRow | typeof DELETED {
    if (oldKey === undefined) return op === 'INSERT' ? NEW_ROW : this.#at(key);
    const moved = this.#moving.get(key);
    this.#moving.delete(key);
    return moved ?? this.#at(oldKey);
  }

  /** A key's row now. Where the batch has not changed it, it is the target's row. */
  #at(key: string): FinalRow | typeof DELETED {
    return this.rows.get(key) ?? (this.isEmptied ? DELETED : { values: [], base: key, needs: NONE });
  }

  #overlay(held: FinalRow, change: Change): FinalRow {
    const values = [...held.values];
    eachMember(change.row ?? '{}', (name, source) => {
      const isNull = source === 'null' && !change.jsonNull.includes(name);
      values[this.#column(name)] = isNull ? null : source;
    });
    const unchanged = change.unchanged.map((name) => this.#column(name));
    const needs =
      unchanged.length === 0 && held.needs.length === 0
        ? NONE
        : [...new Set([...held.needs, ...unchanged])].filter((i) => values[i] === undefined);
    return { values, base: held.base, needs };
  }

  #column(name: string): number {
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    this.#index.set(name, this.columns.length);
    return this.columns.push(name) - 1;
  }
}

/** Folds the changes of a batch. */
export class Fold {
  readonly #tables = new Map<string, TableFold>();
  /** How many changes were folded. */
  changes = 0;

  /** @param change - the next in commit order @throws {ReplicaError} RECORD_UNUSABLE */
  add(change: Change): void {
    this.#table(change).add(change);
    this.changes++;
  }

  /**
   * Gives the row of a move whose first half was folded elsewhere. Its second half is added next.
   *
   * @param change - the second half
   * @param row - the old row; undefined: there was none
   */
  carry(change: Change, row: ReadonlyMap<string, JsonText> | undefined): void {
    if (change.key !== undefined) this.#table(change).carry(change.key, row);
  }

  get tables(): FoldedTable[] {
    return [...this.#tables.values()];
  }

  #table({ schema, table: name }: Change): TableFold {
    const id = `${JSON.stringify(schema)}.${name}`;
    let table = this.#tables.get(id);
    if (table === undefined) this.#tables.set(id, (table = new TableFold(schema, name)));
    return table;
  }
}

/** @param change - of a row @throws {ReplicaError} RECORD_UNUSABLE where it does not say which, or not all of it */
export function refuseUnusable(change: Change): void {
  if (change.key === undefined) throw unusable(change, 'without the key of its row');
  if (change.truncated) {
    throw unusable(change, 'without its row: it was too large for a record of the stream', {
      remedy:
        'Leave out such changes and count them: start with --skip-truncated (skipTruncated of a StreamReplica). Or make the copy anew, once MAX_RECORD_KIB is high enough, or with OVERSIZE=fail, which lets nothing pass without its row: from rows that were loaded since, with --start-after (startAfter), as the stream still holds this change.',
    });
  }
}

function unusable(
  { op, schema, table, text }: Change,
  how: string,
  options: { readonly remedy?: string } = {},
): ReplicaError {
  const { commitLsn } = JSON.parse(text) as { readonly commitLsn: string };
  return new ReplicaError(
    'RECORD_UNUSABLE',
    `The ${op} of ${schema}.${table} in the transaction with commit LSN ${commitLsn} was published ${how}. Nothing of that batch was applied.`,
    options,
  );
}
