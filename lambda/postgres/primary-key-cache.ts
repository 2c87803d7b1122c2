/**
 * The primary-key cache: what the catalogs say of each table, read rarely and looked up from memory. Kept by the
 * handler from run to run; each run lends it a connection.
 * Decides nothing: what an entry means for a change is the transformation's to say.
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import type { TableName } from '../decode/messages.ts';
import type { EarlierEntry, TableEntry } from '../ports/catalogs.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import type { Connection } from './connection.ts';
import { MvccSnapshot } from './mvcc-snapshot.ts';
import { translate } from './sql-errors.ts';
import { FINGERPRINT, type TableRow, TABLES, WAL_POSITION } from './table-queries.ts';
import type { KeyHistoryState } from './wal-key-history.ts';

/** What {@link PrimaryKeyCache} needs. */
export interface PrimaryKeyCacheOptions {
  /** How long a reading is good, unless the fingerprint says otherwise. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Whether lists say what must not be seen: then migrations that were taken back are looked for, too.
   *
   * @default false
   */
  readonly hasExclusions?: boolean;
}

/** What is kept of one table: one that is altered in turns must not take all memory. */
const MAX_EARLIER_KEYS = 16;
/** What `age()` says of the ids that belong to no transaction. */
const FROZEN_AGE = 2 ** 31 - 1;

/**
 * What the readings said, by table. A module-scope object of the handler: one database each. What a run has of it
 * is in `connected-keys.ts`, what its methods mean in `ports/catalogs.ts`.
 */
export class PrimaryKeyCache {
  /** What is known about whether the server can show primary keys at write time. */
  readonly history: KeyHistoryState = { refused: undefined, isRefusalLogged: false };
  readonly #options: PrimaryKeyCacheOptions;
  #current = new Map<string, TableEntry>();
  #byOid = new Map<number, TableEntry>();
  readonly #earlier = new Map<string, readonly EarlierEntry[]>();
  #fingerprint: string | undefined;
  #snapshot: MvccSnapshot | undefined;
  #overBefore: number | undefined;
  /** The end of WAL at the last look, and at the last but one that saw what is current. */
  #lookedAt: Lsn = 0n;
  #knownUntil: Lsn = 0n;
  #virtuals = false;
  #readAt = -Infinity;
  #version = 0;

  /** @param options - time to live, clock, log */
  constructor(options: PrimaryKeyCacheOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#version;
  }

  get overBefore(): number | undefined {
    return this.#overBefore;
  }

  current(table: TableName): TableEntry | undefined {
    return this.#current.get(table.printed);
  }

  earlier(table: TableName): readonly EarlierEntry[] {
    return this.#earlier.get(table.printed) ?? [];
  }

  tables(): Iterable<TableEntry> {
    return this.#current.values();
  }

  byOid(oid: number): TableEntry | undefined {
    return this.#byOid.get(oid);
  }

  isOver(xid: number): boolean {
    return this.#snapshot?.isOver(xid) === true;
  }

