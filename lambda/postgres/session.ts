/**
 * The database side of a run: the main and the control connection, opened at once, the lock taken, the slot checked.
 * Composes the files of `postgres/`; decides nothing that the run decides.
 */
import type { PluginDecoder } from '../decode/plugin-decoder.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';
import { closeGracefully } from './close-connection.ts';
import { WalCommitHistory } from './commit-history.ts';
import { ConnectedKeys } from './connected-keys.ts';
import { type Connection, type Database, toPipelineError } from './connection.ts';
import { closeBoth, openPair, requireLockSeen } from './connection-pair.ts';
import { HANDED_OVER_FOR_MS, readHandedOver, writeHandedOver } from './handed-over-position.ts';
import { monitorLock } from './lock-monitor.ts';
import { supportsSnapshots } from './plugins.ts';
import type { PrimaryKeyCache } from './primary-key-cache.ts';
import { openReplication } from './replication-connection.ts';
import { PostgresSlot } from './slot.ts';
import { SlotCopies, supportsSlotCopies } from './slot-copies.ts';
import { acquireSlotLock, clearSlot, type Holder } from './slot-lock.ts';
import { readSlotState, validateSlot } from './slot-state.ts';
import { SnapshotReader } from './snapshot-reader.ts';
import { TypeCatalog } from './type-catalog.ts';
import type { TypeNames } from './type-names.ts';
import { WalKeyHistory } from './wal-key-history.ts';

