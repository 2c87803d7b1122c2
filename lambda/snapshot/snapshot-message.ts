/**
 * The content of the messages in the WAL that say how far a snapshot is: how it is written and read. Pure; other files emit the
 * messages and read them from the slot.
 *
 * Any role of the database can emit such a message, so its content is not trusted: names are quoted again, values become literals.
 */
import * as z from 'zod/mini';
import { ascii } from './ascii.ts';
import type { SnapshotProgress, SnapshotRequest } from './progress.ts';

/** What is written with `pg_logical_emit_message` has this prefix, and is no record. */
export const SNAPSHOT_MESSAGE_PREFIX = 'pg2kinesis';

/** What a message of ours says. */
export type SnapshotMessage =
  | ({ readonly kind: 'begin' } & SnapshotRequest)
  /**
   * `mark`: the watermark, which names the message itself. `publications`: those that the slot was read by when it was written;
   * undefined: an earlier version wrote it, which did not say.
   */
  | {
      readonly kind: 'state';
      readonly mark: string;
      readonly publications?: readonly string[] | undefined;
      readonly progress: SnapshotProgress;
    }
  /** `id`: of the snapshot that is meant; undefined: whatever is under way. `tables`: as printed; undefined: all. */
  | { readonly kind: 'stop'; readonly id?: string | undefined; readonly tables: readonly string[] | undefined };

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
    publications: z.optional(names),
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
  z.object({ kind: z.literal('stop'), slot: z.string(), id: z.optional(z.string()), tables: z.optional(names) }),
]);

/**
 * @param slot - the slot that the message is for
 * @param message - what it says
 * @returns its content
 */
export function encodeSnapshotMessage(slot: string, message: SnapshotMessage): string {
  if (message.kind !== 'state') return ascii({ slot, ...message });
  const { barrier, ...progress } = message.progress;
  return ascii({
    slot,
    kind: 'state',
    mark: message.mark,
    publications: message.publications,
    ...progress,
    ...(barrier === undefined ? {} : { barrier: String(barrier) }),
  });
}

/**
 * @param slot - the slot that is read
 * @param content - of a message with {@link SNAPSHOT_MESSAGE_PREFIX}
 * @returns what it says; undefined: it is another slot's, or not ours
 */
export function decodeSnapshotMessage(slot: string, content: string): SnapshotMessage | undefined {
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
  if (data.kind === 'stop') {
    const { id, tables } = data;
    return { kind: 'stop', ...(id === undefined ? {} : { id }), tables };
  }
  const { id, begunAt, barrier, current, pending, doneTables, doneRows, publications } = data;
  return {
    kind: 'state',
    mark: data.mark,
    ...(publications === undefined ? {} : { publications }),
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
