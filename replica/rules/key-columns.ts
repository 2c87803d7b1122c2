/**
 * Notices that the key of a table has other columns than before: its primary key was changed at the source. Keys with different
 * columns cannot be compared, so they are written apart. Pure.
 */
import { eachMember } from './json-text.ts';
import type { Change } from './record.ts';

/** The columns of each table's key, as changes come. */
export class KeyColumns {
  readonly #tables = new Map<string, Map<string, string>>();

  /** @param change - the next @returns whether its key has other columns than those of its table before */
  areOther({ schema, table, key }: Pick<Change, 'schema' | 'table' | 'key'>): boolean {
    if (key === undefined) return false;
    let tables = this.#tables.get(schema);
    if (tables === undefined) this.#tables.set(schema, (tables = new Map<string, string>()));
    const known = tables.get(table);
    const columns = columnsOf(key);
    if (known === columns) return false;
    tables.set(table, columns);
    return known !== undefined;
  }
}

/** @param key - as a record has it @returns its columns, in their order, as one text */
function columnsOf(key: string): string {
  let columns = '';
  eachMember(key, (name) => (columns += `${JSON.stringify(name)},`));
  return columns;
}
