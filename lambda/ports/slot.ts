/**
 * The replication slot and its peeks, as a run sees them. Types only; `postgres` implements them, tests too.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Message } from '../decode/messages.ts';

/** The messages that arrived together; taken one at a time, each valid until the next is taken. */
export interface MessageBlock {
  /** @returns the position of the row that the message taken last came in: a change's own WAL record */
  rowLsn(): Lsn;
  /** @returns the next message, or undefined at the block's end. @throws {PipelineError} DECODE_FAILED */
  next(): Message | undefined;
}

/** Changes that the plugin leaves out of a peek, without their place in it. */
export interface LeftOutChanges {
  /** Unquoted. */
  readonly schema: string;
  /** Unquoted. */
  readonly name: string;
  readonly changes: number;
}

/** One peek's result as it streams. Iterate once. */
export interface Peek extends AsyncIterable<MessageBlock> {
  /** Rows taken so far, as the peek's limit counts them: changes, BEGIN, COMMIT and messages. */
  readonly rows: number;
  /** How many transactions the result holds; known once the first block has arrived. */
  readonly transactions: number;
  /** The newest commit LSN of the result; known once the first block has arrived; undefined: it holds no transaction. */
  readonly lastCommit: Lsn | undefined;
  /** Known once the first block has arrived. */
  readonly leftOut: readonly LeftOutChanges[];
  /** When the first block arrived: milliseconds since the peek was sent; undefined before. */
  readonly firstRowMs: number | undefined;
  /** Ends it early, and waits until the server has ended it too. Safe to call at any time. */
  close(): Promise<void>;
}

/** A standby that a run waits for, by the physical slot that it uses. */
export interface AwaitedStandby {
  /** The slot's name. */
  readonly name: string;
  /** Whether the standby is connected. */
  readonly active: boolean;
  /** What it has flushed; undefined: nothing is known. */
  readonly confirmed: Lsn | undefined;
  readonly behindBytes: number | undefined;
  /** Why nothing is known, in words; undefined: something is. */
  readonly fault: string | undefined;
}

/** How far may be read. */
export interface StandbyBound {
  /** The end of the WAL. */
  readonly flush: Lsn;
  /** The farthest position that a peek may see, or an advance go to. Less than `flush` where a standby has not confirmed it, or has not replayed it. */
  readonly bound: Lsn;
  /** Whether standbys are awaited at all. Then a commit that ends behind `bound` is not confirmed, though a peek up to there shows it. */
  readonly confirmedOnly: boolean;
  /** The standbys that have not confirmed `flush`. Empty where the bound is less: the server is a standby, and replays later than it receives. */
  readonly awaited: readonly AwaitedStandby[];
  /** Names of STANDBY_SLOTS that are not there, or never were used, and that others stand in for. */
  readonly absent: readonly string[];
}

/** The replication slot, on the main and the control connection. All methods throw {PipelineError} for what an operator can act on. */
export interface Slot {
  /** @returns the end of the WAL: what is flushed, on a standby what it has received. Lag is counted from it */
  flushLsn(): Promise<Lsn>;
  /** @returns the same, and how far of it may be read (I2) */
  standbyBound(): Promise<StandbyBound>;
  /** @returns how far the slot has been consumed, and where decoding starts */
  position(): Promise<{ readonly confirmedFlush: Lsn; readonly restart: Lsn }>;
  /**
   * Reads without consuming. Iterating throws `PeekTooLargeError` when the time-out passes before the first row,
   * and `ServerDecodingError` when the server fails before it.
   *
   * @param upto - upto_lsn: transactions whose commit record starts before this LSN
   * @param limit - the most rows (upto_nchanges): it stops at the first commit at or after that many; undefined: no limit
   * @param timeoutMs - how long the server may work before the first row
   */
  peek(upto: Lsn, limit: number | undefined, timeoutMs: number): Peek;
  /** Consumes up to `lsn`, which must be an advance target of I2. @returns the slot's new confirmed_flush_lsn */
  advance(lsn: Lsn): Promise<Lsn>;
  /**
   * Consumes up to `lsn` without decoding what lies before it, which the server may not be able to.
   *
   * @param lsn - an advance target of I2: of a transaction that an operator skips
   * @returns the slot's new confirmed_flush_lsn
   */
  skip(lsn: Lsn): Promise<Lsn>;
  /** The server's statistics of the slot, as a text: if it is equal later, nobody has read the slot meanwhile. Undefined where the server has none that can be relied on (before 15). */
  slotStatsFingerprint(): Promise<string | undefined>;
  /** WAL that the slot makes the server keep, in bytes. */
  retainedWalBytes(): Promise<number>;
  /** The oldest open transaction that writes, in words: what lies behind its beginning is read by each peek. Undefined: there is none. */
  oldestTransaction(): Promise<string | undefined>;
}
