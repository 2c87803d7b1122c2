/**
 * What the catalogs said of things that have a name or a number, kept from run to run for as long as it may be asked for: rows of
 * what was dropped since may still come, until the slot has passed the reading that no longer showed it. Knows no query but that.
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import type { Queryable } from './status-queries.ts';
import { WAL_POSITION } from './table-queries.ts';

/** Entries of the last reading, and former ones. */
export class FormerEntries<K, V> {
  #current: ReadonlyMap<K, V> = new Map();
  readonly #former = new Map<K, { readonly value: V; readonly until: Lsn }>();

  /** @returns what the last reading said, or else a former one */
  get(key: K): V | undefined {
    return this.#current.get(key) ?? this.#former.get(key)?.value;
  }

  /**
   * Takes a reading.
   *
   * @param entries - all of it
   * @param client - where it was read; asked how far the WAL is, if something is gone
   */
  async take(entries: ReadonlyMap<K, V>, client: Pick<Queryable, 'query'>): Promise<void> {
    const gone = [...this.#current].filter(([key]) => !entries.has(key));
    if (gone.length > 0) {
      // Asked after the reading: what that no longer shows was dropped by then, and its last row written before.
      const { rows } = await client.query(WAL_POSITION);
      const until = parseLsn(String(rows[0]?.['lsn']));
      if (until === undefined) throw new Error('the server gave no position of its WAL');
      for (const [key, value] of gone) this.#former.set(key, { value, until });
    }
    this.#current = entries;
  }

  /** Forgets what was gone before everything that is unread was written. @param consumed - the slot's position */
  forget(consumed: Lsn): void {
    for (const [key, { until }] of this.#former) if (until <= consumed) this.#former.delete(key);
  }
}
