/**
 * The chunk that waits for its watermark, and what the changes read meanwhile do to it: a change that the chunk's MVCC
 * snapshot does not see makes its row stale. Pure; knows no state and no slot.
 */
import { type Chunk, keyText, type KeyValues } from './chunk.ts';

/** A chunk from its reading until its watermark is read. */
export class HeldChunk<Row> {
  readonly chunk: Chunk<Row>;
  /** Names the message that was written behind it. */
  readonly watermark: string;
  /** How many rows it had when it was read. */
  readonly count: number;
  /** Keys of rows to be read again that were added after the chunk was read. */
  readonly fresh = new Set<string>();

  /**
   * @param chunk - what was read
   * @param watermark - names the message that is written behind it
   */
  constructor(chunk: Chunk<Row>, watermark: string) {
    this.chunk = chunk;
    this.watermark = watermark;
    this.count = chunk.rows.size;
  }

  /**
   * Whether a transaction's changes of a table are newer than the rows that are held.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   */
  isOlderThan(table: string, xid: number): boolean {
    return this.chunk.table === table && !this.chunk.sees(xid);
  }

  /**
   * Takes out the row before a change. The chunk has no row of the new key: the change that removed that row came before.
   *
   * @param table - as printed
   * @param xid - of the transaction, 32 bits
   * @param key - that the row had before the change
   * @returns the row, if it was there
   */
  removeRow(table: string, xid: number, key: KeyValues): Row | undefined {
    if (!this.isOlderThan(table, xid)) return undefined;
    const text = keyText(key);
    const row = this.chunk.rows.get(text);
    this.chunk.rows.delete(text);
    return row;
  }
}
