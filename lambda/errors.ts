/**
 * Every error a user can meet: one class, a stable code each, and what an operator does about it.
 * Knows no PostgreSQL and no AWS; the modules that talk to them translate what they meet into these.
 */
import { printable } from './printable.ts';

/** What to do about each code, first step first. docs/operations.md has a section for each code, which begins with its line here. */
export const REMEDIES = {
  CONFIG_INVALID: 'Correct the settings that the message names, then deploy or start again.',
  EVENT_INVALID: 'Correct the payload or the arguments: the message says which are taken.',
  ADMIN_ONLY:
    'Invoke the same function with ":admin" after its name, as somebody whom IAM allows to invoke that alias.',
  DATABASE_UNREACHABLE:
    'Check that the database is up, that its host and port are right, and that its security group admits the function; the next run tries again.',
  DATABASE_AUTH_FAILED:
    'Check the user and its secret; a rotation may be under way, then the next run succeeds by itself.',
  POOLER_REFUSED:
    "Connect to the database itself (PGHOST and PGPORT, or the secret's host and port), or to the pool in session mode.",
  SERVERS_DIFFER:
    'Connect to one server: the writer endpoint or the address of the instance, not a name or a balancer that leads to several. After a failover the next run succeeds by itself.',
  SERVER_IS_STANDBY:
    'Connect to the primary: the writer endpoint, or its address. During a failover the next run succeeds by itself, when the promotion has ended.',
  SLOT_MISSING:
    'Find out what the slot missed (failover, restore, upgrade or a dropped slot lose it), then create it with create-slot and reload what consumers missed.',
  SLOT_LOST:
    'The server removed WAL that the slot needed: drop it with drop-slot, create it with create-slot, reload what consumers missed, and raise max_slot_wal_keep_size.',
  SLOT_BUSY: 'Find the process that the message names and stop it, or give this pipeline a slot of its own.',
  SLOT_UNREAD:
    'Publish them first, with drain. Only if nobody needs them: drop-slot --yes on the command line, "discardUnread": true in a payload.',
  WRONG_PLUGIN:
    "Use another SLOT_NAME. Only if nobody needs that slot: drop it with SELECT pg_drop_replication_slot('<its name>'), then create it with create-slot.",
  PUBLICATION_MISSING:
    'Make the publication that PUBLICATIONS names, if it is not there. What was written while it was missing can no longer be read by pgoutput: advance the slot past that time with SELECT pg_replication_slot_advance(...), or make a new slot, and reload the rows of that time. See docs/plugins.md.',
  SNAPSHOT_REFUSED: 'Correct what the message names, then ask for the snapshot again.',
  DECODE_FAILED:
    'Report the message to the developers; to go on without that transaction, invoke skip-transaction with the commit LSN it names.',
  TRANSACTION_UNDECODABLE:
    'If the message names something missing that you can restore on the server, restore it: the next run goes on by itself. Otherwise invoke skip-transaction with the commit LSN that the message names: consumers then lack every change of that transaction, so reload the rows it wrote.',
  KEY_UNRESOLVED:
    "Set ON_UNKNOWN_KEY=skip, at least for one run: the table's rows from before its key changed are then counted and named, and the rest goes on. To leave out that whole transaction instead, invoke skip-transaction with the commit LSN the message names.",
  FORMAT_FAILED:
    'Correct the formatter and deploy it: the next run goes on at this change. To leave out that whole transaction instead, invoke skip-transaction with the commit LSN the message names.',
  RECORD_TOO_LARGE:
    'Raise MAX_RECORD_KIB (and the limit of the stream), set OVERSIZE=key-only, exclude the table, or invoke skip-transaction with the commit LSN the message names.',
  STREAM_MISSING: 'Create the stream, or correct STREAM_NAME and the region.',
  STREAM_ACCESS_DENIED: 'Grant kinesis:PutRecords on the stream, and kms:GenerateDataKey on its key if it has one.',
  STREAM_THROTTLED: "Give the stream more capacity: more shards, up to LANES, or on-demand mode's warm throughput.",
  NO_PROGRESS:
    'Fix the cause that the message and the log name (slow, refused or missing), then invoke drain by hand, which has the whole time-out of the function.',
} as const;

