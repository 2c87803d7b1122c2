/**
 * A run's answer. Pure; the shape is part of the interface (docs/operations.md).
 */
import type { ResumePosition } from '../decode/resume-position.ts';
import type { ServerIdentity } from '../ports/session.ts';
import { type Counts, noCounts } from '../transform/counts.ts';
import type { SnapshotAnswer } from './snapshot-answer.ts';
import type { StopReason } from './stop-reason.ts';

/** What answers say of the server. */
export interface ServerAnswer {
  /** Made by initdb, and the same on every physical copy. Left out where the role may not ask. */
  readonly systemIdentifier?: string;
  /** Counts up at each promotion and each restore to a point in time. */
  readonly timeline?: number;
  readonly role: 'primary' | 'standby';
}

/** @param identity - of a connection */
export function serverAnswer({ systemIdentifier, timeline, inRecovery }: ServerIdentity): ServerAnswer {
  return {
    ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
    ...(timeline === undefined ? {} : { timeline }),
    role: inRecovery ? 'standby' : 'primary',
  };
}

/** What a run answers. */
export interface RunAnswer extends Counts {
  readonly action: 'run' | 'drain' | 'snapshot';
  readonly slot: string;
  /** Whether everything that was flushed at some moment of the run is published. */
  readonly caughtUp: boolean;
  readonly stopped: StopReason;
  /** The physical slots of the standbys that it waits for; given with `waiting-for-standby`. */
  readonly waitsFor?: readonly string[];
  /** Peeks whose result was read, wholly or in part. */
  readonly batches: number;
  /** The slot's confirmed_flush_lsn after the run; left out when unknown. */
  readonly advancedTo?: string;
  /** Flush LSN minus confirmed_flush_lsn, in bytes; left out when unknown. */
  readonly lagBytes?: number;
  /** The age of the first unpublished COMMIT in seconds; 0 when caught up, left out when unknown. */
  readonly lagSeconds?: number;
  readonly durationMs: number;
  /** Entries that Kinesis throttled, each refusal counted. */
  readonly throttledEntries: number;
  /** Who answered; left out where the slot was locked. */
  readonly server?: ServerAnswer;
  /** Where there was one, or there is. */
  readonly snapshot?: SnapshotAnswer;
  /** Where the next run may go on inside a transaction; given where the run was cut short in one. */
  readonly resume?: ResumePosition;
}

/** No slot lags so far: an older commit has its time from a replication origin, whose clock is another. */
const MAX_SECONDS = 366 * 86_400;

/**
 * How old a commit is.
 *
 * @param commitTimeMicros - microseconds since 1970; undefined: not known
 * @param now - milliseconds since 1970
 * @returns seconds, 0 or more; undefined where it is not known
 */
export function ageSeconds(commitTimeMicros: bigint | undefined, now: number): number | undefined {
  if (commitTimeMicros === undefined) return undefined;
  const seconds = Math.max(0, now - Number(commitTimeMicros / 1000n)) / 1000;
  return seconds > MAX_SECONDS ? undefined : seconds;
}

/**
 * The answer of a run that did not get the slot.
 *
 * @param action - the action that was invoked
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
