/**
 * Which message of state tells a run what is under way: the first thing that it reads. Pure; knows no snapshot.
 *
 * The slot stands right before that message, as far as was seen by the publications of then. By others there may be changes
 * between the two.
 */

/** What one run has read in front of a message of state. */
export class FirstMessage {
  readonly #publications: readonly string[];
  #isTold = false;
  #isBehindChange = false;

  /** @param publications - those that the slot is read by; empty: its plugin reads none */
  constructor(publications: readonly string[]) {
    this.#publications = publications;
  }

  /** A transaction was read that changes something. */
  passChange(): void {
    this.#isBehindChange = true;
  }

  /** What is under way is known. */
  told(): void {
    this.#isTold = true;
  }

  /**
   * @param publications - by which the slot was read when the message was written; undefined: it does not say
   * @returns whether the message tells what is under way. Else it is a leftover, of this run or of one that failed
   */
  isToBeTaken(publications: readonly string[] | undefined): boolean {
    if (this.#isTold) return false;
    return !this.#isBehindChange || (publications !== undefined && !isSame(publications, this.#publications));
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name) => others.includes(name));
}
