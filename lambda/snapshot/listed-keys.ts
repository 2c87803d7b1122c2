/**
 * Which keys the list of rows to be read again holds, by one look-up: with each change of a table that is being read it is asked, and
 * holds thousands. Pure.
 */
import { keyText, type KeyValues } from './chunk.ts';

/** The keys of the list that was asked for last. */
export class ListedKeys {
  #list: readonly KeyValues[] = [];
  #texts = new Set<string>();

  /**
   * @param list - any list
   * @param text - of a key, by {@link keyText}
   */
  has(list: readonly KeyValues[], text: string): boolean {
    if (list !== this.#list) {
      this.#list = list;
      this.#texts = new Set(list.map(keyText));
    }
    return this.#texts.has(text);
  }

  /**
   * @param longer - the list that was asked for last, with one more key
   * @param text - that key's
   */
  added(longer: readonly KeyValues[], text: string): void {
    this.#list = longer;
    this.#texts.add(text);
  }
}
