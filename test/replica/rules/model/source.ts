/**
 * A model of the source: transactions in commit order, and the state after each. A key has two texts that are equal to the
 * server, as numeric has `1.0` and `1.00`. Rows have a unique column, which they swap, and one that is stored out of line.
 */
import type { Random } from './random.ts';

/** A row. */
export interface ModelRow {
  /** The key's text. */
  readonly text: string;
  readonly v: number;
  /** Unique. */
  readonly u: number | null;
  /** Out of line: not sent where it did not change. */
  readonly big: string;
}

/** A table: rows by what the server takes for their key. */
export type ModelTable = ReadonlyMap<number, ModelRow>;

/** A change, as a record has it. */
export interface ModelChange {
  readonly lsn: number;
  readonly ordinal: number;
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'READ';
  /** The key's text; undefined for a TRUNCATE. */
  readonly key: string | undefined;
  readonly newKey?: string;
  readonly oldKey?: string;
  readonly row?: Partial<ModelRow>;
  readonly unchanged?: boolean;
}

/** A transaction, or another place in the WAL. */
interface ModelTransaction {
  readonly lsn: number;
  readonly changes: readonly ModelChange[];
  readonly unread: ReadonlySet<number>;
  /** Whether a snapshot is asked for here. */
  readonly isRequest?: boolean;
}

/** What {@link ModelSource.commit} adds. */
type Draft = Omit<ModelChange, 'lsn' | 'ordinal'>;

const KEYS = 6;

/** A key's one text. Such that they are of many lanes. */
const plainText = (k: number): string => String((k + 3) * 7919);

/** @param text - of a key that has one @returns the key */
export const plainKey = (text: string): number => Number(text) / 7919 - 3;

/** A source in memory. */
export class ModelSource {
  wal: ModelTransaction[] = [];
  readonly states = new Map<number, ModelTable>([[0, new Map()]]);
  /** Keys of rows that are older than the stream, which no change has told whole yet. */
  #unread = new Set<number>();
  readonly #begun: ReadonlySet<number>;
  timeline = 1;
  readonly forks = new Map<number, number>();
  #lsn = 0;
  #value = 1;
  readonly #random: Random;
  readonly #isPlain: boolean;

  /**
   * @param isPlain - no unique column, and a key has one text: what changes that are applied as they come can bear
   * @param hasRows - whether it has rows that are older than the stream: a snapshot brings them
   */
  constructor(random: Random, isPlain = false, hasRows = false) {
    this.#random = random;
    this.#isPlain = isPlain;
    const table = new Map<number, ModelRow>();
    if (hasRows) for (let k = 0; k < KEYS; k++) this.#insert(table, k);
    this.states.set(0, table);
    this.#begun = new Set(table.keys());
    this.#unread = new Set(table.keys());
  }

  /** Keys of rows that nothing has told whole up to an LSN. */
  unreadAt(lsn: number): ReadonlySet<number> {
    return this.wal.findLast((transaction) => transaction.lsn <= lsn)?.unread ?? this.#begun;
  }

  /** Whether all rows that are older than the stream were told. */
  get isRead(): boolean {
    return this.#unread.size === 0;
  }

  /** Whether rows were read behind an LSN, and up to another. */
  hasReadBetween(after: number, upto: number): boolean {
    return this.wal.some(({ lsn, changes }) => lsn > after && lsn <= upto && changes[0]?.op === 'READ');
  }

  /** The table as it was after everything up to an LSN, without the rows that nothing has told. */
  toldAt(lsn: number): ModelTable {
    const unread = this.unreadAt(lsn);
    return new Map([...this.stateAt(lsn)].filter(([k]) => !unread.has(k)));
  }

  /** Where a snapshot was asked for. */
  requestedAt = 0;

