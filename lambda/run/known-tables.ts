/**
 * Whether a run knows of every table that a snapshot reads, so that marks may say that there are no others. Decides only; knows no
 * SQL and reads nothing.
 *
 * A snapshot that a run could not go on with is requested anew by a message further on in the WAL. The runs that come between read
 * what is before that message, and nothing tells them of it: only who has read up to the end of the WAL knows that there is none.
 */
import type { Lsn } from '../decode/lsn.ts';

/** What it depends on. */
export interface KnownTablesPorts {
  /** Whether tables can be read beside the slot: else there is no snapshot. @default they can */
  readonly hasSnapshots?: boolean;
  /** @returns the end of the WAL at the last look; 0: none yet */
  readonly flush: () => Lsn;
  /** @returns whether this run has requested a snapshot anew further on */
  readonly wasRequestedAnew: () => boolean;
}

/** What one run knows. */
export class KnownTables {
  readonly #ports: KnownTablesPorts;
  readonly #wereAll: boolean;
  #areAll: boolean;
  /** The end of the WAL when the run began to read: no run before this one wrote anything behind it. */
  #target: Lsn | undefined;
  #readTo: Lsn = 0n;

  /** @param ports - what it depends on @param wereAll - whether the container's last run knew all, and the slot stands where that left it */
  constructor(ports: KnownTablesPorts, wereAll: boolean) {
    this.#ports = ports;
    this.#wereAll = this.#areAll = wereAll || ports.hasSnapshots === false;
  }

  /** Whether there is no table of which a snapshot is to bring rows besides those that the run has been told of. */
  get areAll(): boolean {
    return this.#areAll;
  }

  /** Everything up to a position was read. */
  readTo(lsn: Lsn): void {
    const flush = this.#ports.flush();
    if (this.#target === undefined && flush > 0n) this.#target = flush;
    if (lsn > this.#readTo) this.#readTo = lsn;
    if (this.#target !== undefined && this.#readTo >= this.#target) this.#areAll = true;
  }

  /** Whether there is something left to be read, as far as is known. @param lsn - up to where everything was read */
  hasMoreBehind(lsn: Lsn): boolean {
    return this.#ports.flush() > lsn;
  }

  /**
   * Whether the next run knows all from the beginning, if it finds the slot where this one leaves it.
   *
   * @param position - the slot's, at the end of this one
   */
  areAllAt(position: Lsn): boolean {
    if (!this.#areAll || this.#ports.wasRequestedAnew()) return false;
    // Requests behind the slot's position are read once more, from there on.
    return this.#wereAll || (this.#target !== undefined && position >= this.#target);
  }
}
