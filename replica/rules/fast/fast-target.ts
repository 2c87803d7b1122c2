/**
 * The target of changes that are applied as they come: what a batch does to its rows, and what has to be saved besides rows,
 * because each lane is read at its own speed.
 */
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import type { AwaitsRows } from '../applier.ts';
import { type CopyingTables, unionOf } from '../copying.ts';
import type { FoldedTable, JsonText } from '../fold.ts';
import type { Change } from '../record.ts';
import type { ShardPosition } from '../shards.ts';
import { type CommitPlace, type LanePosition, positionAt } from './lane-position.ts';

/** A table, as records name it. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A TRUNCATE that some lanes have not been read up to. */
export interface Truncation extends TableName, CommitPlace {}

/** What the target holds at the beginning of a batch, besides rows. */
export interface FastState {
  /** The source that is copied; undefined: none yet. */
  source: string | undefined;
  /** Its system identifier. */
  system: string | undefined;
  /** Everything up to this commit LSN is applied: here the copy began, or LANES was changed last. */
  start: Lsn;
  /** When the copy began, milliseconds since 1970. */
  readonly begunMs: number;
  /** Whether the rows of the copy come by a snapshot that some lane has not been told of yet. */
  readonly awaitsSnapshot: boolean;
  /** How many lanes there are; undefined: none was read yet. */
  laneCount: number | undefined;
  /** By the lane's number; a lane that was never read has none. */
  readonly lanes: Map<number, LanePosition>;
  readonly truncations: Truncation[];
  /** Whether any changes wait. */
  isWaiting: boolean;
  /** Keys with changes that wait, as {@link keyName} writes them: as far as they were asked for. */
  readonly waiting: Set<string>;
}

/** A row by its columns' names; undefined: there was none. */
export type CarriedRow = ReadonlyMap<string, JsonText> | undefined;

/** A change that waits for the other half of a move. */
export interface DeferredChange {
  readonly change: Change;
  /** Whether a snapshot was to bring rows of its table when it came. */
  readonly awaitsRead: boolean;
}

/** Updates that were left out because their row was not there. */
export interface LeftOut {
  readonly missing: number;
  /** The same, where a snapshot is to bring the row. */
  readonly awaitingRead: number;
}

/** One transaction of the target. */
export interface FastTransaction {
  readonly state: FastState;
  /** Begins a part, which can be undone. Parts may be nested. */
  begin(): Promise<void>;
  /** Saves the place of the rows that this part writes: by it a TRUNCATE knows which rows are newer than itself. */
  note(place: CommitPlace): Promise<void>;
  /** Ends the part that was begun last. */
  end(): Promise<void>;
  /** Undoes all parts that are open. */
  undo(): Promise<void>;
  /** Makes rows what they are after the changes. @param awaits - whether rows of a table may be missing, because they come later */
  write(tables: readonly FoldedTable[], awaits: AwaitsRows): Promise<LeftOut>;
  /** Takes a row out of its table and keeps it for the other half of its move. @param move - the half that leaves the old key */
  park(move: Change): Promise<void>;
  /** Takes back the row that was kept. @param move - the half that comes to the new key @returns `undefined` where nothing was kept */
  unpark(move: Change): Promise<{ readonly row: CarriedRow } | undefined>;
  /** Makes a change wait, after those of its key that wait already. */
  defer(change: DeferredChange): Promise<void>;
  /** The changes of a key that wait, in order. */
  deferred(table: TableName, key: string): Promise<DeferredChange[]>;
  /** Deletes the waiting changes of a key, up to a place, which is included. */
  forget(table: TableName, key: string, upto: CommitPlace): Promise<void>;
  /**
   * Deletes what is older than the TRUNCATE: rows of the table, and what of it is parked or waits. Saves the TRUNCATE for the
   * lanes that were not read up to it.
   *
   * @returns the keys that had changes which waited
   */
  truncate(truncation: Truncation): Promise<string[]>;
  /** Saves `state` and how far the shards are read, and commits. @returns how many changes wait then */
  commit(shards: ReadonlyMap<string, ShardPosition>): Promise<number>;
  rollback(): Promise<void>;
}

/** Where changes are applied as they come. */
export interface FastTarget {
  /**
   * Begins a transaction.
   *
   * @param lanes - whose records are applied: nobody else applies any of them meanwhile
   * @param alone - whether nobody else applies anything meanwhile: for changes that concern other lanes, too
   * @param keys - of the changes, as {@link keyName} writes them
   */
  begin(lanes: readonly number[], alone: boolean, keys: () => ReadonlySet<string>): Promise<FastTransaction>;
}

/** @returns a text that no other key has */
export function keyName({ schema, table }: TableName, key: string): string {
  return JSON.stringify([schema, table, key]);
}

/** @param name - as {@link keyName} writes it @returns the key */
export function keyOfName(name: string): string {
  const [, , key] = JSON.parse(name) as [schema: string, table: string, key: string];
  return key;
}

/** @returns where a lane begins that was never read */
export function laneStart({ start, awaitsSnapshot }: Pick<FastState, 'start' | 'awaitsSnapshot'>): LanePosition {
  return positionAt(start, awaitsSnapshot ? 'awaited' : [], undefined, true);
}

/** @returns the tables whose rows are still to come in some lane */
export function copyingOf(state: Pick<FastState, 'start' | 'awaitsSnapshot' | 'laneCount' | 'lanes'>): CopyingTables {
  const { lanes, laneCount = 1 } = state;
  const unread = lanes.size < laneCount ? [laneStart(state)] : [];
  return unionOf([...lanes.values(), ...unread].map(({ copying }) => copying));
}
