/**
 * How far a snapshot is, and what changes that: tables are requested or ended, a chunk is published, rows have to be read again.
 * Pure: each function returns a new state.
 */
import { encodedLength } from './ascii.ts';
import { type ChunkRequest, keyText, type KeyValues } from './chunk.ts';
import type { HeldChunk } from './held-chunk.ts';

/** The table that is being read. */
export interface CurrentTable {
  /** As the plugin prints it. */
  readonly name: string;
  /** Its primary key when the first chunk was read. If it is another one now, the cursor is useless. */
  readonly key: string;
  /** The key of the last row read; undefined: none is. */
  readonly cursor: KeyValues | undefined;
  /** Whether the table's last row was read: only the rows of `again` are left. */
  readonly atEnd: boolean;
  /** Keys of rows to be read, or read again: a key change moved them here and did not show all their values. */
  readonly again: readonly KeyValues[];
  /** How many rows were published. */
  readonly rows: number;
}

/** How far a snapshot has come. */
export interface SnapshotProgress {
  readonly id: string;
  /** When it was asked for, milliseconds since 1970. */
  readonly begunAt: number;
  /** No chunk is read before every transaction before this one (64 bits) is over; undefined: not known yet. */
  readonly barrier: bigint | undefined;
  /** Undefined: no table is begun. */
  readonly current: CurrentTable | undefined;
  /** Tables that are not begun, as printed. */
  readonly pending: readonly string[];
  /** How many tables are done, and their rows. */
  readonly doneTables: number;
  readonly doneRows: number;
}

/** What was asked for. */
export interface SnapshotRequest {
  readonly id: string;
  /** When it was asked for, milliseconds since 1970. */
  readonly begunAt: number;
  /** As printed. */
  readonly tables: readonly string[];
  /** Whether tables that are being read start again: earlier messages about them no longer hold. */
  readonly anew: boolean;
}

/** How many rows one chunk reads by their keys. */
const AGAIN_CHUNK = 500;
/** More rows to be read again than this are not kept: the table is read from its beginning then. */
const MAX_AGAIN = 10_000;
/** How much of a message their keys and the cursor may take: one that is too large would not be read back whole. */
const MAX_KEYS_LENGTH = 256 * 1024;

/** @returns whether nothing is left to be read */
export function isDone({ current, pending }: SnapshotProgress): boolean {
  return current === undefined && pending.length === 0;
}

/** @returns the tables that are not done, as printed */
export function tablesUnderWay({ current, pending }: SnapshotProgress): string[] {
  return [...(current === undefined ? [] : [current.name]), ...pending];
}

/** @returns how many tables are not done */
export function tablesLeft({ current, pending }: SnapshotProgress): number {
  return pending.length + (current === undefined ? 0 : 1);
}

/** @returns how many rows were published, of all tables */
export function rowsRead({ current, doneRows }: SnapshotProgress): number {
  return doneRows + (current?.rows ?? 0);
}

/** @returns a snapshot that was asked for, and in which nothing is done */
export function begin({ id, begunAt, tables }: Omit<SnapshotRequest, 'anew'>): SnapshotProgress {
  return {
    id,
    begunAt,
    barrier: undefined,
    current: undefined,
    pending: [...new Set(tables)],
    doneTables: 0,
    doneRows: 0,
  };
}

/**
 * More tables were asked for. Those that are under way stay as they are, unless they are to begin anew.
 *
 * @param progress - so far
 * @param request - what was asked for
 */
export function addTables(progress: SnapshotProgress, { tables, anew }: SnapshotRequest): SnapshotProgress {
  if (anew) {
    const { current, pending } = progress;
    const all = new Set([...tables, ...(current === undefined ? [] : [current.name]), ...pending]);
    return { ...progress, barrier: undefined, current: undefined, pending: [...all] };
  }
  const known = new Set([...progress.pending, ...(progress.current === undefined ? [] : [progress.current.name])]);
  const added = [...new Set(tables)].filter((name) => !known.has(name));
  if (added.length === 0) return progress;
  // What was in progress when they were asked for has to end first.
  return { ...progress, barrier: undefined, pending: [...progress.pending, ...added] };
}

