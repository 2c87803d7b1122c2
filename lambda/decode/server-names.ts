/**
 * Names as pgoutput and wal2json send them, unquoted and types by number, made into names as `quote_identifier` and
 * `format_type` print them, so that the rest sees no difference between the plugins. Pure: what the server's catalogs say
 * is handed in.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/ruleutils.c (quote_identifier)
 */

/** What the decoder has to know of the server. */
export interface ServerNames {
  /** @returns a type's name as `format_type` prints it without a modifier; undefined: the catalogs do not know it any more */
  typeName(oid: number): string | undefined;
  /** @returns whether `quote_identifier` quotes the word because SQL uses it */
  isKeyword(word: string): boolean;
}

const SAFE = /^[a-z_][a-z0-9_]*$/;

/**
 * Quotes an identifier where SQL needs it.
 *
 * @param name - unquoted
 * @param names - which words are keywords
 * @returns as `quote_identifier` prints it
 */
export function quoteIdentifier(name: string, names: ServerNames): string {
  return SAFE.test(name) && !names.isKeyword(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/**
 * The name of a type that a Type message tells of. It is needed only where the catalogs do not know the type any more:
 * then an array is named `_mood`, and a domain by its base type, so that their values are written as text.
 *
 * @param schema - unquoted; empty: pg_catalog
 * @param name - unquoted
 * @param names - which words are keywords
 */
export function sentTypeName(schema: string, name: string, names: ServerNames): string {
  const quoted = quoteIdentifier(name, names);
  return schema === '' || schema === 'pg_catalog' ? quoted : `${quoteIdentifier(schema, names)}.${quoted}`;
}
