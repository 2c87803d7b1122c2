/**
 * What every explanation of a database error needs: the error's code, and what the texts may name. Explains nothing itself,
 * so that all that do can import it. Imports nothing.
 */

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
  /** Whether nobody is logged in yet: what the server says then may be shown. @default false */
  readonly connecting?: boolean;
  /** Whether it has only been asked who it is. @default false */
  readonly isNew?: boolean;
  /** Whether there was a password at all. @default true */
  readonly hasPassword?: boolean;
  /** Where the user's name came from. */
  readonly userFrom?: 'PGUSER' | 'secret';
  /** The slot in question; undefined while connecting. */
  readonly slot?: string;
  /** Whether `pg_replication_slots` was looked at since, and shows nothing against reading it. */
  readonly slotIsSound?: boolean;
  /** What was not done, a sentence. @default nothing was read and the slot was not advanced */
  readonly notDone?: string;
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
