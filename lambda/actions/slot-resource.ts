/**
 * The slot made and dropped with the stack: what CloudFormation's Create, Update and Delete do to it.
 * An abandoned slot fills the database's disk, one dropped by mistake loses data; when in doubt nothing is dropped.
 * Knows no SQL but what it tells the operator to run.
 *
 * @see https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.custom_resources-readme.html
 */
import { PipelineError } from '../errors.ts';
import type { Clock, Log } from '../ports.ts';
import type { Connection, Database } from '../postgres/connection.ts';
import { closeBoth, openPair } from '../postgres/connection-pair.ts';
import { acquireSlotLock, describeHolder, readHolder } from '../postgres/fence.ts';
import { copySlot, createSlot, dropSlot, requireUsable } from '../postgres/slot-lifecycle.ts';
import { codeOf } from '../postgres/sql-errors.ts';
import { readSlotRow } from '../postgres/status.ts';
import type { LifecycleAction } from '../settings/event.ts';

/** A slot, as a physical resource id names it. */
export interface SlotIdentity {
  readonly host: string;
  readonly database: string;
  readonly slot: string;
}

/** What CloudFormation is answered. */
export interface LifecycleAnswer {
  readonly PhysicalResourceId: string;
}

/** What a lifecycle event works with. */
export interface LifecyclePorts {
  readonly database: Database;
  /** SLOT_NAME, for an event that names none. */
  readonly slot: string;
  readonly clock: Clock;
  readonly log: Log;
  /** When the function itself ends: milliseconds since 1970. */
  readonly functionDeadline: number;
  /** How long Delete waits for the lock, milliseconds. @default 2 minutes */
  readonly lockWaitMs?: number;
  /** How long a creation waits for open transactions, milliseconds. @default 5 minutes */
  readonly createWaitMs?: number;
}

const LOCK_WAIT_MS = 120_000;
const CREATE_WAIT_MS = 300_000;
/** A backend that was ended is gone in milliseconds; its lock with it. */
const ENDED_MS = 10_000;
/** What the answer itself needs. */
const ANSWER_MS = 5_000;

/**
 * Handles one event.
 *
 * The resource's properties are `databaseHost`, `databaseName` (each the environment's where left out), `slotName` and
 * `onRemoval` (`drop` or `retain`).
 *
 * @param event - as read
 * @param ports - the database, and time
 * @throws {PipelineError} what makes the stack's operation fail; its message says what to do
 */
export async function handleLifecycle(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  switch (event.requestType) {
    case 'Create':
      return await create(await wanted(event, ports), ports);
    case 'Update':
      return await update(event, ports);
    case 'Delete':
      return await remove(event, ports);
  }
}

/**
 * Reads a physical resource id.
 *
 * @param id - for example `created:db.example.com/app/pg2kinesis`
 * @returns undefined when it is none of ours
 */
export function parsePhysicalId(id: string): (SlotIdentity & { readonly kind: 'created' | 'adopted' }) | undefined {
  const [, kind, host, database, slot] = /^(created|adopted):([^/]+)\/(.+)\/([a-z0-9_]{1,63})$/.exec(id) ?? [];
  if (host === undefined || database === undefined || slot === undefined) return undefined;
  return { kind: kind === 'created' ? 'created' : 'adopted', host, database, slot };
}

/** Which slot the event is about; it must be in the environment's database, or we could not reach it. */
async function wanted({ properties }: LifecycleAction, { database, slot }: LifecyclePorts): Promise<SlotIdentity> {
  const login = await database.credentials.get();
  const identity = {
    host: text(properties['databaseHost']) ?? login.host,
    database: text(properties['databaseName']) ?? login.database,
    slot: text(properties['slotName']) ?? slot,
  };
  if (!isSameDatabase(identity, login)) {
    throw new PipelineError(
      'EVENT_INVALID',
      `The resource is about ${identity.host}/${identity.database}, and the function is connected to ${login.host}/${login.database}. No slot was touched.`,
    );
  }
  return identity;
}

/** Makes the slot, or adopts one of ours that is there. */
async function create(identity: SlotIdentity, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  return await withConnections(ports, async (locking, watching) => {
    await requireLock(locking, identity.slot, ports);
    const { created } = await createSlot(locking, watching, identity.slot, createWait(ports));
    return answer(created ? 'created' : 'adopted', identity);
  });
}

/** Never makes a slot where one should be: a missing one is an error of the next run, not a gap nobody sees (I9). */
async function update(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  const id = event.physicalResourceId ?? '';
  const identity = await wanted(event, ports);
  const old = parsePhysicalId(id);
  if (old === undefined || !isSameDatabase(old, identity)) return await create(identity, ports);
  if (old.slot === identity.slot) return { PhysicalResourceId: id };
  return await withConnections(ports, async (locking, watching) => {
    // The run that still publishes the old slot's changes is over once the lock is ours.
    await requireLock(locking, old.slot, ports);
    const present = await readSlotRow(watching.client, identity.slot);
    if (present === undefined) {
      await copySlot(locking, watching, old.slot, identity.slot, createWait(ports));
      return answer('created', identity);
    }
    requireUsable(present, identity.database);
    const source = await readSlotRow(watching.client, old.slot);
    if (source?.confirmedFlush !== undefined && (present.confirmedFlush ?? 0n) > source.confirmedFlush) {
      throw new PipelineError(
        'SLOT_BUSY',
        `The slot "${identity.slot}" exists and is ahead of "${old.slot}": what lies between would never be published. Drain "${old.slot}" or drop "${identity.slot}" first. No slot was touched.`,
      );
    }
    return answer('adopted', identity);
  });
}

