/**
 * What the slot's resource works with: ports, bounds, and two connections that are closed whatever happens.
 * Decides nothing.
 */
import type { Clock, Log, Metrics } from '../ports/runtime.ts';
import type { Connection, Database } from '../postgres/connection.ts';
import { withPair } from '../postgres/connection-pair.ts';
import { readSlotState } from '../postgres/slot-state.ts';
import { standbyFault } from '../postgres/standby-server.ts';
import type { LifecycleAction } from '../settings/action-types.ts';

/** What CloudFormation is answered. */
export interface LifecycleAnswer {
  readonly PhysicalResourceId: string;
}

/** What a lifecycle event works with. */
export interface LifecyclePorts {
  readonly database: Database;
  /** SLOT_NAME, for an event that names none. */
  readonly slot: string;
  /** SLOT_RESOURCE: the logical id of the resource that the deployed function calls its slot. Undefined: it has none. */
  readonly slotResource: string | undefined;
  /** Answers by request, of this container. */
  readonly answers: Map<string, LifecycleAnswer>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** When the function itself ends: milliseconds since 1970. */
  readonly functionDeadline: number;
  /** Called when a slot was made. @default nothing more is done */
  readonly onCreated?: (connection: Connection) => Promise<unknown>;
  /** How long Delete waits for the lock, milliseconds. @default 2 minutes */
  readonly lockWaitMs?: number;
  /** How long a creation waits for open transactions, milliseconds. @default 5 minutes */
  readonly createWaitMs?: number;
  /** How long Delete looks for another pipeline that reads the slot, milliseconds. @default 65 seconds: a schedule is one minute */
  readonly watchMs?: number;
}

/** How long to wait for a run that holds the slot. */
export const LIFECYCLE_LOCK_WAIT_MS = 120_000;
/** What the answer itself needs. */
export const ANSWER_MS = 5_000;

/** @returns whether the event is about the claim, not about the slot itself */
export function isClaim({ resourceType }: LifecycleAction): boolean {
  return resourceType === 'Custom::Pg2KinesisSlotClaim';
}

/** @returns whether the deployed function still calls the event's resource its own */
export function isOwn({ logicalResourceId }: LifecycleAction, { slotResource }: LifecyclePorts): boolean {
  return slotResource !== undefined && [slotResource, `${slotResource}Claim`].some((id) => id === logicalResourceId);
}

/** Two connections to one server, closed whatever happens. */
export async function withConnections<T>(
  { database, functionDeadline, slot }: LifecyclePorts,
  work: (main: Connection, control: Connection) => Promise<T>,
): Promise<T> {
  const options = { deadline: functionDeadline - ANSWER_MS, leaseExpiresAt: functionDeadline };
  const notDone = 'The slot was left as it is.';
  return await withPair(database, options, { notDone }, async (main, control) => {
    // A standby without the slot would look like a primary whose slot is gone.
    if (control.identity.inRecovery) {
      const standby = standbyFault(await readSlotState(control, slot), slot, control.context, notDone);
      if (standby !== undefined) throw standby;
    }
    return await work(main, control);
  });
}
