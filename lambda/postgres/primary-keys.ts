/**
 * The primary-key cache: what the catalogs say of each table, read rarely and looked up from memory. Kept by the
 * handler from run to run; each run lends it a connection.
 * Decides nothing: what an entry means for a change is the transformation's to say.
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import type { Clock, EarlierEntry, Log, PrimaryKeys, TableEntry } from '../ports.ts';
import { FINGERPRINT, type TableRow, TABLES, WRITTEN } from './catalog-queries.ts';
import type { Connection } from './connection.ts';
import { Snapshot } from './snapshot.ts';
import { translate } from './sql-errors.ts';

/** What {@link PrimaryKeyCache} needs. */
export interface PrimaryKeyCacheOptions {
  /** How long a reading is good, unless the fingerprint says otherwise. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is kept of one table: one that is altered in turns must not take all memory. */
const MOST_EARLIER = 16;

/**
 * What the readings said, by table. A module-scope object of the handler: one database each.
 *
 * @example
 * const keys = cache.over(connection);
 * await keys.refreshIfStale(position);
 * keys.current(change.table)?.key;
 */
export class PrimaryKeyCache {
  readonly #options: PrimaryKeyCacheOptions;
  #current = new Map<string, TableEntry>();
  #byOid = new Map<number, TableEntry>();
  readonly #earlier = new Map<string, readonly EarlierEntry[]>();
  #fingerprint: string | undefined;
  #snapshot: Snapshot | undefined;
  #virtuals = false;
  #readAt = -Infinity;
  #version = 0;

  /** @param options - time to live, clock, log */
  constructor(options: PrimaryKeyCacheOptions) {
    this.#options = options;
  }

  /**
   * The cache as a run's port.
   *
   * @param connection - read through; to the database that the cache is of
   */
  over(connection: Connection): PrimaryKeys {
    const version = () => this.#version;
    return {
      get version() {
        return version();
      },
      current: (table) => this.#current.get(table.printed),
      earlier: (table) => this.#earlier.get(table.printed) ?? [],
      byOid: (oid) => this.#byOid.get(oid),
      isOver: (xid) => this.#snapshot?.isOver(xid) === true,
      reload: () => this.#reload(connection),
      refreshIfStale: (consumed) => this.#refreshIfStale(connection, consumed),
    };
  }

  async #refreshIfStale(connection: Connection, consumed: Lsn): Promise<void> {
    this.#forget(consumed);
    if (this.#fingerprint === undefined || this.#options.clock.now() - this.#readAt >= this.#options.ttlMs) {
      await this.#reload(connection);
      return;
    }
    const look = await this.#look(connection);
    if (look.print === this.#fingerprint) this.#snapshot = look.snapshot;
    else await this.#reload(connection);
  }

  async #reload(connection: Connection): Promise<number> {
    const readAt = this.#options.clock.now();
    // The fingerprint first: what changes between the two is then read again next time, rather than never. And its
    // snapshot is the older one: what was over in it was over in the reading's.
    let before: Look;
    let rows: TableRow[];
    for (;;) {
      before = await this.#look(connection);
      rows = (await ask(connection, TABLES(connection.versionNum))) as unknown as TableRow[];
      // The first virtual column, or the last: the fingerprint takes another form.
      const virtuals = rows.some((row) => row.virtual !== null);
      if (virtuals === this.#virtuals) break;
      this.#virtuals = virtuals;
    }
    const next = new Map<string, TableEntry>();
    for (const row of rows) next.set(row.printed, toEntry(row));
    // Asked last: what the reading no longer shows was undone by then.
    const written = parseLsn(String((await ask(connection, WRITTEN))[0]?.['lsn'])) ?? 0n;
    if (this.#take(next, written)) this.#version++;
    this.#fingerprint = before.print;
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

  async #look(connection: Connection): Promise<Look> {
    const [row] = await ask(connection, FINGERPRINT(this.#virtuals));
    return { print: String(row?.['print']), snapshot: new Snapshot(String(row?.['snapshot'])) };
  }

  /** Entries that did not change stay the same objects. @returns whether anything changed */
  #take(next: Map<string, TableEntry>, written: Lsn): boolean {
    let changed = this.#version === 0 || next.size !== this.#current.size;
    for (const [name, old] of this.#current) {
      const entry = next.get(name);
      if (entry !== undefined && same(entry, old)) {
        next.set(name, old);
        continue;
      }
      changed = true;
      const earlier = this.#earlier.get(name) ?? [];
      this.#earlier.set(name, [{ ...old, until: written }, ...earlier].slice(0, MOST_EARLIER));
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
  readonly print: string;
  readonly snapshot: Snapshot;
}

function toEntry(row: TableRow): TableEntry {
  return {
    oid: row.oid,
    name: row.name,
    isTable: row.is_table,
    key: row.key ?? [],
    ancestors: row.ancestors ?? [],
    ancestorsSince: row.changed ?? undefined,
    virtualColumns: row.virtual ?? [],
    identityHoldsKey: row.holds,
  };
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
