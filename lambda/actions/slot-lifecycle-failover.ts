/**
 * Whether the stack's slot is a failover slot: made one where `slotFailover` asks for it, and where the slot that it was
 * copied from was one, since a copy is not.
 */
import type { Connection } from '../postgres/connection.ts';
import { makeFailoverSlot } from '../postgres/failover-slot.ts';
import type { LifecycleAction } from '../settings/action-types.ts';
import type { LifecyclePorts } from './slot-lifecycle-ports.ts';
import { ANSWER_MS } from './slot-lifecycle-ports.ts';

/** @returns whether the resource asks for a failover slot */
export function wantsFailover(properties: LifecycleAction['properties']): boolean {
  return properties['slotFailover'] === 'on';
}

/**
 * Makes the slot a failover slot where it is to be one.
 *
 * @param wanted - whether it is to be one
 * @param connection - holds the slot's lock, or watches the one that does
 * @param name - the slot, which is there
 * @param ports - the database, and time
 * @throws {PipelineError} CONFIG_INVALID before PostgreSQL 17
 */
export async function ensureFailover(
  wanted: boolean,
  connection: Connection,
  name: string,
  { database, functionDeadline, log }: LifecyclePorts,
): Promise<void> {
  if (!wanted) return;
  const options = { deadline: functionDeadline - ANSWER_MS, leaseExpiresAt: functionDeadline };
  if (await makeFailoverSlot(database, options, connection, name))
    log.info('The slot was made a failover slot.', { slot: name });
}
