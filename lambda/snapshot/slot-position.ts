/**
 * How far the slot may be advanced during a snapshot: to right before the newest message that holds the whole state, once all that
 * was read before that message is acknowledged. Pure; knows positions only.
 */
import type { Lsn } from '../decode/lsn.ts';

/** The slot's position, as far as a snapshot decides it. */
export class SlotPosition {
  /** Right behind the newest COMMIT, or message outside transactions, that was read. */
  #read: Lsn = 0n;
  #allowed: Lsn = 0n;
  #allowedOnceAcknowledged: Lsn | undefined;
  /** Nothing is under way any more, but not everything is acknowledged. */
  #isEnding = false;
  #isAbandoned = false;

  /** @param position - where the slot is. Called once, before anything is read */
  begin(position: Lsn): void {
    this.#read = this.#allowed = position;
  }

  /** Whether the slot stays where it is until the run ends. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /**
   * @param isUnderWay - whether a snapshot is
   * @returns the farthest position that the slot may be advanced to; undefined: there is no bound
   */
  bound(isUnderWay: boolean): Lsn | undefined {
    return isUnderWay || this.#isEnding || this.#isAbandoned ? this.#allowed : undefined;
  }

  /** @param lsn - the position right behind a COMMIT that was read */
  passCommit(lsn: Lsn): void {
    if (lsn > this.#read) this.#read = lsn;
  }

  /**
   * A message outside transactions was read.
   *
   * @param lsn - the position right behind it
   * @returns the position right before it; undefined: it was read before, as each peek begins where the slot is
   */
  passMessage(lsn: Lsn): Lsn | undefined {
    if (lsn <= this.#read) return undefined;
    const before = this.#read;
    this.#read = lsn;
    return before;
  }

  /** @param before - the position right before a message that holds the whole state */
  allowOnceAcknowledged(before: Lsn): void {
    this.#allowedOnceAcknowledged = before;
  }

  /**
   * Everything that was read so far is acknowledged.
   *
   * @param isMessageAwaited - whether a message that was written is yet to be read
   */
  acknowledged(isMessageAwaited: boolean): void {
    if (this.#isAbandoned) return;
    this.#allowed = this.#allowedOnceAcknowledged ?? this.#allowed;
    this.#allowedOnceAcknowledged = undefined;
    if (!isMessageAwaited) this.#isEnding = false;
  }

  /** Nothing is under way any more: the bound falls when everything is acknowledged. */
  end(): void {
    this.#isEnding = true;
  }

  /** The slot stays where it is. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** Nothing is under way here any more. */
  release(): void {
    this.#allowedOnceAcknowledged = undefined;
    this.#isEnding = this.#isAbandoned = false;
  }
}
