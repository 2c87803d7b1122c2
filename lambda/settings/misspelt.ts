/**
 * Variables that look like a setting's name misspelt, which have no effect and are not noticed otherwise. Pure; shows
 * names only, never a value (I10).
 */
import { type SettingName, SETTINGS } from './settings-table.ts';

const NAMES = Object.keys(SETTINGS) as SettingName[];

/** libpq's variables and those of common tools, which are near a setting's name and are something else. */
const OTHERS = new Set(
  `PGHOSTADDR PGPASSFILE PGSSLCERT PGSSLKEY PGSSLCRL PGSSLSNI PGOPTIONS PGAPPNAME PGSERVICE PGDATA PGDATESTYLE PGTZ
   PGGSSENCMODE PGREQUIRESSL PGSSLCOMPRESSION PGUSERNAME LOG_FORMAT LOGNAME LINES COLUMNS`.split(/\s+/),
);

/** From this length on two letters may be wrong; below it one. */
const LONG = 9;

/**
 * Finds variables whose name is nearly a setting's.
 *
 * @param env - the environment's variables
 * @returns a sentence for each
 *
 * @example misspeltSettings({ STREAMNAME: 'orders' }) // ['STREAMNAME is set, but is no setting and has no effect: is STREAM_NAME meant?']
 */
export function misspeltSettings(env: Readonly<Record<string, string | undefined>>): string[] {
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || Object.hasOwn(SETTINGS, name) || OTHERS.has(name) || !/^\w{4,40}$/.test(name)) continue;
    const meant = nearest(name);
    if (meant !== undefined) {
      warnings.push(`${name} is set, but is no setting and has no effect: is ${meant} meant?`);
    }
  }
  return warnings;
}

/** The setting whose name is nearest; undefined where none is near. */
function nearest(name: string): SettingName | undefined {
  const plain = withoutSeparators(name);
  let best: SettingName | undefined;
  let least = Infinity;
  for (const known of NAMES) {
    const distance = lettersBetween(plain, withoutSeparators(known));
    if (distance < least) [best, least] = [known, distance];
  }
  if (least <= (Math.min(plain.length, (best ?? '').length) >= LONG ? 2 : 1)) return best;
  return NAMES.find((known) => isPartOf(name, known));
}

function withoutSeparators(name: string): string {
  return name.toUpperCase().replaceAll('_', '');
}

/** TABLE_EXCLUDE is part of TABLE_EXCLUDE_LIST: the same words from the beginning, at least two of them. */
function isPartOf(name: string, known: string): boolean {
  const words = name.toUpperCase().split('_').map(singular);
  const full = known.split('_').map(singular);
  return words.length >= 2 && words.length < full.length && words.every((word, index) => word === full[index]);
}

function singular(word: string): string {
  return word.replace(/S$/, '');
}

/** How many letters to put in, take out, change, or swap with their neighbour. */
function lettersBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return Infinity;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min((row[j - 1] ?? 0) + (same ? 0 : 1), (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row.at(-1) ?? 0;
}