/** A stable name of a failure, to match on and to look up in docs/operations.md. */
export type ErrorCode = keyof typeof REMEDIES;

/** Failures of one transaction, which skip-transaction gets past. */
export const SKIPPABLE_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'DECODE_FAILED',
  'TRANSACTION_UNDECODABLE',
  'KEY_UNRESOLVED',
  'FORMAT_FAILED',
  'RECORD_TOO_LARGE',
]);

/** Failures after which there is no connection to the server of the slot: nothing more is asked of it. */
export const CONNECTION_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'DATABASE_UNREACHABLE',
  'DATABASE_AUTH_FAILED',
  'POOLER_REFUSED',
  'SERVERS_DIFFER',
  'SERVER_IS_STANDBY',
]);

/** What a {@link PipelineError} may be given besides its code and text. */
export interface PipelineErrorOptions extends ErrorOptions {
  /**
   * The remedy for this very cause, in sentences.
   *
   * @default the code's, from {@link REMEDIES}
   */
  readonly remedy?: string;
}

/**
 * The base class of every error that a user can meet.
 *
 * The message says what happened, what was not done and what to do next. It never holds a password, a token or a
 * row's value (I10).
 *
 * **The remedy has to fit the cause, not only the code.** By default the message ends with the code's line of
 * {@link REMEDIES}. Where one code has several causes, and that line would send the reader the wrong way, pass
 * `remedy`: it takes the line's place. So `what` need not hold the remedy, and the two never contradict each other.
 *
 * @example throw new PipelineError('SLOT_MISSING', 'The slot "pg2kinesis" does not exist in database "app".')
 * @example
 * throw new PipelineError('DATABASE_AUTH_FAILED', `User "cdc" may not connect to database "app". ${notDone}`, {
 *   cause: error,
 *   remedy: 'As its owner run: GRANT CONNECT ON DATABASE "app" TO "cdc";',
 * });
 */
export class PipelineError extends Error {
  /** What kind of failure, for machines. */
  readonly code: ErrorCode;
  // Private, as Lambda logs every enumerable property beside the message that holds both already.
  readonly #what: string;
  readonly #remedy: string;

  /**
   * @param code - the kind of failure
   * @param what - what happened and what was not done, in sentences
   * @param options - `cause`: the error underneath, kept; `remedy`: what to do, where the code's line does not fit
   */
  constructor(code: ErrorCode, what: string, options: PipelineErrorOptions = {}) {
    const { remedy = REMEDIES[code], ...rest } = options;
    // Names in it are the database's: they must not forge lines of a log.
    super(printable(`${code}: ${what} ${remedy}`), rest);
    this.name = code;
    this.code = code;
    this.#what = what;
    this.#remedy = remedy;
  }

  /** What happened and what was not done: the message without code and remedy. */
  get what(): string {
    return this.#what;
  }

  /** What to do: the message's last part. */
  get remedy(): string {
    return this.#remedy;
  }
}

/**
 * A transaction that the server itself cannot decode: every reading of the slot fails at it.
 *
 * @param commitLsn - what to give to skip-transaction, as PostgreSQL prints it
 * @param report - what may be shown of the server's error
 * @param cause - the error underneath
 */
export function transactionUndecodable(commitLsn: string, report: string, cause: unknown): PipelineError {
  return new PipelineError(
    'TRANSACTION_UNDECODABLE',
    `PostgreSQL cannot decode the transaction with commit LSN ${commitLsn} (${report}). What was committed before it is published; the slot was not advanced over it, and nothing after it can be published.`,
    { cause },
  );
}
