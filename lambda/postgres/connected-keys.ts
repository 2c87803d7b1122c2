/**
 * The primary-key cache as a run's port: with the connection that it is read through, and with what else is read from the
 * catalogs once a batch, as whatever a batch holds was committed before. Does not know what that is.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { TableName } from '../decode/messages.ts';
import type { EarlierEntry, PrimaryKeys, TableEntry } from '../ports/catalogs.ts';
import type { Connection } from './connection.ts';
import type { PrimaryKeyCache } from './primary-key-cache.ts';

/** A class, as each change asks for `version`: a getter of an object literal is looked up anew each time. */
export class ConnectedKeys implements PrimaryKeys {
  readonly #cache: PrimaryKeyCache;
  readonly #connection: Connection;
  readonly #slotName: string;
  readonly #readMore: (consumed: Lsn) => Promise<void>;

  /**
   * @param cache - what was read
   * @param connection - read through; to the database that the cache is of
   * @param slotName - whose changes are asked about @default none's: only readings are
   * @param readMore - the other reading of the catalogs; given the slot's position @default none
   */
  constructor(
    cache: PrimaryKeyCache,
    connection: Connection,
    slotName = '',
    readMore: (consumed: Lsn) => Promise<void> = () => Promise.resolve(),
  ) {
    this.#cache = cache;
    this.#connection = connection;
    this.#slotName = slotName;
    this.#readMore = readMore;
  }

  get version(): number {
    return this.#cache.version;
  }

  get overBefore(): number | undefined {
    return this.#cache.overBefore;
  }

  current(table: TableName): TableEntry | undefined {
    return this.#cache.current(table);
  }

  earlier(table: TableName): readonly EarlierEntry[] {
    return this.#cache.earlier(table);
  }

  tables(): Iterable<TableEntry> {
    return this.#cache.tables();
  }

  byOid(oid: number): TableEntry | undefined {
    return this.#cache.byOid(oid);
  }

  isOver(xid: number): boolean {
    return this.#cache.isOver(xid);
  }

  async reload(): Promise<number> {
    return await this.#cache.reload(this.#connection, this.#slotName);
  }

  async refreshIfStale(consumed: Lsn): Promise<void> {
    // In this order: the snapshot that isOver() speaks of is the older one.
    await Promise.all([
      this.#cache.refreshIfStale(this.#connection, this.#slotName, consumed),
      this.#readMore(consumed),
    ]);
  }
}
