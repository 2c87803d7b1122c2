/**
 * What becomes of the slot when its resource is deleted: dropped only where it is the stack's own and nobody else reads it;
 * else left, with the SQL to drop it by hand. Knows no creation.
 */
import { isReadablePlugin } from '../decode/plugin-names.ts';
import { PipelineError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { codeOf } from '../postgres/error-context.ts';
import { CONTROL_LOCK_SUFFIX } from '../postgres/session.ts';
import { TERMINATE_BACKEND } from '../postgres/signal-backend.ts';
import { dropSlot } from '../postgres/slot-create-drop.ts';
import { acquireSlotLock, describeHolder, type Holder, lockKey, readHolder } from '../postgres/slot-lock.ts';
import { readFlushLsn, readSlotRow } from '../postgres/status-queries.ts';
import type { LifecycleAction } from '../settings/action-types.ts';
import { describeSlot, isSameAddress, isSameDatabase, parsePhysicalId, type SlotIdentity } from './slot-identity.ts';
import {
  ANSWER_MS,
  isOwn,
  LIFECYCLE_LOCK_WAIT_MS,
  type LifecycleAnswer,
  type LifecyclePorts,
  withConnections,
} from './slot-lifecycle-ports.ts';

/** A backend that was ended is gone in milliseconds; its lock with it. */
const TERMINATE_GRACE_MS = 10_000;
/** Longer than the minute of a schedule: whoever reads the slot on one is seen. */
const WATCH_MS = 65_000;
const POLL_MS = 200;

/** Why a slot is left; completes "The slot was not dropped: ...". */
class SlotRetainedError extends Error {
  override readonly name = 'SlotRetainedError';
}

/**
 * Drops a slot that was made for this very resource; leaves any other, and says how to drop it by hand.
 *
 * @param event - a Delete
 * @param ports - the database, and time
 * @throws {PipelineError} where the slot should be dropped and cannot be; its message says what to do
 */
export async function deleteSlotResource(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  const PhysicalResourceId = event.physicalResourceId ?? '';
  const identity = parsePhysicalId(PhysicalResourceId);
  try {
    if (identity === undefined) throw new SlotRetainedError('the physical id names no slot made by this stack');
    if (identity.origin === 'adopted' || identity.origin === 'present')
      throw new SlotRetainedError('it was there before this stack');
    if (event.properties['onRemoval'] === 'retain') throw new SlotRetainedError('onRemoval is "retain"');
    if (!isOwn(event, ports))
      throw new SlotRetainedError(
        `the deployed function does not call the resource ${event.logicalResourceId ?? 'of the event'} its slot ${ports.slotResource === undefined ? '(slotLifecycle is off)' : `(it calls ${ports.slotResource} so)`}. Another resource may use the slot; if none does, drop it`,
      );
    const login = await ports.database.credentials.get();
    const elsewhere = `it is ${describeSlot(identity)}, and the function is connected to ${login.host}:${login.port}/${login.database}`;
    const isKnown = identity.systemIdentifier !== undefined;
    if (identity.database !== login.database || (!isKnown && !isSameAddress(identity, login)))
      throw new SlotRetainedError(elsewhere);
    await withConnections(ports, async (main, control) => {
      const { systemIdentifier } = control.identity;
      if (!isSameDatabase(identity, { ...login, systemIdentifier }))
        throw new SlotRetainedError(
          `${elsewhere}, where another server answers than the one that the slot was made on`,
        );
      await drop(identity, main, control, ports);
    });
  } catch (error) {
    const gone = missingResource(error);
    if (gone === undefined && !(error instanceof SlotRetainedError)) throw withRecoverySteps(error, identity);
    const because = error instanceof SlotRetainedError ? error.message : `${gone ?? ''} is gone`;
    ports.log.warn(`The slot was not dropped: ${because}.`, {
      physicalResourceId: PhysicalResourceId,
      ...(identity === undefined ? {} : { sql: dropSql(identity) }),
    });
  }
  return { PhysicalResourceId };
}

/**
 * @param identity - a slot
 * @returns the SQL that drops it
 */
export function dropSql({ slot }: Pick<SlotIdentity, 'slot'>): string {
  return `SELECT pg_drop_replication_slot('${slot}');`;
}

/** Drops it under its lock, ending a holder of ours that does not give it up. */
async function drop(
  { slot: slotName }: SlotIdentity,
  main: Connection,
  control: Connection,
  ports: LifecyclePorts,
): Promise<void> {
  const { clock, log } = ports;
  if ((await readSlotRow(control.client, slotName)) === undefined) {
    log.info('The slot was gone already.', { slot: slotName });
    return;
  }
  // After a rename the old slot goes; what it holds must have a place to be read from.
  if (slotName !== ports.slot && (await readSlotRow(control.client, ports.slot)) === undefined)
    throw new SlotRetainedError(`the slot "${ports.slot}", which takes its place, does not exist`);
  const waitMs = Math.min(
    ports.lockWaitMs ?? LIFECYCLE_LOCK_WAIT_MS,
    ports.functionDeadline - clock.now() - TERMINATE_GRACE_MS - ANSWER_MS,
  );
  await lock(main, slotName, Math.max(0, waitMs), ports);
  const reader = await watchForReader(main, control, slotName, ports);
  if (reader !== undefined) throw new SlotRetainedError(`another pipeline reads it: ${describeHolder(reader)}`);
  await lock(main, slotName, 0, ports);
  const row = await readSlotRow(control.client, slotName);
  const flush = await readFlushLsn(control.client);
  // The stack's slot that was renamed may have changed its plugin, too: the old one is of the former.
  const former = slotName !== ports.slot && isReadablePlugin(row?.plugin) ? row.plugin : undefined;
  const dropped = await dropSlot(main, slotName, former);
  const unread = row?.confirmedFlush === undefined || flush === undefined ? undefined : flush - row.confirmedFlush;
  log.info(dropped ? 'The slot was dropped with its stack.' : 'The slot was gone already.', {
    slot: slotName,
    ...(unread === undefined ? {} : { unreadWalBytes: Number(unread) }),
  });
}

/** Takes the lock. A holder of ours that does not give it up in time is ended. */
async function lock(main: Connection, slotName: string, waitMs: number, ports: LifecyclePorts): Promise<void> {
  const { clock, log } = ports;
  let result = await acquireSlotLock(main.client, { slotName, waitMs, clock, log });
  if (result.kind === 'locked') {
    const holder = await readHolder(main.client, slotName);
    if (holder?.ours === true) {
      log.warn(`Ending a run that still holds the slot: ${describeHolder(holder)}.`, { slot: slotName });
      await main.client.query(TERMINATE_BACKEND, [holder.pid, holder.application]);
    }
    result = await acquireSlotLock(main.client, { slotName, waitMs: TERMINATE_GRACE_MS, clock, log });
  }
  if (result.kind === 'locked') {
    throw new PipelineError(
      'SLOT_BUSY',
      `The lock of slot "${slotName}" is held by ${describeHolder(result.holder)}. The slot was not dropped.`,
    );
  }
}

/**
 * Looks, for longer than a schedule's minute, whether somebody else reads the slot: another stack may have adopted it.
 * The slot's second lock is held meanwhile. A run waits for that with the first one taken, long enough to be seen.
 * One run may be this stack's own last scheduled run, so it takes two. A run that lingers gives the lock to whoever waits for
 * it: then the next of another pipeline is seen, too, which would otherwise leave it the slot for a quarter of an hour.
 *
 * @returns who reads it; undefined: nobody. The first lock is free then
 */
async function watchForReader(
  main: Connection,
  control: Connection,
  slotName: string,
  { clock, log, watchMs = WATCH_MS, functionDeadline }: LifecyclePorts,
): Promise<Holder | undefined> {
  await acquireSlotLock(control.client, {
    slotName: `${slotName}${CONTROL_LOCK_SUFFIX}`,
    waitMs: TERMINATE_GRACE_MS,
    clock,
    log,
  });
  const key = String(lockKey(slotName));
  const unlock = () => main.client.query('SELECT pg_advisory_unlock($1)', [key]);
  await unlock();
  log.info('Looking whether another pipeline reads the slot.', { slot: slotName, milliseconds: watchMs });
  const latest = functionDeadline - TERMINATE_GRACE_MS - ANSWER_MS;
  const seen = new Set<number>();
  let until = Math.min(clock.now() + watchMs, latest);
  while (clock.now() < until) {
    const holder = await readHolder(control.client, slotName);
    if (holder !== undefined) {
      seen.add(holder.pid);
      if (seen.size > 1 || clock.now() >= latest) return holder;
      const waited = await acquireSlotLock(main.client, { slotName, waitMs: latest - clock.now(), clock, log });
      if (waited.kind === 'locked') return waited.holder ?? holder;
      await unlock();
      until = clock.now() + watchMs;
    }
    await clock.sleep(POLL_MS);
  }
  return undefined;
}

/** What is gone, and with it the slot. Undefined: nothing is known to be gone. */
function missingResource(error: unknown): string | undefined {
  // Secrets Manager's name may fail to resolve too: only the database's own counts.
  const connecting = error instanceof PipelineError && error.code === 'DATABASE_UNREACHABLE';
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (codeOf(at) === '3D000') return 'the database';
    // The name of a deleted instance does not resolve; one that does not answer may come back (EAI_AGAIN too).
    if (connecting && codeOf(at) === 'ENOTFOUND') return 'the host';
    if (at.name === 'ResourceNotFoundException') return 'the secret';
    // Secrets Manager's answer for a secret that is marked for deletion.
    if (at.name === 'InvalidRequestException' && at.message.includes('deletion')) return 'the secret';
  }
  return undefined;
}

/** The error, and how to get the stack removed all the same. */
function withRecoverySteps(error: unknown, identity: SlotIdentity | undefined): unknown {
  if (!(error instanceof PipelineError) || identity === undefined) return error;
  return new PipelineError(
    error.code,
    `The slot "${identity.slot}" was not dropped, so the stack's removal stops here. Nobody reads the slot now, and it keeps WAL. ${error.what}`,
    {
      cause: error,
      remedy: `${error.remedy} To remove the stack all the same, either fix that and delete again; or set onRemoval to "retain", deploy, and delete; or delete again and retain the resources of the type Custom::Pg2KinesisSlot and Custom::Pg2KinesisSlotClaim. In the last two cases drop the slot by hand: ${dropSql(identity)}`,
    },
  );
}