  /** Asks for a snapshot. */
  request(): void {
    this.#lsn += 1 + this.#random.int(3);
    this.wal.push({ lsn: this.#lsn, changes: [], unread: new Set(this.#unread), isRequest: true });
    this.states.set(this.#lsn, this.stateAt(this.#lsn - 1));
    this.requestedAt = this.#lsn;
  }

  /** Reads some of the rows that are older than the stream. */
  read(): void {
    const { next } = this.#random;
    const keys = [...this.#unread].filter(() => next() < 0.4);
    if (keys.length === 0) return;
    this.#lsn += 1 + this.#random.int(3);
    const table = this.stateAt(this.flushed);
    const changes: ModelChange[] = [];
    for (const k of keys) {
      this.#unread.delete(k);
      const row = table.get(k);
      if (row !== undefined)
        changes.push({ lsn: this.#lsn, ordinal: changes.length + 1, op: 'READ', key: row.text, row });
    }
    this.#append(table, changes);
  }

  #append(table: ModelTable, changes: readonly ModelChange[]): void {
    this.wal.push({ lsn: this.#lsn, changes, unread: new Set(this.#unread) });
    this.states.set(this.#lsn, table);
  }

  get flushed(): number {
    return this.wal.at(-1)?.lsn ?? 0;
  }

  /** The table as it was after everything up to an LSN. */
  stateAt(lsn: number): ModelTable {
    const last = this.wal.findLast((transaction) => transaction.lsn <= lsn);
    return this.states.get(last?.lsn ?? 0) ?? new Map<number, ModelRow>();
  }

  /** Commits a transaction of a few changes, at times of many. */
  commit(): void {
    const { next, int } = this.#random;
    this.#lsn += 1 + int(3);
    const table = new Map(this.stateAt(this.flushed));
    const drafts: Draft[] = [];
    for (let left = next() < 0.15 ? 8 + int(12) : 1 + int(3); left > 0; left--) drafts.push(...this.#change(table));
    this.#add(table, drafts);
  }

  /** Commits a TRUNCATE between changes. */
  truncate(): void {
    this.#lsn += 1 + this.#random.int(3);
    const table = new Map(this.stateAt(this.flushed));
    const drafts = this.#change(table);
    table.clear();
    this.#unread.clear();
    drafts.push({ op: 'TRUNCATE', key: undefined }, ...this.#change(table), ...this.#change(table));
    this.#add(table, drafts);
  }

  #add(table: ModelTable, drafts: readonly Draft[]): void {
    if (drafts.length === 0) return;
    const changes = drafts.map((draft, i) => ({ ...draft, lsn: this.#lsn, ordinal: i + 1 }));
    this.#append(table, changes);
  }

  /** A standby that was behind takes over: what was committed last is lost. @returns where its history leaves this one */
  failOver(): number {
    const keep = Math.max(0, this.wal.length - 1 - this.#random.int(4));
    for (const { lsn } of this.wal.splice(keep)) this.states.delete(lsn);
    this.#lsn = this.flushed;
    this.#unread = new Set(this.unreadAt(this.#lsn));
    this.timeline++;
    const fork = this.#lsn;
    this.forks.set(this.timeline, fork);
    // The request is lost, too.
    if (this.requestedAt > fork) this.request();
    return fork;
  }

  #change(table: Map<number, ModelRow>): Draft[] {
    const { next, int } = this.#random;
    const chance = next();
    if (chance < 0.02) {
      table.clear();
      this.#unread.clear();
      return [{ op: 'TRUNCATE', key: undefined }];
    }
    const k = int(KEYS);
    const row = table.get(k);
    if (row === undefined) return this.#insert(table, k);
    if (chance < 0.2) {
      table.delete(k);
      this.#unread.delete(k);
      return [{ op: 'DELETE', key: row.text }];
    }
    if (chance < 0.35) return this.#move(table, k, row);
    if (chance < 0.5) return this.#swap(table, k, row);
    return [this.#update(table, k, { u: next() < 0.3 ? this.#free(table) : row.u }, next() < 0.3)];
  }

  #insert(table: Map<number, ModelRow>, k: number): Draft[] {
    const text = this.#isPlain ? plainText(k) : `${k}${this.#random.next() < 0.5 ? '.0' : '.00'}`;
    const row = { text, v: this.#value++, u: this.#free(table), big: `B${this.#value++}` };
    table.set(k, row);
    return [{ op: 'INSERT', key: text, row }];
  }

  #update(table: Map<number, ModelRow>, k: number, set: Partial<ModelRow>, all: boolean): Draft {
    const old = table.get(k);
    if (old === undefined) throw new Error('no row to update');
    const row = { ...old, ...set, v: this.#value++, ...(all ? { big: `B${this.#value++}` } : {}) };
    table.set(k, row);
    if (all) this.#unread.delete(k);
    if (all) return { op: 'UPDATE', key: row.text, row };
    return { op: 'UPDATE', key: row.text, row: { text: row.text, v: row.v, u: row.u }, unchanged: true };
  }

  /** Another key, at times the same one with another text. */
  #move(table: Map<number, ModelRow>, k: number, row: ModelRow): Draft[] {
    const { next, int } = this.#random;
    const to = next() < 0.3 && !this.#isPlain ? k : int(KEYS);
    if ((to !== k || this.#isPlain) && table.has(to)) return [];
    const text = this.#isPlain ? plainText(to) : `${to}${row.text.endsWith('.00') ? '.0' : '.00'}`;
    const moved = { ...row, text, v: this.#value++ };
    table.delete(k);
    table.set(to, moved);
    // The snapshot reads it there.
    if (this.#unread.delete(k)) this.#unread.add(to);
    return [
      { op: 'DELETE', key: row.text, newKey: text },
      { op: 'INSERT', key: text, oldKey: row.text, row: { text, v: moved.v, u: moved.u }, unchanged: true },
    ];
  }

  /** Two rows swap what is unique, in three steps. */
  #swap(table: Map<number, ModelRow>, k: number, row: ModelRow): Draft[] {
    const others = [...table].filter(([other, { u }]) => other !== k && u !== null);
    if (others.length === 0 || row.u === null) return [];
    const [other, { u }] = this.#random.pick(others);
    return [
      this.#update(table, k, { u: null }, false),
      this.#update(table, other, { u: row.u }, false),
      this.#update(table, k, { u }, false),
    ];
  }

  #free(table: ModelTable): number | null {
    if (this.#isPlain) return null;
    const used = new Set([...table.values()].map(({ u }) => u));
    const free = [0, 1, 2, 3, 4, 5].filter((u) => !used.has(u));
    return this.#random.next() < 0.2 || free.length === 0 ? null : this.#random.pick(free);
  }
}

/** Whether two tables are equal, in the texts of keys too. */
export function isSame(a: ModelTable, b: ModelTable): boolean {
  return (
    a.size === b.size && [...a].every(([k, row]) => JSON.stringify(sorted(row)) === JSON.stringify(sorted(b.get(k))))
  );
}

function sorted(row: ModelRow | undefined): unknown {
  return row && [row.text, row.v, row.u, row.big];
}

/** A table as text. */
export function shown(table: ModelTable): string {
  return JSON.stringify(
    [...table].sort(([a], [b]) => a - b).map(([, r]) => `${r.text}:${r.v},${r.u ?? 'null'},${r.big}`),
  );
}
