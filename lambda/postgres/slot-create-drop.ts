/**
 * Making and dropping replication slots, each with the proof that it is the slot meant.
 * Knows no invocation and no CloudFormation; who may call it, and under which lock, is decided above.
 */
import type { Lsn } from '../decode/lsn.ts';
import { PipelineError, type PipelineErrorOptions } from '../errors.ts';
import { isLost, slotLost } from '../lost-slot.ts';
import { type Connection, toPipelineError } from './connection.ts';
import { codeOf, type ErrorContext } from './error-context.ts';
import { requireFailoverSupport } from './failover-slot.ts';
import { TEST_DECODING } from './plugins.ts';
import { requirePublications } from './publication-queries.ts';
import { readSlotState, rightPlugin } from './slot-state.ts';
import { standbyFault } from './standby-server.ts';
import {
  describeTransaction,
  readBlocker,
  readSession,
  readSlotRow,
  type SlotRow,
  type TransactionRow,
} from './status-queries.ts';

/** How often a creation that waits is looked at, so that the transaction it waits for can be named. */
const WATCH_MS = 250;

/** What kind of slot is made. */
export interface CreationOptions {
  /** Whether a standby is meant (16+). @default false */
  readonly onStandby?: boolean;
  /** Whether it is to be a failover slot (17+). @default false */
  readonly failover?: boolean;
  /** Told at once, and again when it is another, whom the creation waits for. */
  readonly onWait?: (text: string) => void;
}

/** What became of a creation. */
export interface Creation {
  /** False: a slot of ours was there already. */
  readonly created: boolean;
  /** Where it is, or will begin. */
  readonly confirmedFlush: Lsn | undefined;
}

/**
 * Refuses a slot that is not ours to use: another plugin's, another database's, a physical or a lost one.
 *
 * @param row - the slot's row
 * @param context - the database and the plugin it must be of
 * @throws {PipelineError} WRONG_PLUGIN, SLOT_LOST
 */
export function requireUsable(row: SlotRow, context: Pick<ErrorContext, 'database' | 'plugin'>): void {
  requireOurs(row, context);
  if (isLost(row)) throw slotLost(row, `The slot "${row.name}" exists, but is lost`, 'It was left as it is.');
}

/** Refuses a slot of somebody else's. */
function requireOurs(
  row: SlotRow,
  { database, plugin = TEST_DECODING.name }: Pick<ErrorContext, 'database' | 'plugin'>,
): void {
  const wrong = (what: string, remedy: PipelineErrorOptions = {}) =>
    new PipelineError('WRONG_PLUGIN', `The slot "${row.name}" ${what}. It was left as it is.`, {
      remedy: `Use another SLOT_NAME. Only if nobody needs that slot: SELECT pg_drop_replication_slot('${row.name}'); then create-slot.`,
      ...remedy,
    });
  if (row.type !== 'logical') throw wrong('is a physical one, not a logical one');
  if (row.plugin !== plugin)
    throw wrong(`uses the plugin ${row.plugin ?? 'none'}, not ${plugin}`, rightPlugin(row.plugin));
  if (row.database !== database) throw wrong(`belongs to database "${row.database ?? ''}", not to "${database}"`);
}

/**
 * Makes the slot, unless it is there. Making waits until every transaction that was writing then has ended; the wait is
 * bounded, and whoever it was for is named.
 *
 * @param main - the connection that makes it; its statement time-out is changed
 * @param control - sees for whom the main connection waits
 * @param name - the slot's name
 * @param timeoutMs - how long to wait, milliseconds
 * @param options - what kind of slot
 * @throws {PipelineError} SERVER_IS_STANDBY; SLOT_BUSY naming the transaction in the way; PUBLICATION_MISSING, WRONG_PLUGIN, SLOT_LOST, CONFIG_INVALID
 */
export async function createSlot(
  main: Connection,
  control: Connection,
  name: string,
  timeoutMs: number,
  { onStandby = false, failover = false, onWait = () => undefined }: CreationOptions = {},
): Promise<Creation> {
  const context = { ...main.context, slot: name, notDone: 'No slot was made.' };
  const { slot: present, ...server } = await readSlotState(control.client, name);
  const standby = standbyFault({ ...server, slot: present }, name, context, context.notDone);
  if (standby !== undefined && !(onStandby && present === undefined && server.versionNum >= 160_000)) throw standby;
  if (present !== undefined) {
    requireUsable(present, context);
    return { created: false, confirmedFlush: present.confirmedFlush };
  }
  if (failover) requireFailoverSupport(main, name);
  await requirePublications(control, name);
  let blocker: TransactionRow | undefined;
  const watch = setInterval(() => {
    readBlocker(control, main.pid).then(
      (found) => {
        if (found !== undefined && (found.pid !== blocker?.pid || found.prepared !== blocker?.prepared)) {
          onWait(
            `Making the slot "${name}" waits for a transaction that was open before, up to ${Math.round(timeoutMs / 1000)} s: ${describeTransaction(found)}.${endOf(found)}`,
          );
        }
        blocker = found ?? blocker;
      },
      () => undefined,
    );
  }, WATCH_MS);
  try {
    await main.client.query(`SELECT set_config('statement_timeout', $1, false)`, [
      `${Math.max(1, Math.floor(timeoutMs))}ms`,
    ]);
    await main.client.query(
      `SELECT pg_create_logical_replication_slot($1, $2${failover ? ', false, false, true' : ''})`,
      [name, main.plugin.name],
    );
  } catch (error) {
    if (codeOf(error) === '57014')
      throw server.inRecovery ? primaryIdle(name, timeoutMs, error) : blocked(name, timeoutMs, blocker, error);
    // Somebody else made it meanwhile.
    if (codeOf(error) === '42710')
      return await createSlot(main, control, name, timeoutMs, {
        onStandby,
        failover,
        onWait,
      });
    throw cannotCreate(error, name) ?? toPipelineError(error, context);
  } finally {
    clearInterval(watch);
  }
  const made = await readSlotRow(control.client, name);
  return { created: true, confirmedFlush: made?.confirmedFlush };
}

