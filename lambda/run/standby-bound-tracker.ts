/**
 * How far a run may read now, and whether that is all there is: the run's way with standbys that have not confirmed the
 * end of the WAL. A change that a standby lacks is not published: were the standby promoted now, it would not exist (I2).
 * Knows no SQL and reads no batch.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';
import type { AwaitedStandby, Slot } from '../ports/slot.ts';

/**
 * How long standbys have to confirm the end of the WAL from when it was first seen. One that is well takes milliseconds,
 * most often less than it takes to open a session, and to wait for it costs less than a second peek. For one that is
 * behind or away the next run is soon enough.
 */
const WAIT_MS = 30;
/** How long they have in a drain when nothing is left to read before they confirm more: it is to publish everything. */
const DRAIN_WAIT_MS = 1_000;
/** The first look again is after so long, and each after twice as long, up to the last. */
const MIN_POLL_MS = 5;
const MAX_POLL_MS = 200;

/** Why nothing can be read. */
type Nothing = 'caught-up' | 'waiting-for-standby' | 'waiting-for-replay';

/** What a batch may read. */
export interface ReadableRange {
  /** The farthest position that a peek may see. */
  readonly bound: Lsn;
  /** Given where standbys are awaited: no transaction whose commit record ends behind it may be published. */
  readonly confirmed: Lsn | undefined;
  /** A run that has consumed up to there is caught up. */
  readonly caughtUpAt: Lsn;
}

/** What a reach is found with. */
export interface StandbyBoundPorts {
  readonly session: Pick<Session, 'server' | 'connectedAt'> & { readonly slot: Pick<Slot, 'standbyBound'> };
  readonly clock: Clock;
  readonly log: Log;
  readonly stop?: AbortSignal;
  /** Whether everything is to be published that was there when it began. */
  readonly isDrain: boolean;
  /** @returns whether a batch is still worth beginning */
  readonly hasTime: () => boolean;
}

/** Looks how far may be read, again and again in a run. */
export class StandbyBoundTracker {
  /** The standbys that had not confirmed the end of the WAL at the last look. */
  awaited: readonly AwaitedStandby[] = [];
  /** The end of the WAL at the last look. */
  flush: Lsn = 0n;

  readonly #ports: StandbyBoundPorts;
  /** Where a run is caught up, and since when that is known. */
  #caughtUpAt: { readonly lsn: Lsn; readonly seenAt: number } | undefined;
  #unreadable: Lsn | undefined;
  #isAbsenceNamed = false;
  /** The bound at the last look. */
  #lastBound: Lsn | undefined;
  #nextWaitMs = MIN_POLL_MS;

  /** @param ports - the slot and time */
  constructor(ports: StandbyBoundPorts) {
    this.#ports = ports;
    const { server, connectedAt } = ports.session;
    if (server.walEnd !== undefined) this.#caughtUpAt = { lsn: server.walEnd, seenAt: connectedAt };
  }

  /**
   * Looks, and waits a little where standbys have not confirmed what was there when the session was opened.
   *
   * @param position - how far the slot is consumed
   */
  async next(position: Lsn): Promise<ReadableRange | Nothing> {
    const { clock, session, stop, hasTime, isDrain } = this.#ports;
    for (;;) {
      const { flush, bound, awaited, absent, confirmedOnly } = await session.slot.standbyBound();
      this.awaited = awaited;
      this.flush = flush;
      this.#nameAbsent(absent);
      const confirmed = confirmedOnly ? bound : undefined;
      const isReadable = bound > position && bound !== this.#unreadable;
      if (bound >= flush) {
        this.#caughtUpAt = undefined;
        return isReadable ? { bound, confirmed, caughtUpAt: bound } : 'caught-up';
      }
      // Where a standby is always a little behind, the run ends all the same, with what was there when it began.
      this.#caughtUpAt ??= { lsn: flush, seenAt: clock.now() };
      const { lsn: end, seenAt } = this.#caughtUpAt;
      if (position >= end) return 'caught-up';
      if (isReadable && bound >= end) return { bound, confirmed, caughtUpAt: end };
      const isConnected = awaited.every(({ active }) => active);
      // One that confirmed nothing since the last look may be stuck: what there is to read is read first.
      const isStuck = isReadable && bound === this.#lastBound;
      this.#lastBound = bound;
      const waitMs = isDrain && !isReadable ? DRAIN_WAIT_MS : isConnected && !isStuck ? WAIT_MS : 0;
      if (clock.now() >= seenAt + waitMs || !hasTime()) {
        if (isReadable) return { bound, confirmed, caughtUpAt: end };
        return awaited.length > 0 ? 'waiting-for-standby' : 'waiting-for-replay';
      }
      await clock.sleep(this.#nextWaitMs, stop);
      this.#nextWaitMs = Math.min(MAX_POLL_MS, 2 * this.#nextWaitMs);
    }
  }

  #nameAbsent(absent: readonly string[]): void {
    if (absent.length === 0 || this.#isAbsenceNamed) return;
    this.#isAbsenceNamed = true;
    this.#ports.log.warn(
      'STANDBY_SLOTS names slots that no standby uses on this server. Runs wait for the others only.',
      { absent },
    );
  }

  /**
   * What comes next is a commit that ends behind its bound: there is nothing to read before that moves.
   *
   * @param bound - of the last batch
   */
  exhaust(bound: Lsn): void {
    this.#unreadable = bound;
  }

  /** The last batch ended before its bound: what is written meanwhile is to be read, too. */
  restart(): void {
    this.#caughtUpAt = undefined;
  }

  /** As in a new run: standbys are waited for as long once more. */
  renew(): void {
    this.restart();
    this.#nextWaitMs = MIN_POLL_MS;
  }
}

/**
 * Names standbys so that an operator can find them.
 *
 * @param standbys - those that have not confirmed everything
 * @returns for example `"phys" (connected, 4096 bytes behind)`
 */
export function describeStandbys(standbys: readonly AwaitedStandby[]): string {
  return standbys
    .map(({ name, active, behindBytes, fault }) => {
      if (fault !== undefined) return `"${name}" (${fault})`;
      return `"${name}" (${active ? 'connected' : 'not connected'}, ${behindBytes ?? 'unknown'} bytes behind)`;
    })
    .join(', ');
}
