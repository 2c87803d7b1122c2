/**
 * A chunk: rows of one table as one MVCC snapshot of the server saw them, held until the slot was read on to the message
 * that was written behind them. Pure; knows nothing of a row but its key.
 */

/** The parts of a primary key, as the server prints them, in key order. */
export type KeyValues = readonly string[];

/** A key as one text, to look it up by. Equal texts are equal parts. */
export function keyText(key: KeyValues): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key);
}

/** What was read. */
export interface Chunk<Row> {
  /** As the plugin prints it. */
  readonly table: string;
  /** The table's key, by which the next chunk knows whether it is still the same. */
  readonly key: string;
  /** By {@link keyText}, in the order of the key. */
  readonly rows: Map<string, Row>;
  /** The key of the last row; undefined: there was none, or rows were asked for by their keys. */
  readonly last: KeyValues | undefined;
  /** Whether the table has no row behind them. Of rows asked for by their keys: what was so before. */
  readonly atEnd: boolean;
  /** The keys that were asked for; undefined: rows behind the cursor were. */
  readonly asked: readonly KeyValues[] | undefined;
  /**
   * Whether the server's snapshot sees a transaction, so that its changes are in the rows.
   *
   * @param xid - 32 bits
   */
  sees(xid: number): boolean;
}

/** What is to be read next. */
export interface ChunkRequest {
  /** As the plugin prints it. */
  readonly table: string;
  /** The key that the cursor is of; undefined: nothing was read. */
  readonly key: string | undefined;
  /** Rows behind it; undefined: from the first. */
  readonly cursor: KeyValues | undefined;
  /** Rows of these keys instead; undefined: rows behind the cursor. */
  readonly asked: readonly KeyValues[] | undefined;
  /** Not before every transaction before this one (64 bits) is over. */
  readonly barrier: bigint | undefined;
}
