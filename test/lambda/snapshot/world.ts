/**
 * PostgreSQL as a snapshot meets it, in memory: row versions with their transactions, commits in the order of the WAL and
 * visible later, values that an UPDATE does not send, keys that rows are moved to, TRUNCATE. Row locks as the server's: a
 * row is written by one transaction at a time, and by the next only once that one is visible.
 */

/** A row: one column that is always sent, and one that is not sent where it did not change. */
export interface Row {
  readonly v: number;
  readonly big: string;
}

/** One change as the WAL has it. */
export interface Op {
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';
  readonly key: number;
  /** Given where the row is moved. */
  readonly oldKey?: number;
  readonly v?: number;
  /** Undefined: it did not change, and is not sent. */
  readonly big?: string | undefined;
}

/** What is in the WAL, in order. */
export type Entry =
  | { readonly kind: 'commit'; readonly xid: number; readonly ops: readonly Op[] }
  | { readonly kind: 'message'; readonly content: string };

interface Version {
  readonly xid: number;
  readonly row: Row | undefined;
}

interface Transaction {
  readonly xid: number;
  readonly ops: Op[];
  /** Whether its commit is slow to be seen: it waits for a standby. */
  readonly isSlow: boolean;
  isCommitted: boolean;
}

/** How many keys there are: 0 to KEYS - 1. */
export const KEYS = 12;
/** So that histories end. */
const MAX_TRANSACTIONS = 100;

/** A generator of numbers in [0, 1). @param seed - the same gives the same */
export function randomBy(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What one MVCC snapshot sees. */
export interface View {
  sees(xid: number): boolean;
  row(key: number): Row | undefined;
  /** The oldest transaction in progress, or else the next. */
  readonly xmin: number;
}

/** The server. */
export class World {
  readonly wal: Entry[] = [];
  readonly #random: () => number;
  readonly #versions: Version[][] = [];
  readonly #open: Transaction[] = [];
  readonly #aborted = new Set<number>();
  readonly #inProgress = new Set<number>();
  #nextXid = 1;
  #value = 1;

  constructor(random: () => number) {
    this.#random = random;
    for (let key = 0; key < KEYS; key++)
      this.#versions.push(random() < 0.7 ? [{ xid: 0, row: { v: this.#value++, big: `B${this.#value++}` } }] : []);
  }

  /** The next transaction id. */
  get nextXid(): number {
    return this.#nextXid;
  }

  get isQuiet(): boolean {
    return this.#open.length === 0;
  }

  isOver(xid: number): boolean {
    return !this.#inProgress.has(xid);
  }

  view(): View {
    const running = new Set(this.#inProgress);
    const next = this.#nextXid;
    const sees = (xid: number) => xid < next && !running.has(xid) && !this.#aborted.has(xid);
    return {
      sees,
      xmin: Math.min(next, ...running),
      row: (key) => this.#versions[key]?.findLast(({ xid }) => sees(xid))?.row,
    };
  }

  /** What the rows are worth at a place of the WAL. */
  rowsAt(place: number): Map<number, Row> {
    const rows = new Map<number, Row>();
    this.#versions.forEach((versions, key) => {
      const first = versions[0];
      if (first?.xid === 0 && first.row !== undefined) rows.set(key, first.row);
    });
    for (const entry of this.wal.slice(0, place)) {
      for (const { operation, key, oldKey, v = 0, big } of entry.kind === 'commit' ? entry.ops : []) {
        const old = rows.get(oldKey ?? key);
        if (operation === 'TRUNCATE') rows.clear();
        else rows.delete(oldKey ?? key);
        if (operation === 'INSERT' || operation === 'UPDATE') rows.set(key, { v, big: big ?? old?.big ?? '?' });
      }
    }
    return rows;
  }

  /** One step of one of the writers. */
  write(): void {
    const transaction = this.#open[Math.floor(this.#random() * this.#open.length)];
    if (this.#open.length < 3 && this.#nextXid < MAX_TRANSACTIONS && this.#random() < 0.25) this.#begin();
    else if (transaction?.isCommitted === true) {
      if (this.#random() < (transaction.isSlow ? 0.03 : 0.7)) this.#end(transaction);
    } else if (transaction !== undefined) {
      if (transaction.ops.length === 0 || this.#random() < 0.6) this.#change(transaction);
      else if (this.#random() < 0.1) this.#abort(transaction);
      else this.#commit(transaction);
    }
  }

  /** Lets all writers end, in any order. */
  finish(): void {
    while (this.#open.length > 0) {
      const transaction = this.#open[Math.floor(this.#random() * this.#open.length)];
      if (transaction === undefined) continue;
      if (transaction.isCommitted) this.#end(transaction);
      else if (transaction.ops.length === 0) this.#abort(transaction);
      else this.#commit(transaction);
    }
  }

  #begin(): void {
    const xid = this.#nextXid++;
    this.#inProgress.add(xid);
    this.#open.push({ xid, ops: [], isSlow: this.#random() < 0.3, isCommitted: false });
  }

  #commit(transaction: Transaction): void {
    transaction.isCommitted = true;
    this.wal.push({ kind: 'commit', xid: transaction.xid, ops: transaction.ops });
  }

  #abort(transaction: Transaction): void {
    this.#aborted.add(transaction.xid);
    this.#end(transaction);
  }

  #end(transaction: Transaction): void {
    this.#inProgress.delete(transaction.xid);
    this.#open.splice(this.#open.indexOf(transaction), 1);
  }

  /** The newest version that was not rolled back, unless another transaction has it locked. */
  #lock(key: number, xid: number): { readonly row: Row | undefined } | undefined {
    const version = this.#versions[key]?.findLast((each) => !this.#aborted.has(each.xid));
    if (version !== undefined && version.xid !== xid && this.#inProgress.has(version.xid)) return undefined;
    return { row: version?.row };
  }

  #put(key: number, xid: number, row: Row | undefined): void {
    this.#versions[key]?.push({ xid, row });
  }

  #change({ xid, ops }: Transaction): void {
    const kind = this.#random();
    if (kind < 0.03) return this.#truncate(xid, ops);
    const key = Math.floor(this.#random() * KEYS);
    const locked = this.#lock(key, xid);
    if (locked === undefined) return;
    const { row } = locked;
    const v = this.#value++;
    const big = `B${v}`;
    if (row === undefined) {
      this.#put(key, xid, { v, big });
      ops.push({ operation: 'INSERT', key, v, big });
    } else if (kind < 0.2) {
      this.#put(key, xid, undefined);
      ops.push({ operation: 'DELETE', key });
    } else if (kind < 0.6) {
      this.#put(key, xid, { v, big: row.big });
      ops.push({ operation: 'UPDATE', key, v, big: undefined });
    } else if (kind < 0.7) {
      this.#put(key, xid, { v, big });
      ops.push({ operation: 'UPDATE', key, v, big });
    } else {
      const to = Math.floor(this.#random() * KEYS);
      const target = this.#lock(to, xid);
      if (to === key || target === undefined || target.row !== undefined) return;
      this.#put(key, xid, undefined);
      this.#put(to, xid, { v, big: row.big });
      ops.push({ operation: 'UPDATE', key: to, oldKey: key, v, big: undefined });
    }
  }

  /** It locks the whole table: nobody else may have written to it. */
  #truncate(xid: number, ops: Op[]): void {
    const keys = [...this.#versions.keys()];
    if (this.#open.some((other) => other.xid !== xid && other.ops.length > 0)) return;
    for (const key of keys) this.#put(key, xid, undefined);
    ops.push({ operation: 'TRUNCATE', key: 0 });
  }
}
