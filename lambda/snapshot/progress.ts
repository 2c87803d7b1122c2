/**
 * How far a snapshot has come, and the messages in the WAL that say so. Pure: who emits and reads them knows the server.
 *
 * The slot itself keeps the state: while a snapshot is under way it stands right before a message that says everything.
 * Any role of the database can emit a message, so nothing in one is trusted: names are quoted again, values are literals.
 */
import * as z from 'zod/mini';

/** What is written with `pg_logical_emit_message` has this prefix, and is no record. */
export const OWN_PREFIX = 'pg2kinesis';

/** The parts of a primary key, as the server prints them, in key order. */
export type KeyValues = readonly string[];

/** The table that is being read. */
export interface CurrentTable {
  /** As the plugin prints it. */
  readonly name: string;
  /** What its key was when the first chunk was read: another key makes the cursor meaningless. */
  readonly key: string;
  /** The key of the last row read; undefined: none is. */
  readonly cursor: KeyValues | undefined;
  /** Whether the last row was read: what is left is `again`. */
  readonly atEnd: boolean;
  /** Rows to be read, or read again: a key change brought them here without values that nobody else has. */
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
  /** Undefined: none is begun. */
  readonly current: CurrentTable | undefined;
  /** Tables that are not begun, as printed. */
  readonly pending: readonly string[];
  /** How many tables are done, and their rows. */
  readonly doneTables: number;
  readonly doneRows: number;
}

/** What a message of ours says. */
export type OwnMessage =
  | {
      readonly kind: 'begin';
      readonly id: string;
      readonly begunAt: number;
      readonly tables: readonly string[];
      /** Whether tables that are under way begin anew: what an earlier message says of them is not so. */
      readonly anew: boolean;
    }
  /** `mark`: the watermark, which names the message itself. */
  | { readonly kind: 'state'; readonly mark: string; readonly progress: SnapshotProgress }
  /** `tables`: as printed; undefined: all. */
  | { readonly kind: 'stop'; readonly tables: readonly string[] | undefined };

const names = z.array(z.string());
const count = z.int().check(z.minimum(0));
const MESSAGE = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('begin'),
    slot: z.string(),
    id: z.string(),
    begunAt: count,
    tables: names,
    anew: z.boolean(),
  }),
  z.object({
    kind: z.literal('state'),
    slot: z.string(),
    mark: z.string(),
    id: z.string(),
    begunAt: count,
    barrier: z.optional(z.string().check(z.regex(/^\d{1,20}$/))),
    current: z.optional(
      z.object({
        name: z.string(),
        key: z.string(),
        cursor: z.optional(names),
        atEnd: z.boolean(),
        again: z.array(names),
        rows: count,
      }),
    ),
    pending: names,
    doneTables: count,
    doneRows: count,
  }),
  z.object({ kind: z.literal('stop'), slot: z.string(), tables: z.optional(names) }),
]);

/**
 * @param slot - the slot that the message is for
 * @param message - what it says
 * @returns its content
 */
export function encodeMessage(slot: string, message: OwnMessage): string {
  if (message.kind !== 'state') return ascii({ slot, ...message });
  const { barrier, ...progress } = message.progress;
  return ascii({
    slot,
    kind: 'state',
    mark: message.mark,
    ...progress,
    ...(barrier === undefined ? {} : { barrier: String(barrier) }),
  });
}

/** A message's content is in no encoding: what is not ASCII would be read in another one than it was written in. */
function ascii(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * @param slot - the slot that is read
 * @param content - of a message with {@link OWN_PREFIX}
 * @returns what it says; undefined: it is another slot's, or not ours
 */
export function decodeMessage(slot: string, content: string): OwnMessage | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch {
    return undefined;
  }
  const result = MESSAGE.safeParse(parsed);
  if (!result.success || result.data.slot !== slot) return undefined;
  const { data } = result;
  if (data.kind === 'begin') {
    const { id, begunAt, tables, anew } = data;
    return { kind: 'begin', id, begunAt, tables, anew };
  }
  if (data.kind === 'stop') return { kind: 'stop', tables: data.tables };
  const { id, begunAt, barrier, current, pending, doneTables, doneRows } = data;
  return {
    kind: 'state',
    mark: data.mark,
    progress: {
      id,
      begunAt,
      barrier: barrier === undefined ? undefined : BigInt(barrier),
      current: current === undefined ? undefined : { ...current, cursor: current.cursor },
      pending,
      doneTables,
      doneRows,
    },
  };
}

/** @returns whether nothing is left to be read */
export function isDone({ current, pending }: SnapshotProgress): boolean {
  return current === undefined && pending.length === 0;
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
export function begin({ id, begunAt, tables }: Extract<OwnMessage, { kind: 'begin' }>): SnapshotProgress {
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
export function addTables(
  progress: SnapshotProgress,
  { tables, anew }: Extract<OwnMessage, { kind: 'begin' }>,
): SnapshotProgress {
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
