/**
 * The slot's lock, for an action: a session or a pair of connections that holds it, closed whatever happens.
 * Knows no action.
 */
import type { Container } from '../container.ts';
import { PipelineError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { requireLockSeen, withPair } from '../postgres/connection-pair.ts';
import { openSession, type SessionOptions } from '../postgres/session.ts';
import { acquireSlotLock, describeHolder } from '../postgres/slot-lock.ts';
import type { InvocationDeadlines } from './with-connection.ts';

/** How long an action by hand waits for a run that holds the slot. */
export const ACTION_LOCK_WAIT_MS = 60_000;

/** For how long to wait for the lock. */
export type LockWait = Pick<SessionOptions, 'waitMs' | 'holderEndsWithinMs'>;

/** Opens a session, which holds the lock. */
export async function openSlotSession(
  container: Container,
  { functionDeadline, leaseExpiresAt }: InvocationDeadlines,
  wait: LockWait,
): ReturnType<typeof openSession> {
  return await openSession({
    ...container,
    slotName: container.config.slot,
    standbySlots: container.config.standbySlots,
    maxRecordBytes: container.config.maxRecordBytes,
    deadline: functionDeadline,
    leaseExpiresAt,
    ...wait,
  });
}

/**
 * Two connections to one server, the first with the slot's lock.
 *
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @param notDone - what was not done if the lock cannot be had, a sentence
 * @param work - called with the main connection, which has the lock, and the control connection
 * @param slot - whose lock @default SLOT_NAME's
 */
export async function withSlotLock<T>(
  container: Container,
  { functionDeadline, leaseExpiresAt }: InvocationDeadlines,
  notDone: string,
  work: (main: Connection, control: Connection) => Promise<T>,
  slot = container.config.slot,
): Promise<T> {
  const { clock, log, database } = container;
  const until = { deadline: functionDeadline, leaseExpiresAt };
  const about = { slot, notDone };
  return await withPair(database, until, about, async (main, control) => {
    const lock = await acquireSlotLock(main, { slotName: slot, waitMs: ACTION_LOCK_WAIT_MS, clock, log });
    if (lock.kind === 'locked') {
      throw new PipelineError(
        'SLOT_BUSY',
        `A run holds the slot "${slot}": ${describeHolder(lock.holder)}. ${notDone}`,
      );
    }
    await requireLockSeen(main, control, slot);
    return await work(main, control);
  });
}
