/**
 * What is known of tables: from the catalogs as they are and as they were read before, and from the WAL itself.
 * Types only; `postgres` implements them, tests too.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { TableName } from '../decode/messages.ts';
import type { KeyHistoryEntry } from '../decode/wal2json/key-history-entry.ts';

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
