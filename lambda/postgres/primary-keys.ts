/**
 * The primary-key cache: what the catalogs say of each table, read rarely and looked up from memory. Kept by the
 * handler from run to run; each run lends it a connection.
 * Read from pg_constraint and pg_attribute: information_schema hides tables that the role has no privilege on.
 */
import type { TableName } from '../decode/messages.ts';
import type { Clock, Log, PrimaryKeys, TableEntry } from '../ports.ts';
import type { Connection } from './connection.ts';
import { translate } from './sql-errors.ts';

/** What {@link PrimaryKeyCache} needs. */
export interface PrimaryKeyCacheOptions {
  /** How long a reading is good, unless the fingerprint says otherwise. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

interface TableRow {
  readonly printed: string;
  readonly key: string[] | null;
  readonly ancestors: string[] | null;
  readonly virtual: string[] | null;
  readonly holds: boolean;
}

/**
 * What the readings said, by table. A module-scope object of the handler: one database each.
 *
 * @example
 * const keys = cache.over(connection);
 * await keys.refreshIfStale();
 * keys.current(change.table)?.key;
 */
export class PrimaryKeyCache {
  readonly #options: PrimaryKeyCacheOptions;
  #current = new Map<string, TableEntry>();
  readonly #earlier = new Map<string, TableEntry>();
  #fingerprint: unknown;
  #virtuals = false;
  #readAt = -Infinity;
  #version = 0;

  /** @param options - time to live, clock, log */
  constructor(options: PrimaryKeyCacheOptions) {
    this.#options = options;
  }

  /** How many readings changed anything. */
  get version(): number {
    return this.#version;
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
      current: (table) => this.current(table),
      earlier: (table) => this.earlier(table),
      reload: () => this.#reload(connection),
      refreshIfStale: () => this.#refreshIfStale(connection),
    };
  }

  /** @param table - by its printed name @returns what the newest reading says; undefined where it does not know the table */
  current(table: TableName): TableEntry | undefined {
    return this.#current.get(table.printed);
  }

  /** @param table - by its printed name @returns what an earlier reading said, where it differs from the newest */
  earlier(table: TableName): TableEntry | undefined {
    return this.#earlier.get(table.printed);
  }

  async #refreshIfStale(connection: Connection): Promise<void> {
    if (this.#fingerprint === undefined || this.#options.clock.now() - this.#readAt >= this.#options.ttlMs) {
      await this.#reload(connection);
    } else if ((await this.#print(connection)) !== this.#fingerprint) {
      await this.#reload(connection);
    }
  }

