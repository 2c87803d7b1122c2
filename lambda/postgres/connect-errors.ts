/**
 * Why no connection came about, and the remedy for each cause: a rotation does not grant a right, and a security group opens no
 * expired certificate. Pure. The server's own words on a refused log-in are shown: they name users, databases and
 * addresses, and no row was read yet.
 */
import { type ErrorCode, PipelineError } from '../errors.ts';
import type { ErrorContext } from './error-context.ts';
import { UNREADABLE } from './read-safely.ts';

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
 * Tells a certificate that no known authority has signed.
 *
 * @param code - of an error
 */
export function isUntrustedCode(code: string): boolean {
  return UNTRUSTED.has(code);
}

/**
 * Explains an error of a connection: of the network, of TLS, or of logging in.
 *
 * @param error - what was caught, of any type
 * @param code - its SQLSTATE, or Node's code
 * @param context - which server, database and slot, for the message
 * @param notDone - what was not done, a sentence
 * @returns undefined where it is none of these
 */
export function explainConnection(
  error: Error,
  code: string,
  context: ErrorContext,
  notDone: string,
): PipelineError | undefined {
  const at = `${context.host}:${context.port}`;
  const failure = (kind: ErrorCode, what: string, remedy?: string) =>
    new PipelineError(kind, `${what} ${notDone}`, { cause: error, ...(remedy === undefined ? {} : { remedy }) });
  const unreachable = (what: string, remedy?: string) => failure('DATABASE_UNREACHABLE', what, remedy);
  if (NETWORK.has(code)) return unreachable(`No connection to PostgreSQL at ${at} (${code}).`, networkRemedy(code));
  if (UNTRUSTED.has(code)) {
    return unreachable(
      `The certificate of PostgreSQL at ${at} is signed by no authority known here (${code}).`,
      "Give its authority's certificate as PGSSLROOTCERT, or set PGSSLMODE=require to encrypt without checking.",
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = namesOf(error);
    return unreachable(
      `The certificate of PostgreSQL at ${at} is for another host name${names === undefined ? '' : `: ${names}`}.`,
      'Connect by a name that it was made for (on Amazon RDS the endpoint), or set PGSSLMODE=verify-ca.',
    );
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return unreachable(
      `The certificate of PostgreSQL at ${at} ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'} (${code}).`,
      "Renew the server's certificate, or set the clock right where it is wrong. Until then PGSSLMODE=require encrypts without checking.",
    );
  }
  if (code.startsWith('CERT_') || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return unreachable(
      `TLS with PostgreSQL at ${at} failed (${code}).`,
      'PGSSLMODE and PGSSLROOTCERT decide what is accepted; the TLS versions and ciphers are those of the server.',
    );
  }
  if (context.connecting === true) {
    const refused = explainRefusal(error, code, context, at, failure);
    if (refused !== undefined) return refused;
  }
  return explainDriver(error.message, context, at, failure);
}

/** Builds the error of a cause. */
type MakeFailure = (kind: ErrorCode, what: string, remedy?: string) => PipelineError;

/** What the server says to a log-in. */
function explainRefusal(
  error: Error,
  code: string,
  context: ErrorContext,
  at: string,
  failure: MakeFailure,
): PipelineError | undefined {
  if (!/^[0-9A-Z]{5}$/.test(code)) return undefined;
  const { user, database, auth } = context;
  const words = `The server says: ${error.message} (SQLSTATE ${code}).`;
  switch (code) {
    case '28P01':
      return failure(
        'DATABASE_AUTH_FAILED',
        `PostgreSQL at ${at} refused the password of user "${user}"${passwordSource(context)}.`,
        passwordRemedy(context),
      );
    case '28000':
      return failure(
        'DATABASE_AUTH_FAILED',
        `PostgreSQL at ${at} does not admit user "${user}" to database "${database}" this way. ${words}`,
        auth === 'iam' ? IAM_REMEDY : notAdmitted(error, user),
      );
    case '42501':
      return failure(
        'DATABASE_AUTH_FAILED',
        `User "${user}" may not connect to database "${database}" at ${at}. ${words}`,
        `As the database's owner run: GRANT CONNECT ON DATABASE ${quoted(database)} TO ${quoted(user)};`,
      );
    case '3D000':
      return failure(
        'CONFIG_INVALID',
        `PGDATABASE (or the secret's dbname): there is no database "${database}" at ${at}.`,
      );
    case '53300':
      return failure(
        'DATABASE_UNREACHABLE',
        `PostgreSQL at ${at} has no connection left: too many clients, or the limit of user "${user}" (2 are needed). ${words}`,
        'Close connections, or raise max_connections, or the limit of the role (ALTER ROLE ... CONNECTION LIMIT) or of the database. The next run tries again.',
      );
    case '55000':
      return failure(
        'CONFIG_INVALID',
        `PostgreSQL at ${at} takes no connection to database "${database}". ${words}`,
        `Run: ALTER DATABASE ${quoted(database)} ALLOW_CONNECTIONS true; or correct PGDATABASE.`,
      );
    case '57P03':
      return failure(
        'DATABASE_UNREACHABLE',
        `PostgreSQL at ${at} is starting up, shutting down or recovering. ${words}`,
        'Wait until it is up: the next run tries again.',
      );
    // What a pool answers to options in the startup packet is tried again without; their messages are in sql-errors.ts.
    case '57P01':
    case '57P02':
    case '57014':
      return undefined;
    default:
      return failure(
        'DATABASE_UNREACHABLE',
        `PostgreSQL at ${at} refused the connection of user "${user}" to database "${database}". ${words}`,
        'Fix what the server says. The next run tries again.',
      );
  }
}

/** What node-postgres says of a way of logging in that it does not know. */
const UNKNOWN_LOG_IN = /^SASL: Only mechanism|Unknown authenticationOk message type \d+$/;

/** What node-postgres says, which gives no codes. */
function explainDriver(
  text: string,
  context: ErrorContext,
  at: string,
  failure: MakeFailure,
): PipelineError | undefined {
  const unreachable = (what: string, remedy?: string) => failure('DATABASE_UNREACHABLE', what, remedy);
  if (text === 'timeout expired') return unreachable(`PostgreSQL at ${at} did not answer in time (10 s).`);
  if (
    text.startsWith('Connection terminated') ||
    text.startsWith('Client was closed') ||
    text.startsWith('Client has encountered a connection error')
  ) {
    return context.connecting === true
      ? unreachable(
          `What answers at ${at} closed the connection before anybody was logged in.`,
          'Check that host and port are those of a PostgreSQL server, and that it is not being restarted. The next run tries again.',
        )
      : unreachable(
          `The connection to PostgreSQL at ${at} was lost.`,
          'Check whether the server was restarted or failed over, and what is between. The next run tries again.',
        );
  }
  if (text === 'The server does not support SSL connections') {
    return unreachable(
      `PostgreSQL at ${at} offers no TLS.`,
      'Turn it on there, or set PGSSLMODE=disable to send everything unencrypted.',
    );
  }
  if (text === 'There was an error establishing an SSL connection') {
    return unreachable(
      `PostgreSQL at ${at} did not begin TLS.`,
      'Check that host and port are those of a PostgreSQL server.',
    );
  }
  const [, iterations] = /^SASL: .*iteration count (\d+) exceeds/.exec(text) ?? [];
  if (iterations !== undefined) {
    return failure(
      'DATABASE_AUTH_FAILED',
      `PostgreSQL at ${at} wants the password of user "${context.user}" hashed ${iterations} times, which takes too long.`,
      'Set scram_iterations lower on the server, and the password of this user anew.',
    );
  }
  if (UNKNOWN_LOG_IN.test(text)) {
    return failure(
      'DATABASE_AUTH_FAILED',
      `PostgreSQL at ${at} wants user "${context.user}" to log in by GSSAPI, SSPI or OAuth, none of which is supported here.`,
      'Admit this user by scram-sha-256 in pg_hba.conf. On Amazon RDS take the role rds_ad from it.',
    );
  }
  if (text.startsWith(UNREADABLE) || text.startsWith('received invalid response')) {
    return unreachable(
      `What answers at ${at} does not speak as PostgreSQL does.`,
      'Check that host and port are those of a PostgreSQL server, and what is between.',
    );
  }
  if (text.startsWith('SASL')) {
    return failure(
      'DATABASE_AUTH_FAILED',
      `PostgreSQL at ${at} asks user "${context.user}" for a password, and ${context.hasPassword === false ? 'there is none' : 'the exchange failed'}${passwordSource(context)}.`,
      passwordRemedy(context),
    );
  }
  return undefined;
}

function networkRemedy(code: string): string | undefined {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return "Correct the host's name (PGHOST, or the secret's host), and see that it can be resolved from here. The next run tries again.";
    case 'ECONNREFUSED':
      return 'Start the database, or correct its host and port. The next run tries again.';
    case 'ENOENT':
    case 'EACCES':
      return 'Correct PGHOST: it is the directory of a socket that is not there, or may not be used.';
    default:
      return undefined;
  }
}