/** How a transaction can be ended, a sentence after a space. */
function endOf({ pid }: TransactionRow): string {
  return pid === undefined ? '' : ` SELECT pg_terminate_backend(${pid}) ends it.`;
}

/** The wait was in vain. */
function blocked(name: string, timeoutMs: number, blocker: TransactionRow | undefined, cause: unknown): PipelineError {
  const who = blocker === undefined ? 'a transaction that could not be identified' : describeTransaction(blocker);
  return new PipelineError(
    'SLOT_BUSY',
    `Making the slot "${name}" waits for the transactions that were writing when it began, and one did not end within ${Math.round(timeoutMs / 1000)} s: ${who}.${blocker === undefined ? '' : endOf(blocker)} No slot was made.`,
    { cause },
  );
}

/** On a standby the wait is for a record that the primary writes now and then, and not while it is idle. */
function primaryIdle(name: string, timeoutMs: number, cause: unknown): PipelineError {
  return new PipelineError(
    'SLOT_BUSY',
    `Making the slot "${name}" on a standby waits until the primary has written which transactions run there, and it did not within ${Math.round(timeoutMs / 1000)} s. No slot was made.`,
    {
      cause,
      remedy:
        'Begin again, and while it waits run SELECT pg_log_standby_snapshot() on the primary. If it waits all the same, end the transactions that are open for long on the primary.',
    },
  );
}

/** What only a creation meets. */
function cannotCreate(error: unknown, name: string): PipelineError | undefined {
  const config = (what: string) =>
    new PipelineError('CONFIG_INVALID', `The slot "${name}" cannot be made: ${what} No slot was made.`, {
      cause: error,
    });
  switch (codeOf(error)) {
    case '55000':
      return config(
        'wal_level is not logical, here or (of a standby) on the primary. Set it (on RDS and Aurora: rds.logical_replication = 1) and restart the server.',
      );
    case '0A000':
      return new PipelineError(
        'SERVER_IS_STANDBY',
        `The slot "${name}" cannot be made: the server is a standby. No slot was made.`,
        {
          cause: error,
        },
      );
    case '53400':
      return config('all replication slots are in use. Raise max_replication_slots, or drop a slot that nobody needs.');
    case '58P01':
    case '42704':
      return config(
        'the server does not have the plugin that PLUGIN names. test_decoding comes with the contrib package, wal2json with a package of its own.',
      );
    default:
      return undefined;
  }
}

/**
 * Drops the slot, if it is there and ours.
 *
 * @param connection - a connection to the slot's database
 * @param name - the slot's name
 * @param plugin - that it must be of @default the one that PLUGIN names
 * @returns whether there was one
 * @throws {PipelineError} SLOT_BUSY naming who reads it, WRONG_PLUGIN
 */
export async function dropSlot(
  connection: Connection,
  name: string,
  plugin = connection.context.plugin,
): Promise<boolean> {
  const { slot: row, ...server } = await readSlotState(connection.client, name);
  const standby = standbyFault({ ...server, slot: row }, name, connection.context, 'The slot was not dropped.');
  if (standby !== undefined) throw standby;
  if (row === undefined) return false;
  requireOurs(row, { database: connection.context.database, ...(plugin === undefined ? {} : { plugin }) });
  try {
    await connection.client.query('SELECT pg_drop_replication_slot($1)', [name]);
    return true;
  } catch (error) {
    if (codeOf(error) === '42704') return false;
    if (codeOf(error) === '55006') throw await inUse(connection, name, error);
    throw toPipelineError(error, { ...connection.context, slot: name, notDone: 'The slot was not dropped.' });
  }
}

/**
 * Refuses what {@link dropSlot} would refuse, before anything is asked of the slot.
 *
 * @param connection - a connection to the slot's database
 * @param name - the slot's name
 * @throws {PipelineError} SLOT_BUSY naming who reads it, WRONG_PLUGIN
 */
export async function requireDroppable(connection: Connection, name: string): Promise<void> {
  const { slot: row, ...server } = await readSlotState(connection.client, name);
  const standby = standbyFault({ ...server, slot: row }, name, connection.context, 'The slot was not dropped.');
  if (standby !== undefined) throw standby;
  if (row === undefined) return;
  requireOurs(row, connection.context);
  if (row.activePid !== undefined) throw await inUse(connection, name, undefined);
}

/** Who reads the slot. */
async function inUse(connection: Connection, name: string, cause: unknown): Promise<PipelineError> {
  const pid = (await readSlotRow(connection.client, name))?.activePid;
  const session = pid === undefined ? undefined : await readSession(connection.client, pid);
  const who = session === undefined ? 'another process' : describeTransaction({ ...session, prepared: undefined });
  return new PipelineError('SLOT_BUSY', `The slot "${name}" is being read by ${who}. It was not dropped.`, { cause });
}
