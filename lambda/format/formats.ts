/**
 * The table of formats: what FORMAT may say.
 *
 * To add one, see docs/contributing.md: it has a file of its own beside this one, a row here, and its name in the
 * settings of both sides; the compiler or a test names each place that lacks it.
 */
import { csv } from './csv.ts';
import { csvPayload } from './csv-payload.ts';
import { debezium } from './debezium/debezium.ts';
import { dms } from './dms/dms.ts';
import { json } from './json/json.ts';
import { moduleFormat } from './module/module.ts';
import type { MakeFormat } from './record.ts';

/** Every format by its name: makes it. */
export const FORMATS = {
  csv,
  'csv-payload': csvPayload,
  json,
  debezium,
  dms,
  module: moduleFormat,
} as const satisfies Record<string, MakeFormat>;
