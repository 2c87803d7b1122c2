/**
 * Reading ahead, as a run sees it. Types only; `postgres` implements them, tests too.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Peek } from './slot.ts';

/** Reads what lies behind the peek that is published just now, from copies of the slot. It consumes nothing. */
export interface AheadSource {
  /** Whether it has failed or was closed. Then nothing more is read ahead in this session. */
  readonly isOver: boolean;
  /**
   * Begins a peek. The first opens the connections and makes the copies. At most one may wait to be published, beside the one that is.
   *
   * @param from - where it begins: the newest commit LSN of the peek before it
   * @param upto - upto_lsn, as of a slot's peek. No standby holds a copy back: the caller keeps to the bound
   * @param limit - the most rows (upto_nchanges)
   * @param timeoutMs - how long the server may work before the first row
   * @returns the peek, once its first row has come; undefined: it cannot be had, and the slot itself is to be read. Never rejects
   */
  begin(from: Lsn, upto: Lsn, limit: number, timeoutMs: number): Promise<Peek | undefined>;
  /** Ends what waits, and lets the server forget the copies. A peek that was given is not ended: its copy goes when it is closed. */
  close(): Promise<void>;
}
