/**
 * The slot made and dropped with the stack: what CloudFormation's Create, Update and Delete do to it.
 * An abandoned slot fills the database's disk, one dropped by mistake loses data; when in doubt nothing is dropped.
 * Knows no SQL but what it tells the operator to run.
 *
 * There are two resources. The claim runs first and records, in its physical id, whether the slot already existed. So a
 * repeated request still knows whether the slot was created or adopted. The claim is deleted last: it cleans up after a
 * creation that failed without an answer.
 *
 * @see https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.custom_resources-readme.html
 */
import { PipelineError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { copySlot } from '../postgres/slot-copy.ts';
import { createSlot, requireUsable } from '../postgres/slot-create-drop.ts';
import { acquireSlotLock, describeHolder } from '../postgres/slot-lock.ts';
import { readSlotRow, type SlotRow } from '../postgres/status-queries.ts';
import type { LifecycleAction } from '../settings/action-types.ts';
import {
  describeSlot,
  formatPhysicalId,
  isSameAddress,
  isSameDatabase,
  parsePhysicalId,
  type PhysicalId,
  type SlotIdentity,
  type SlotOrigin,
} from './slot-identity.ts';
import { deleteSlotResource, dropSql } from './slot-lifecycle-delete.ts';
import { ensureFailover, wantsFailover } from './slot-lifecycle-failover.ts';
import {
  ANSWER_MS,
  isClaim,
  LIFECYCLE_LOCK_WAIT_MS,
  type LifecycleAnswer,
  type LifecyclePorts,
  withConnections,
} from './slot-lifecycle-ports.ts';

export type { LifecycleAnswer, LifecyclePorts } from './slot-lifecycle-ports.ts';

const CREATE_WAIT_MS = 300_000;
/** An update that fails is rolled back within hours. Later, the same former name may mean another's slot. */
const ROLLBACK_SECONDS = 86_400;

/**
 * Handles one event. A repeated request gets the answer that it got.
 *
 * The resource's properties are `databaseHost`, `databasePort`, `databaseName` (each the environment's where left out),
 * `slotName`, `onRemoval` (`drop` or `retain`) and `claim`, the claim's physical id.
 *
 * @param event - the parsed event
 * @param ports - the database, and time
 * @throws {PipelineError} what makes the stack's operation fail; its message says what to do
 */
export async function handleLifecycle(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  const request = `${event.requestType} ${event.logicalResourceId ?? ''} ${event.requestId ?? ''}`;
  const known = event.requestId === undefined ? undefined : ports.answers.get(request);
  if (known !== undefined) return known;
  const answer = await perform(event, ports);
  if (event.requestId !== undefined) ports.answers.set(request, answer);
  return answer;
}

async function perform(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  switch (event.requestType) {
    case 'Create':
      return await create(event, await resolveSlot(event, ports), ports);
    case 'Update':
      return await update(event, ports);
    case 'Delete':
      return await deleteSlotResource(event, ports);
  }
}

/** Which slot the event is about; it must be in the environment's database, or we could not reach it. */
async function resolveSlot({ properties }: LifecycleAction, { database, slot }: LifecyclePorts): Promise<SlotIdentity> {
  const login = await database.credentials.get();
  const identity = {
    host: text(properties['databaseHost']) ?? login.host,
    port: Number(text(properties['databasePort']) ?? login.port),
    systemIdentifier: undefined,
    database: text(properties['databaseName']) ?? login.database,
    slot: text(properties['slotName']) ?? slot,
  };
  if (!isSameAddress(identity, login) || identity.database !== login.database) {
    throw new PipelineError(
      'EVENT_INVALID',
      `The resource is about ${identity.host}:${identity.port}/${identity.database}, and the function is connected to ${login.host}:${login.port}/${login.database}. No slot was touched.`,
    );
  }
  return identity;
}

/** Makes the slot, or adopts one of ours that is there. A claim only looks. */
async function create(event: LifecycleAction, asked: SlotIdentity, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  return await withConnections(ports, async (main, control) => {
    const identity = { ...asked, systemIdentifier: control.identity.systemIdentifier };
    if (isClaim(event)) return answer(await look(identity, control), identity);
    await requireLock(main, identity.slot, ports);
    const failover = wantsFailover(event.properties);
    const options = { failover, onWait: (text: string) => ports.log.info(text) };
    const { created } = await createSlot(main, control, identity.slot, createWait(ports), options);
    await ensureFailover(failover, control, identity.slot, ports);
    // The alarm on runs that do not end well is made with the schedule, a minute before the first run: this keeps it quiet.
    ports.metrics.add('RunHealthy', 1);
    // The claim found none: then this request made it, in an invocation whose answer was lost.
    const isMade = created || isUnclaimed(event, identity);
    if (isMade) await ports.onCreated?.(control);
    return answer(isMade ? 'created' : 'adopted', identity);
  });
}

/** Never makes a slot where one should be: a missing one is an error of the next run, not a gap nobody sees (I9). */
async function update(event: LifecycleAction, ports: LifecyclePorts): Promise<LifecycleAnswer> {
  const id = event.physicalResourceId ?? '';
  const asked = await resolveSlot(event, ports);
  const old = parsePhysicalId(id);
  if (old === undefined) return await create(event, asked, ports);
  // Without a look at the database, which may be down.
  const isSameName = old.slot === asked.slot && old.database === asked.database;
  if (isSameName && isSameAddress(old, asked)) {
    if (wantsFailover(event.properties) && !wantsFailover(event.oldProperties) && !isClaim(event)) {
      await withConnections(ports, async (main, control) => {
        await requireLock(main, asked.slot, ports);
        await ensureFailover(true, control, asked.slot, ports);
      });
    }
    return { PhysicalResourceId: id };
  }
  return await withConnections(ports, async (main, control) => {
    const identity = { ...asked, systemIdentifier: control.identity.systemIdentifier };
    const present = await readSlotRow(control.client, identity.slot);
    const former = comesBack(old, identity, ports);
    if (former !== undefined && present !== undefined) return { PhysicalResourceId: former };
    const before = { id, at: Math.floor(ports.clock.now() / 1000) };
    if (isSameName && isSameDatabase(old, identity)) {
      requirePresent(present, old, identity);
      ports.log.warn(
        `The host changed from ${old.host} to ${identity.host}, and the server there is the same by its own identifier. If it is a copy of the former one, drop the slot there by hand: ${dropSql(old)}`,
      );
      return { PhysicalResourceId: id };
    }
    if (isClaim(event))
      return { PhysicalResourceId: formatPhysicalId(present === undefined ? 'absent' : 'present', identity, before) };
    const origin = isSameDatabase(old, identity)
      ? await rename(event, { old, identity, present }, { main, control }, ports)
      : move({ old, identity, present }, main);
    return { PhysicalResourceId: formatPhysicalId(origin, identity, before) };
  });
}

/** Has the slot of another name go on where the old one is. */
async function rename(
  event: LifecycleAction,
  { old, identity, present }: { old: PhysicalId; identity: SlotIdentity; present: SlotRow | undefined },
  { main, control }: { main: Connection; control: Connection },
  ports: LifecyclePorts,
): Promise<SlotOrigin> {
  // The run that still publishes the old slot's changes is over once the lock is ours.
  await requireLock(main, old.slot, ports);
  if (present === undefined) {
    const source = await readSlotRow(control.client, old.slot);
    await copySlot(main, control, old.slot, identity.slot, createWait(ports));
    // A copy of a failover slot is none.
    await ensureFailover(source?.failover === true || wantsFailover(event.properties), control, identity.slot, ports);
    return 'created';
  }
  requireUsable(present, main.context);
  // The copy that this request made, in an invocation whose answer was lost; it may have been read since.
  if (isUnclaimed(event, identity)) return 'created';
  const source = await readSlotRow(control.client, old.slot);
  if (source?.confirmedFlush !== undefined && (present.confirmedFlush ?? 0n) > source.confirmedFlush) {
    throw new PipelineError(
      'SLOT_BUSY',
      `The slot "${identity.slot}" exists and is ahead of "${old.slot}": what lies between would never be published. Drain "${old.slot}" or drop "${identity.slot}" first. No slot was touched.`,
    );
  }
  return 'adopted';
}

/** Goes on with a slot of another database or server, which somebody has made there on purpose. */
function move(
  { old, identity, present }: { old: PhysicalId; identity: SlotIdentity; present: SlotRow | undefined },
  { context }: Connection,
): SlotOrigin {
  requireUsable(requirePresent(present, old, identity), context);
  return 'adopted';
}

/** A pipeline that goes elsewhere needs its slot to be there. */
function requirePresent(present: SlotRow | undefined, old: SlotIdentity, identity: SlotIdentity): SlotRow {
  if (present !== undefined) return present;
  throw new PipelineError(
    'SLOT_MISSING',
    `This stack publishes the slot ${describeSlot(old)}. It was asked for the slot ${describeSlot(identity)}, which does not exist. A slot made now would miss what was committed before, and nobody would read the old one, which keeps WAL. Nothing was changed.`,
    {
      remedy: `If another pipeline was meant, give it a name of its own, so that it becomes another stack. If this one is to move: make the new slot (SELECT pg_create_logical_replication_slot('${identity.slot}', 'test_decoding');), drain the old one, deploy again, then drop the old one (${dropSql(old)}).`,
    },
  );
}

/** The id to go back to, where an update is rolled back. */
function comesBack({ former }: PhysicalId, identity: SlotIdentity, { clock }: LifecyclePorts): string | undefined {
  if (former === undefined || clock.now() / 1000 - former.at > ROLLBACK_SECONDS) return undefined;
  const before = parsePhysicalId(former.id);
  return before?.slot === identity.slot && isSameDatabase(before, identity) ? former.id : undefined;
}

/** What a claim finds. */
async function look({ slot }: SlotIdentity, { client }: Connection): Promise<SlotOrigin> {
  return (await readSlotRow(client, slot)) === undefined ? 'absent' : 'present';
}

/** Whether the claim found no slot before this request made one. */
function isUnclaimed({ properties }: LifecycleAction, identity: SlotIdentity): boolean {
  const claim = parsePhysicalId(text(properties['claim']) ?? '');
  return claim?.origin === 'absent' && claim.slot === identity.slot && isSameDatabase(claim, identity);
}

/** Takes the lock, or says who has it. */
async function requireLock(
  main: Connection,
  slotName: string,
  { clock, log, lockWaitMs = LIFECYCLE_LOCK_WAIT_MS }: LifecyclePorts,
): Promise<void> {
  const lock = await acquireSlotLock(main.client, { slotName, waitMs: lockWaitMs, clock, log });
  if (lock.kind === 'held') return;
  throw new PipelineError(
    'SLOT_BUSY',
    `The lock of slot "${slotName}" is held by ${describeHolder(lock.holder)}. No slot was made.`,
  );
}

function answer(origin: SlotOrigin, identity: SlotIdentity): LifecycleAnswer {
  return { PhysicalResourceId: formatPhysicalId(origin, identity) };
}

function createWait({ createWaitMs = CREATE_WAIT_MS, functionDeadline, clock }: LifecyclePorts): number {
  return Math.min(createWaitMs, functionDeadline - clock.now() - ANSWER_MS);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
