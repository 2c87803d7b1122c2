/**
 * The errors by which a peek says that the server did not come to its first row: what the run does next depends on which.
 * Knows no SQL and no run.
 */
import type { Lsn } from './decode/lsn.ts';

/** The peek did not finish before its first row: ask for less. */
export class PeekTooLargeError extends Error {
  override readonly name = 'PeekTooLargeError';
  /** The SQLSTATE, of an error that says that the server is out of disk, temporary files or memory. */
  readonly resourceSqlState: string | undefined;
  /** The LSN of the change that the server was at, where it says so. */
  readonly near: Lsn | undefined;
  /**
   * Whether the server lacked room for changes that it collects. It does so before it comes to their commit, and again for
   * transactions that the slot has passed and restart_lsn has not.
   */
  readonly spilling: boolean;

  /**
   * @param message - what happened
   * @param options - `resourceSqlState`, `near`, `spilling`: see the fields; `cause`: the error underneath
   */
  constructor(
    message: string,
    options: ErrorOptions & {
      readonly resourceSqlState?: string | undefined;
      readonly near?: Lsn | undefined;
      readonly spilling?: boolean;
    } = {},
  ) {
    super(message, options);
    this.resourceSqlState = options.resourceSqlState;
    this.near = options.near;
    this.spilling = options.spilling === true;
  }
}

/** What a {@link ServerDecodingError} tells. */
export interface ServerDecodingFailure {
  readonly sqlState: string;
  /** What may be shown of the server's error: no value of a row is among it. */
  readonly report: string;
  /** The LSN of the change that the server was at, where it says so. */
  readonly near: Lsn | undefined;
  /** The error to be thrown where no transaction is to blame. */
  readonly cause: unknown;
}

/** The server failed while it decoded, before the first row: a smaller peek tells at which transaction. */
export class ServerDecodingError extends Error {
  override readonly name = 'ServerDecodingError';
  readonly sqlState: string;
  readonly report: string;
  readonly near: Lsn | undefined;

  /**
   * @param message - what happened
   * @param failure - see there
   */
  constructor(message: string, failure: ServerDecodingFailure) {
    super(message, { cause: failure.cause });
    this.sqlState = failure.sqlState;
    this.report = failure.report;
    this.near = failure.near;
  }
}
