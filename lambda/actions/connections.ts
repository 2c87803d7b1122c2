/**
 * What actions share: a session, a connection or a connection with the slot's lock, closed whatever happens.
 * Knows no action.
 */
import type { Container } from '../container.ts';
import { PipelineError } from '../errors.ts';
import { type Connection, toPipelineError } from '../postgres/connection.ts';
import { open, requireLockSeen, withPair } from '../postgres/connection-pair.ts';
import { openSession, type SessionOptions } from '../postgres/session.ts';
import { acquireSlotLock, describeHolder } from '../postgres/slot-lock.ts';

/** How long an action by hand waits for a run that holds the slot. */
export const ACTION_LOCK_WAIT_MS = 60_000;

/** When an invocation began, and when it must be over. Milliseconds since 1970. */
export interface InvocationDeadlines {
  readonly startedAt: number;
  /** The action has answered by then. */
  readonly functionDeadline: number;
  /** The process has been ended by then, by Lambda or by itself: another run may end its backends from then on. */
  readonly leaseExpiresAt: number;
}

/** For how long to wait for the lock. */
export type LockWait = Pick<SessionOptions, 'waitMs' | 'holderEndsWithinMs'>;

/** A session for actions that work under the lock. */
export async function sessionFor(
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
 * @param work - called with the locking connection and the other one
 * @param slot - whose lock @default SLOT_NAME's
 */
export async function withLock<T>(
  container: Container,
  { functionDeadline, leaseExpiresAt }: InvocationDeadlines,
  notDone: string,
  work: (locking: Connection, watching: Connection) => Promise<T>,
  slot = container.config.slot,
): Promise<T> {
  const { clock, log, database } = container;
  const until = { deadline: functionDeadline, leaseExpiresAt };
  const about = { slot, notDone };
  return await withPair(database, until, about, async (locking, watching) => {
    const lock = await acquireSlotLock(locking, { slotName: slot, waitMs: ACTION_LOCK_WAIT_MS, clock, log });
    if (lock.kind === 'locked') {
      throw new PipelineError(
        'SLOT_BUSY',
        `A run holds the slot "${slot}": ${describeHolder(lock.holder)}. ${notDone}`,
      );
    }
    await requireLockSeen(locking, watching, slot);
    return await work(locking, watching);
  });
}

/** One connection, closed whatever happens. */
export async function withConnection<T>(
  container: Container,
  { functionDeadline, leaseExpiresAt }: InvocationDeadlines,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await open(container.database, { deadline: functionDeadline, leaseExpiresAt });
  try {
    return await work(connection);
  } catch (error) {
    throw toPipelineError(error, { ...connection.context, slot: container.config.slot });
  } finally {
    await connection.client.end().catch(() => undefined);
  }
}
