/** Names that are no setting's: most often one is meant, and misspelt. Pure. */
import { STACK_SETTINGS } from './stack-settings-table.ts';

/** @param name - one that is no setting's @returns the end of a sentence about it, with the nearest known name */
export function isNoSetting(name: string): string {
  // TABLES_EXCLUDE_LIST is near tableExcludeList, too.
  const plain = name.toLowerCase().replace(/[-_]/g, '');
  const names = Object.keys(STACK_SETTINGS);
  const near =
    names.find((known) => known.toLowerCase() === plain) ??
    names.find((known) => distance(known.toLowerCase(), plain) <= 2);
  return `is no setting${near === undefined ? '.' : `; is ${near} meant?`} The settings' names are listed below.`;
}

/** How many letters to put in, take out or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(
        Math.min((row[j] ?? 0) + (a.charAt(i) === b.charAt(j) ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1),
      );
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
