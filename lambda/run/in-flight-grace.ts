/**
 * The wait at the beginning of a run that took the lock from another: the last request of that one may still arrive, and must
 * not come after one of ours (I3, I6). Sends nothing.
 */
import type { Clock } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';

/** What is waited for, and until when. */
export interface InFlightGrace {
  readonly session: Pick<Session, 'tookOver' | 'tookOverAt'>;
  readonly clock: Clock;
  readonly stop?: AbortSignal;
  /** For how long after a holder was ended its last request may be in flight, in milliseconds. */
  readonly graceMs: number;
  /** Milliseconds since 1970: when the run takes on no more work. */
  readonly readingDeadline: number;
}

/**
 * Waits until no request of another holder can be in flight.
 *
 * @param grace - what is waited for
 * @returns whether the run's time is over first: then nothing is sent at all
 */
export async function awaitLastHolder(grace: InFlightGrace): Promise<boolean> {
  const { session, clock, stop, readingDeadline } = grace;
  if (!session.tookOver) return false;
  const left = Math.max(0, readingDeadline - clock.now());
  // It may have been ended while this run still waited for the lock behind another.
  const since = session.tookOverAt ?? clock.now();
  const waitMs = Math.max(0, since + grace.graceMs - clock.now());
  await clock.sleep(Math.min(waitMs, left), stop);
  return left < waitMs;
}
