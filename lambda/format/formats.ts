/**
 * The table of formats: what FORMAT may say.
 *
 * To add one: write a file beside this one that exports a function `(options: FormatOptions) => Format` (`MakeFormat`),
 * give it a row here, and name it in the setting FORMAT (`lambda/settings/settings.ts`; a test compares the two). A format is
 * called for every change, with a record that is valid during the call only, and appends bytes: encode once what a table
 * or a transaction repeats (`memo.ts`), and send text through `text.ts`. It answers for two things: that a record holds
 * no raw line break if it is to go with AGGREGATION=lines, and that its bytes are the same when the same change is read
 * again. Its cases stand in test/lambda/format, its figures in test/bench/format.bench.ts.
 */
import { csv } from './csv.ts';
import { csvPayload } from './csv-payload.ts';
import { json } from './json/json.ts';
import type { MakeFormat } from './record.ts';

/** Every format by its name: makes it. */
export const FORMATS = {
  csv,
  'csv-payload': csvPayload,
  json,
} as const satisfies Record<string, MakeFormat>;
