/**
 * `snapshot`: asks for the rows that tables have, and works on that as long as the function may. `snapshot-stop`: ends it.
 * Both write a message into the WAL: whichever run reads it does the work.
 */
import type { Container } from '../container.ts';
import { PipelineError, type PipelineErrorOptions } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { readSlotState, validateSlot } from '../postgres/slot-state.ts';
import { writeMessage } from '../postgres/snapshot-reader.ts';
import { type ReadableTable, readUnderWay, resolveTables, whyNoSnapshots } from '../postgres/snapshot-request.ts';
import type { RunAnswer } from '../run/answer.ts';
import type { SnapshotAction } from '../settings/action-types.ts';
import { selectsTable } from '../settings/filters.ts';
import { encodedLength } from '../snapshot/ascii.ts';
import { type SnapshotProgress, tablesUnderWay } from '../snapshot/progress.ts';
import { encodeSnapshotMessage } from '../snapshot/snapshot-message.ts';
import { runOrDrain } from './run-and-drain.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';
import { withSlotLock } from './with-slot-lock.ts';

/** Names of tables that a message can hold. */
const MAX_NAME_BYTES = 200 * 1024;
/** What helps where they are more. */
const TOO_MANY = {
  remedy:
    'Ask for some of them, and for others once those are read. Where SNAPSHOT=initial asks for all: leave some out with TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST, or make the slot with SNAPSHOT=none, then ask.',
};
/** For the look at what is under way. */
const LOOK_TIMEOUT_MS = 10_000;

/** What `snapshot-stop` answers. */
export interface SnapshotStopAnswer {
  readonly action: 'snapshot-stop';
  readonly slot: string;
  /** What was under way is ended by the next run, or by the one that is under way. */
  readonly asked: true;
}

/**
 * Begins a snapshot, or goes on with the one that is under way, until it is done or the time is over.
 *
 * @param action - the tables
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SNAPSHOT_REFUSED, SLOT_BUSY, and what a run throws
 */
