/**
 * What was done with the changes that were read. Pure; its fields are part of a run's answer.
 */

/** Changes read and deliberately not published, by reason (I9). */
export interface Skipped {
  /** The table had no primary key. */
  noPrimaryKey: number;
  /** The row does not show the primary key that the table has now, and nothing says what its key was then. */
  keyUnknown: number;
  /** A DELETE or UPDATE whose key the server did not send, in a format that cannot say so. */
  noReplicaIdentity: number;
  /** The key alone is too large for a Kinesis record. Of a key change, the half whose key is small enough is published. */
  keyTooLarge: number;
  /** The table exists no more, and its key was never known. */
  droppedTable: number;
  /** Not a table's: a materialised view's rows, or (on PostgreSQL 10) a table's that is rewritten. */
  notTable: number;
  /** Left out by a filter. */
  filtered: number;
  /** Left out by the formatter of FORMAT=module. */
  formatter: number;
}

/** What was done so far. `changes` is `published` and all of `skipped`. */
export interface Counts {
  /** Transactions completed, those included of which nothing was to be published. */
  transactions: number;
  /** Changes: rows inserted, updated or deleted, and tables truncated. */
  changes: number;
  /** Changes published. */
  published: number;
  /** User records published: a key change is two, a logical message one. */
  records: number;
  /** Logical messages published; each is one of `records`, too. */
  messages: number;
  /**
   * Logical messages left out: MESSAGES does not have their prefix, the formatter left them out, or the prefix alone is
   * larger than a record may be. Without MESSAGES none are counted.
   */
  messagesSkipped: number;
  /** Changes not published, by reason. */
  readonly skipped: Skipped;
  /** Records published without their row, or without their message's content, because they were too large. */
  truncated: number;
  /** Entries of PutRecords acknowledged. */
  kinesisRecords: number;
  /** Their data and partition keys, in bytes. */
  bytes: number;
}

/** @returns counts of nothing done */
export function noCounts(): Counts {
  return {
    transactions: 0,
    changes: 0,
    published: 0,
    records: 0,
    messages: 0,
    messagesSkipped: 0,
    skipped: {
      noPrimaryKey: 0,
      keyUnknown: 0,
      noReplicaIdentity: 0,
      keyTooLarge: 0,
      droppedTable: 0,
      notTable: 0,
      filtered: 0,
      formatter: 0,
    },
    truncated: 0,
    kinesisRecords: 0,
    bytes: 0,
  };
}

/** @returns a copy that stays as it is */
export function copyCounts(counts: Counts): Counts {
  return { ...counts, skipped: { ...counts.skipped } };
}

/** @returns what `counts` has more than `earlier`, which were taken before */
export function subtractCounts(counts: Counts, earlier: Counts): Counts {
  const difference = noCounts();
  for (const name of namesOf(difference.skipped))
    difference.skipped[name] = counts.skipped[name] - earlier.skipped[name];
  for (const name of namesOf(difference)) {
    if (name !== 'skipped') difference[name] = counts[name] - earlier[name];
  }
  return difference;
}

const namesOf = <T extends object>(value: T): (keyof T)[] => Object.keys(value) as (keyof T)[];
