/**
 * The table of formats: what FORMAT may say.
 *
 * To add one: write a file beside this one that exports a function `(options: FormatOptions) => Format` (`MakeFormat`), and
 * give it a row here under the name that FORMAT shall have; config, command line and stack take the names from this table. A
 * format is called for every change, with a record that is valid during the call only, and appends bytes: encode
 * what a table or a transaction repeats once (`memo.ts`), and text through `text.ts`. It answers for two things: that a
 * record never holds a raw line break if it is to go with AGGREGATION=lines, and that its bytes are the same when the
 * same change is read again. Add its cases to the tests in test/lambda/format, and its page to the README.
 */
import { csv } from './csv.ts';
import { csvPayload } from './csv-payload.ts';
import { json } from './json.ts';
import type { MakeFormat } from './record.ts';

/** Every format by its name: makes it. */
export const FORMATS = {
  csv,
  'csv-payload': csvPayload,
  json,
} as const satisfies Record<string, MakeFormat>;

/** A format's name. */
export type FormatName = keyof typeof FORMATS;
