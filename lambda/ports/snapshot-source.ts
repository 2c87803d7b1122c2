/**
 * Tables that are read beside the slot, for a snapshot. Types only; `postgres` implements them, tests too.
 */
import type { Chunk, ChunkRequest } from '../snapshot/chunk.ts';
import type { HeldRow } from '../snapshot/row-set.ts';

/** A message that was written into the WAL. */
export interface WrittenMessage {
  /** The transaction that wrote it, 32 bits. */
  readonly xid: number;
  /** When, microseconds since 1970, by the server's clock. */
  readonly micros: bigint;
}

/** What became of the reading of a chunk. */
export type ReadChunk =
  | { readonly kind: 'chunk'; readonly chunk: Chunk<HeldRow>; readonly bytes: number }
  /** Not now, perhaps later. `what`: what has to be over first. */
  | { readonly kind: 'waiting'; readonly what: string }
  /** The table cannot be read any further. */
  | { readonly kind: 'refused'; readonly why: string };

/** Tables beside the slot, and the messages that say how far they are read. */
export interface SnapshotSource {
  /** The publications that the slot is read by. @default its plugin reads none */
  readonly publications?: readonly string[];
  /** @returns the next transaction id, 64 bits: all before it have begun */
  nextXid(): Promise<bigint>;
  /** Writes a message outside transactions, and sees to it that it is flushed. @param content - ASCII */
  write(content: string): Promise<WrittenMessage>;
  /**
   * Reads rows.
   *
   * @param request - which
   * @param maxBytes - about how much text
   * @param firstRowMs - how long the server may work before the first row
   */
  read(request: ChunkRequest, maxBytes: number, firstRowMs: number): Promise<ReadChunk>;
}
