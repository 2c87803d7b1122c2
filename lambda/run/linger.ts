/**
 * How a run with LINGER=on waits after it has caught up. It waits until something new is in the WAL, and at least as long as
 * LINGER_DUTY says, to spare the server. The wait ends when another run waits for the lock, or the time is over. Ports in; reads no
 * batch and knows no SQL.
 */
import type { Session } from '../ports/session.ts';
import { LingerReport, type LingerReportPorts, type LingerState } from './linger-report.ts';
import type { StopReason } from './stop-reason.ts';

/** What lingering works with. */
export interface LingerPorts extends LingerReportPorts {
  /** LINGER_DUTY: the largest share of a core of the server, in percent. */
  readonly dutyPercent: number;
  readonly stop?: AbortSignal;
  /** @returns whether a batch is still worth beginning */
  readonly hasTime: () => boolean;
  /** @returns whether somebody waits for the slot */
  readonly isAwaited: () => boolean;
  /** @returns whether there is something to do without new WAL: marks, or a snapshot */
  readonly isDue: () => boolean;
  /** @returns how far the run is */
  readonly state: () => LingerState;
}

/** Why a wait ended: something was written; somebody waits for the slot; the time is over, or a stop was asked for. */
export type LingerEnd = 'moved' | 'awaited' | 'over';

/** How often the end of the WAL is polled: the first pause, and the longest. Each pause is 1.5 times the one before. */
const MIN_POLL_MS = 100;
const MAX_POLL_MS = 400;
/** A pause to spare the server that is longer than this gets a line in the log. */
const SLOW_MS = 2_000;

/**
 * Whether a run that lingers waits for more, where another run would end.
 *
 * @param stopped - why there is nothing to read
 */
export function hasNothingToRead(stopped: StopReason): boolean {
  return stopped === 'caught-up' || stopped === 'commit-pending' || stopped.startsWith('waiting-');
}

/** Waits for the next batch. */
export class Linger {
  readonly #ports: LingerPorts;
  readonly #report: LingerReport;
  #isSlownessLogged = false;
  #catalogMs = 0;
  #roundBegun: number;

  /** @param ports - the slot, time, the log and the metrics */
  constructor(ports: LingerPorts) {
    this.#ports = ports;
    this.#report = new LingerReport(ports);
    this.#roundBegun = ports.clock.now();
  }

  /** @returns the session, with a slot that measures how long the server works */
  withTimedSlot(session: Session): Session {
    return { ...session, slot: this.#ports.slot };
  }

  /**
   * Waits until a batch is due.
   *
   * @param stopped - why there was nothing more to read
   */
  async wait(stopped: StopReason): Promise<LingerEnd> {
    const { slot, clock, stop, hasTime, isAwaited, state } = this.#ports;
    const { position, catalogMs } = state();
    slot.busyMs += catalogMs - this.#catalogMs;
    this.#catalogMs = catalogMs;
    // Do not try again at once what could not be read a moment ago.
    let pauseMs = stopped === 'caught-up' ? 0 : MAX_POLL_MS;
    for (;;) {
      if (isAwaited()) return 'awaited';
      if (!hasTime()) return 'over';
      await this.#report.report(state(), stopped);
      const restMs = this.#restMs();
      if (restMs > SLOW_MS) await this.#logSlowness(restMs);
      await clock.sleep(restMs > 0 ? Math.min(restMs, MAX_POLL_MS) : pauseMs, stop);
      if (this.#restMs() > 0 || !hasTime()) continue;
      if (this.#ports.isDue() || (await slot.flushLsn()) > position) {
        this.#beginRound();
        return 'moved';
      }
      pauseMs = pauseMs === 0 ? MIN_POLL_MS : Math.min(MAX_POLL_MS, pauseMs * 1.5);
    }
  }

  /**
   * Work was done that has its own share of the time, as a snapshot has. A report may be due; the server needs no pause for it.
   *
   * @param stopped - why there was nothing more to read
   */
  async workedOnSnapshot(stopped: StopReason): Promise<void> {
    await this.#report.report(this.#ports.state(), stopped);
    this.#beginRound();
  }

  /** A round begins: the server's work is counted from here. */
  #beginRound(): void {
    this.#roundBegun = this.#ports.clock.now();
    this.#ports.slot.busyMs = 0;
  }

  /** How long to wait before the next batch, so that LINGER_DUTY is kept, in milliseconds. */
  #restMs(): number {
    const { slot, clock, dutyPercent } = this.#ports;
    return Math.max(0, this.#roundBegun + (slot.busyMs * 100) / dutyPercent - clock.now());
  }

  async #logSlowness(restMs: number): Promise<void> {
    if (this.#isSlownessLogged) return;
    this.#isSlownessLogged = true;
    const { slot, log, dutyPercent } = this.#ports;
    const because = await slot.oldestTransaction();
    const cause = because === undefined ? '' : ` The oldest open transaction is ${because}.`;
    log.warn(
      `Lingering slowly: a peek took ${Math.round(slot.slowestPeekMs)} ms, most often because it reads again what was written since the oldest open transaction began. LINGER_DUTY gives it ${dutyPercent}% of a core, so the next one is due in ${Math.round(restMs / 1000)} s.${cause}`,
    );
  }
}