  /**
   * As in `ports/catalogs.ts`.
   *
   * @param connection - read through; to the database that the cache is of
   * @param slotName - whose changes are asked about
   * @param consumed - the slot's position
   */
  async refreshIfStale(connection: Connection, slotName: string, consumed: Lsn): Promise<void> {
    this.#forget(consumed);
    if (this.#fingerprint === undefined || this.#options.clock.now() - this.#readAt >= this.#options.ttlMs) {
      await this.reload(connection, slotName);
      return;
    }
    // A position from before the look: the look's own may be younger than what it saw.
    const { look, before } = { before: this.#lookedAt, look: await this.#look(connection, slotName) };
    if (look.fingerprint === this.#fingerprint) {
      this.#snapshot = look.snapshot;
      this.#knownUntil = before;
    } else await this.reload(connection, slotName);
  }

  /**
   * As in `ports/catalogs.ts`.
   *
   * @param connection - read through; to the database that the cache is of
   * @param slotName - whose changes are asked about
   */
  async reload(connection: Connection, slotName: string): Promise<number> {
    const readAt = this.#options.clock.now();
    // The fingerprint first: what changes between the two is then read again next time, rather than never. And its
    // snapshot is the older one: what was over in it was over in the reading's.
    let before: Look;
    let rows: TableRow[];
    for (;;) {
      before = await this.#look(connection, slotName);
      const text = TABLES(connection.versionNum, this.#options.hasExclusions === true);
      rows = (await ask(connection, text)) as unknown as TableRow[];
      // The first virtual column, or the last: the fingerprint takes another form.
      const virtuals = rows.some((row) => row.virtual !== null);
      if (virtuals === this.#virtuals) break;
      this.#virtuals = virtuals;
    }
    // Asked last: what the reading no longer shows was over by then, and what begins later was written after it.
    const [last] = await ask(connection, WAL_POSITION);
    const written = parseLsn(String(last?.['lsn'])) ?? 0n;
    const seenFrom = new MvccSnapshot(String(last?.['snapshot'])).next;
    const next = new Map<string, TableEntry>();
    for (const row of rows) next.set(row.printed, toEntry(row, seenFrom));
    if (this.#take(next, written)) this.#version++;
    this.#knownUntil = before.lsn;
    this.#fingerprint = before.fingerprint;
    this.#snapshot = before.snapshot;
    this.#readAt = readAt;
    const keyed = rows.filter((row) => row.key !== null).length;
    this.#options.log.debug('Read the primary keys.', {
      tables: rows.length,
      keyed,
      version: this.#version,
      milliseconds: this.#options.clock.now() - readAt,
    });
    return keyed;
  }

  async #look(connection: Connection, slotName: string): Promise<Look> {
    const versions = this.#options.hasExclusions === true;
    const [row] = await ask(connection, FINGERPRINT(connection.versionNum, this.#virtuals, slotName, versions));
    this.#lookedAt = parseLsn(String(row?.['lsn'])) ?? 0n;
    this.#overBefore = row?.['over'] === null ? undefined : Number(row?.['over']);
    const snapshot = new MvccSnapshot(String(row?.['snapshot']));
    return { fingerprint: String(row?.['print']), snapshot, lsn: this.#lookedAt };
  }

  /** Entries that did not change stay the same objects. @returns whether anything changed */
  #take(next: Map<string, TableEntry>, written: Lsn): boolean {
    let changed = this.#version === 0 || next.size !== this.#current.size;
    for (const [name, old] of this.#current) {
      const entry = next.get(name);
      if (entry !== undefined && same(entry, old)) {
        // The same again, after it may have been another for a while: only then is it a new entry.
        if (entry.keySince === old.keySince && isAlteredAlike(entry, old)) {
          next.set(name, old);
          continue;
        }
      }
      changed = true;
      const earlier = this.#earlier.get(name) ?? [];
      const last = { ...old, until: written, knownUntil: this.#knownUntil };
      this.#earlier.set(name, [last, ...earlier].slice(0, MAX_EARLIER_KEYS));
    }
    this.#current = next;
    this.#byOid = new Map(Array.from(next.values(), (entry) => [entry.oid, entry]));
    return changed;
  }

  /** Forgets what was only true of changes that the slot has passed. */
  #forget(consumed: Lsn): void {
    let forgotten = false;
    for (const [name, entries] of this.#earlier) {
      const left = entries.filter(({ until }) => until > consumed);
      if (left.length === entries.length) continue;
      forgotten = true;
      if (left.length === 0) this.#earlier.delete(name);
      else this.#earlier.set(name, left);
    }
    if (forgotten) this.#version++;
  }
}

/** What one look at the catalogs gives. */
interface Look {
  readonly fingerprint: string;
  readonly snapshot: MvccSnapshot;
  /** The end of WAL, at the look or a little later. */
  readonly lsn: Lsn;
}

function toEntry(row: TableRow, seenFrom: number): TableEntry {
  return {
    oid: row.oid,
    printed: row.printed,
    schema: row.schema,
    name: row.name,
    isTable: row.is_table,
    key: row.key ?? [],
    ancestors: row.ancestors ?? [],
    ancestorsSince: row.changed ?? undefined,
    alteredBy: row.ages === null ? [] : transactionsOf(row.ages, row.next),
    keySince: row.key === null ? undefined : (row.key_since ?? undefined),
    seenFrom,
    virtualColumns: row.virtual ?? [],
    identityHoldsKey: row.holds,
  };
}

/** @param ages - how many transactions ago @param next - the transaction of age 0 */
function transactionsOf(ages: readonly (number | null)[], next: number): number[] {
  const known = ages.filter((age) => age !== null && age < FROZEN_AGE);
  return [...new Set(known.map((age) => (next - (age ?? 0)) >>> 0))].sort((a, b) => a - b);
}

function isAlteredAlike(a: TableEntry, b: TableEntry): boolean {
  return a.ancestorsSince === b.ancestorsSince && String(a.alteredBy) === String(b.alteredBy);
}

function same(a: TableEntry, b: TableEntry): boolean {
  return (
    a.oid === b.oid &&
    a.isTable === b.isTable &&
    a.identityHoldsKey === b.identityHoldsKey &&
    equal(a.key, b.key) &&
    equal(a.ancestors, b.ancestors) &&
    equal(a.virtualColumns, b.virtualColumns)
  );
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

async function ask(connection: Connection, text: string): Promise<Record<string, unknown>[]> {
  try {
    return (await connection.query(text)).rows;
  } catch (error) {
    throw translate(error, connection.context) ?? error;
  }
}
