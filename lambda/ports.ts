/**
 * The ports of the run loop: what it asks of the database, the stream, the clock, the log and the metrics. Types only.
 * The modules `postgres` and `kinesis` implement them; tests implement them too.
 */
import type { Lsn } from './decode/lsn.ts';
import type { Message, TableName } from './decode/messages.ts';
import type { KeyHistoryEntry } from './decode/wal2json/key-history-entry.ts';
import type { MetricName } from './metrics.ts';
import type { Round } from './pack/round.ts';
import type { Chunk } from './snapshot/chunk.ts';
import type { ChunkRequest } from './snapshot/chunk.ts';
import type { HeldRow } from './snapshot/row-set.ts';

/** Time, as the run sees it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /**
   * Waits.
   *
   * @param ms - milliseconds
   * @param signal - ends the wait early, without an error
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

/** Structured log lines. No secret and no row value goes in (I10). */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Where metrics go. What is added gets the time of the next flush. */
export interface Metrics {
  /**
   * Adds one value. The unit follows from the name.
   *
   * @param name - the metric's name
   * @param value - a count, bytes, seconds or milliseconds; left out of the metric altogether where it is unknown: do not call
   */
  add(name: MetricName, value: number): void;
  /** Sends what was added since the last flush; nothing where nothing was. */
  flush(): void;
}

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
  /** Known once the first block has arrived. @default nothing */
  readonly leftOut?: readonly LeftOutChanges[];
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
export interface ReadBound {
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

/** The replication slot, on two connections. All methods throw {PipelineError} for what an operator can act on. */
export interface Slot {
  /** @returns the end of the WAL: what is flushed, on a standby what it has received. Lag is counted from it */
  flushLsn(): Promise<Lsn>;
  /** @returns the same, and how far of it may be read (I2) */
  readBound(): Promise<ReadBound>;
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

/** What the catalogs say of a table. */
export interface TableEntry {
  /** The table's, by which it is known again when it is renamed. */
  readonly oid: number;
  /** As the plugin prints it. */
  readonly printed: string;
  /** Unquoted. */
  readonly schema: string;
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** Whether it is one: a materialised view is none, though its rows are in the WAL. */
  readonly isTable: boolean;
  /** The primary key's columns as the plugin prints their names, in key order; empty: no primary key. */
  readonly key: readonly string[];
  /** `schema.table`, unquoted, of the partitioned tables above it, nearest first. */
  readonly ancestors: readonly string[];
  /**
   * The newest transaction (32 bits) that may have given the table other ancestors, or its ancestors other names. What was
   * written before it may have been a partition of anything. Undefined: there was none.
   */
  readonly ancestorsSince: number | undefined;
  /**
   * The transactions (32 bits) that gave the table its name and ancestors, and the ancestors their names: of each kind of
   * alteration the last. Empty where nothing must be hidden: then it is not asked.
   */
  readonly alteredBy: readonly number[];
  /**
   * The newest transaction (32 bits) that may have given the table another key, or its key other names: what was written
   * before it may have had another. Undefined: nothing tells, for the table has no key.
   */
  readonly keySince: number | undefined;
  /** The first transaction (32 bits) that began after a reading of the catalogs had said just this of the table. */
  readonly seenFrom: number;
  /** Virtual generated columns, as printed. */
  readonly virtualColumns: readonly string[];
  /** Whether the replica identity, as it is now, makes the server send the key of a DELETE: not with NOTHING, a deferrable primary key, or an index that is not the key. */
  readonly identityHoldsKey: boolean;
}

/** What an earlier reading of the catalogs said of a table. */
export interface EarlierEntry extends TableEntry {
  /** A change committed after this position is not of that time. */
  readonly until: Lsn;
  /** A change committed up to this position is not of a later time: the catalogs still said so behind it. */
  readonly knownUntil: Lsn;
}

/** The primary-key cache. Lookups are from memory. */
export interface PrimaryKeys {
  /** Changes with every reading that changed anything. */
  readonly version: number;
  /** Transactions (32 bits) before this one were over before anything that is unread was written; undefined: not known. */
  readonly overBefore: number | undefined;
  /** @returns what the newest reading says; undefined where it does not know the table */
  current(table: TableName): TableEntry | undefined;
  /** @returns what earlier readings said, where they differ from the newest; newest first */
  earlier(table: TableName): readonly EarlierEntry[];
  /** @returns what the newest reading says of all tables */
  tables(): Iterable<TableEntry>;
  /** @returns what the newest reading says of the table of that oid, whatever its name is by now */
  byOid(oid: number): TableEntry | undefined;
  /**
   * Whether the newest look at the catalogs saw everything that a transaction did to them. Until then they say nothing
   * about its changes (I11): a transaction is in the WAL, and is read, before others can see it.
   *
   * @param xid - 32 bits
   */
  isOver(xid: number): boolean;
  /** Reads the catalogs again. @returns how many tables have a primary key */
  reload(): Promise<number>;
  /**
   * Looks whether the catalogs have changed, and reads them again if so, or if they are older than the time to live.
   *
   * @param consumed - the slot's position: what was only true of changes before it is forgotten
   */
  refreshIfStale(consumed: Lsn): Promise<void>;
}

/** What is asked of the WAL. */
export interface KeyQuestion {
  /** Transactions whose commit record starts before this position. */
  readonly upto: Lsn;
  /** Of which tables; undefined: of all but `except`. */
  readonly tables: readonly Pick<TableName, 'schema' | 'name'>[] | undefined;
  readonly except: readonly Pick<TableName, 'schema' | 'name'>[];
  /** Whether to look at INSERTs only. */
  readonly insertsOnly: boolean;
  /** When it must be over: milliseconds since 1970. */
  readonly deadline: number;
}

/** Primary keys as they were when rows were written, from the WAL itself. */
export interface KeyHistory {
  /** @returns where each key begins, from the slot's position on, in commit order; undefined: the server cannot be asked */
  read(question: KeyQuestion): Promise<readonly KeyHistoryEntry[] | undefined>;
}

/** Where transactions committed, from the WAL itself. */
export interface CommitHistory {
  /**
   * @param xids - 32 bits; all of them are over, and others see what they did
   * @param batchEnd - how far the batch reads
   * @param deadline - when it must be over: milliseconds since 1970
   * @returns a position at which each had committed for certain: its own, where the WAL shows it. Those of which nothing
   *   can be said are not in it. Undefined: the server cannot be asked
   */
  read(xids: readonly number[], batchEnd: Lsn, deadline: number): Promise<ReadonlyMap<number, Lsn> | undefined>;
}

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

/** What became of a round. */
export interface Published {
  /** Every entry was acknowledged. If not, the deadline or the signal came first. */
  readonly complete: boolean;
  /** Entries that Kinesis refused because the stream lacks capacity, each refusal counted. */
  readonly throttledEntries: number;
  /** What the last refusal was, for a message; undefined where every entry was acknowledged at once. */
  readonly lastFailure?: string;
}

/** The stream. */
export interface Publisher {
  /**
   * Sends a round and its retries. Resolves only when no request is in flight.
   *
   * @param round - what to send
   * @param deadline - milliseconds since 1970: no request is begun that could end after it
   * @param signal - sending stops when it aborts
   * @throws {PipelineError} STREAM_MISSING, STREAM_ACCESS_DENIED, RECORD_TOO_LARGE, CONFIG_INVALID
   */
  publish(round: Round, deadline: number, signal: AbortSignal): Promise<Published>;
}

/** A running server, as it describes itself. */
export interface ServerIdentity {
  /** Made by initdb, copied to physical standbys. Undefined where the role may not ask for it. */
  readonly systemIdentifier: string | undefined;
  /** When the postmaster started, in UTC to the microsecond: other for each server and for each restart. */
  readonly startedAt: string;
  /** Whether it is a standby, or still recovering. */
  readonly inRecovery: boolean;
  /** The timeline that it writes, or of a standby receives. Undefined where the server does not tell. */
  readonly timeline: number | undefined;
  /** The end of its WAL when it was asked: of a standby, of what it had received. Undefined where it does not tell. */
  readonly walEnd: Lsn | undefined;
}

/** The database side of a run: locked, connected. */
export interface Session {
  readonly slot: Slot;
  readonly keys: PrimaryKeys;
  /** Undefined: there is none. */
  readonly keyHistory?: KeyHistory;
  /** Undefined: there is none. */
  readonly commitHistory?: CommitHistory;
  /** Undefined: tables cannot be read beside the slot. */
  readonly snapshots?: SnapshotSource;
  /** The server that it leads to. */
  readonly server: ServerIdentity;
  /** When that was read, milliseconds since 1970. */
  readonly connectedAt: number;
  /** Aborts when the connection that holds the lock is lost (I6); its reason is a {@link PipelineError}. */
  readonly lost: AbortSignal;
  /** @returns whether somebody waits for the lock, as it was seen within the last second or so */
  isLockAwaited(): boolean;
  /** Whether another holder had to be ended, or has lost the lock: its last request may still be in flight (I6). */
  readonly tookOver: boolean;
  /** When that was, milliseconds since 1970. @default now */
  readonly tookOverAt?: number | undefined;
  /** What the last holder has left for whoever waited for the lock; undefined: nothing, or this one does not linger. */
  readonly handedOver?: string | undefined;
  /** Gives up the lock and closes the connections. @param handOverText - a text for whoever waits for the lock @default nothing */
  close(handOverText?: string): Promise<void>;
}
