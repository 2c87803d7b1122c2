/**
 * The golden files of the envelopes of others: `test/golden/`. Each record is a file of its own; the values of all types are
 * in a table, `types.tsv`.
 */
import { readFileSync } from 'node:fs';
import { quote } from './changes.ts';

/** How a value of a type is written. */
export interface GoldenValue {
  /** As the plugin names it. */
  readonly type: string;
  /** `NAME=value` where the value is so with that setting only; else empty. */
  readonly setting: string;
  /** The server's text; `NULL`; or `(not sent)`, of a value stored out of line. */
  readonly text: string;
  /** What stands in the record, or `(left out)`. */
  readonly json: string;
}

/**
 * @param format - the folder
 * @param name - the file's, with what follows the dot
 * @returns its text, without a line break at the end
 */
export function goldenFile(format: 'debezium' | 'dms', name: string): string {
  return readFileSync(new URL(`../golden/${format}/${name}`, import.meta.url), 'utf8').replace(/\n$/, '');
}

/**
 * @param format - the folder
 * @returns the rows of its `types.tsv`
 */
export function goldenValues(format: 'debezium' | 'dms'): GoldenValue[] {
  return goldenFile(format, 'types.tsv')
    .split('\n')
    .slice(1)
    .map((row) => {
      const [type = '', setting = '', text = '', json = ''] = row.split('\t');
      return { type, setting, text, json };
    });
}

/** Types whose values test_decoding prints without apostrophes. */
const BARE = /^(smallint|integer|bigint|oid|real|double precision|numeric|boolean)$/;

/** @returns a value as test_decoding prints it */
export function printedValue({ type, text }: GoldenValue, baseType: (type: string) => string = (each) => each): string {
  if (text === 'NULL') return 'null';
  if (text === '(not sent)') return 'unchanged-toast-datum';
  if (BARE.test(baseType(type))) return text;
  return type === 'bit' || type === 'bit varying' ? `B'${text}'` : quote(text);
}
