/** A table's printed name, taken apart. Pure; knows how identifiers are quoted and nothing else. */
import { unquoteIdentifier } from './test-decoding/text.ts';

/**
 * @param printed - a table's name, schema-qualified and quoted where needed
 * @returns schema and name, without quotes
 * @example splitTableName('public."Order.items"') // ['public', 'Order.items']
 */
export function splitTableName(printed: string): readonly [schema: string, name: string] {
  let dot = 0;
  for (let quoted = false; dot < printed.length; dot++) {
    if (printed[dot] === '"') quoted = !quoted;
    else if (printed[dot] === '.' && !quoted) break;
  }
  return [unquoteIdentifier(printed.slice(0, dot)), unquoteIdentifier(printed.slice(dot + 1))];
}
