/** The rows of a table, as its writer knows them, with a random pick. */
import type { Random, Row } from './tables.ts';

/** A table's rows by primary key. */
export class Rows {
  readonly #key: readonly string[];
  readonly #rows: Row[] = [];
  readonly #places = new Map<string, number>();

  /** @param key - the primary key's columns */
  constructor(key: readonly string[]) {
    this.#key = key;
  }

  /** @returns how many */
  get size(): number {
    return this.#rows.length;
  }

  /** @returns a text that only rows with the same key have */
  keyOf(row: Row): string {
    return JSON.stringify(this.#key.map((column) => row[column]));
  }

  /** @param row - a row whose key is not among them */
  add(row: Row): void {
    this.#places.set(this.keyOf(row), this.#rows.push(row) - 1);
  }

  /** @param row - a row, by its key */
  delete(row: Row): void {
    const key = this.keyOf(row);
    const place = this.#places.get(key);
    const last = this.#rows.pop();
    if (place === undefined || last === undefined) throw new Error(`no row ${key}`);
    this.#places.delete(key);
    // The last row moves into the gap, so that a random pick is one look-up.
    if (place === this.#rows.length) return;
    this.#rows[place] = last;
    this.#places.set(this.keyOf(last), place);
  }

  /** Forgets them all. */
  clear(): void {
    this.#rows.length = 0;
    this.#places.clear();
  }

  /** @returns one of them, or undefined when there is none */
  any(random: Random): Row | undefined {
    return this.#rows[Math.floor(random() * this.#rows.length)];
  }
}
