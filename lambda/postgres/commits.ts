/**
 * The commits of one peek, which its first pass tells before any change: kept small, taken in order.
 * A batch of a million rows can hold 333,000 transactions: three numbers each, no objects.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';

/** A queue of commits. */
export class Commits {
  #xids = new Uint32Array(64);
  #lsns = new BigUint64Array(64);
  #micros = new BigInt64Array(64);
  #taken = 0;
  /** How many were added. */
  count = 0;

  /**
   * @param xid - the transaction's id
   * @param lsn - the LSN of its COMMIT row
   * @param micros - when it committed, microseconds since 1970
   */
  add(xid: number, lsn: Lsn, micros: bigint): void {
    if (this.count === this.#xids.length) this.#grow();
    this.#xids[this.count] = xid;
    this.#lsns[this.count] = lsn;
    this.#micros[this.count] = micros;
    this.count++;
  }

  /** @returns the next transaction, in commit order; undefined when all are taken */
  take(): Transaction | undefined {
    const i = this.#taken;
    const xid = this.#xids[i];
    const commitLsn = this.#lsns[i];
    const commitTimeMicros = this.#micros[i];
    if (i >= this.count || xid === undefined || commitLsn === undefined || commitTimeMicros === undefined)
      return undefined;
    this.#taken++;
    return { xid, commitLsn, commitTimeMicros };
  }

  /** The newest commit LSN; undefined: there is none. */
  get last(): Lsn | undefined {
    return this.count === 0 ? undefined : this.#lsns[this.count - 1];
  }

  /** Whether all are taken. */
  get empty(): boolean {
    return this.#taken === this.count;
  }

  #grow(): void {
    const size = this.count * 2;
    const xids = new Uint32Array(size);
    const lsns = new BigUint64Array(size);
    const micros = new BigInt64Array(size);
    xids.set(this.#xids);
    lsns.set(this.#lsns);
    micros.set(this.#micros);
    [this.#xids, this.#lsns, this.#micros] = [xids, lsns, micros];
  }
}
