/**
 * What settings have to know of each format: the names that FORMAT takes, and what other settings have no effect with them.
 * Knows nothing of how a format writes: that is `lambda/format/`.
 */

/** What is known of a format. */
interface FormatFacts {
  /** Whether it has a record for a logical message. */
  readonly hasMessages: boolean;
  /** Whether its records hold the columns of a row, and not only its key. */
  readonly hasColumns: boolean;
  /** Whether it has a record for a DELETE whose key is not known. */
  readonly hasKeylessDelete: boolean;
}

/** Every format by its name. A test compares this with `lambda/format/formats.ts`, and with `lib/format-facts.ts`. */
export const FORMAT_FACTS = {
  csv: { hasMessages: false, hasColumns: false, hasKeylessDelete: false },
  'csv-payload': { hasMessages: false, hasColumns: false, hasKeylessDelete: false },
  json: { hasMessages: true, hasColumns: true, hasKeylessDelete: true },
  debezium: { hasMessages: true, hasColumns: true, hasKeylessDelete: true },
  dms: { hasMessages: false, hasColumns: true, hasKeylessDelete: true },
  module: { hasMessages: true, hasColumns: true, hasKeylessDelete: true },
} as const satisfies Readonly<Record<string, FormatFacts>>;

/** A format's name. */
export type FormatName = keyof typeof FORMAT_FACTS;

/** The names of all formats. */
export const FORMAT_NAMES = Object.keys(FORMAT_FACTS) as readonly FormatName[];

const LIST = new Intl.ListFormat('en-GB', { type: 'disjunction' });

/** @param fact - what is asked for @returns the formats that have it, as a sentence lists them: `json, debezium or module` */
export function formatsWith(fact: keyof FormatFacts): string {
  return LIST.format(FORMAT_NAMES.filter((name) => FORMAT_FACTS[name][fact]));
}