/** From the server's source: who looks after roles. All other refusals of 28000 are pg_hba.conf's. */
function notAdmitted(error: Error, user: string): string {
  const file: unknown = (error as { readonly file?: unknown } & Error).file;
  return file === 'miscinit.c'
    ? `Correct the user, or make it one that may log in: ALTER ROLE ${quoted(user)} LOGIN;`
    : 'Add a line to pg_hba.conf that admits this user to this database from this address. Where the server says "no encryption", set PGSSLMODE to verify-full, verify-ca or require.';
}

const IAM_REMEDY =
  "Grant rds-db:connect for this user and resource ID to the function's role, GRANT rds_iam TO the user, switch IAM authentication on, and connect by the endpoint's own name.";

function passwordSource({ auth, hasPassword }: ErrorContext): string {
  if (auth === 'secret') return ', read from the secret anew';
  if (auth === 'iam') return ', an IAM token';
  return hasPassword === false ? ': PGPASSWORD is not set' : ' (PGPASSWORD)';
}

/** Of a secret, a rotation may be under way: that is what the code's own remedy says. */
function passwordRemedy({ auth, hasPassword, userFrom }: ErrorContext): string | undefined {
  if (auth === 'iam') return IAM_REMEDY;
  if (auth === 'password') {
    return hasPassword === false
      ? 'Set PGPASSWORD, or let the password come from DATABASE_SECRET_ARN or DATABASE_AUTH=iam.'
      : 'Correct PGUSER or PGPASSWORD.';
  }
  return userFrom === 'PGUSER'
    ? "PGUSER is set and wins over the secret's username: unset it, or give the secret of that user. A rotation may be under way, too: then the next run succeeds by itself."
    : undefined;
}

/** The names in a certificate, of an error of Node's. */
function namesOf(error: Error): string | undefined {
  const cert: unknown = (error as { readonly cert?: unknown } & Error).cert;
  const names: unknown =
    typeof cert === 'object' && cert !== null ? (cert as { subjectaltname?: unknown }).subjectaltname : undefined;
  return typeof names === 'string' && names !== '' ? names.slice(0, 300) : undefined;
}

/** An identifier, as SQL needs it. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
