/** SQL that does on every supported version what only later ones have words for, or have in the stream. Knows no table. */

/**
 * Empties tables, so that the stream has it: before 11 a TRUNCATE is not decoded.
 *
 * @param tables - as in TRUNCATE; those that refer to others first
 */
export function emptying(...tables: readonly string[]): string {
  const deletes = tables.map((table) => `DELETE FROM ${table}`).join('; ');
  return `DO $$ BEGIN
    IF current_setting('server_version_num')::integer < 110000 THEN ${deletes}; ELSE TRUNCATE ${tables.join(', ')}; END IF; END $$`;
}

/** Before 13 `gen_random_uuid` is in an extension. */
export const RANDOM_UUID = `md5(random()::text || clock_timestamp()::text)::uuid`;

/**
 * An array of a type, of texts: before 11 a cast of the whole array reads it with the delimiter of text.
 *
 * @param texts - an expression of text[]
 */
export function arrayOf(texts: string, type: string): string {
  return `ARRAY(SELECT x::${type} FROM unnest(${texts}::text[]) WITH ORDINALITY AS u (x, n) ORDER BY n)`;
}

/**
 * A domain over a type. Before 11 there are none over composites: then the type itself is taken.
 *
 * @param major - the server's version
 * @param name - of the domain
 * @returns what makes it, and its name
 */
export function domainOver(major: number, name: string, type: string): { readonly sql: string; readonly name: string } {
  if (major < 11 && type === 'public.pair') return { sql: 'SELECT 1', name: type };
  return { sql: `CREATE DOMAIN ${name} AS ${type}`, name };
}

/**
 * A generated column, where there are any: from 12 on.
 *
 * @param major - the server's version
 * @param definition - of the column, after another one
 */
export function generatedColumn(major: number, definition: string): string {
  return major < 12 ? '' : `, ${definition}`;
}
