/**
 * What node-postgres, Node's sockets and PostgreSQL report, told as the errors of the table in errors.ts.
 * Pure: goes by SQLSTATE and error code, never by a server's text, which follows its lc_messages. What means several things on
 * what is wrong with a slot is found in slot-errors.ts, by the slot's row as slot-state.ts reads it.
 */
import { PipelineError } from '../errors.ts';
import { explainConnection, isUntrustedCode } from './connect-errors.ts';
import { codeOf, type ErrorContext } from './error-context.ts';
import { explainLack, explainSlotState } from './slot-errors.ts';

const INCONVERTIBLE_REMEDY =
  "If it is a name (of a table, column, type, schema or role), rename it: a psql whose client_encoding is the database's own shows it. If it is a row, a run names the commit LSN to give to skip-transaction.";

const CONFLICT_REMEDY =
  'The next run tries again. If that happens often: set hot_standby_feedback = on on the standby, and max_standby_streaming_delay higher.';

const NOT_DONE = 'Nothing was read and the slot was not advanced.';

/**
 * Puts an error of the database's side in the operator's words.
 *
 * @param error - what was caught, of any type
 * @param context - which server, database and slot, for the message
 * @returns the error to throw, `error` as its cause; undefined when it says nothing an operator could act on
 */
export function translate(error: unknown, context: ErrorContext): PipelineError | undefined {
  if (error instanceof PipelineError) return error;
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  const at = `${context.host}:${context.port}`;
  const notDone = context.notDone ?? NOT_DONE;
  const unreachable = (what: string) =>
    new PipelineError('DATABASE_UNREACHABLE', `${what} ${notDone}`, { cause: error });
  const connection = explainConnection(error, code, context, notDone);
  if (connection !== undefined) return connection;
  if (context.slot !== undefined) {
    const explained = explainSlotState(error, code, { ...context, slot: context.slot }, notDone);
    if (explained !== undefined) return explained;
  }
  const lack = explainLack(error, code, context, notDone);
  if (lack !== undefined) return lack;
  switch (code) {
    case '42883':
    case '42P01':
    case '42703':
      if (context.isNew !== true) return undefined;
      return new PipelineError(
        'CONFIG_INVALID',
        `What answers at ${at} lacks something that PostgreSQL has from 10 on. It says: ${error.message} (SQLSTATE ${code}). ${notDone}`,
        {
          cause: error,
          remedy: 'Correct PGHOST and PGPORT (or the secret), or upgrade the server to PostgreSQL 10 or later.',
        },
      );
    case '57014':
      return new PipelineError(
        'NO_PROGRESS',
        `PostgreSQL at ${at} did not finish a statement before the time-out. ${notDone}`,
        { cause: error },
      );
    case '40001':
    case '40P01':
      // No transaction of ours is serializable, or waits for two locks: a standby says so of what stands in its replay's way.
      return new PipelineError(
        'NO_PROGRESS',
        `PostgreSQL at ${at}, a standby, ended a statement that was in the way of what it had to replay (${code}). ${notDone}`,
        { cause: error, remedy: CONFLICT_REMEDY },
      );
    case '22021':
    case '22P05':
      // The text quotes the row's bytes: it is not repeated, and neither kept as the cause.
      return new PipelineError(
        'DECODE_FAILED',
        `A row, or a name in the catalogs, holds text that is invalid in the database's own encoding, or has no equivalent in UTF-8. ${notDone}`,
        { remedy: INCONVERTIBLE_REMEDY },
      );
    case '57P01':
    case '57P02':
      return unreachable(
        `PostgreSQL at ${at} ended the connection (${code}): a restart, a failover, or pg_terminate_backend.`,
      );
    default:
  }
  if (code.startsWith('08')) return unreachable(`The connection to PostgreSQL at ${at} failed (${code}).`);
  return undefined;
}

/**
 * Tells a certificate that no known authority has signed.
 *
 * @param error - anything caught
 */
export function isUntrusted(error: unknown): boolean {
  return isUntrustedCode(codeOf(error));
}
