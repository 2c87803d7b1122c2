/**
 * What a change does to a snapshot of its table: which row of the chunk it touches, and the values that it lacks and that
 * row has. Knows no run: it is asked for each change of a table that is being read.
 */
import { type ColumnHeader, type RowChange, type Tuple, ValueKind } from '../decode/messages.ts';
import type { Key } from '../format/record.ts';
import type { RowChanges } from '../snapshot/row-changes.ts';
import type { HeldRow } from '../snapshot/row-set.ts';
import { ChangeKeys } from './change-keys.ts';
import type { TablePolicy } from './table-policy.ts';

const LOWER_T = 0x74;

/** A run's view of the changes of tables that are being read. */
export class SnapshotRows {
  readonly #changes: RowChanges<HeldRow>;
  readonly #keys = new ChangeKeys();

  /** @param changes - is told of them */
  constructor(changes: RowChanges<HeldRow>) {
    this.#changes = changes;
  }

  /** Whether a snapshot is under way at all. */
  get isUnderWay(): boolean {
    return this.#changes.isUnderWay;
  }

  /**
   * Tells of a change, before it is published.
   *
   * @param change - valid during the call
   * @param policy - of its table
   * @param xid - of its transaction, 32 bits
   * @param published - whether it becomes a record
   * @returns the change, with values that it lacks where they are known
   */
  observe(change: RowChange, policy: TablePolicy, xid: number, published: boolean): RowChange {
    const { bytes, table, operation, newTuple, oldTuple } = change;
    if (!this.#changes.isReading(table.printed)) return change;
    const keys = this.#keys;
    if (keys.find(change, policy) !== 'found') {
      this.#changes.changedUnknown(table.printed, xid);
      return change;
    }
    const key = valuesOf(keys.key, bytes);
    const oldKey = keys.moves(change) ? valuesOf(keys.oldKey, bytes) : undefined;
    const incomplete = newTuple !== undefined && isIncomplete(newTuple, oldTuple);
    const row = this.#changes.changed({ operation, table: table.printed, xid, key, oldKey, incomplete, published });
    if (row === undefined) return change;
    const completed = row.rows.complete(row.index, change);
    // The row is in the chunk no more, and a column was altered behind that: nothing else would bring the value.
    if (completed.newTuple !== undefined && isIncomplete(completed.newTuple, oldTuple))
      this.#changes.readAgain(table.printed, key);
    return completed;
  }

  /**
   * @param table - that was truncated, as printed
   * @param xid - of the transaction, 32 bits
   */
  tableTruncated(table: string, xid: number): void {
    this.#changes.tableTruncated(table, xid);
  }
}

/** A key's parts as COPY prints them. */
function valuesOf(key: Key, bytes: Buffer): string[] {
  const values: string[] = [];
  for (let part = 0; part < key.count; part++) {
    const tuple = key.tuples[part];
    const column = key.columns[part] ?? 0;
    const header = tuple?.headers[column];
    const start = tuple?.starts[column] ?? 0;
    const text = bytes.toString('utf8', start, tuple?.ends[column]);
    if (header?.type === 'boolean') values.push(bytes[start] === LOWER_T ? 't' : 'f');
    else values.push(tuple?.kinds[column] === ValueKind.escaped ? text.replaceAll("''", "'") : text);
  }
  return values;
}

/** Whether a value did not change and was not sent, and the old row does not have it either. */
function isIncomplete(row: Tuple, old: Tuple | undefined): boolean {
  for (let i = 0; i < row.count; i++) {
    if (row.kinds[i] === ValueKind.unchanged && !hasValue(old, row.headers[i])) return true;
  }
  return false;
}

function hasValue(old: Tuple | undefined, header: ColumnHeader | undefined): boolean {
  if (old === undefined) return false;
  for (let i = 0; i < old.count; i++) if (old.headers[i] === header) return old.kinds[i] !== ValueKind.unchanged;
  return false;
}