export async function snapshot(
  action: SnapshotAction,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<RunAnswer> {
  if (action.tables !== undefined) await request(action.tables, container, deadlines);
  const { maxSeconds } = action;
  const answer = await runOrDrain(
    { kind: 'drain', maxSeconds, maxBatches: undefined, resume: undefined, isSnapshot: true },
    container,
    deadlines,
  );
  return { ...answer, action: 'snapshot' };
}

/**
 * Ends what is under way.
 *
 * @param tables - as they were given; undefined: all
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SNAPSHOT_REFUSED where a name is no table's, and what a run says of a slot that cannot be read
 */
export async function snapshotStop(
  tables: readonly string[] | undefined,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<SnapshotStopAnswer> {
  const { slot } = container.config;
  return await withConnection(container, deadlines, async (connection) => {
    requireSnapshots(connection);
    await requireSlot(connection, slot);
    const found = tables && (await resolveTables(connection, tables));
    if (found !== undefined && found.missing.length > 0)
      throw new PipelineError('SNAPSHOT_REFUSED', `${found.missing.join(' ')} No snapshot was ended.`);
    // Whether they can be read or not.
    await writeMessage(connection, encodeSnapshotMessage(slot, { kind: 'stop', tables: found?.all }));
    return { action: 'snapshot-stop', slot, asked: true };
  });
}

/** Writes the request, if all of it can be done. */
async function request(names: readonly string[], container: Container, deadlines: InvocationDeadlines): Promise<void> {
  const { slot } = container.config;
  await withSlotLock(container, deadlines, 'No snapshot was asked for.', async (main, control) => {
    requireSnapshots(control);
    await requireSlot(control, slot);
    await control.plugin.prepare?.(control, slot);
    const { tables, missing, faults } = await resolveTables(control, names);
    const underWay = await lookAtSlot(main, container);
    const all = [...missing, ...faults, ...tables.flatMap((table) => faultsOf(table, container, underWay))];
    if (all.length > 0) throw refused(all.join(' '));
    await writeRequest(control, container, tables, underWay);
  });
}

/**
 * Asks for a snapshot of all tables that can be read and that the filters let in: for a slot that was made just now. The log
 * names those that cannot be read.
 *
 * @param connection - to the slot's database
 * @param container - settings and time
 * @returns how many tables were asked for; undefined: the server or the plugin cannot
 * @throws {PipelineError} SNAPSHOT_REFUSED where they are too many
 */
export async function requestInitialSnapshot(
  connection: Connection,
  container: Pick<Container, 'config' | 'clock' | 'log'>,
): Promise<number | undefined> {
  const why = whyNoSnapshots(connection);
  if (why !== undefined) {
    container.log.warn(`No snapshot is taken: ${why}.`);
    return undefined;
  }
  const { tables, leftOut } = await resolveTables(connection, undefined);
  const isSelected = ({ names }: { readonly names: readonly string[] }): boolean =>
    selectsTable(container.config.filters, names);
  const reasons = leftOut.filter(isSelected).map((table) => table.why);
  if (reasons.length > 0)
    container.log.warn(
      'The snapshot leaves out tables whose changes are published. Mend what keeps it from them, then ask for them with snapshot.',
      { count: reasons.length, tables: reasons.slice(0, 100) },
    );
  const wanted = tables.filter(isSelected);
  if (wanted.length > 0) await writeRequest(connection, container, wanted);
  return wanted.length;
}

async function writeRequest(
  connection: Connection,
  { config, clock, log }: Pick<Container, 'config' | 'clock' | 'log'>,
  tables: readonly ReadableTable[],
  underWay?: SnapshotProgress,
): Promise<void> {
  const names = tables.map(({ printed }) => printed);
  // One message has to hold the names of all that are not done.
  const all = [...names, ...(underWay === undefined ? [] : tablesUnderWay(underWay))];
  if (encodedLength(all) > MAX_NAME_BYTES)
    throw refused(`${all.length} tables are too many for one snapshot: their names have more than 200 KB.`, TOO_MANY);
  const begunAt = clock.now();
  const id = `${begunAt.toString(36)}${Math.floor(clock.random() * 36 ** 4).toString(36)}`;
  await writeMessage(
    connection,
    encodeSnapshotMessage(config.slot, { kind: 'begin', id, begunAt, tables: names, anew: false }),
  );
  log.info('A snapshot was asked for.', { id, tables: names.slice(0, 100) });
}

/** What is under way; undefined: nothing, or it could not be found out. */
async function lookAtSlot(main: Connection, { config, decoder }: Container): Promise<SnapshotProgress | undefined> {
  await main.client.query(`SET statement_timeout = ${LOOK_TIMEOUT_MS}`);
  try {
    return await readUnderWay(main, config.slot, config.slot, decoder);
  } catch {
    // A run will say what is wrong with the slot, if anything is.
    return undefined;
  }
}

function faultsOf(
  { printed, names: [name = '', ...above] }: ReadableTable,
  { config }: Container,
  underWay: SnapshotProgress | undefined,
): string[] {
  const faults: string[] = [];
  if (!selectsTable(config.filters, [name, ...above]))
    faults.push(`${name} is left out by TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST.`);
  if (underWay?.current?.name === printed || underWay?.pending.includes(printed) === true)
    faults.push(`${name} is being read already: snapshot without tables goes on with it, and snapshot-stop ends it.`);
  return faults;
}

function requireSnapshots(connection: Connection): void {
  const why = whyNoSnapshots(connection);
  if (why !== undefined) throw refused(`Tables cannot be read beside this slot: ${why}.`);
}

/** Whoever reads the slot finds the message in it: without a slot nobody does. */
async function requireSlot({ client, context }: Connection, slot: string): Promise<void> {
  const fault = validateSlot(await readSlotState(client, slot), slot, context);
  if (fault !== undefined) throw fault;
}

function refused(what: string, options?: PipelineErrorOptions): PipelineError {
  return new PipelineError('SNAPSHOT_REFUSED', `${what} No snapshot was asked for.`, options);
}
