/** What `pg2kinesis replicate` is asked for. */
import type { Lsn } from '../../lambda/decode/lsn.ts';

/** The options. */
export interface ReplicateOptions {
  /** The target: `postgres://user:password@host:port/database?sslmode=...`. */
  readonly to: string;
  /** The stream's name or ARN. */
  readonly stream: string;
  /** Tells copies in one target apart. @default 'pg2kinesis' */
  readonly name?: string;
  /** The source to copy, where the stream has several. @default that of the first record */
  readonly source?: string;
  /** Where a copy that was loaded otherwise begins. @default at the beginning of the stream */
  readonly startAfter?: Lsn;
  /** The rows of a copy that begins come by a snapshot that is still to be asked for. */
  readonly awaitSnapshot?: boolean;
  /** Applies changes as they come, without waiting until they are whole transactions. For tables where the order of different rows does not matter. */
  readonly fast?: boolean;
  /** The source: an address as `to`. */
  readonly from?: string;
  /** Makes the tables of a copy that begins, as they are at the source; indexes and foreign keys go into this file. */
  readonly createTables?: string;
  /** pg_dump, by its name or path. @default 'pg_dump' */
  readonly pgDump?: string;
  /** Compares the copy with the source instead, while a replica is at work. */
  readonly verify?: boolean;
  /** Tables and columns that cannot be compared are no difference, with `verify`. */
  readonly skipLacking?: boolean;
  /** Ends when the copy has come to the source's present end, and prints what sets its sequences. */
  readonly finish?: boolean;
  /** Sets them, with `finish`. */
  readonly yes?: boolean;
  /** Goes on though another one is at work, which then stops. */
  readonly takeOver?: boolean;
  /** Writes to tables whose triggers fire for replicas, too. */
  readonly triggers?: boolean;
  /** Leaves out changes whose old row is not there, and counts them. */
  readonly skipMissing?: boolean;
  /** Leaves out changes that were too large for a record, and counts them. */
  readonly skipTruncated?: boolean;
  /** Ends when everything is applied that was in the stream at the beginning. */
  readonly once?: boolean;
  /** Progress as a line of JSON. */
  readonly json?: boolean;
}
