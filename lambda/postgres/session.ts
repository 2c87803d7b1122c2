/**
 * The database side of a run: two connections opened at once, the lock taken, the slot checked.
 * Composes this room; decides nothing that the run decides.
 */
import { PipelineError } from '../errors.ts';
import type { Clock, Log, Session } from '../ports.ts';
import { type Connection, type ConnectOptions, type Database, destroy, open, toPipelineError } from './connection.ts';
import { acquireSlotLock, clearSlot, type Holder, readHolder } from './fence.ts';
import type { LineDecoder } from './peek.ts';
import type { PrimaryKeyCache } from './primary-keys.ts';
import { PostgresSlot } from './slot.ts';
import { readSlotState, validateSlot } from './slot-state.ts';

/** What {@link openSession} needs. */
export interface SessionOptions {
  readonly database: Database;
  readonly slotName: string;
  /** Every statement is over by then: milliseconds since 1970. */
  readonly deadline: number;
  /** When the process is gone for certain: another run may end our backends from then on. @default 5 s after `deadline` */
  readonly latestEnd?: number;
  /** How long to wait for the lock. @default 0 */
  readonly waitMs?: number;
  /** Survives from run to run. */
  readonly keys: PrimaryKeyCache;
  /** Survives from run to run, with its interned names. */
  readonly decoder: LineDecoder;
  readonly clock: Clock;
  readonly log: Log;
}

/** Another run has the slot. */
export interface Locked {
  /** Undefined: gone before it could be looked at. */
  readonly locked: Holder | undefined;
}

/**
 * Opens a run's session.
 *
 * @param options - which slot of which database, until when
 * @returns the session, to be closed; or who holds the lock
 * @throws {PipelineError} DATABASE_*, SLOT_*, WRONG_PLUGIN, CONFIG_INVALID
 * @example
 * const session = await openSession(options);
 * if ('locked' in session) console.log(describeHolder(session.locked));
 */
export async function openSession(options: SessionOptions): Promise<Session | Locked> {
  const { database, slotName } = options;
  const until = {
    deadline: options.deadline,
    ...(options.latestEnd === undefined ? {} : { latestEnd: options.latestEnd }),
  };
  const [reader, control] = await openPair(database, { ...until, workMem: true }, until);
  const monitor = monitorLock(reader, control, options);
  const closeBoth = async () => {
    monitor.stop();
    await Promise.all([closeGracefully(reader, options.clock), closeGracefully(control, options.clock)]);
  };
  try {
    const lock = await acquireSlotLock(reader, options);
    if (lock.kind === 'locked') {
      await closeBoth();
      return { locked: lock.holder };
    }
    // Who lost the lock with its connection may still have a request in flight: its other connection tells of it.
    const controlLock = await acquireSlotLock(control, {
      ...options,
      slotName: `${slotName} (second connection)`,
      waitMs: CLOSE_GRACE_MS,
    });
    monitor.start();
    const fault = validateSlot(await readSlotState(control, slotName), slotName, control.context);
    if (fault !== undefined) throw fault;
    const orphan = await clearSlot(reader, options);
    const slot = new PostgresSlot({ ...options, reader, control });
    return {
      slot,
      keys: options.keys.over(control),
      lost: monitor.signal,
      tookOver: lock.tookOver || orphan || controlLock.kind === 'locked' || controlLock.tookOver,
      close: closeBoth,
    };
  } catch (error) {
    await closeBoth();
    throw toPipelineError(error, { ...control.context, slot: slotName });
  }
}

interface LockMonitor {
  readonly signal: AbortSignal;
  stop(): void;
  /** Begins, with the lock taken. */
  start(): void;
}

