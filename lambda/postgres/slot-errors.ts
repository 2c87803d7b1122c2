/**
 * SQLSTATEs that mean several things when a statement on the slot fails, told apart. Pure.
 *
 * What tells them apart is the source file and routine that the server names in its error, which no lc_messages
 * translates, and what `pg_replication_slots` says. Where neither does, the server's own words are shown, and nobody is
 * sent to drop a slot that may be healthy. Errors of these classes name objects and files, never a row's value (I10).
 */
import { type ErrorCode, PipelineError } from '../errors.ts';
import { isUnreadableWal } from './decoding-failure.ts';
import type { ErrorContext } from './error-context.ts';
import { isAboutPublication, publicationMissing } from './publication-errors.ts';

/** Of the server's source, that look after the rights to replication as such; all others ask for one object's. */
const REPLICATION_RIGHTS = new Set(['CheckSlotPermissions', 'check_permissions']);

/** What is lacking, by SQLSTATE. */
const LACKING: Readonly<Record<string, string>> = {
  53100: 'has no disk space left',
  53200: 'has no memory left',
  53400: 'reached a limit of its configuration',
};

/**
 * Explains what the server lacks, or the role has no right to, whatever was asked.
 *
 * @param error - what was caught
 * @param code - its SQLSTATE
 * @param context - which server and user, for the message
 * @param notDone - what was not done, a sentence
 * @returns undefined where the code is neither
 */
export function explainLack(
  error: Error,
  code: string,
  context: ErrorContext,
  notDone: string,
): PipelineError | undefined {
  const { host, port, user } = context;
  const words = `PostgreSQL at ${host}:${port} says: ${error.message} (SQLSTATE ${code}).`;
  const lacking = LACKING[code];
  if (lacking !== undefined) {
    return new PipelineError('NO_PROGRESS', `The server ${lacking}. ${words} ${notDone}`, {
      cause: error,
      remedy: 'Give the server what it lacks. The slot is kept, and the next run tries again.',
    });
  }
  if (code !== '42501') return undefined;
  return new PipelineError(
    'DATABASE_AUTH_FAILED',
    `User "${user}" has no right to something that a run needs. ${words} ${notDone}`,
    {
      cause: error,
      remedy: `Grant user "${user}" the right to what the message names: EXECUTE on a function, SELECT on a view. It was probably revoked from PUBLIC.`,
    },
  );
}

/**
 * Puts such an error in the operator's words.
 *
 * @param error - what was caught, of any type
 * @param code - its SQLSTATE
 * @param context - which server, database and slot, for the message; its `slot` is known
 * @param notDone - what was not done, a sentence
 * @returns undefined where the code is none of these
 */
export function explainSlotState(
  error: Error,
  code: string,
  context: ErrorContext & { readonly slot: string },
  notDone: string,
): PipelineError | undefined {
  const { slot, user } = context;
  const at = `${context.host}:${context.port}`;
  const words = `PostgreSQL at ${at} says: ${error.message} (SQLSTATE ${code}).`;
  const slotError = (kind: ErrorCode, what: string, remedy?: string) =>
    new PipelineError(kind, `${what} ${notDone}`, { cause: error, ...(remedy === undefined ? {} : { remedy }) });
  switch (code) {
    case '42501':
      // The one refusal of this kind in that file of the server's: the plugin is not among output_plugin_libraries.
      if (textOf(error, 'file') === 'logical.c')
        return slotError(
          'CONFIG_INVALID',
          `PLUGIN: the server does not allow this output plugin. ${words}`,
          ALLOW_PLUGIN,
        );
      return REPLICATION_RIGHTS.has(textOf(error, 'routine'))
        ? slotError(
            'DATABASE_AUTH_FAILED',
            `User "${user}" may not use replication slots.`,
            'On Amazon RDS: GRANT rds_replication TO it. Elsewhere: ALTER ROLE ... REPLICATION. A rotation with alternating users makes a second role, which does not inherit REPLICATION: give it to both, or rotate a single user.',
          )
        : undefined;
    case '42704':
      if (isAboutPublication({ code, routine: textOf(error, 'routine') })) {
        const publications = context.publications ?? [];
        return publicationMissing(slot, { publications }, `${error.message} (SQLSTATE ${code})`, error);
      }
      return context.slotIsSound === true
        ? slotError('NO_PROGRESS', `Slot "${slot}" is there, and something else is not. ${words}`, KEEP)
        : slotError('SLOT_MISSING', `There is no replication slot "${slot}" at ${at}.`);
    case '58P01':
      if (textOf(error, 'file') === 'dfmgr.c') {
        return slotError(
          'NO_PROGRESS',
          `A library is missing on the server: the output plugin's, or that of an extension whose type a row has. ${words}`,
          'Install the package that holds this file, for this major version of the server. The slot is healthy: keep it, and the next run goes on.',
        );
      }
      return isUnreadableWal(error)
        ? slotError('SLOT_LOST', `WAL that slot "${slot}" needs is gone. ${words}`, RESTORE)
        : slotError('NO_PROGRESS', `A file is missing on the server. ${words}`, KEEP);
    case 'XX000':
      return isUnreadableWal(error)
        ? slotError('SLOT_LOST', `WAL that slot "${slot}" needs cannot be read. ${words}`, RESTORE)
        : undefined;
    case '55006':
      return slotError('SLOT_BUSY', `Another process is using slot "${slot}".`);
    case '55000':
      return textOf(error, 'routine') === 'pg_replication_slot_advance'
        ? slotError(
            'SLOT_BUSY',
            `Somebody else has advanced slot "${slot}". ${words}`,
            'Find out who else reads this slot: what they took is not published. Give each pipeline a slot of its own.',
          )
        : slotError('NO_PROGRESS', `The server cannot read slot "${slot}" as it is now. ${words}`, KEEP);
    default:
      return undefined;
  }
}

const ALLOW_PLUGIN =
  'Add the plugin to output_plugin_libraries (on RDS and Aurora in the parameter group) and run SELECT pg_reload_conf(). A slot that is there is kept, and the next run goes on. Or use a plugin that is allowed, with a slot of its own: copy-slot.';
const RESTORE =
  'If an archive or a standby still has the segment of WAL, put it into pg_wal: the next run goes on. Otherwise what follows is lost to this slot: drop it with drop-slot, create it with create-slot, and reload what consumers missed.';
const KEEP =
  'Fix what the message names. Keep the slot, unless status says that it is lost: dropping it loses every change that is not read yet.';

/** A field of the server's error: the name of a source file or routine. */
function textOf(error: Error, field: 'file' | 'routine'): string {
  const value: unknown = (error as { readonly [name: string]: unknown } & Error)[field];
  return typeof value === 'string' ? value : '';
}