  async #reload(connection: Connection): Promise<number> {
    const readAt = this.#options.clock.now();
    // The fingerprint first: what changes between the two is then read again next time, rather than never.
    let before: unknown;
    let rows: TableRow[];
    for (;;) {
      before = await this.#print(connection);
      rows = (await ask(connection, TABLES(connection.versionNum))) as unknown as TableRow[];
      // The first virtual column, or the last: the fingerprint takes another form.
      const virtuals = rows.some((row) => row.virtual !== null);
      if (virtuals === this.#virtuals) break;
      this.#virtuals = virtuals;
    }
    const next = new Map<string, TableEntry>();
    for (const row of rows) {
      next.set(row.printed, {
        key: row.key ?? [],
        ancestors: row.ancestors ?? [],
        virtualColumns: row.virtual ?? [],
        identityHoldsKey: row.holds,
      });
    }
    if (this.#take(next)) this.#version++;
    this.#fingerprint = before;
    this.#readAt = readAt;
    const keyed = rows.filter((row) => row.key !== null).length;
    this.#options.log.debug('Read the primary keys.', { tables: rows.length, keyed, version: this.#version });
    return keyed;
  }

  async #print(connection: Connection): Promise<unknown> {
    return (await ask(connection, FINGERPRINT(this.#virtuals)))[0]?.['print'];
  }

  /** Entries that did not change stay the same objects. @returns whether anything changed */
  #take(next: Map<string, TableEntry>): boolean {
    let changed = this.#version === 0 || next.size !== this.#current.size;
    for (const [name, old] of this.#current) {
      const entry = next.get(name);
      if (entry !== undefined && same(entry, old)) {
        next.set(name, old);
        continue;
      }
      changed = true;
      this.#earlier.set(name, old);
    }
    for (const [name, entry] of next) {
      const earlier = this.#earlier.get(name);
      // Back as it once was: no more to be said of before.
      if (earlier !== undefined && same(earlier, entry)) this.#earlier.delete(name);
    }
    this.#current = next;
    return changed;
  }
}

function same(a: TableEntry, b: TableEntry): boolean {
  return (
    a.identityHoldsKey === b.identityHoldsKey &&
    equal(a.key, b.key) &&
    equal(a.ancestors, b.ancestors) &&
    equal(a.virtualColumns, b.virtualColumns)
  );
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

/**
 * Tables whose rows a slot can show. Temporary and unlogged ones write no WAL. The names of `pg_temp_<oid>`, under
 * which 10 shows a table's rewrite, are no table's.
 */
const IN_SCOPE = `c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`;

/** Virtual generated columns came in 18. */
const virtual = (versionNum: number) => (versionNum >= 180000 ? `a.attgenerated = 'v'` : 'false');

/**
 * All of it in one look: joined sets, no subquery a table. quote_ident is the function the plugin prints with.
 *
 * The server sends a DELETE's key under REPLICA IDENTITY FULL, and else if the replica identity's index has all of the
 * key's columns: the primary key's own does by default, unless it is deferrable.
 */
const TABLES = (versionNum: number): string => `
  WITH RECURSIVE tables AS (
    SELECT c.oid, c.relispartition, c.relreplident, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${IN_SCOPE}
  ), keys AS (
    SELECT con.conrelid, con.condeferrable, con.conkey::int2[] AS attnums,
           array_agg(quote_ident(a.attname)::text ORDER BY k.place) AS columns
      FROM pg_constraint con, unnest(con.conkey) WITH ORDINALITY k(attnum, place), pg_attribute a
     WHERE con.contype = 'p' AND a.attrelid = con.conrelid AND a.attnum = k.attnum
     GROUP BY con.oid, con.conrelid, con.condeferrable, con.conkey
  ), identities AS (
    SELECT i.indrelid, i.indkey::int2[] AS attnums FROM pg_index i WHERE i.indisreplident AND i.indislive
  ), up AS (
    SELECT t.oid AS leaf, i.inhparent AS parent, 1 AS depth FROM tables t JOIN pg_inherits i ON i.inhrelid = t.oid WHERE t.relispartition
    UNION ALL
    SELECT up.leaf, i.inhparent, up.depth + 1 FROM up JOIN pg_inherits i ON i.inhrelid = up.parent
  ), ancestors AS (
    SELECT up.leaf, array_agg(t.nspname || '.' || t.relname ORDER BY up.depth) AS names FROM up JOIN tables t ON t.oid = up.parent GROUP BY up.leaf
  ), virtuals AS (
    SELECT a.attrelid, array_agg(quote_ident(a.attname)::text ORDER BY a.attnum) AS columns FROM pg_attribute a
     WHERE a.attnum > 0 AND NOT a.attisdropped AND ${virtual(versionNum)} GROUP BY a.attrelid
  )
  SELECT quote_ident(t.nspname) || '.' || quote_ident(t.relname) AS printed, k.columns AS key, p.names AS ancestors, v.columns AS virtual,
         k.conrelid IS NOT NULL AND CASE t.relreplident WHEN 'f' THEN true WHEN 'd' THEN NOT k.condeferrable
           WHEN 'i' THEN COALESCE(k.attnums <@ i.attnums, false) ELSE false END AS holds
    FROM tables t LEFT JOIN keys k ON k.conrelid = t.oid LEFT JOIN identities i ON i.indrelid = t.oid
    LEFT JOIN ancestors p ON p.leaf = t.oid LEFT JOIN virtuals v ON v.attrelid = t.oid`;

/** A few rows' versions as one text: a row that is written gets a new xmin, whatever was changed in it. */
const versions = (from: string, xmin = 'xmin') =>
  `(SELECT count(*) || ':' || sum(hashtext(${xmin}::text)::bigint) FROM ${from})`;

/**
 * A text that changes with the set of primary keys and with the names of tables and key columns, for every run. Reads
 * again for nothing now and then; misses nothing. Over 5,000 tables it takes some 20 ms, a reading 100.
 *
 * @param virtuals - whether any are known: their renaming shows in pg_attribute only, which costs a scan; a new one
 *   shows in pg_class
 */
const FINGERPRINT = (virtuals: boolean): string => `
  SELECT concat_ws(' ',
    ${versions("pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384")},
    ${versions("pg_constraint WHERE contype = 'p'")},
    ${versions("pg_constraint con JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = ANY (con.conkey) WHERE con.contype = 'p'", 'a.xmin')},
    ${versions('pg_index WHERE indisreplident')},
    ${virtuals ? versions("pg_attribute WHERE attgenerated = 'v'") : "''"},
    ${versions('pg_namespace')}) AS print`;

async function ask(connection: Connection, text: string): Promise<Record<string, unknown>[]> {
  try {
    return (await connection.query(text)).rows;
  } catch (error) {
    throw translate(error, connection.context) ?? error;
  }
}
