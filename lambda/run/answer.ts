/**
 * A run's answer, and the counts it is made of. Pure; the shape is part of the interface (README, "Invocations").
 */
import type { ResumePosition } from '../decode/position.ts';

/** Changes read and deliberately not published, by reason (I9). */
export interface Skipped {
  /** The table has no primary key. */
  noPrimaryKey: number;
  /** A DELETE or UPDATE whose key the server did not send, in a format that cannot say so. */
  noReplicaIdentity: number;
  /** The table exists no more, and its key was never known. */
  droppedTable: number;
  /** Left out by a filter. */
  filtered: number;
}

/** What was done so far. `changes` is `published` and all of `skipped`. */
export interface Counts {
  /** Transactions completed, those included of which nothing was to be published. */
  transactions: number;
  /** Changes: rows inserted, updated or deleted, and tables truncated. */
  changes: number;
  /** Changes published. */
  published: number;
  /** User records published: a key change is two. */
  records: number;
  /** Changes not published, by reason. */
  readonly skipped: Skipped;
  /** Records published without their row, because they were too large. */
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
    skipped: { noPrimaryKey: 0, noReplicaIdentity: 0, droppedTable: 0, filtered: 0 },
    truncated: 0,
    kinesisRecords: 0,
    bytes: 0,
  };
}

/** @returns a copy that stays as it is */
export function copyCounts(counts: Counts): Counts {
  return { ...counts, skipped: { ...counts.skipped } };
}

/** Why a run ended. `locked`: another run holds the slot, a success that did nothing. */
export type Stopped = 'caught-up' | 'deadline' | 'max-batches' | 'locked' | 'throttled';

/** What a run answers. */
export interface RunAnswer extends Counts {
  readonly action: 'run' | 'drain';
  readonly slot: string;
  /** Whether everything that was flushed when the last batch was begun is published. */
  readonly caughtUp: boolean;
  readonly stopped: Stopped;
  /** Peeks whose result was read, wholly or in part. */
  readonly batches: number;
  /** The slot's confirmed_flush_lsn after the run; left out when unknown. */
  readonly advancedTo?: string;
  /** Flush LSN minus confirmed_flush_lsn, in bytes; left out when unknown. */
  readonly lagBytes?: number;
  /** The age of the first unpublished COMMIT in seconds; 0 when caught up, left out when unknown. */
  readonly lagSeconds?: number;
  readonly durationMs: number;
  /** Entries that Kinesis refused for want of capacity, each refusal counted. */
  readonly throttledEntries: number;
  /** Where the next run may go on inside a transaction; given where the run was cut short in one. */
  readonly resume?: ResumePosition;
}

/**
 * How old a commit is.
 *
 * @param commitTimeMicros - microseconds since 1970; undefined: not known
 * @param now - milliseconds since 1970
 * @returns seconds, 0 or more; undefined where it is not known
 */
export function ageSeconds(commitTimeMicros: bigint | undefined, now: number): number | undefined {
  return commitTimeMicros === undefined ? undefined : Math.max(0, now - Number(commitTimeMicros / 1000n)) / 1000;
}

/**
 * The answer of a run that did not get the slot.
 *
 * @param action - what was invoked
 * @param slot - the slot's name
 * @param durationMs - how long it waited
 */
export function lockedAnswer(action: 'run' | 'drain', slot: string, durationMs: number): RunAnswer {
  return {
    action,
    slot,
    caughtUp: false,
    stopped: 'locked',
    batches: 0,
    ...noCounts(),
    throttledEntries: 0,
    durationMs,
  };
}
