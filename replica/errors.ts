/**
 * The errors of a replica: a code each, what to do, and the exit status. docs/operations.md has a section for each code.
 * Knows no PostgreSQL and no Kinesis.
 */
import { printable } from '../lambda/printable.ts';

/** What a command ends with. `permanent`: trying again does not help. `takenOver`: another replica has begun since. */
export const REPLICA_EXIT = { failed: 1, usage: 2, permanent: 3, takenOver: 4 } as const;

/** A failure of a kind: its exit status, and what to do. */
interface ErrorKind {
  readonly exit: (typeof REPLICA_EXIT)[keyof typeof REPLICA_EXIT];
  readonly remedy: string;
}

/** Every code, its exit status and its remedy. */
export const REPLICA_ERRORS = {
  HISTORY_CHANGED: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'The copy holds rows that the source has lost. Make it anew: delete its position, load its tables again, and begin with --start-after (docs/replica.md). From the beginning of the stream it would come here again.',
  },
  POSITION_TRIMMED: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'Records are lost to this copy. Make it anew: empty its tables, delete its position, and have its rows brought by a snapshot, or load them (docs/replica.md). Let the stream keep records for longer (streamRetentionHours).',
  },
  STREAM_CHANGED: {
    exit: REPLICA_EXIT.permanent,
    remedy: 'Correct --stream, --source or --name. For a stream that was made anew, make the copy anew.',
  },
  LANES_CHANGED: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'LANES may be changed after a drain only. Make the copy anew: delete its position, load its tables again, and begin with --start-after (docs/replica.md). From the beginning of the stream it would come here again.',
  },
  MARKS_MISSING: {
    exit: REPLICA_EXIT.permanent,
    remedy: 'Set MARKS=on (marks in the stack) with FORMAT=json and AGGREGATION=kpl or lines, then start again.',
  },
  RECORD_UNUSABLE: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'Publish with FORMAT=json and AGGREGATION=kpl or lines, and see docs/replica.md for what a replica needs of tables.',
  },
  MISSING_ROW: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'The copy did not begin with all rows of the source, or somebody else wrote to it. Make it anew; where a snapshot of the tables is still to be asked for, with --await-snapshot (awaitSnapshot of a StreamReplica). To leave out such changes and count them, use --skip-missing (skipMissing).',
  },
  TARGET_LACKS_TABLE: {
    exit: REPLICA_EXIT.permanent,
    remedy: 'Create the table at the target as it is at the source, then start again: it goes on at this change.',
  },
  TARGET_LACKS_COLUMN: {
    exit: REPLICA_EXIT.permanent,
    remedy: 'Add the column at the target as it is at the source, then start again: it goes on at this change.',
  },
  TARGET_KEY_DIFFERS: {
    exit: REPLICA_EXIT.permanent,
    remedy: "Give the target's table a primary key of the same columns as at the source, then start again.",
  },
  TARGET_UNSAFE: {
    exit: REPLICA_EXIT.permanent,
    remedy: 'Do what the message says at the target, then start again.',
  },
  FAST_REFUSED: {
    exit: REPLICA_EXIT.permanent,
    remedy: 'Copy without --fast, or change the table at the target as the message says.',
  },
  TARGET_REFUSED: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      "Make the target's table as it is at the source (types, labels of enums, constraints, rights), then start again: it goes on at this change.",
  },
  TARGET_UNREACHABLE: {
    exit: REPLICA_EXIT.failed,
    remedy: 'Check that the target is up and that --to is right, then start again: it goes on where it was.',
  },
  SOURCE_UNREACHABLE: {
    exit: REPLICA_EXIT.failed,
    remedy: 'Check that the source is up, that --from is right and that its user may read it, then start again.',
  },
  DEFINITIONS_REFUSED: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'Make at the target what is missing there (for example an extension), or make the tables yourself and start without --create-tables.',
  },
  VERIFY_IMPOSSIBLE: {
    exit: REPLICA_EXIT.failed,
    remedy:
      'The user of --from needs REPLICATION, and the source a free replication slot; transactions that write must come to an end.',
  },
  COPY_DIFFERS: {
    exit: REPLICA_EXIT.permanent,
    remedy:
      'Find out who else writes to the copy. Make it anew: empty its tables, delete its position (docs/replica.md), and begin again.',
  },
  REPLICA_BUSY: {
    exit: REPLICA_EXIT.takenOver,
    remedy: 'Stop the other one, or start with --take-over: the other one then stops at its next batch.',
  },
  TAKEN_OVER: {
    exit: REPLICA_EXIT.takenOver,
    remedy: 'Nothing is to be done, if that was meant. Two replicas with one --name take turns for ever otherwise.',
  },
  REPLICA_USAGE: {
    exit: REPLICA_EXIT.usage,
    remedy: 'See pg2kinesis replicate --help.',
  },
} as const satisfies Readonly<Record<string, ErrorKind>>;

/** A stable name of a failure. */
export type ReplicaErrorCode = keyof typeof REPLICA_ERRORS;

/** A failure of a replica. Its name is its code. No message holds a row's value. */
export class ReplicaError extends Error {
  readonly code: ReplicaErrorCode;
  /** What happened and what was not done, without what to do. */
  readonly what: string;
  /** The exit status of the command. */
  readonly exit: number;

  /**
   * @param code - which failure
   * @param what - what happened and what was not done, in sentences
   * @param options - `remedy`: what to do where the code's own does not fit; the error underneath
   */
  constructor(code: ReplicaErrorCode, what: string, options: ErrorOptions & { readonly remedy?: string } = {}) {
    const { exit, remedy: usual } = REPLICA_ERRORS[code];
    const { remedy = usual, ...rest } = options;
    super(printable(`${code}: ${what} ${remedy}`), rest);
    this.name = code;
    this.code = code;
    this.what = what;
    this.exit = exit;
  }
}
