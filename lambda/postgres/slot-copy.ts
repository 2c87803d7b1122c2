/**
 * Making a slot that stands where another one does, so that nothing between the two is lost: under another name, and, if
 * that is wished, of another plugin.
 * Knows no invocation and no CloudFormation; who may call it, and under which lock, is decided above.
 */
import { formatLsn } from '../decode/lsn.ts';
import { isReadablePlugin } from '../decode/plugin-names.ts';
import { PipelineError } from '../errors.ts';
import { type Connection, toPipelineError } from './connection.ts';
import { isDecodingFailure, shownReport } from './decoding-failure.ts';
import { codeOf } from './error-context.ts';
import type { Notice } from './notices.ts';
import { isAboutPublication } from './publication-errors.ts';
import { requirePublications } from './publication-queries.ts';
import { createSlot, dropSlot, requireUsable } from './slot-create-drop.ts';
import { carryOver, requireCarryOver } from './snapshot-carry-over.ts';
import { readFlushLsn, readSlotRow } from './status-queries.ts';

/**
 * Makes the copy. Its plugin is the connection's.
 *
 * Before PostgreSQL 12 the server cannot copy: the new slot is made where the server is now, and kept only if the old
 * one has nothing left up to there.
 *
 * @param main - the connection that makes it; holds the old slot's lock, so that nobody reads that meanwhile
 * @param control - reads the catalogs
 * @param from - the old slot
 * @param to - the new one, which must not exist
 * @param timeoutMs - how long a creation may wait, milliseconds
 * @throws {PipelineError} SLOT_MISSING, SLOT_LOST, SLOT_BUSY, WRONG_PLUGIN; CONFIG_INVALID where a snapshot is under way
 *   that could not go on; PUBLICATION_MISSING where the old slot holds
 *   changes that the publications cannot give; NO_PROGRESS before 12 while the old one is not drained
 */
export async function copySlot(
  main: Connection,
  control: Connection,
  from: string,
  to: string,
  timeoutMs: number,
): Promise<void> {
  const context = { ...main.context, slot: from, notDone: `The slot "${to}" was not made.` };
  const { plugin } = main;
  const source = await readSlotRow(control.client, from);
  if (source === undefined) {
    throw new PipelineError(
      'SLOT_MISSING',
      `The slot "${from}", whose position "${to}" is to take over, does not exist. The slot "${to}" was not made: it would hide what is missing.`,
    );
  }
  const itsPlugin = isReadablePlugin(source.plugin) ? source.plugin : plugin.name;
  requireUsable(source, { ...context, plugin: itsPlugin });
  await requirePublications(control, to);
  await requireCarryOver(main, from, source.plugin, to);
  if (main.versionNum >= 120_000) {
    await main.client
      .query('SELECT pg_copy_logical_replication_slot($1, $2, false, $3)', [from, to, plugin.name])
      .catch((error: unknown) => {
        throw toPipelineError(error, context);
      });
    if (itsPlugin !== plugin.name) await requireReadable(main, control, from, to);
    await carryOver(control, from, to).catch(async (error: unknown) => {
      await dropSlot(control, to);
      throw toPipelineError(error, context);
    });
    return;
  }
  if (itsPlugin !== plugin.name) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `PostgreSQL before 12 cannot copy a slot to another plugin: "${from}" is of ${itsPlugin}, and PLUGIN is ${plugin.name}. The slot "${to}" was not made.`,
      {
        remedy: `Stop every writer, drain "${from}", make "${to}" with create-slot, let the writers go on, then drop "${from}".`,
      },
    );
  }
  const { confirmedFlush } = await createSlot(main, control, to, timeoutMs);
  const { rows } = await main.client.query<{ lsn: string }>(
    `SELECT lsn::text FROM pg_logical_slot_peek_binary_changes($1, $2, 1, ${plugin.options}) LIMIT 1`,
    [from, confirmedFlush === undefined ? null : formatLsn(confirmedFlush)],
  );
  if (rows.length === 0) return;
  await dropSlot(control, to);
  throw new PipelineError(
    'NO_PROGRESS',
    `The slot "${from}" still holds changes, and PostgreSQL before 12 cannot copy a slot's position. The slot "${to}" was not made. Drain "${from}" while nobody writes, then rename it.`,
  );
}

/**
 * Reads all that the copy holds by the new plugin, as no look at the catalogs could tell: a publication has to have been
 * there when each change was written. Where it was not, the copy goes again.
 */
async function requireReadable(main: Connection, control: Connection, from: string, to: string): Promise<void> {
  const { plugin, client } = main;
  if (plugin.publications.length === 0) return;
  const notices: Pick<Notice, 'code' | 'routine'>[] = [];
  const note = ({ code = '', routine = '' }: { code?: string | undefined; routine?: string | undefined }): void => {
    notices.push({ code, routine });
  };
  client.on('notice', note);
  let failure: unknown;
  try {
    const flush = await readFlushLsn(client);
    await client.query(`SELECT count(*) FROM pg_logical_slot_peek_binary_changes($1, $2, NULL, ${plugin.options})`, [
      to,
      flush === undefined ? null : formatLsn(flush),
    ]);
  } catch (error) {
    failure = error;
    if (typeof error === 'object' && error !== null) note({ code: codeOf(error), ...error });
  } finally {
    client.off('notice', note);
  }
  const isMissing = notices.some(isAboutPublication);
  if (!isMissing && failure === undefined) return;
  // A backend reports its error before it lets go of the slot, and answers the next statement after that.
  await client.query('SELECT').catch(() => undefined);
  await dropSlot(control, to);
  if (!isMissing) {
    // It may fail at a transaction that the old plugin can read, or that has to be skipped there.
    if (isDecodingFailure(failure)) {
      throw new PipelineError(
        'TRANSACTION_UNDECODABLE',
        `The slot "${from}" still holds a transaction that ${plugin.name} cannot decode (${shownReport(failure)}). The slot "${to}" was not made, and "${from}" stands where it stood.`,
        {
          remedy: `Drain "${from}" by its own plugin, which may read it; a run that fails names the commit LSN to give to skip-transaction. Then try again.`,
        },
      );
    }
    throw toPipelineError(failure, { ...main.context, slot: from, notDone: `The slot "${to}" was not made.` });
  }
  throw new PipelineError(
    'PUBLICATION_MISSING',
    `The slot "${from}" still holds changes from before the publications ${plugin.publications.map((name) => `"${name}"`).join(', ')} were made, which ${plugin.name} could not read. The slot "${to}" was not made, and "${from}" stands where it stood.`,
    {
      cause: failure,
      remedy: `Let runs publish them from "${from}", once every transaction has ended that was open when the publications were made. Then try again.`,
    },
  );
}
