/**
 * Watches the lock of a run (I6): a run that has lost it must stop sending at once.
 * Knows neither batches nor the stream: it aborts a signal.
 */
import { PipelineError } from '../errors.ts';
import type { Clock } from '../ports/runtime.ts';
import { destroy } from './close-connection.ts';
import type { Connection } from './connection.ts';
import { type LockResult, readLock } from './slot-lock.ts';

/** Watches a lock. */
export interface LockMonitor {
  /** Aborts when the lock is lost, or can be watched no more; its reason is a {@link PipelineError}. */
  readonly signal: AbortSignal;
  /** @returns whether somebody waits for the lock, as of the last look */
  isAwaited(): boolean;
  /** Stops watching. */
  stop(): void;
  /**
   * Starts watching, once the lock is taken.
   *
   * @param takeSecond - takes the lock of the second connection, tried at each check until it is held; undefined: it is held already
   */
  start(takeSecond?: () => Promise<LockResult>): void;
}

/** Which lock, and until when. */
export interface LockMonitorOptions {
  readonly slotName: string;
  readonly clock: Clock;
  /** Every statement is over by then: milliseconds since 1970. */
  readonly deadline: number;
}

/** How often the lock is checked. */
const LOCK_CHECK_INTERVAL_MS = 1_000;
/** A loss of the lock is noticed within this time, and then no further request is sent: one interval, and one answer. */
export const LOCK_LOSS_DETECTION_MS = 2 * LOCK_CHECK_INTERVAL_MS;
/**
 * How long one connection stays open after the other was lost: as long as a request may be in flight. The lock that it holds makes
 * the next run wait.
 */
const OTHER_CONNECTION_GRACE_MS = 15_000;
/** How long after the deadline the server's answers are waited for. The rest of the time is for our own answer. */
const SERVER_RESPONSE_GRACE_MS = 500;

/**
 * Watches a lock. A connection whose data is held back does not notice that it was closed, so the other connection keeps
 * asking whether the lock is still held.
 *
 * @param main - the connection that holds the lock
 * @param control - the connection that checks it
 * @param options - which lock, and until when
 */
export function monitorLock(
  main: Connection,
  control: Connection,
  { slotName, clock, deadline }: LockMonitorOptions,
): LockMonitor {
  const { host, port } = main.context;
  const lost = new AbortController();
  const stopWatching = new AbortController();
  const ended = new AbortController();
  const destroyLater = ({ client }: Connection, afterMs: number) =>
    void clock.sleep(afterMs, ended.signal).then(() => (ended.signal.aborted ? undefined : destroy(client)));
  const lose = (gone: Connection, what: string, cause?: unknown) => {
    if (lost.signal.aborted) return;
    stopWatching.abort();
    lost.abort(
      new PipelineError(
        'DATABASE_UNREACHABLE',
        `${what}, so sending stopped: another run may have the slot. The slot was not advanced over what was not acknowledged.`,
        { cause },
      ),
    );
    destroy(gone.client);
    // A run that ends closes it sooner.
    destroyLater(gone === main ? control : main, OTHER_CONNECTION_GRACE_MS);
  };
  const onLockLost = (cause?: unknown) =>
    lose(main, `The connection to PostgreSQL at ${host}:${port} that holds the lock was lost`, cause);
  const onControlLost = (cause?: unknown) =>
    lose(control, `The connection to PostgreSQL at ${host}:${port} that watches the lock was lost`, cause);
  // If the network drops everything, no error comes: a query would wait until the process is killed.
  const msUntilTimeout = Math.max(0, deadline + SERVER_RESPONSE_GRACE_MS - clock.now());
  destroyLater(control, msUntilTimeout);
  void clock.sleep(msUntilTimeout, stopWatching.signal).then(() => {
    if (!stopWatching.signal.aborted)
      lose(main, `PostgreSQL at ${host}:${port} had not answered when the time was over`);
  });
  main.client.on('error', onLockLost).on('end', onLockLost);
  control.client.on('error', onControlLost).on('end', onControlLost);
  let isAwaited = false;
  const isStopped = () => stopWatching.signal.aborted;
  const watch = async (takeSecond?: () => Promise<LockResult>) => {
    let takeMissing = takeSecond;
    while (!isStopped()) {
      await clock.sleep(LOCK_CHECK_INTERVAL_MS, stopWatching.signal);
      if (isStopped()) return;
      const lock = await readLock(control, slotName);
      if (isStopped()) return;
      isAwaited = lock.isAwaited;
      if (lock.holderPid !== main.pid) onLockLost();
      if (!isStopped() && takeMissing !== undefined && (await takeMissing()).kind === 'held') takeMissing = undefined;
    }
  };
  return {
    signal: lost.signal,
    isAwaited: () => isAwaited,
    stop: () => {
      stopWatching.abort();
      ended.abort();
      main.client.off('error', onLockLost).off('end', onLockLost);
      control.client.off('error', onControlLost).off('end', onControlLost);
    },
    start: (takeSecond) =>
      void watch(takeSecond).catch((error: unknown) => (isStopped() ? undefined : onControlLost(error))),
  };
}
