/**
 * What applying changes as they come needs of a target: rows, and beside them what has to outlive a batch, because the lanes
 * are read at their own speeds. Types only.
 */
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import type { FoldedTable, JsonText } from '../fold.ts';
import type { Change } from '../record.ts';
import type { ShardPosition } from '../shards.ts';
import type { LanePosition, Place } from './lane-position.ts';

/** A table, as records name it. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A TRUNCATE that some lanes have not been read up to. */
export interface Truncation extends TableName, Place {}

/** What the target holds at the beginning of a batch, besides rows. */
export interface FastState {
  /** The source that is copied; undefined: none yet. */
  source: string | undefined;
  /** Its system identifier. */
  system: string | undefined;
  /** Everything up to this commit LSN is applied: where the copy, or the number of lanes, began. */
  start: Lsn;
  /** How many lanes there are; undefined: none was read yet. */
  laneCount: number | undefined;
  /** By the lane's number; a lane that was never read has none. */
  readonly lanes: Map<number, LanePosition>;
  readonly truncations: Truncation[];
  /** Keys with changes that wait, as {@link keyName} writes them. */
  readonly waiting: Set<string>;
}

/** A row by its columns' names; undefined: there was none. */
export type CarriedRow = ReadonlyMap<string, JsonText> | undefined;

/** One transaction of the target. */
export interface FastTransaction {
  readonly state: FastState;
  /** Begins a part, which can be undone. Parts may be nested. */
  begin(): Promise<void>;
  /** Says of what place the rows are that the part writes: all of it is on one side of any TRUNCATE. */
  note(place: Place): Promise<void>;
  /** Ends the part that was begun last. */
  end(): Promise<void>;
  /** Undoes all parts that are open. */
  undo(): Promise<void>;
  /** Makes rows what they are after the changes. */
  write(tables: readonly FoldedTable[]): Promise<void>;
  /** Takes a row out of its table and keeps it for the other half of its move. @param move - the half that leaves the old key */
  park(move: Change): Promise<void>;
  /** Gives up what was kept. @param move - the half that comes to the new key @returns `undefined` where nothing was kept */
  unpark(move: Change): Promise<{ readonly row: CarriedRow } | undefined>;
  /** Keeps a change behind those of its key that wait. */
  defer(change: Change): Promise<void>;
  /** The changes of a key that wait, in order. */
  deferred(table: TableName, key: string): Promise<Change[]>;
  /** Gives up changes of a key, up to a place and with it. */
  forget(table: TableName, key: string, upto: Place): Promise<void>;
  /**
   * Deletes the rows of a table, what is parked and what waits, but for what is of a later place, and remembers it.
   *
   * @returns the keys that had changes which waited
   */
  truncate(truncation: Truncation): Promise<string[]>;
  /** Keeps `state`, and what of the shard was read, and commits. */
  commit(shards: ReadonlyMap<string, ShardPosition>): Promise<void>;
  rollback(): Promise<void>;
}

/** Where changes are applied as they come. */
export interface FastTarget {
  /**
   * Begins a transaction.
   *
   * @param lanes - whose records are applied: nobody else applies any of them meanwhile
   * @param alone - nobody else applies anything meanwhile: for what reaches into other lanes
   */
  begin(lanes: readonly number[], alone: boolean): Promise<FastTransaction>;
}

/** @returns a text that no other key has */
export function keyName({ schema, table }: TableName, key: string): string {
  return JSON.stringify([schema, table, key]);
}
