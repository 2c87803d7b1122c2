/**
 * What the changes of a table that is being read do to a snapshot: which rows of the held chunk are no longer true, and which
 * rows are to be read once more, as a consumer would lack values of them. Pure; knows no message and no position.
 */
import { keyText, type KeyValues } from './chunk.ts';
import { ListedKeys } from './listed-keys.ts';
import { currentOf, withAgain, withCurrent } from './progress.ts';
import type { RunState } from './run-state.ts';

/** A row's change, as far as it matters to a snapshot. */
export interface KeyChange {
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE';
  /** As the plugin prints it. */
  readonly table: string;
  /** Of its transaction, 32 bits. */
  readonly xid: number;
  /** The new row's; of a DELETE, the old one's. */
  readonly key: KeyValues;
  /** Given where an UPDATE moves the row to another key. */
  readonly oldKey: KeyValues | undefined;
  /** Whether the new row lacks values that did not change, and the change does not show them elsewhere. */
  readonly incomplete: boolean;
  /** Whether it becomes a record. */
  readonly published: boolean;
}

/** Is told of changes in the order in which they are read from the slot. */
export class RowChanges<Row> {
  readonly #state: RunState<Row>;
  readonly #listed = new ListedKeys();

  /** @param state - the run's, which changes with them */
  constructor(state: RunState<Row>) {
    this.#state = state;
  }

  /** Whether a snapshot is under way at all. */
  get isUnderWay(): boolean {
    return this.#state.progress !== undefined;
  }

  /** @param table - as printed @returns whether rows of it are held, or were read and others are not */
  isReading(table: string): boolean {
    const { progress, held } = this.#state;
    return progress?.current?.name === table || held?.chunk.table === table;
  }

  /**
   * A change was read.
   *
   * @param change - its keys
   * @returns the row before the change, if the change lacks values that are to be taken from that row
   */
  changed(change: KeyChange): Row | undefined {
    const { table, xid, key, oldKey, incomplete } = change;
    if (!this.isUnderWay) return undefined;
    const row = this.#state.held?.removeRow(table, xid, oldKey ?? key);
    const isMove = oldKey !== undefined;
    // A consumer that never got the old row cannot know the missing values. One that does not get the change needs the whole row.
    if ((isMove && incomplete && row === undefined) || (row !== undefined && !change.published)) {
      if (change.operation !== 'DELETE') this.readAgain(table, key);
    }
    return incomplete ? row : undefined;
  }

  /**
   * A change was read that does not show its key.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  changedUnknown(table: string, xid: number): void {
    // It may belong to any row: the chunk is read once more.
    if (this.#state.held?.isOlderThan(table, xid) === true) this.#state.drop();
  }

  /**
   * A table was truncated.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  tableTruncated(table: string, xid: number): void {
    const { held } = this.#state;
    if (held?.isOlderThan(table, xid) === true) held.chunk.rows.clear();
  }

  /**
   * A row is to be read once more: what a consumer got of it lacks values.
   *
   * @param table - as printed
   * @param key - the row's
   */
  readAgain(table: string, key: KeyValues): void {
    if (!this.isReading(table)) return;
    const { held } = this.#state;
    const progress = this.#state.require();
    const text = keyText(key);
    const current = currentOf(progress, table, held?.chunk.key ?? '');
    // All of the table is read after this.
    if (held === undefined && current.cursor === undefined && !current.atEnd) return;
    const isListed = this.#listed.has(current.again, text);
    if (isListed && (held === undefined || held.fresh.has(text))) return;
    held?.fresh.add(text);
    this.#state.markUnsaved();
    if (isListed) return;
    const next = withAgain(current, key);
    if (next.again.length > current.again.length) this.#listed.added(next.again, text);
    if (next.cursor === undefined && next.again.length === 0) this.#state.drop();
    this.#state.change(withCurrent(progress, next));
  }
}
