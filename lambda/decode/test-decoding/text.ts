/**
 * Printed names and values as JavaScript strings, for slow paths and tests: the hot path stays with bytes.
 * Pure; knows how identifiers and literals are quoted and nothing else.
 */
import type { Tuple } from '../messages.ts';
import { ValueKind } from '../messages.ts';

/**
 * Takes an identifier's quotes off.
 *
 * @param printed - as quote_identifier prints it
 * @returns the name itself
 * @example unquoteIdentifier('"say ""hi"""') // say "hi"
 */
export function unquoteIdentifier(printed: string): string {
  return printed.startsWith('"') ? printed.slice(1, -1).replaceAll('""', '"') : printed;
}

/**
 * A column's value as text, as `value::text` gives it. Makes a string: for slow paths.
 *
 * @param tuple - the row
 * @param column - which column, 0 to `tuple.count - 1`
 * @param bytes - the bytes that the tuple's ranges point into
 * @returns the text; null for NULL; undefined where the value was not sent because it did not change, or not kept
 */
export function valueText(tuple: Tuple, column: number, bytes: Buffer): string | null | undefined {
  const kind = tuple.kinds[column];
  if (column >= tuple.count || kind === undefined)
    throw new RangeError(`no column ${column} in a row of ${tuple.count}`);
  if (kind === ValueKind.null) return null;
  if (kind === ValueKind.unchanged || kind === ValueKind.elided) return undefined;
  const text = bytes.toString('utf8', tuple.starts[column], tuple.ends[column]);
  return kind === ValueKind.escaped ? text.replaceAll("''", "'") : text;
}
