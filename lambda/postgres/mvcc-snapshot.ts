/**
 * Which transactions a statement's snapshot sees as over, by the text of `txid_current_snapshot()`.
 * Pure. The function is there from 10 to 18; its numbers have 64 bits, those of the plugin's lines have 32.
 *
 * @see https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
 */

const EPOCH = 1n << 32n;

/** What one snapshot says of transactions. */
export class MvccSnapshot {
  /** The first transaction id that was not assigned yet, 64 bits. */
  readonly #next: bigint;
  /** Transactions under way then, 64 bits. Subtransactions are not among them: the plugin prints the ids of whole transactions. */
  readonly #running: ReadonlySet<bigint>;

  /**
   * @param text - `xmin:xmax:xip,xip,...`
   * @throws {TypeError} when it is none
   */
  constructor(text: string) {
    const [, next, running] = /^\d+:(\d+):([\d,]*)$/.exec(text) ?? [];
    if (next === undefined) throw new TypeError('expected a snapshot: xmin:xmax:xip_list');
    this.#next = BigInt(next);
    this.#running = new Set((running ?? '').split(',').filter(Boolean).map(BigInt));
  }

  /** The first transaction id that was not assigned yet, 32 bits. */
  get next(): number {
    return Number(this.#next % EPOCH);
  }

  /**
   * Whether a transaction was over, so that what it did to the catalogs is seen.
   *
   * On a standby the list of those under way is empty. There a transaction is decoded only when its commit was
   * replayed, and it is seen from then on.
   *
   * @param xid - 32 bits, of a transaction at most 2^31 before or behind the next
   */
  isOver(xid: number): boolean {
    const full = this.#widen(xid);
    return full < this.#next && !this.#running.has(full);
  }

  /** Adds the epoch: the one that brings it next to the snapshot's. */
  #widen(xid: number): bigint {
    const distance = BigInt.asIntN(32, BigInt(xid) - (this.#next % EPOCH));
    return this.#next + distance;
  }
}
