/**
 * A snapshot that is under way when its slot is copied: its messages are for the old slot, so the copy needs a request of its
 * own. Reads the messages as bytes, as no decoder is at hand where slots are copied.
 */
import { PipelineError } from '../errors.ts';
import { begin, type SnapshotProgress, tablesUnderWay } from '../snapshot/progress.ts';
import { decodeSnapshotMessage, encodeSnapshotMessage, SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import type { Connection } from './connection.ts';
import { supportsSnapshots, TEST_DECODING } from './plugins.ts';
import { writeMessage } from './snapshot-reader.ts';

/** Where a message's content begins in a plugin's row, as SQL; null where the row is no message of ours. */
const CONTENT_FROM = {
  test_decoding: `CASE WHEN position('message: transactional: 0 prefix: ${SNAPSHOT_MESSAGE_PREFIX}, sz: '::bytea IN p.data) = 1 THEN position('content:'::bytea IN p.data) + 8 END`,
  // The kind, flags, an LSN, the prefix and its end, the size.
  pgoutput: `CASE WHEN substring(p.data FROM 1 FOR 1) = 'M'::bytea AND substring(p.data FROM 11 FOR ${SNAPSHOT_MESSAGE_PREFIX.length}) = '${SNAPSHOT_MESSAGE_PREFIX}'::bytea THEN ${11 + SNAPSHOT_MESSAGE_PREFIX.length + 5} END`,
} as const;

/** What the new plugin shows in front of the message, as changes that a publication did not have, is at most so much. */
const MAX_ROWS = 100_000;

/**
 * Sees to it that what is under way is not lost, where a slot was copied. The table that is being read begins anew.
 *
 * @param connection - to the slots' database; its plugin is the copy's
 * @param from - the slot that was copied
 * @param to - the copy
 * @returns how many tables are left to be read; 0: nothing is under way
 */
export async function carryOver(connection: Connection, from: string, to: string): Promise<number> {
  const { plugin, versionNum } = connection;
  if (plugin.name === 'wal2json' || !supportsSnapshots(plugin.name, versionNum)) return 0;
  await plugin.prepare?.(connection, to);
  const progress = await readFirst(connection, to, from, plugin.name, plugin.options);
  const tables = progress === undefined ? [] : tablesUnderWay(progress);
  if (progress === undefined || tables.length === 0) return 0;
  const { id, begunAt } = progress;
  await writeMessage(connection, encodeSnapshotMessage(to, { kind: 'begin', id, begunAt, tables, anew: true }));
  return tables.length;
}

/**
 * Refuses a copy by whose plugin a snapshot could not go on. Of a slot of pgoutput nothing is known here.
 *
 * @param connection - to the slots' database; its plugin is the copy's
 * @param from - the slot that is to be copied
 * @param itsPlugin - of that slot
 * @param to - the copy's name
 * @throws {PipelineError} CONFIG_INVALID
 */
export async function requireCarryOver(
  connection: Connection,
  from: string,
  itsPlugin: string | undefined,
  to: string,
): Promise<void> {
  const { plugin, versionNum } = connection;
  if (supportsSnapshots(plugin.name, versionNum) || itsPlugin !== 'test_decoding') return;
  const progress = await readFirst(connection, from, from, 'test_decoding', TEST_DECODING.options);
  if (progress === undefined) return;
  throw new PipelineError(
    'CONFIG_INVALID',
    `A snapshot is under way at the slot "${from}", and ${plugin.name} could not go on with it. The slot "${to}" was not made.`,
    { remedy: 'Let runs of the old slot take the snapshot to its end, or end it with snapshot-stop. Then try again.' },
  );
}

/** The first message for a slot: while a snapshot is under way it says everything. */
async function readFirst(
  connection: Connection,
  slotName: string,
  forSlot: string,
  plugin: keyof typeof CONTENT_FROM,
  options: string,
): Promise<SnapshotProgress | undefined> {
  const { rows } = await connection.query(
    `SELECT substring(data FROM at) AS content FROM (SELECT p.data, ${CONTENT_FROM[plugin]} AS at
       FROM pg_logical_slot_peek_binary_changes($1, NULL, ${MAX_ROWS}, ${options}) p) messages WHERE at IS NOT NULL LIMIT 100`,
    [slotName],
  );
  for (const { content } of rows) {
    const message = Buffer.isBuffer(content) ? decodeSnapshotMessage(forSlot, content.toString()) : undefined;
    if (message?.kind === 'begin') return begin(message);
    if (message?.kind === 'state') return message.progress;
  }
  return undefined;
}