/** Drops a slot that was made for this very resource; leaves any other, and says how to drop it by hand. */
async function remove(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  const PhysicalResourceId = event.physicalResourceId ?? '';
  const identity = parsePhysicalId(PhysicalResourceId);
  const keep = (because: string): LifecycleAnswer => {
    ports.log.warn(`The slot was not dropped: ${because}.`, {
      physicalResourceId: PhysicalResourceId,
      ...byHand(identity),
    });
    return { PhysicalResourceId };
  };
  if (identity === undefined) return keep('the physical id names no slot made by this stack');
  if (identity.kind === 'adopted') return keep('it was there before this stack');
  if (event.properties['onRemoval'] === 'retain') return keep('onRemoval is "retain"');
  try {
    const login = await ports.database.credentials.get();
    if (!isSameDatabase(identity, login))
      return keep(
        `it is in ${identity.host}/${identity.database}, and the function is connected to ${login.host}/${login.database}`,
      );
    await drop(identity, ports);
  } catch (error) {
    const gone = whatIsGone(error);
    if (gone === undefined) throw withWaysOut(error, identity);
    return keep(`${gone} is gone`);
  }
  return { PhysicalResourceId };
}

/** Drops it under its lock, ending a holder of ours that does not give it up. */
async function drop(identity: SlotIdentity, ports: LifecyclePorts): Promise<void> {
  const { clock, log } = ports;
  await withConnections(ports, async (locking) => {
    const slotName = identity.slot;
    const waitMs = Math.min(
      ports.lockWaitMs ?? LOCK_WAIT_MS,
      ports.functionDeadline - clock.now() - ENDED_MS - ANSWER_MS,
    );
    let fence = await acquireSlotLock(locking.client, { slotName, waitMs: Math.max(0, waitMs), clock, log });
    if (fence.kind === 'locked') {
      const holder = await readHolder(locking.client, slotName);
      if (holder?.ours === true) {
        log.warn(`Ending a run that still holds the slot: ${describeHolder(holder)}.`, { slot: slotName });
        await locking.client.query('SELECT pg_terminate_backend($1)', [holder.pid]);
      }
      fence = await acquireSlotLock(locking.client, { slotName, waitMs: ENDED_MS, clock, log });
    }
    if (fence.kind === 'locked') {
      throw new PipelineError(
        'SLOT_BUSY',
        `The lock of slot "${slotName}" is held by ${describeHolder(fence.holder)}. The slot was not dropped.`,
      );
    }
    const dropped = await dropSlot(locking, slotName);
    log.info(dropped ? 'The slot was dropped with its stack.' : 'The slot was gone already.', { slot: slotName });
  });
}

/** Takes the lock, or says who has it. */
async function requireLock(
  locking: Connection,
  slotName: string,
  { clock, log, lockWaitMs = LOCK_WAIT_MS }: LifecyclePorts,
): Promise<void> {
  const fence = await acquireSlotLock(locking.client, { slotName, waitMs: lockWaitMs, clock, log });
  if (fence.kind === 'held') return;
  throw new PipelineError(
    'SLOT_BUSY',
    `The lock of slot "${slotName}" is held by ${describeHolder(fence.holder)}. No slot was made.`,
  );
}

/** Two connections to one server, closed whatever happens. */
async function withConnections<T>(
  { database, clock, functionDeadline }: LifecyclePorts,
  work: (locking: Connection, watching: Connection) => Promise<T>,
): Promise<T> {
  const options = { deadline: functionDeadline - ANSWER_MS, latestEnd: functionDeadline };
  const [locking, watching] = await openPair(database, options, options);
  try {
    return await work(locking, watching);
  } finally {
    await closeBoth([locking, watching], clock);
  }
}

/** What there is no slot without, and is there no more. */
function whatIsGone(error: unknown): string | undefined {
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
function withWaysOut(error: unknown, identity: SlotIdentity): unknown {
  if (!(error instanceof PipelineError)) return error;
  const said = error.message.replace(`${error.code}: `, '');
  return new PipelineError(
    error.code,
    `The slot "${identity.slot}" was not dropped, so that the stack's removal stops here. ${said} To remove the stack all the same, either mend that and delete again; or set onRemoval to "retain", deploy, and delete; or delete again retaining this resource. In the last two cases drop the slot by hand: ${dropSql(identity)}`,
    { cause: error },
  );
}

function byHand(identity: SlotIdentity | undefined): { readonly sql?: string } {
  return identity === undefined ? {} : { sql: dropSql(identity) };
}

function dropSql({ slot }: SlotIdentity): string {
  return `SELECT pg_drop_replication_slot('${slot}');`;
}

function answer(kind: 'created' | 'adopted', { host, database, slot }: SlotIdentity): LifecycleAnswer {
  return { PhysicalResourceId: `${kind}:${host}/${database}/${slot}` };
}

function isSameDatabase(a: Omit<SlotIdentity, 'slot'>, b: Omit<SlotIdentity, 'slot'>): boolean {
  return a.host.toLowerCase() === b.host.toLowerCase() && a.database === b.database;
}

function createWait({ createWaitMs = CREATE_WAIT_MS, functionDeadline, clock }: LifecyclePorts): number {
  return Math.min(createWaitMs, functionDeadline - clock.now() - ANSWER_MS);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
