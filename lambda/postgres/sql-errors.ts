/**
 * What node-postgres, Node's sockets and PostgreSQL report, told as the errors of the table in errors.ts.
 * Pure: judges by SQLSTATE and error code, never by a server's text, which follows its lc_messages. What means several things on
 * a slot is told apart in slot-errors.ts, by the slot's row as slot-state.ts reads it.
 */
import { PipelineError } from '../errors.ts';
import { explainSlotState } from './slot-errors.ts';

/** What the texts name. No password among them. */
export interface ErrorContext {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Where the password came from. */
  readonly auth: 'secret' | 'password' | 'iam';
  /** The plugin that the slot is to have. */
  readonly plugin?: string;
  /** The publications that it reads; none where the plugin knows none. */
  readonly publications?: readonly string[];
  /** The slot in question; undefined while connecting. */
  readonly slot?: string;
  /** Whether `pg_replication_slots` was looked at since, and shows nothing against reading it. */
  readonly slotIsSound?: boolean;
  /** What was not done, a sentence. @default nothing was read and the slot was not advanced */
  readonly undone?: string;
}

const NOT_DONE = 'Nothing was read and the slot was not advanced.';

/** Codes of Node's sockets and resolver that mean: not reachable, or no longer. */
const NETWORK = new Set(
  'ECONNREFUSED ECONNRESET ENOTFOUND EAI_AGAIN ETIMEDOUT EHOSTUNREACH ENETUNREACH EHOSTDOWN EPIPE ECONNABORTED EADDRNOTAVAIL ENOENT EACCES'.split(
    ' ',
  ),
);

/** OpenSSL's names for a certificate chain that does not prove itself. */
const UNTRUSTED = new Set(
  'DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT_LOCALLY UNABLE_TO_GET_ISSUER_CERT CERT_SIGNATURE_FAILURE CERT_UNTRUSTED INVALID_CA CERT_CHAIN_TOO_LONG'.split(
    ' ',
  ),
);

/**
 * Puts an error of the database's side in the operator's words.
 *
 * @param error - as caught
 * @param context - what it concerns
 * @returns the error to throw, `error` as its cause; undefined when it says nothing an operator could act on
 */
export function translate(error: unknown, context: ErrorContext): PipelineError | undefined {
  if (error instanceof PipelineError) return error;
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  const at = `${context.host}:${context.port}`;
  const undone = context.undone ?? NOT_DONE;
  const unreachable = (what: string) =>
    new PipelineError('DATABASE_UNREACHABLE', `${what} ${undone}`, { cause: error });
  const refused = (what: string) => new PipelineError('DATABASE_AUTH_FAILED', `${what} ${undone}`, { cause: error });
  const config = (what: string) => new PipelineError('CONFIG_INVALID', `${what} ${undone}`, { cause: error });

  if (NETWORK.has(code)) return unreachable(`No connection to PostgreSQL at ${at} (${code}).`);
  if (UNTRUSTED.has(code)) {
    return unreachable(
      `The certificate of PostgreSQL at ${at} is signed by no authority known here (${code}): give its authority's certificate as PGSSLROOTCERT, or set PGSSLMODE=require to encrypt without checking.`,
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return unreachable(
      `The certificate of PostgreSQL at ${at} is for another host name: connect by the name it was made for (on Amazon RDS the endpoint), or set PGSSLMODE=verify-ca.`,
    );
  }
  if (code.startsWith('CERT_') || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return unreachable(
      `TLS with PostgreSQL at ${at} failed (${code}); PGSSLMODE and PGSSLROOTCERT decide what is accepted.`,
    );
  }
  if (context.slot !== undefined) {
    const told = explainSlotState(error, code, { ...context, slot: context.slot }, undone);
    if (told !== undefined) return told;
  }
  switch (code) {
    case '28P01':
      return refused(`PostgreSQL at ${at} refused the password of user "${context.user}"${passwordSource(context)}.`);
    case '28000':
      return refused(
        `PostgreSQL at ${at} does not admit user "${context.user}" to database "${context.database}" this way: the user does not exist or may not log in, or pg_hba.conf does not allow it from here or with this PGSSLMODE${context.auth === 'iam' ? '; for IAM authentication: GRANT rds_iam to it' : ''}.`,
      );
    case '42501':
      return refused(`User "${context.user}" may not connect to database "${context.database}" at ${at}.`);
    case '3D000':
      return config(`PGDATABASE (or the secret's dbname): there is no database "${context.database}" at ${at}.`);
    case '53300':
      return unreachable(
        `PostgreSQL at ${at} has no connection left: too many clients, or the limit of user "${context.user}" (2 are needed).`,
      );
    case '57014':
      return new PipelineError(
        'NO_PROGRESS',
        `PostgreSQL at ${at} did not finish a statement before the time-out. ${undone}`,
        { cause: error },
      );
    case '22021':
    case '22P05':
      // The text quotes the row's bytes: it is not repeated, and neither kept as the cause.
      return new PipelineError(
        'DECODE_FAILED',
        `A row holds text that is invalid in the database's own encoding, or has no equivalent in UTF-8. ${undone}`,
      );
    case '57P03':
      return unreachable(`PostgreSQL at ${at} is starting up, shutting down or recovering.`);
    case '57P01':
    case '57P02':
      return unreachable(
        `PostgreSQL at ${at} ended the connection (${code}): a restart, a failover, or pg_terminate_backend.`,
      );
    default:
  }
  if (code.startsWith('08')) return unreachable(`The connection to PostgreSQL at ${at} failed (${code}).`);
  // What follows is node-postgres', which gives no codes.
  const text = error.message;
  if (text === 'timeout expired') return unreachable(`PostgreSQL at ${at} did not answer in time.`);
  if (
    text.startsWith('Connection terminated') ||
    text.startsWith('Client was closed') ||
    text.startsWith('Client has encountered a connection error')
  ) {
    return unreachable(`The connection to PostgreSQL at ${at} was lost.`);
  }
  if (text === 'The server does not support SSL connections') {
    return unreachable(
      `PostgreSQL at ${at} offers no TLS: turn it on there, or set PGSSLMODE=disable to send everything unencrypted.`,
    );
  }
  if (text === 'There was an error establishing an SSL connection') {
    return unreachable(`PostgreSQL at ${at} did not begin TLS; is it a PostgreSQL server?`);
  }
  if (text.startsWith('SASL')) {
    return refused(
      `PostgreSQL at ${at} asks user "${context.user}" for a password, and ${context.auth === 'password' ? 'PGPASSWORD is empty or' : 'the one at hand is empty or'} the exchange failed.`,
    );
  }
  return undefined;
}

/**
 * Tells a certificate that no known authority has signed.
 *
 * @param error - anything caught
 */
export function isUntrusted(error: unknown): boolean {
  return UNTRUSTED.has(codeOf(error));
}

/**
 * @param error - anything caught
 * @returns its SQLSTATE or Node's error code; empty where there is none
 */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return '';
}

function passwordSource({ auth }: ErrorContext): string {
  if (auth === 'secret') return ', read from the secret anew';
  return auth === 'iam' ? ', an IAM token: check rds-db:connect and that IAM authentication is on' : ' (PGPASSWORD)';
}