/** How often the lock is looked after. */
const LOCK_CHECK_INTERVAL_MS = 1_000;
/** Who has lost the lock knows it within this, and sends no further request: the look and its answer. */
export const LOCK_LOSS_DETECTION_MS = 2 * LOCK_CHECK_INTERVAL_MS;
/** A run that ends closes its two connections at once, and the server lets go of one before the other. */
const CLOSE_GRACE_MS = 2_000;
/** How long the other connection outlives that loss: as long as a request may be in flight, of which its lock tells. */
const CONTROL_CONNECTION_GRACE_MS = 15_000;
/** What is left of the time behind the deadline is for the answer: nobody who asks the server may wait into it. */
const SERVER_RESPONSE_GRACE_MS = 500;

/**
 * Aborts when the lock is lost; not when we end the connection, told by `forget`. A socket whose data is held back says
 * nothing of its end, so the other connection keeps asking whether the lock is still held.
 */
function monitorLock(
  reader: Connection,
  control: Connection,
  { slotName, clock, deadline }: SessionOptions,
): LockMonitor {
  const { host, port } = reader.context;
  const lost = new AbortController();
  const forgotten = new AbortController();
  const ended = new AbortController();
  const destroyControl = (afterMs: number) =>
    void clock.sleep(afterMs, ended.signal).then(() => (ended.signal.aborted ? undefined : destroy(control.client)));
  const onLockLostBecause = (what: string, cause?: unknown) => {
    if (lost.signal.aborted) return;
    forgotten.abort();
    lost.abort(
      new PipelineError(
        'DATABASE_UNREACHABLE',
        `${what}, so sending stopped: another run may have the slot. The slot was not advanced over what was not acknowledged.`,
        { cause },
      ),
    );
    destroy(reader.client);
    destroyControl(CONTROL_CONNECTION_GRACE_MS);
  };
  const onLockLost = (cause?: unknown) =>
    onLockLostBecause(`The connection to PostgreSQL at ${host}:${port} that holds the lock was lost`, cause);
  // A network that swallows everything says nothing of it: whoever waits for an answer would wait until we are killed.
  const overMs = Math.max(0, deadline + SERVER_RESPONSE_GRACE_MS - clock.now());
  destroyControl(overMs);
  void clock.sleep(overMs, forgotten.signal).then(() => {
    if (!forgotten.signal.aborted)
      onLockLostBecause(`PostgreSQL at ${host}:${port} had not answered when the time was over`);
  });
  const clients = [reader.client, control.client];
  for (const client of clients) client.on('error', onLockLost).on('end', onLockLost);
  const stopped = () => forgotten.signal.aborted;
  const watch = async () => {
    while (!stopped()) {
      await clock.sleep(LOCK_CHECK_INTERVAL_MS, forgotten.signal);
      if (!stopped() && (await readHolder(control, slotName))?.pid !== reader.pid && !stopped()) onLockLost();
    }
  };
  return {
    signal: lost.signal,
    stop: () => {
      forgotten.abort();
      ended.abort();
      for (const client of clients) client.off('error', onLockLost).off('end', onLockLost);
    },
    start: () => void watch().catch((error: unknown) => (stopped() ? undefined : onLockLost(error))),
  };
}

/** Two at once; when one fails, the other is not left behind. */
async function openPair(
  database: Database,
  one: ConnectOptions,
  other: ConnectOptions,
): Promise<[Connection, Connection]> {
  const second = open(database, other);
  second.catch(() => undefined);
  const first = await open(database, one).catch(async (error: unknown) => {
    await second.then((opened) => closeGracefully(opened, database.clock)).catch(() => undefined);
    throw error;
  });
  return [
    first,
    await second.catch(async (error: unknown) => {
      await closeGracefully(first, database.clock);
      throw error;
    }),
  ];
}

/** A second for an orderly end: the server gives up the lock when the connection goes, one way or the other. */
async function closeGracefully({ client }: Connection, clock: Clock): Promise<void> {
  const gone = new AbortController();
  void clock.sleep(1_000, gone.signal).then(() => {
    if (!gone.signal.aborted) destroy(client);
  });
  await client.end().catch(() => undefined);
  gone.abort();
}
