/**
 * What synthesis has to know of each format. The function's own table is `lambda/settings/format-facts.ts`; a test compares
 * the two.
 */

/** What is known of a format. */
interface FormatFacts {
  /** Whether it has a record for a logical message. */
  readonly hasMessages: boolean;
  /** Whether each record is one JSON object, which Lambda's filters can look into. */
  readonly isJson: boolean;
}

/** Every format by its name. */
export const FORMAT_FACTS = {
  csv: { hasMessages: false, isJson: false },
  'csv-payload': { hasMessages: false, isJson: false },
  json: { hasMessages: true, isJson: true },
  debezium: { hasMessages: true, isJson: true },
  dms: { hasMessages: false, isJson: true },
  // A formatter of the user's own may write anything: nothing is known of it here.
  module: { hasMessages: true, isJson: true },
} as const satisfies Readonly<Record<string, FormatFacts>>;

/** A format's name. */
export type FormatName = keyof typeof FORMAT_FACTS;

/** The names of all formats. */
export const FORMAT_NAMES = Object.keys(FORMAT_FACTS) as readonly FormatName[];

/** The format where none is given. */
export const DEFAULT_FORMAT = 'csv-payload' satisfies FormatName;