/** What {@link openSession} needs. */
export interface SessionOptions {
  readonly database: Database;
  readonly slotName: string;
  /** STANDBY_SLOTS: nothing is read that these have not confirmed. @default none */
  readonly standbySlots?: readonly string[];
  /** Every statement is over by then: milliseconds since 1970. */
  readonly deadline: number;
  /** When the process is gone for certain: another run may end our backends from then on. @default 5 s after `deadline` */
  readonly leaseExpiresAt?: number;
  /** How long to wait for the lock. @default 0 */
  readonly waitMs?: number;
  /** Wait for a holder until its end, where its own time limit ends within so many milliseconds. @default no holder is waited for so */
  readonly holderEndsWithinMs?: number;
  /** Survives from run to run. */
  readonly keys: PrimaryKeyCache;
  /** Survives from run to run. @default one of its own */
  readonly typeCatalog?: TypeCatalog;
  /** What the decoder has to know of types. Survives from run to run. @default it needs nothing */
  readonly typeNames?: TypeNames | undefined;
  /** Survives from run to run, with its interned names. */
  readonly decoder: PluginDecoder;
  /** What the stream allows for a record. @default 1 MiB */
  readonly maxRecordBytes?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Another run has the slot. */
export interface Locked {
  /** Undefined: gone before it could be looked at. */
  readonly locked: Holder | undefined;
}

/** A run that ends closes both connections at once, but the server may release one before the other. */
const CLOSE_GRACE_MS = 2_000;
/** Ends the name under which the control connection holds a lock of its own. */
export const CONTROL_LOCK_SUFFIX = ' (second connection)';

/**
 * Opens a run's session.
 *
 * @param options - database, slot, deadlines, clock and log
 * @returns the session, to be closed; or who holds the lock
 * @throws {PipelineError} DATABASE_*, POOLER_REFUSED, SERVERS_DIFFER, SLOT_*, WRONG_PLUGIN, CONFIG_INVALID
 * @example
 * const session = await openSession(options);
 * if ('locked' in session) console.log(describeHolder(session.locked));
 */
export async function openSession(options: SessionOptions): Promise<Session | Locked> {
  const { database, slotName, typeCatalog = new TypeCatalog() } = options;
  const until = {
    deadline: options.deadline,
    ...(options.leaseExpiresAt === undefined ? {} : { leaseExpiresAt: options.leaseExpiresAt }),
  };
  // The other one needs as much where an advance decodes: a batch that fits into one must fit into the other.
  const parts = { ...until, workMem: true };
  const [main, control] = await openPair(database, parts, parts);
  const monitor = monitorLock(main, control, options);
  let ahead: SlotCopies | undefined;
  const close = async (handOverText?: string) => {
    monitor.stop();
    await ahead?.closeAll();
    if (handOverText !== undefined && monitor.isAwaited()) {
      await writeHandedOver(control, handOverText).catch(() => undefined);
      await closeGracefully(main, options.clock);
      await options.clock.sleep(HANDED_OVER_FOR_MS);
    }
    await closeBoth([main, control], options.clock);
  };
  try {
    const lock = await acquireSlotLock(main, options);
    if (lock.kind === 'locked') {
      await close();
      return { locked: lock.holder };
    }
    // Before anything is read: what one connection locks, the other sees.
    await requireLockSeen(main, control, slotName);
    // Only a run that lingers follows one that was still there when it came.
    const lingers = options.holderEndsWithinMs !== undefined;
    const handedOver = lingers ? await readHandedOver(control, `${slotName}${CONTROL_LOCK_SUFFIX}`) : undefined;
    const secondLock = { slotName: `${slotName}${CONTROL_LOCK_SUFFIX}`, clock: options.clock, log: options.log };
    // A run that lost the lock may still have a request in flight. As long as it may, its control connection holds this lock.
    const controlLock = await acquireSlotLock(control, { ...secondLock, waitMs: CLOSE_GRACE_MS });
    // If it is not free yet, it is taken later: the next run must see it in the same way.
    monitor.start(
      controlLock.kind === 'held' ? undefined : () => acquireSlotLock(control, { ...secondLock, waitMs: 0 }),
    );
    const state = await readSlotState(control, slotName);
    const fault = validateSlot(state, slotName, control.context);
    if (fault !== undefined) throw fault;
    await control.plugin.prepare?.(control, slotName);
    // Usually no backend uses the slot, and there is nothing to ask.
    const orphan = state.slot?.activePid !== undefined && (await clearSlot(main, options));
    const isJustLost = orphan || controlLock.kind === 'locked' || controlLock.tookOver;
    const awaiting = { standbySlots: options.standbySlots ?? [], failover: state.slot?.failover === true };
    const pair = { main: inRun(main), control: inRun(control) };
    const slot = new PostgresSlot({
      ...options,
      ...awaiting,
      ...pair,
      openReplication: () => openReplication(database, until, control.identity, 'The slot was not advanced.'),
    });
    if (supportsSlotCopies(control)) {
      ahead = new SlotCopies({
        ...options,
        control: pair.control,
        translateError: (error) => slot.explain(error),
        openPair: (signal) => openPair(database, { ...parts, signal }, { ...parts, signal }),
        lost: monitor.signal,
      });
    }
    const { inRecovery } = control.identity;
    const { maxRecordBytes = 1024 * 1024 } = options;
    const canSnapshot = !inRecovery && supportsSnapshots(control.plugin.name, control.versionNum);
    return {
      slot,
      ...(ahead === undefined ? {} : { ahead }),
      ...(canSnapshot ? { snapshots: new SnapshotReader({ ...options, ...pair, maxRecordBytes }) } : {}),
      server: control.identity,
      connectedAt: control.connectedAt,
      commitHistory: new WalCommitHistory({ ...options, ...pair }),
      keyHistory: new WalKeyHistory({ ...options, ...pair, state: options.keys.history }),
      keys: new ConnectedKeys(options.keys, pair.control, slotName, async (consumed) => {
        // In this order: of a type that is renamed between the two, the catalog still knows the former name.
        await options.typeNames?.read(pair.control, consumed);
        await typeCatalog.read(pair.control, consumed);
      }),
      lost: monitor.signal,
      isLockAwaited: () => monitor.isAwaited(),
      handedOver,
      tookOver: lock.tookOver || isJustLost,
      tookOverAt: isJustLost ? undefined : lock.endedAt,
      close,
    };
  } catch (error) {
    await close();
    throw toPipelineError(error, { ...control.context, slot: slotName });
  }
}

/** @returns the connection, of whose errors is said what is true in a run: much may have been published before */
function inRun(connection: Connection): Connection {
  const notDone = 'The slot was not advanced over what was not acknowledged.';
  return { ...connection, context: { ...connection.context, notDone } };
}
