/**
 * Looks after the lock of a run (I6): whoever has lost it must know, and send nothing more.
 * Knows neither batches nor the stream; a signal is all that it gives.
 */
import { PipelineError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { type Connection, destroy } from './connection.ts';
import { type LockResult, readHolder } from './fence.ts';

/** Looks after a lock. */
export interface LockMonitor {
  /** Aborts when the lock is lost; its reason is a {PipelineError}. */
  readonly signal: AbortSignal;
  /** Ends it, without a loss. */
  stop(): void;
  /**
   * Begins, with the lock taken.
   *
   * @param takeSecond - takes the lock of the second connection, tried at each look until it is held; undefined: it is
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

/** How often the lock is looked after. */
const LOCK_CHECK_INTERVAL_MS = 1_000;
/** Who has lost the lock knows it within this, and sends no further request: the look and its answer. */
export const LOCK_LOSS_DETECTION_MS = 2 * LOCK_CHECK_INTERVAL_MS;
/** How long the other connection outlives that loss: as long as a request may be in flight, of which its lock tells. */
const CONTROL_CONNECTION_GRACE_MS = 15_000;
/** What is left of the time behind the deadline is for the answer: nobody who asks the server may wait into it. */
const SERVER_RESPONSE_GRACE_MS = 500;

/**
 * Watches a lock. A socket whose data is held back says nothing of its end, so the other connection keeps asking whether
 * the lock is still held.
 *
 * @param reader - holds the lock
 * @param control - asks
 * @param options - which lock, and until when
 */
export function monitorLock(
  reader: Connection,
  control: Connection,
  { slotName, clock, deadline }: LockMonitorOptions,
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
  const watch = async (takeSecond?: () => Promise<LockResult>) => {
    let missing = takeSecond;
    while (!stopped()) {
      await clock.sleep(LOCK_CHECK_INTERVAL_MS, forgotten.signal);
      if (!stopped() && (await readHolder(control, slotName))?.pid !== reader.pid && !stopped()) onLockLost();
      if (!stopped() && missing !== undefined && (await missing()).kind === 'held') missing = undefined;
    }
  };
  return {
    signal: lost.signal,
    stop: () => {
      forgotten.abort();
      ended.abort();
      for (const client of clients) client.off('error', onLockLost).off('end', onLockLost);
    },
    start: (takeSecond) =>
      void watch(takeSecond).catch((error: unknown) => (stopped() ? undefined : onLockLost(error))),
  };
}