/**
 * Tables are to be read no further.
 *
 * @param progress - so far
 * @param tables - as printed; undefined: all
 */
export function removeTables(progress: SnapshotProgress, tables: readonly string[] | undefined): SnapshotProgress {
  const { current, pending, doneRows } = progress;
  const stays = (name: string): boolean => tables !== undefined && !tables.includes(name);
  const keeps = current !== undefined && stays(current.name);
  return {
    ...progress,
    current: keeps ? current : undefined,
    pending: pending.filter(stays),
    doneRows: doneRows + (keeps ? 0 : (current?.rows ?? 0)),
  };
}

/**
 * @param progress - so far
 * @param table - that is being read, as printed
 * @param key - what its key is
 * @returns how far it is read
 */
export function currentOf({ current }: SnapshotProgress, table: string, key: string): CurrentTable {
  return current ?? { name: table, key, cursor: undefined, atEnd: false, again: [], rows: 0 };
}

/** @returns what is to be read next of what is under way */
export function requestFor({ current, pending, barrier }: SnapshotProgress): ChunkRequest {
  if (current === undefined)
    return { table: pending[0] ?? '', key: undefined, cursor: undefined, asked: undefined, barrier };
  const { name, key, cursor, again, atEnd } = current;
  const asked = atEnd || again.length >= AGAIN_CHUNK ? again.slice(0, AGAIN_CHUNK) : undefined;
  return { table: name, key, cursor, asked, barrier };
}

/** @returns the state with how far a table is read, which is pending no more */
export function withCurrent(progress: SnapshotProgress, current: CurrentTable): SnapshotProgress {
  return { ...progress, pending: progress.pending.filter((name) => name !== current.name), current };
}

/** @returns how far a table is read when the row of a key is to be read once more; with too many it begins anew */
export function withAgain(current: CurrentTable, key: KeyValues): CurrentTable {
  const { again, cursor = [] } = current;
  const length = lengthOf(again) + encodedLength(key);
  if (again.length >= MAX_AGAIN || length + encodedLength(cursor) > MAX_KEYS_LENGTH)
    return { ...current, cursor: undefined, atEnd: false, again: [] };
  const longer = [...again, key];
  lengths.set(longer, length);
  return { ...current, again: longer };
}

/** What lists come to in a message, so that it is not counted anew with each key. */
const lengths = new WeakMap<readonly KeyValues[], number>();

function lengthOf(again: readonly KeyValues[]): number {
  return lengths.get(again) ?? again.reduce((sum, key) => sum + encodedLength(key), 0);
}

/**
 * The state behind a chunk's watermark.
 *
 * @param progress - before it
 * @param held - the chunk
 */
export function afterChunk<Row>(progress: SnapshotProgress, { chunk, count, fresh }: HeldChunk<Row>): SnapshotProgress {
  const { table, key, last, asked } = chunk;
  const current = currentOf(progress, table, key);
  const done = new Set((asked ?? []).map(keyText));
  // A row may have been moved to a key that the chunk has asked for, since.
  const again = current.again.filter((listed) => !done.has(keyText(listed)) || fresh.has(keyText(listed)));
  const atEnd = asked === undefined ? chunk.atEnd : current.atEnd;
  const rows = current.rows + count;
  if (!atEnd || again.length > 0) {
    const cursor = asked === undefined ? (last ?? current.cursor) : current.cursor;
    return withCurrent(progress, { name: table, key, cursor, atEnd, again, rows });
  }
  const { pending, doneTables, doneRows } = progress;
  return {
    ...progress,
    pending: pending.filter((name) => name !== table),
    current: undefined,
    doneTables: doneTables + 1,
    doneRows: doneRows + rows,
  };
}
